"""Kafka's door: reads facts through the contract registry, retries, sets dead letters aside, acknowledges after commit.

What becomes of an event, decided here once for every service:
  handled, refused by a rule (recorded by the handler), or seen before → acknowledged
  cannot be read, or fails for an unknown reason on every try          → dead-letter topic with its reason, acknowledged
  a dependency stays away, or dead letters pile up                     → not acknowledged, the service stops
"""

import asyncio
import time
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Generic, TypeVar

import sqlalchemy as sa
import structlog
from aiokafka import ConsumerRecord
from faststream import AckPolicy
from faststream.kafka import KafkaBroker, KafkaMessage  # noqa: TID251 - this is the one place
from faststream.kafka import Topic as KafkaTopic
from opentelemetry.trace import SpanKind, StatusCode

from loopwright.contracts.base import Event
from loopwright.contracts.envelope import Received, open_record
from loopwright.contracts.registry import Party, Topic
from loopwright.database import Database
from loopwright.errors import ContractError, DependencyError, PlatformError, RuleRefused
from loopwright.inbox import mark_seen
from loopwright.outbox import OutboxRecord
from loopwright.telemetry import EVENT_SECONDS, EVENTS_HANDLED, continued_span
from loopwright.unit_of_work import PostgresWork, Work

E = TypeVar("E", bound=Event)
KafkaRecord = ConsumerRecord[bytes | None, bytes | None]
Handler = Callable[[Received[E], Work], Awaitable[None]]
_log = structlog.get_logger()
_LONGEST_DELAY_S = 15.0
_STOPPED_PAUSE_S = 0.2  # between the batches that a stopped consumer lets pass unread while its service ends


@dataclass(frozen=True)
class Subscription(Generic[E]):
    """A topic and the function that handles its facts."""

    topic: Topic[E]
    handler: Handler[E]


class EventRouter:
    """The subscriptions that a service's `events.py` declares."""

    def __init__(self) -> None:
        self.subscriptions: list[Subscription[Event]] = []

    def on(self, topic: Topic[E]) -> Callable[[Handler[E]], Handler[E]]:
        """Subscribes a handler to a topic; it runs inside one unit of work per event."""

        def register(handler: Handler[E]) -> Handler[E]:
            self.subscriptions.append(Subscription(topic, handler))  # pyright: ignore[reportArgumentType] - E is bound to Event
            return handler

        return register


@dataclass(frozen=True, kw_only=True)
class RetryPolicy:
    """How often one event is tried, and how many dead letters a minute are too many.

    Attributes:
        attempts: Tries of one event in all.
        first_delay_s: Seconds before the second try; doubles up to 15 s.
        dead_letter_limit: Dead letters of one topic within 60 s after which the consumer stops.
    """

    attempts: int = 6
    first_delay_s: float = 0.5
    dead_letter_limit: int = 100

    def delay_s(self, attempt: int) -> float:
        return min(self.first_delay_s * 2 ** (attempt - 1), _LONGEST_DELAY_S)


class ConsumerStopped(Exception):
    """A consumer must not go on; its event stays unacknowledged and is delivered again after a restart."""


