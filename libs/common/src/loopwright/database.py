"""One PostgreSQL schema per service: engine, metadata, and the two messaging tables that every schema has."""

from dataclasses import dataclass
from typing import Generic, TypeVar

import asyncpg
import sqlalchemy as sa
from pydantic import BaseModel
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.engine import Dialect
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession, async_sessionmaker, create_async_engine

from loopwright.sealed_columns import ColumnKeys

V = TypeVar("V", bound=BaseModel)

# what asyncpg's own connections raise when the server is away or goes away; the last one in the middle of a query
CONNECTION_ERRORS = (OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError)


class AsJson(sa.TypeDecorator[V], Generic[V]):
    """A frozen contract value in one JSONB column."""

    impl = JSONB
    cache_ok = True

    def __init__(self, kind: type[V]) -> None:
        super().__init__(none_as_null=True)
        self.kind = kind

    def process_bind_param(self, value: V | None, dialect: Dialect) -> object:  # noqa: ARG002 - SQLAlchemy's signature
        return None if value is None else value.model_dump(mode="json")

    def process_result_value(self, value: object, dialect: Dialect) -> V | None:  # noqa: ARG002 - SQLAlchemy's signature
        return None if value is None else self.kind.model_validate(value)


@dataclass(frozen=True)
class MessagingTables:
    """Tables through which a service's transactions touch Kafka.

    Attributes:
        outbox: Facts that are committed and not yet on Kafka, in the order in which they were announced.
        inbox: (consumer group, event id) of every event that was handled.
    """

    outbox: sa.Table
    inbox: sa.Table


def messaging_tables(metadata: sa.MetaData) -> MessagingTables:
    """Declares outbox and inbox in the schema of `metadata`."""
    outbox = sa.Table(
        "outbox",
        metadata,
        sa.Column("id", sa.BigInteger, sa.Identity(always=True), primary_key=True),
        sa.Column("topic", sa.Text, nullable=False),
        sa.Column("key", sa.LargeBinary),
        sa.Column("value", sa.LargeBinary),
        sa.Column("headers", JSONB, nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False, server_default=sa.func.now()),
    )
    inbox = sa.Table(
        "inbox",
        metadata,
        sa.Column("consumer_group", sa.Text, primary_key=True),
        sa.Column("event_id", sa.Text, primary_key=True),
        sa.Column("received_at", sa.DateTime(timezone=True), nullable=False, server_default=sa.func.now()),
    )
    return MessagingTables(outbox=outbox, inbox=inbox)


class Database:
    """A service's engine, and the schema in which its tables live.

    Args:
        url: SQLAlchemy URL with the asyncpg driver.
        metadata: Tables of the service; its schema names the service's own.
        tables: Outbox and inbox declared in that metadata.
        column_keys: What sealed columns of the service are sealed with.
    """

    def __init__(
        self, url: str, metadata: sa.MetaData, tables: MessagingTables, *, column_keys: ColumnKeys | None = None
    ) -> None:
        if metadata.schema is None:
            raise ValueError("a service's metadata names its schema")
        self.url = url
        self.schema = str(metadata.schema)  # a plain str: asyncpg refuses SQLAlchemy's quoted_name
        self.tables = tables
        self.engine: AsyncEngine = create_async_engine(
            url,
            pool_pre_ping=True,
            pool_size=5,
            max_overflow=10,
            connect_args={"timeout": 5, "command_timeout": 60, "server_settings": {"application_name": self.schema}},
        )
        info = {} if column_keys is None else column_keys.as_info()
        self.sessions = async_sessionmaker(self.engine, class_=AsyncSession, expire_on_commit=False, info=info)

    @property
    def outbox_channel(self) -> str:
        """NOTIFY channel on which a commit wakes the relay."""
        return f"{self.schema}_outbox"

    async def ping(self) -> None:
        async with self.engine.connect() as connection:
            await connection.execute(sa.text("SELECT 1"))

    async def close(self) -> None:
        await self.engine.dispose()
