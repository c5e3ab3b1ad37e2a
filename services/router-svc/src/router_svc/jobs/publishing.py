"""The router's relay: moves spooled events to Kafka, in order, at least once, always under the ids they were given.

librdkafka sends from a thread of its own: an event costs the loop a copy, not a protocol.
"""

import asyncio
from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from typing import Any, Final

import structlog
from confluent_kafka import KafkaError, KafkaException, Message, Producer

from loopwright.outbox import OutboxRecord
from router_svc.adapters.failures import SpoolFull
from router_svc.adapters.frames import encode_frame
from router_svc.adapters.metrics import EVENTS_PUBLISHED, EVENTS_REFUSED
from router_svc.adapters.segments import READ_BYTES
from router_svc.adapters.spool import Spool

_BATCH: Final = 200  # more at once would keep the loop from its requests
_LINGER_S: Final = 0.05  # events leave together: a batch costs the loop as much as some dozens of events
_LOOK_S: Final = 0.005
_POLL_S: Final = 0.005
_IDLE_S = 1.0
_RETRY_S = 1.0
_REQUEST_S = 10
_FLUSH_S = 3.0  # at the end: what is not sent by then is sent by the next process
_TOO_LARGE = KafkaError.MSG_SIZE_TOO_LARGE
_log = structlog.get_logger()


class SpoolPublisher:
    """Publishes this worker's spool, after those that gone workers left behind.

    Args:
        compression: Of batches, as librdkafka names them: `none`, `lz4`, `zstd`, ...
    """

    def __init__(self, bootstrap: str, *, spool: Spool, orphans: Sequence[Spool], compression: str = "none") -> None:
        self._settings: dict[str, Any] = {
            "bootstrap.servers": bootstrap,
            "enable.idempotence": True,
            "linger.ms": 5,
            "message.timeout.ms": _REQUEST_S * 1000,
            "compression.type": compression,
            "delivery.report.only.error": True,
            "queue.buffering.max.messages": _BATCH * 2,
            "logger": _Silence(),
        }
        self._spool = spool
        self._orphans = list(orphans)
        self._trouble: str | None = "not connected yet"

    async def run(self) -> None:
        """Publishes until cancelled. What a crash leaves unconfirmed is sent again; consumers know it by its id."""
        try:
            while True:
                try:
                    await self._session()
                except KafkaException as error:
                    self._trouble = str(error.args[0])
                    _log.warning("spool.waits", reason=self._trouble, pending=self._spool.pending)
                    with suppress(SpoolFull):  # a disk that fails is told to whoever appends
                        await self._spool.sync()
                    await asyncio.sleep(_RETRY_S)
        finally:
            for spool in (self._spool, *self._orphans):
                spool.close()

    async def probe(self) -> str | None:
        """Never a reason not to be ready: events wait on disk."""
        return None if self._trouble is None else f"{self._spool.pending} events wait: {self._trouble}"

    async def _session(self) -> None:
        sending = _Sending(Producer(self._settings))
        try:
            await asyncio.to_thread(sending.producer.list_topics, timeout=_REQUEST_S)
            self._trouble = None
            while self._orphans:
                while await sending.publish(self._orphans[0]):
                    pass
                await self._orphans[0].retire()
                self._orphans.pop(0)
            await self._follow(sending)
        finally:
            sending.close()

    async def _follow(self, sending: "_Sending") -> None:
        try:
            while True:
                self._spool.appended.clear()
                while await sending.publish(self._spool):  # noqa: ASYNC110 - lets requests in between
                    await asyncio.sleep(0)
                await self._wait()
        except asyncio.CancelledError:
            sending.flush(self._spool)
            raise

    async def _wait(self) -> None:
        try:
            await asyncio.wait_for(self._spool.appended.wait(), _IDLE_S)
        except TimeoutError:
            return
        lingered_s = 0.0
        while lingered_s < _LINGER_S and not self._spool.has_batch(_BATCH):
            await asyncio.sleep(_LOOK_S)
            lingered_s += _LOOK_S


