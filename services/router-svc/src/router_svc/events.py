"""Kafka's door: reads the three compacted topics into the snapshot, from their beginning, in no consumer group.

Every worker needs every record, and needs them all again after a restart: a group would divide them.
"""

import asyncio
import time
from contextlib import suppress

import structlog
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import KafkaError
from pydantic import ValidationError

from loopwright.contracts.base import Event
from loopwright.contracts.envelope import open_record
from loopwright.contracts.registry import (
    DEPLOYMENT_CHANGED,
    EXPERIMENT_CHANGED,
    TASK_DEFINED,
    Party,
    Topic,
    topic_named,
)
from loopwright.dead_letters import KafkaRecord, dead_letter, position_of
from loopwright.errors import BrokerUnavailable, ContractError
from router_svc.adapters.board import Board, SetAsideMarks
from router_svc.adapters.failures import SpoolFull
from router_svc.adapters.metrics import SNAPSHOT_RECORDS
from router_svc.adapters.snapshot_file import SnapshotFile
from router_svc.adapters.spool import Spool
from router_svc.handlers.updating import take_in

SNAPSHOT_TOPICS: tuple[Topic[Event], ...] = (TASK_DEFINED, DEPLOYMENT_CHANGED, EXPERIMENT_CHANGED)
_TOPICS = {topic.name: topic for topic in SNAPSHOT_TOPICS}
_POLL_MS = 500
_REQUEST_TIMEOUT_MS = 5000
_PULSE_S = 2.0
_ASSIGN_S = 10.0
_RETRY_S = 1.0
_SAVE_S = 1.0
_FIRST_S = 5.0  # a router that listens to nobody for longer is taken to be dead
_log = structlog.get_logger()


