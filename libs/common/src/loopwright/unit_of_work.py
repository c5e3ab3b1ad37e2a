"""`work()`: one transaction that holds a handler's rows, the facts it announces and the mark of the event it handled."""

from collections.abc import AsyncGenerator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager

import asyncpg
import sqlalchemy as sa
from sqlalchemy.exc import DBAPIError, InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.ext.asyncio import AsyncSession

from loopwright.contracts.base import Event
from loopwright.contracts.envelope import Envelope, seal
from loopwright.contracts.kafka_settings import MAX_EVENT_BYTES
from loopwright.contracts.registry import Party, topic_of
from loopwright.database import Database
from loopwright.errors import InvalidPayload, StoreUnavailable
from loopwright.outbox import OutboxRecord, insert_records
from loopwright.telemetry import current_traceparent

# what SQLAlchemy and, used directly or in the middle of a query, asyncpg raise when the server cannot be reached
_DATABASE_AWAY = (
    OperationalError, InterfaceError, PoolTimeout, OSError,
    asyncpg.PostgresConnectionError, asyncpg.InterfaceError, asyncpg.InternalClientError,
)  # fmt: skip
# SQLSTATE classes (PostgreSQL, appendix A): connection lost, out of connections or memory, starting or stopping,
# serialization failure, deadlock, lock not available
_TRY_LATER = ("08", "53", "57P", "40001", "40P01", "55P03")


class Work:
    """One open transaction.

    Attributes:
        session: For stores to load and save with; never commit it.
        cause: Envelope of the event being handled, if a Kafka door opened this work.
    """

    def __init__(self, session: AsyncSession, source: Party, *, cause: Envelope | None = None) -> None:
        self.session = session
        self.cause = cause
        self._source = source
        self._records: list[OutboxRecord] = []

    def announce(self, event: Event, *, traceparent: str | None = None) -> str:
        """Puts a fact into the outbox of this transaction; it reaches Kafka only if the transaction commits.

        Args:
            traceparent: Trace to continue instead of the current one, for work that outlived the event that began it.

        Returns:
            The event's id.

        Raises:
            InvalidPayload: the event is too large for Kafka; large things travel as artifacts.
        """
        topic = topic_of(event)
        value = event.model_dump_json().encode()
        if len(value) > MAX_EVENT_BYTES:
            raise InvalidPayload("event.too-large", f"{topic.name}: {len(value)} bytes", limit=MAX_EVENT_BYTES)
        envelope = seal(topic, source=self._source, cause=self.cause, traceparent=traceparent or current_traceparent())
        self._records.append(
            OutboxRecord(
                topic=topic.name,
                key=topic.key_of(event).encode(),
                value=value,
                headers=envelope.to_headers(),
            )
        )
        return envelope.event_id

    def announce_record(self, record: OutboxRecord) -> None:
        """Puts raw bytes into the outbox: only dead letters travel so."""
        self._records.append(record)

    @property
    def records(self) -> tuple[OutboxRecord, ...]:
        """What this transaction will say when it commits."""
        return tuple(self._records)


WorkFactory = Callable[..., AbstractAsyncContextManager[Work]]


class PostgresWork:
    """Opens units of work on a service's database; call it as `async with work() as unit:`.

    Raises (from the block):
        StoreUnavailable: the database cannot be reached, dropped the connection, or let another transaction go first.
    """

    def __init__(self, database: Database, source: Party) -> None:
        self._database = database
        self._source = source

    @asynccontextmanager
    async def __call__(self, *, cause: Envelope | None = None) -> AsyncGenerator[Work]:
        database = self._database
        try:
            async with database.sessions() as session, session.begin():
                work = Work(session, self._source, cause=cause)
                yield work
                if work.records:
                    await insert_records(session, database.tables.outbox, work.records)
                    await session.execute(sa.select(sa.func.pg_notify(database.outbox_channel, "")))
        except _DATABASE_AWAY as error:
            raise StoreUnavailable("store.unavailable", "the database cannot be reached") from error
        except (DBAPIError, asyncpg.PostgresError) as error:
            away = isinstance(error, DBAPIError) and error.connection_invalidated
            if away or _state_of(error).startswith(_TRY_LATER):
                raise StoreUnavailable("store.unavailable", "the database cannot do this now") from error
            raise


def _state_of(error: DBAPIError | asyncpg.PostgresError) -> str:
    """SQLSTATE of the server's answer, through SQLAlchemy or from asyncpg itself; empty if it gave none."""
    answer = error.orig if isinstance(error, DBAPIError) else error
    return getattr(answer, "sqlstate", None) or ""
