"""The only publisher: moves committed outbox records to Kafka, in order, at least once."""

import asyncio
from collections.abc import Sequence

import asyncpg
import msgspec
import structlog
from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError

from loopwright.contracts.kafka_settings import MAX_RECORD_BYTES
from loopwright.database import CONNECTION_ERRORS, Database
from loopwright.telemetry import OUTBOX_PENDING, OUTBOX_PUBLISHED

_log = structlog.get_logger()
_BATCH = 500  # records of one transaction; larger batches were no faster
_SAFETY_POLL_S = 2.0  # a lost NOTIFY delays a record by at most this
_ERROR_DELAY_S = 1.0


class Relay:
    """Publishes a service's outbox. Start as many as there are replicas: an advisory lock lets one work at a time.

    A record leaves the outbox in the transaction that saw Kafka's acknowledgement. A crash between the two publishes
    the record again with the same event id, which consumers' inboxes recognise.
    """

    def __init__(self, database: Database, bootstrap: str) -> None:
        self._database = database
        self._bootstrap = bootstrap
        self._dsn = database.url.replace("postgresql+asyncpg://", "postgresql://", 1)
        self._table = f'"{database.schema}".outbox'
        self._wake = asyncio.Event()

    async def run(self) -> None:
        """Works until cancelled; waits out an absent broker or database."""
        while True:
            try:
                await self._session()
            except (*CONNECTION_ERRORS, KafkaError) as error:
                _log.warning("outbox.relay-waits", schema=self._database.schema, reason=repr(error))
                await asyncio.sleep(_ERROR_DELAY_S)

    async def _session(self) -> None:
        connection = await asyncpg.connect(self._dsn, timeout=5, command_timeout=60)
        try:
            await self._become_active(connection)
            await connection.add_listener(self._database.outbox_channel, self._on_notify)
            producer = AIOKafkaProducer(
                bootstrap_servers=self._bootstrap,
                enable_idempotence=True,
                acks="all",
                request_timeout_ms=10_000,
                max_request_size=MAX_RECORD_BYTES,
            )
            try:
                await producer.start()
                while True:
                    self._wake.clear()
                    while await self._publish_batch(connection, producer) == _BATCH:
                        pass
                    await self._wait()
            finally:
                await producer.stop()
        finally:
            await connection.close(timeout=5)

    def _on_notify(self, *_: object) -> None:
        self._wake.set()

    async def _become_active(self, connection: asyncpg.Connection) -> None:
        while not await connection.fetchval(  # noqa: ASYNC110 - the lock is in PostgreSQL
            "SELECT pg_try_advisory_lock(hashtext($1))", self._database.outbox_channel
        ):
            await asyncio.sleep(_SAFETY_POLL_S)

    async def _wait(self) -> None:
        try:
            await asyncio.wait_for(self._wake.wait(), _SAFETY_POLL_S)
        except TimeoutError:
            return

    async def _publish_batch(self, connection: asyncpg.Connection, producer: AIOKafkaProducer) -> int:
        async with connection.transaction():
            rows = await connection.fetch(
                f"DELETE FROM {self._table} WHERE id IN (SELECT id FROM {self._table} ORDER BY id LIMIT {_BATCH} "  # noqa: S608 - the schema is ours
                "FOR UPDATE) RETURNING id, topic, key, value, headers::text AS headers"
            )
            OUTBOX_PENDING.set(len(rows))
            if rows:
                await self._send(producer, sorted(rows, key=lambda row: row["id"]))
        return len(rows)

    async def _send(self, producer: AIOKafkaProducer, rows: Sequence[asyncpg.Record]) -> None:
        acknowledgements = [
            await producer.send(
                row["topic"], value=_value_of(row), key=row["key"], headers=_decode_headers(row["headers"])
            )
            for row in rows
        ]
        await asyncio.gather(*acknowledgements)
        for row in rows:
            OUTBOX_PUBLISHED.labels(row["topic"]).inc()


def _value_of(row: asyncpg.Record) -> bytes | None:
    """The client refuses a record of neither key nor value, as which a dead letter may well have come."""
    return b"" if row["value"] is None and row["key"] is None else row["value"]


def _decode_headers(text: str) -> list[tuple[str, bytes]]:
    return [(name, value.encode()) for name, value in _HEADERS.decode(text)]


_HEADERS = msgspec.json.Decoder(list[tuple[str, str]])