class SnapshotReader:
    """Keeps the board up to date.

    Args:
        spool: Malformed records leave through it to their dead-letter topic.
        kept: What the last snapshot was made of; served by until the topics were read once.
    """

    def __init__(self, bootstrap: str, *, board: Board, spool: Spool, marks: SetAsideMarks, kept: SnapshotFile) -> None:
        self._bootstrap = bootstrap
        self._board = board
        self._spool = spool
        self._marks = marks
        self._kept = kept
        self._read_once = False
        self._loaded = asyncio.Event()
        self._target = board  # where facts go: beside the board until the topics were read once

    async def run(self) -> None:
        """Reads until cancelled; while Kafka is away the last snapshot stays."""
        self._restore()
        async with asyncio.TaskGroup() as both:  # a slow disk must not hold changes up
            both.create_task(self._save())
            both.create_task(self._read_on())

    async def wait_until_loaded(self) -> None:
        """Returns with the first snapshot, from the disk or from Kafka; if there is none, after a while all the same."""
        with suppress(TimeoutError):
            await asyncio.wait_for(self._loaded.wait(), _FIRST_S)

    async def _read_on(self) -> None:
        while True:
            try:
                await self._session()
            except (KafkaError, BrokerUnavailable, OSError, TimeoutError) as error:
                self._note_trouble(error)
                await asyncio.sleep(_RETRY_S)

    async def _save(self) -> None:
        while True:
            await asyncio.sleep(_SAVE_S)
            if self._read_once:  # before that the file knows more than we do
                await self._kept.save()

    async def probe(self) -> str | None:
        """Ready from the first whole snapshot on, with or without Kafka."""
        board = self._board
        if not board.loaded:
            raise BrokerUnavailable("snapshot.not-loaded", f"the topics were not read yet: {board.trouble}")
        return None if board.trouble is None else f"serving from the last snapshot: {board.trouble}"

    async def _session(self) -> None:
        consumer = AIOKafkaConsumer(
            bootstrap_servers=self._bootstrap,
            group_id=None,
            enable_auto_commit=False,
            auto_offset_reset="earliest",
            fetch_max_wait_ms=_POLL_MS,
            request_timeout_ms=_REQUEST_TIMEOUT_MS,
        )
        try:
            await consumer.start()
            partitions = await _assign(consumer)
            await self._read_all(consumer, await consumer.end_offsets(partitions))
            await self._follow(consumer)
        finally:
            # aiokafka 0.14: while Kafka is away, stopping a consumer raises the cancellation of its own fetches
            await asyncio.gather(consumer.stop(), return_exceptions=True)

    def _restore(self) -> None:
        """Serves by the last snapshot of an earlier process until Kafka says what holds now."""
        for fact in self._kept.restore():
            try:
                take_in(self._board, _TOPICS[fact.topic].event.model_validate_json(bytes(fact.value)))
            except (ContractError, ValidationError, KeyError) as error:
                _log.error("snapshot.fact-unreadable", topic=fact.topic, reason=str(error)[:500])
        if self._board.snapshot.answering:
            self._board.loaded = True
            self._loaded.set()
            _log.info("snapshot.restored", tasks=len(self._board.snapshot.tasks))

    async def _read_all(self, consumer: AIOKafkaConsumer, ends: dict[TopicPartition, int]) -> None:
        """Reads what the topics hold. The first time, it then takes the place of what was restored, as a whole."""
        if not self._read_once:
            self._target = Board()
            self._kept.forget()
        for partition, end in ends.items():
            while await consumer.position(partition) < end:
                await self._read(consumer)
        self._board.snapshot = self._target.snapshot
        self._target, self._read_once, self._board.loaded = self._board, True, True
        self._loaded.set()
        _log.info("snapshot.loaded", tasks=len(self._board.snapshot.tasks))

    async def _follow(self, consumer: AIOKafkaConsumer) -> None:
        pulse = 0.0
        while True:
            if time.monotonic() - pulse > _PULSE_S:
                await self._feel_pulse(consumer)
                pulse = time.monotonic()
            await self._read(consumer)

    async def _feel_pulse(self, consumer: AIOKafkaConsumer) -> None:
        """Notes whether Kafka is there; the consumer itself waits for it in silence, and goes on by itself."""
        try:
            await consumer.topics()
        except (KafkaError, OSError) as error:
            self._note_trouble(error)
        else:
            self._board.trouble = None

    def _note_trouble(self, error: Exception) -> None:
        self._board.trouble = repr(error)
        _log.warning("snapshot.waits", reason=repr(error), loaded=self._board.loaded)

    async def _read(self, consumer: AIOKafkaConsumer) -> None:
        batches = await consumer.getmany(timeout_ms=_POLL_MS)
        for records in batches.values():
            for record in records:
                self._take(record)

    def _take(self, record: KafkaRecord) -> None:
        topic = topic_named(record.topic)
        try:
            received = open_record(topic, record.value, record.headers, position=position_of(record))
            outcome = "applied" if take_in(self._target, received.event) else "stale"
            if outcome == "applied":
                self._keep(topic, received.event)
        except ContractError as error:
            outcome = "dead-letter"
            self._set_aside(topic, record, error)
        SNAPSHOT_RECORDS.labels(topic.name, outcome).inc()

    def _keep(self, topic: Topic[Event], event: Event) -> None:
        # written anew: what a producer wrote may be JSON only to lenient readers, and lie on many lines
        self._kept.keep(topic.name, key=topic.key_of(event), value=event.model_dump_json().encode())

    def _set_aside(self, topic: Topic[Event], record: KafkaRecord, error: ContractError) -> None:
        position = position_of(record)
        _log.error("event.dead-letter", topic=topic.name, code=error.code, reason=error.detail, position=position)
        if self._marks.is_marked(position):
            return
        group = f"{Party.ROUTER}.{topic.name}"
        letter = dead_letter(topic, record, group=group, code=error.code, reason=error.detail)
        try:
            self._spool.append([letter], reserved=True)
            self._marks.mark(position)
        except SpoolFull as full:
            _log.error("event.dead-letter-waits", position=position, code=full.code)  # the next restart tries again


async def _assign(consumer: AIOKafkaConsumer) -> list[TopicPartition]:
    """Gives the consumer every partition of the three topics.

    Raises:
        BrokerUnavailable: a topic does not exist yet; subscribing to it would wait for ever, and silently.
    """
    names = {topic.name for topic in SNAPSHOT_TOPICS}
    missing = names - await consumer.topics()
    if missing:
        raise BrokerUnavailable("snapshot.topic-missing", f"there is no topic {', '.join(sorted(missing))} yet")
    consumer.subscribe(names)
    async with asyncio.timeout(_ASSIGN_S):
        while {partition.topic for partition in consumer.assignment()} != names:  # noqa: ASYNC110 - the client tells nobody
            await asyncio.sleep(0.02)
    return list(consumer.assignment())