class _Sending:
    """One producer, for as long as nothing fails."""

    def __init__(self, producer: Producer) -> None:
        self.producer = producer
        self._failed: list[tuple[KafkaError, Message]] = []

    async def publish(self, spool: Spool) -> bool:
        """Sends what waits, up to a batch; returns whether that was a full one, so that there may be more.

        Raises:
            KafkaException: Kafka does not take them; the spool keeps them.
        """
        records, position = spool.read(_BATCH)
        if records:
            await self._send(spool, records)
            spool.commit(position, count=len(records))
        return len(records) == _BATCH or sum(len(record.value or b"") for record in records) >= READ_BYTES

    async def _send(self, spool: Spool, records: Sequence[OutboxRecord]) -> None:
        """Returns when Kafka has them, but for those that it refuses.

        A broker refuses a batch as a whole: of several, each is sent again by itself.
        """
        taken = self._produce(spool, records)
        await asyncio.sleep(_POLL_S)
        while self._unconfirmed():  # noqa: ASYNC110 - librdkafka tells only who asks
            await asyncio.sleep(_POLL_S)
        refused = self._settle(taken)
        if refused and len(records) == 1:
            _keep_refused(spool, records[0])
            return
        for record in refused:
            await self._send(spool, [record])

    def flush(self, spool: Spool) -> None:
        """A last batch on the way out, as far as that is quick."""
        records, position = spool.read(_BATCH)
        if not records:
            return
        self._produce(spool, records)
        if self.producer.flush(_FLUSH_S) == 0 and not self._failed:
            spool.commit(position, count=len(records))

    def close(self) -> None:
        self.producer.purge()
        self.producer.poll(0)

    def _produce(self, spool: Spool, records: Sequence[OutboxRecord]) -> list[OutboxRecord]:
        """Returns those that the producer takes; what is too large for it is never asked of Kafka."""
        produce, report = self.producer.produce, self._report
        taken: list[OutboxRecord] = []
        for record in records:
            try:
                produce(record.topic, record.value, record.key, headers=list(record.headers), on_delivery=report)
            except KafkaException as error:
                if error.args[0].code() != _TOO_LARGE:
                    raise
                _keep_refused(spool, record)
            else:
                taken.append(record)
        return taken

    def _unconfirmed(self) -> int:
        self.producer.poll(0)
        return len(self.producer)

    def _report(self, error: KafkaError | None, message: Message) -> None:
        if error is not None:
            self._failed.append((error, message))

    def _settle(self, records: Sequence[OutboxRecord]) -> list[OutboxRecord]:
        """Counts those that Kafka has; returns those that it finds too large, or in too large a company."""
        failed, self._failed = self._failed, []
        refused: list[OutboxRecord] = []
        for error, message in failed:
            if error.code() != _TOO_LARGE:
                raise KafkaException(error)
            refused.append(next(record for record in records if _is_of(message, record)))
        published = Counter([record.topic for record in records])
        published.subtract([record.topic for record in refused])
        for topic, count in published.items():
            EVENTS_PUBLISHED.labels(topic).inc(count)
        return refused


class _Silence:
    """librdkafka's own log: what matters of it comes as errors."""

    def log(self, *_: object) -> None:
        pass


def _is_of(message: Message, record: OutboxRecord) -> bool:
    return (message.topic(), message.key(), message.value()) == (record.topic, record.key, record.value)


def _keep_refused(spool: Spool, record: OutboxRecord) -> None:
    """Kafka will never take this record: it must neither block the others nor vanish."""
    EVENTS_REFUSED.inc()
    _log.error("spool.refused", topic=record.topic, size_bytes=len(record.value or b""))
    with (spool.folder / "refused").open("ab") as refused:
        refused.write(encode_frame(record))
