"""The router's relay: moves spooled events to Kafka, in order, at least once, always under the ids they were given."""

import asyncio
from collections.abc import Sequence

import structlog
from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError, MessageSizeTooLargeError

from loopwright.outbox import OutboxRecord
from router_svc.adapters.frames import encode_frame
from router_svc.adapters.metrics import EVENTS_PUBLISHED, EVENTS_REFUSED
from router_svc.adapters.spool import Spool

_BATCH = 500
_IDLE_S = 1.0
_RETRY_S = 1.0
_log = structlog.get_logger()


class SpoolPublisher:
    """Publishes this worker's spool, after those that gone workers left behind."""

    def __init__(self, bootstrap: str, *, spool: Spool, orphans: Sequence[Spool]) -> None:
        self._bootstrap = bootstrap
        self._spool = spool
        self._orphans = list(orphans)
        self._trouble: str | None = "not connected yet"

    async def run(self) -> None:
        """Publishes until cancelled. What a crash leaves unconfirmed is sent again; consumers know it by its id."""
        try:
            while True:
                try:
                    await self._session()
                except (KafkaError, OSError, TimeoutError) as error:
                    self._trouble = repr(error)
                    _log.warning("spool.waits", reason=repr(error), pending=self._spool.pending)
                    await asyncio.sleep(_RETRY_S)
        finally:
            for spool in (self._spool, *self._orphans):
                spool.close()

    async def probe(self) -> str | None:
        """Never a reason not to be ready: events wait on disk."""
        return None if self._trouble is None else f"{self._spool.pending} events wait: {self._trouble}"

    async def _session(self) -> None:
        producer = AIOKafkaProducer(
            bootstrap_servers=self._bootstrap, enable_idempotence=True, acks="all", request_timeout_ms=10_000
        )
        try:
            await producer.start()
            self._trouble = None
            while self._orphans:
                while await self._publish(producer, self._orphans[0]):
                    pass
                self._orphans.pop(0).retire()
            while True:
                self._spool.appended.clear()
                while await self._publish(producer, self._spool):
                    pass
                await self._wait()
        finally:
            await producer.stop()

    async def _wait(self) -> None:
        try:
            await asyncio.wait_for(self._spool.appended.wait(), _IDLE_S)
        except TimeoutError:
            return

    async def _publish(self, producer: AIOKafkaProducer, spool: Spool) -> int:
        records, position = spool.read(_BATCH)
        waiting = [await _send(producer, record) for record in records]
        results = await asyncio.gather(*waiting, return_exceptions=True)
        for record, result in zip(records, results, strict=True):
            if isinstance(result, MessageSizeTooLargeError):
                _keep_refused(spool, record)
            elif isinstance(result, BaseException):
                raise result
            else:
                EVENTS_PUBLISHED.labels(record.topic).inc()
        spool.commit(position, count=len(records))
        return len(records)


async def _send(producer: AIOKafkaProducer, record: OutboxRecord) -> asyncio.Future[object]:
    """Hands a record to the producer; what the client refuses at once comes back as a failed future."""
    headers = [(name, value.encode()) for name, value in record.headers]
    try:
        return await producer.send(record.topic, value=record.value, key=record.key, headers=headers)
    except MessageSizeTooLargeError as error:
        refused: asyncio.Future[object] = asyncio.get_running_loop().create_future()
        refused.set_exception(error)
        return refused


def _keep_refused(spool: Spool, record: OutboxRecord) -> None:
    """Kafka will never take this record: it must neither block the others nor vanish."""
    EVENTS_REFUSED.inc()
    _log.error("spool.refused", topic=record.topic, size_bytes=len(record.value or b""))
    with (spool.folder / "refused").open("ab") as refused:
        refused.write(encode_frame(record))
