"""A service of one table: what the library's own tests, and tests of doors, let handlers do and then look at."""

import sqlalchemy as sa
from sqlalchemy.engine import RowMapping
from sqlalchemy.ext.asyncio import AsyncSession, create_async_engine
from sqlalchemy.pool import NullPool

from loopwright.contracts.registry import Party
from loopwright.database import Database, messaging_tables
from loopwright.unit_of_work import PostgresWork

SCHEMA = "probe"
_METADATA = sa.MetaData(schema=SCHEMA)
_TABLES = messaging_tables(_METADATA)
_EFFECTS = sa.Table(
    "effects",
    _METADATA,
    sa.Column("id", sa.BigInteger, sa.Identity(), primary_key=True),
    sa.Column("what", sa.Text, nullable=False),
)


class Probe:
    """The service's side of things, and a look at its tables that goes past it.

    Args:
        url: What the service reaches PostgreSQL by.
        direct_url: What the test reaches it by, when the service's way is shut.
    """

    def __init__(self, url: str, *, direct_url: str) -> None:
        self.database = Database(url, _METADATA, _TABLES)
        self.work = PostgresWork(self.database, Party.DATASET)
        self._direct = create_async_engine(direct_url, poolclass=NullPool)

    async def create_tables(self) -> None:
        async with self._direct.begin() as connection:
            await connection.execute(sa.schema.CreateSchema(SCHEMA))
            await connection.run_sync(_METADATA.create_all)

    async def act(self, session: AsyncSession, what: str) -> None:
        """Has an effect, in the caller's transaction."""
        await session.execute(sa.insert(_EFFECTS).values(what=what))

    async def effects(self) -> list[str]:
        """Effects that were committed, in order."""
        return [str(row["what"]) for row in await self._rows(sa.select(_EFFECTS).order_by(_EFFECTS.c.id))]

    async def outbox(self) -> list[RowMapping]:
        """Records that wait for the relay, in order."""
        return await self._rows(sa.select(_TABLES.outbox).order_by(_TABLES.outbox.c.id))

    async def inbox(self) -> set[str]:
        """Event ids that were marked as handled."""
        return {str(row["event_id"]) for row in await self._rows(sa.select(_TABLES.inbox))}

    async def _rows(self, statement: sa.Select[*tuple[object, ...]]) -> list[RowMapping]:
        async with self._direct.connect() as connection:
            return list((await connection.execute(statement)).mappings())