class Consumer:
    """Consumes a service's topics.

    Args:
        on_stop: Told once when a consumer stops; the service then ends itself.
    """

    def __init__(
        self, party: Party, database: Database, *, policy: RetryPolicy, on_stop: Callable[[BaseException], None]
    ) -> None:
        self._party = party
        self._database = database
        self._work = PostgresWork(database, party)
        self._policy = policy
        self._on_stop = on_stop
        self._dead: dict[str, deque[float]] = {}

    def group_of(self, topic: Topic[Event]) -> str:
        return f"{self._party}.{topic.name}"

    def subscribe(self, broker: KafkaBroker, subscription: Subscription[Event]) -> None:
        """Declares a batch subscriber with manual acknowledgement on a broker."""
        stopped = False

        async def consume(message: KafkaMessage) -> None:
            nonlocal stopped
            if stopped:
                await asyncio.sleep(_STOPPED_PAUSE_S)
                return
            raw = message.raw_message
            records: Sequence[KafkaRecord] = raw if isinstance(raw, tuple | list) else (raw,)
            try:
                for record in records:
                    await self.consume_record(subscription, record)
            except Exception as error:  # noqa: BLE001 - whatever it was, nothing may be acknowledged past it
                stopped = True
                self._on_stop(error)
            else:
                await message.ack()

        broker.subscriber(
            KafkaTopic(subscription.topic.name, declare=False),
            batch=True,
            group_id=self.group_of(subscription.topic),
            auto_offset_reset="earliest",
            ack_policy=AckPolicy.MANUAL,
            decoder=_leave_undecoded,
            max_records=200,
            fetch_max_wait_ms=200,
        )(consume)

    async def consume_record(self, subscription: Subscription[Event], record: KafkaRecord) -> None:
        """Brings one record to an end: handled, seen before, or set aside.

        Raises:
            ConsumerStopped: it can be neither handled nor set aside now.
        """
        topic = subscription.topic
        started = time.perf_counter()
        for attempt in range(1, self._policy.attempts + 1):
            try:
                outcome = await self._attempt(subscription, record)
                break
            except ConsumerStopped:
                raise
            except DependencyError as error:
                failure: Exception = error
                if attempt == self._policy.attempts:
                    raise ConsumerStopped(f"{topic.name}: {error}") from error
            except Exception as error:  # noqa: BLE001 - any bug of a handler ends in the dead-letter topic, with its reason
                failure = error
                if attempt == self._policy.attempts or await self._is_set_aside(topic, record):
                    outcome = await self._set_aside(topic, record, code=_code_of(error), reason=repr(error))
                    break
            _log.warning("event.retry", topic=topic.name, attempt=attempt, reason=repr(failure))
            await asyncio.sleep(self._policy.delay_s(attempt))
        else:
            raise AssertionError("the last attempt ends the loop")
        EVENTS_HANDLED.labels(topic.name, outcome).inc()
        EVENT_SECONDS.labels(topic.name).observe(time.perf_counter() - started)

    async def _attempt(self, subscription: Subscription[Event], record: KafkaRecord) -> str:
        topic = subscription.topic
        try:
            received = open_record(topic, record.value, record.headers, position=position_of(record))
            return await self._handle(subscription, received)
        except ContractError as error:
            return await self._set_aside(topic, record, code=error.code, reason=error.detail)

    async def _handle(self, subscription: Subscription[Event], received: Received[Event]) -> str:
        topic, envelope = subscription.topic, received.envelope
        attributes = {"messaging.destination.name": topic.name, "messaging.message.id": envelope.event_id}
        with continued_span(
            f"process {topic.name}", traceparent=envelope.traceparent, kind=SpanKind.CONSUMER, attributes=attributes
        ) as span:
            try:
                async with self._work(cause=envelope) as work:
                    inbox = self._database.tables.inbox
                    if not await mark_seen(work.session, inbox, group=self.group_of(topic), event_id=envelope.event_id):
                        return "duplicate"
                    await subscription.handler(received, work)
            except RuleRefused as error:
                # Handlers record refusals that matter; one that escapes is still an answer, not a failure.
                span.set_status(StatusCode.ERROR, error.code)
                _log.warning("event.refused", topic=topic.name, code=error.code, detail=error.detail)
                return "refused"
        return "handled"

    async def _is_set_aside(self, topic: Topic[Event], record: KafkaRecord) -> bool:
        """Whether a redelivered record has used up its tries already; else a batch of them would outlast its lease."""
        inbox = self._database.tables.inbox
        mine = (inbox.c.consumer_group == self.group_of(topic)) & (inbox.c.event_id == f"dlq:{position_of(record)}")
        try:
            async with self._work() as work:
                return bool(await work.session.scalar(sa.select(sa.exists().where(mine))))
        except DependencyError as error:
            raise ConsumerStopped(f"{topic.name}: {error}") from error

    async def _set_aside(self, topic: Topic[Event], record: KafkaRecord, *, code: str, reason: str) -> str:
        """Announces the record to the dead-letter topic, once however often it is delivered."""
        self._count_dead_letter(topic)
        try:
            async with self._work() as work:
                mark = f"dlq:{position_of(record)}"
                inbox = self._database.tables.inbox
                if await mark_seen(work.session, inbox, group=self.group_of(topic), event_id=mark):
                    work.announce_record(
                        dead_letter(topic, record, group=self.group_of(topic), code=code, reason=reason)
                    )
        except DependencyError as error:
            raise ConsumerStopped(f"{topic.name}: {error}") from error
        _log.error("event.dead-letter", topic=topic.name, code=code, reason=reason, position=position_of(record))
        return "dead-letter"

    def _count_dead_letter(self, topic: Topic[Event]) -> None:
        now = time.monotonic()
        times = self._dead.setdefault(topic.name, deque())
        times.append(now)
        while times[0] < now - 60:
            times.popleft()
        if len(times) > self._policy.dead_letter_limit:
            raise ConsumerStopped(f"{topic.name}: over {self._policy.dead_letter_limit} dead letters within a minute")


def position_of(record: KafkaRecord) -> str:
    """`topic:partition:offset`, unique in a cluster."""
    return f"{record.topic}:{record.partition}:{record.offset}"


def dead_letter(topic: Topic[Event], record: KafkaRecord, *, group: str, code: str, reason: str) -> OutboxRecord:
    """The record as it came, with headers that say why, where and for whom it could not be handled."""
    kept = ((name, (value or b"").decode("utf-8", "backslashreplace")) for name, value in record.headers)
    why = (
        ("dlq_code", code),
        ("dlq_reason", reason[:2000]),
        ("dlq_position", position_of(record)),
        ("dlq_group", group),
        ("dlq_at", datetime.now(UTC).isoformat()),
    )
    headers = tuple((_storable(name), _storable(value)) for name, value in (*kept, *why))
    return OutboxRecord(topic=topic.dead_letter_name, key=record.key, value=record.value, headers=headers)


def _storable(text: str) -> str:
    """PostgreSQL's text has no NUL."""
    return text.replace("\0", "\\x00")


def _code_of(error: Exception) -> str:
    return error.code if isinstance(error, PlatformError) else "event.handler-failed"


async def _leave_undecoded(message: KafkaMessage) -> object:
    return message.body
