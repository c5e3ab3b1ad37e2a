"""Kafka's door: reads facts through the contract registry, retries, sets dead letters aside, acknowledges after commit.

What becomes of an event, decided here once for every service:
  handled, refused by a rule (recorded by the handler), or seen before → acknowledged
  cannot be read, or fails for an unknown reason on every try          → dead-letter topic with its reason, acknowledged
  a dependency stays away, or dead letters pile up                     → not acknowledged, the service stops
A batch is one transaction. If one event spoils it, halves of it are tried until that event is alone.
"""

import asyncio
import time
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace
from typing import Generic, TypeVar

import sqlalchemy as sa
import structlog
from faststream import AckPolicy
from faststream.kafka import KafkaBroker, KafkaMessage  # noqa: TID251 - this is the one place
from faststream.kafka import Topic as KafkaTopic
from opentelemetry.trace import SpanKind, StatusCode

from loopwright.contracts.base import Event
from loopwright.contracts.envelope import Received, open_record_by
from loopwright.contracts.registry import Party, Topic
from loopwright.database import Database
from loopwright.dead_letters import KafkaRecord, dead_letter, position_of
from loopwright.errors import ContractError, DependencyError, PlatformError, RuleRefused
from loopwright.inbox import mark_all_seen, mark_seen
from loopwright.telemetry import EVENT_SECONDS, EVENTS_HANDLED, continued_span, linked_span
from loopwright.unit_of_work import PostgresWork, Work

E = TypeVar("E", bound=Event)
T = TypeVar("T")
_Records = tuple[KafkaRecord, ...]
Handler = Callable[[Received[T], Work], Awaitable[int | None]]
BatchHandler = Callable[[Sequence[Received[T]], Work], Awaitable[int | None]]
_log = structlog.get_logger()
_LONGEST_DELAY_S = 15.0
_MAX_RECORDS = 200
_LONGEST_WAIT_MS = 200  # that Kafka keeps back what has come, for more to come with it
_ENOUGH_BYTES = 1 << 20  # of a topic that is handled in batches: so much, and nothing is kept back
_STOPPED_PAUSE_S = 0.2  # between the batches that a stopped consumer lets pass unread while its service ends


@dataclass(frozen=True)
class Subscription(Generic[T]):
    """A topic and the function that handles its facts.

    Attributes:
        read: What a record's value is read by.
        batch_handler: Handles many at once; then `handler` gives it a batch of one.
        max_records: Largest batch that is taken from Kafka; it holds no more than 1 MiB of each partition either.
        marked: Whether the inbox says what was handled; else the handler tells by keys of its own.
    """

    topic: Topic[Event]
    read: Callable[[bytes], T]
    handler: Handler[T]
    batch_handler: BatchHandler[T] | None = None
    max_records: int = _MAX_RECORDS
    marked: bool = True


class EventRouter:
    """The subscriptions that a service's `events.py` declares."""

    def __init__(self) -> None:
        self.subscriptions: list[Subscription[object]] = []

    def on(self, topic: Topic[E]) -> Callable[[Handler[E]], Handler[E]]:
        """Subscribes a handler to a topic; it runs inside one unit of work per event."""

        def register(handler: Handler[E]) -> Handler[E]:
            subscription = Subscription(topic, topic.event.model_validate_json, handler)
            self.subscriptions.append(subscription)  # pyright: ignore[reportArgumentType] - it reads what it handles
            return handler

        return register

    def on_batch(
        self, topic: Topic[E], *, max_records: int = _MAX_RECORDS, marked: bool = True
    ) -> Callable[[BatchHandler[E]], BatchHandler[E]]:
        """As `on_batch_by`, as the topic's own model."""
        return self.on_batch_by(topic, topic.event.model_validate_json, max_records=max_records, marked=marked)

    def on_batch_by(
        self, topic: Topic[Event], read: Callable[[bytes], T], *, max_records: int = _MAX_RECORDS, marked: bool = True
    ) -> Callable[[BatchHandler[T]], BatchHandler[T]]:
        """Subscribes a handler to a topic; it runs inside one unit of work for many events, none of them seen before.

        Which events come together says nothing, and the same ones may come again in smaller batches: the handler's
        effect must not depend on how they are cut.

        Args:
            read: Reads what the topic's model reads, and raises ValidationError for what that refuses.
            marked: False for a handler that stores every event under a key of its own and does nothing for one that is
                stored: marks beside those keys would say the same again. It is given events that were seen before,
                and returns how many were not.
        """

        def register(handler: BatchHandler[T]) -> BatchHandler[T]:
            async def handle_one(received: Received[T], work: Work) -> int | None:
                return await handler((received,), work)

            subscription = Subscription(topic, read, handle_one, handler, max_records, marked)
            self.subscriptions.append(subscription)  # pyright: ignore[reportArgumentType] - it reads what it handles
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


@dataclass(frozen=True, slots=True)
class _Opened:
    """A record that could be read, and what it says."""

    record: KafkaRecord
    received: Received[object]


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

    def subscribe(self, broker: KafkaBroker, subscription: Subscription[object]) -> None:
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
                await self.consume_records(subscription, records)
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
            parser=_leave_unparsed,
            decoder=_leave_undecoded,
            max_records=subscription.max_records,
            fetch_max_wait_ms=_LONGEST_WAIT_MS,
            fetch_min_bytes=1 if subscription.batch_handler is None else _ENOUGH_BYTES,
        )(consume)

    async def consume_records(self, subscription: Subscription[object], records: Sequence[KafkaRecord]) -> None:
        """Brings records to an end, in their order: together where the subscription handles batches.

        Raises:
            ConsumerStopped: one of them can be neither handled nor set aside now; those after it were not tried.
        """
        if subscription.batch_handler is None or len(records) == 1:
            for record in records:
                await self.consume_record(subscription, record)
            return
        opened: list[_Opened] = []
        for record in records:
            received = _opened_or_none(subscription, record)
            if received is None:  # it goes aside, under the rules for one
                await self.consume_record(subscription, record)
            else:
                opened.append(_Opened(record, received))
        await self._consume_batch(subscription, opened)

    async def _consume_batch(self, subscription: Subscription[object], batch: Sequence[_Opened]) -> None:
        topic = subscription.topic
        if len(batch) < 2:
            for one in batch:
                await self.consume_record(subscription, one.record)
            return
        for attempt in range(1, self._policy.attempts + 1):
            try:
                await self._handle_batch(subscription, batch)
            except DependencyError as error:
                if attempt == self._policy.attempts:
                    raise ConsumerStopped(f"{topic.name}: {error}") from error
                _log.warning("batch.retry", topic=topic.name, attempt=attempt, reason=repr(error))
                await asyncio.sleep(self._policy.delay_s(attempt))
            except Exception as error:  # noqa: BLE001 - whatever it was, it is found out for the one event that caused it
                _log.warning("batch.halved", topic=topic.name, events=len(batch), reason=repr(error))
                middle = len(batch) // 2
                await self._consume_batch(subscription, batch[:middle])
                await self._consume_batch(subscription, batch[middle:])
                return
            else:
                return

    async def _handle_batch(self, subscription: Subscription[object], batch: Sequence[_Opened]) -> None:
        """One transaction: marks, and one call of the handler with what was not seen before."""
        topic, started = subscription.topic, time.perf_counter()
        assert subscription.batch_handler is not None
        attributes = {"messaging.destination.name": topic.name, "messaging.batch.message_count": len(batch)}
        traceparents = (one.received.envelope.traceparent for one in batch)
        with linked_span(f"process {topic.name}", traceparents, kind=SpanKind.CONSUMER, attributes=attributes):
            async with self._work() as work:
                events = [one.received for one in batch]
                if subscription.marked:
                    events = await self._not_seen_before(topic, events, work)
                new = await subscription.batch_handler(events, work) if events else None
        handled = len(events) if new is None else new
        EVENTS_HANDLED.labels(topic.name, "handled").inc(handled)
        EVENTS_HANDLED.labels(topic.name, "duplicate").inc(len(batch) - handled)
        EVENT_SECONDS.labels(topic.name).observe(time.perf_counter() - started)

    async def _not_seen_before(
        self, topic: Topic[Event], events: Sequence[Received[object]], work: Work
    ) -> list[Received[object]]:
        """Marks events, and leaves out what was marked before."""
        first = {received.envelope.event_id: received for received in reversed(events)}
        group, inbox = self.group_of(topic), self._database.tables.inbox
        fresh = await mark_all_seen(work.session, inbox, group=group, event_ids=list(first))
        distinct = [received for received in events if first[received.envelope.event_id] is received]
        return [received for received in distinct if received.envelope.event_id in fresh]

    async def consume_record(self, subscription: Subscription[object], record: KafkaRecord) -> None:
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

    async def _attempt(self, subscription: Subscription[object], record: KafkaRecord) -> str:
        topic = subscription.topic
        try:
            received = open_record_by(
                topic, record.value, record.headers, read=subscription.read, position=position_of(record)
            )
            return await self._handle(subscription, received)
        except ContractError as error:
            return await self._set_aside(topic, record, code=error.code, reason=error.detail)

    async def _handle(self, subscription: Subscription[object], received: Received[object]) -> str:
        topic, envelope = subscription.topic, received.envelope
        attributes = {"messaging.destination.name": topic.name, "messaging.message.id": envelope.event_id}
        with continued_span(
            f"process {topic.name}", traceparent=envelope.traceparent, kind=SpanKind.CONSUMER, attributes=attributes
        ) as span:
            try:
                async with self._work(cause=envelope) as work:
                    group, inbox = self.group_of(topic), self._database.tables.inbox
                    if subscription.marked and not await mark_seen(
                        work.session, inbox, group=group, event_id=envelope.event_id
                    ):
                        return "duplicate"
                    if await subscription.handler(received, work) == 0:
                        return "duplicate"
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


def _code_of(error: Exception) -> str:
    return error.code if isinstance(error, PlatformError) else "event.handler-failed"


def _opened_or_none(subscription: Subscription[object], record: KafkaRecord) -> Received[object] | None:
    position = position_of(record)
    try:
        return open_record_by(
            subscription.topic, record.value, record.headers, read=subscription.read, position=position
        )
    except ContractError:
        return None


async def _leave_unparsed(records: _Records, parse: Callable[[_Records], Awaitable[KafkaMessage]]) -> KafkaMessage:
    """A message around the records as they came: FastStream's own parser reads every header, and fails at odd ones."""
    message = await parse((replace(records[0], headers=(), value=b""),))
    message.raw_message = records
    return message


async def _leave_undecoded(message: KafkaMessage) -> object:
    return message.body
