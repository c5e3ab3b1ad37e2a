"""What becomes of a batch: one transaction, one mark for each event, and one event that spoils it spoils nothing else."""

import asyncio
from collections.abc import Callable, Sequence

import pytest

from loopwright.broker import Consumer, ConsumerStopped, EventRouter, KafkaRecord, RetryPolicy, Subscription
from loopwright.contracts.base import Event
from loopwright.contracts.envelope import Envelope, Received, seal
from loopwright.contracts.registry import USER_ERASED, Party
from loopwright.errors import Conflict, OutOfOrder, StoreUnavailable
from loopwright.telemetry import EVENTS_HANDLED
from loopwright.testing.examples import an_event
from loopwright.testing.gate import Gate
from loopwright.testing.probe import Probe
from loopwright.testing.records import a_raw_record, a_record
from loopwright.unit_of_work import Work

Fails = Callable[[str], Exception | None]


def never(_: str) -> None:
    return None


class Batches:
    """A subscription that acts on every event of a batch and remembers which came together.

    Args:
        fails: What the handling of a unit's event raises, after it acted.
    """

    def __init__(self, probe: Probe, fails: Fails = never) -> None:
        self._probe = probe
        self._fails = fails
        self.batches: list[list[str]] = []
        events = EventRouter()
        events.on_batch(USER_ERASED)(self._handle)
        (self.subscription,) = events.subscriptions
        policy = RetryPolicy(attempts=3, first_delay_s=0.001, dead_letter_limit=5)
        self._consumer = Consumer(Party.DATASET, probe.database, policy=policy, on_stop=lambda _: None)

    async def _handle(self, batch: Sequence[Received[Event]], work: Work) -> None:
        units = [str(received.event.model_dump()["unit_hash"]) for received in batch]
        self.batches.append(units)
        for unit in units:
            await self._probe.act(work.session, unit)
            if failure := self._fails(unit):
                raise failure

    async def consume(self, *records: KafkaRecord) -> None:
        subscription: Subscription[Event] = self.subscription
        await self._consumer.consume_records(subscription, records)


def of(unit: str, *, offset: int = 0, envelope: Envelope | None = None) -> KafkaRecord:
    return a_record(an_event(USER_ERASED, unit_hash=unit), offset=offset, envelope=envelope)


def records(*units: str) -> list[KafkaRecord]:
    return [of(unit, offset=offset) for offset, unit in enumerate(units)]


async def letters(probe: Probe) -> list[str]:
    return [dict(row["headers"])["dlq_code"] for row in await probe.outbox()]


def fails_at(unit: str, error: Exception) -> Fails:
    return lambda one: error if one == unit else None


async def test_a_batch_is_handled_at_once_in_its_order(probe: Probe) -> None:
    batches = Batches(probe)
    await batches.consume(*records("a", "b", "c"))
    assert batches.batches == [["a", "b", "c"]]
    assert await probe.effects() == ["a", "b", "c"]
    assert len(await probe.inbox()) == 3


async def test_an_event_that_comes_again_in_its_own_batch_or_a_later_one_has_no_effect(probe: Probe) -> None:
    batches, envelope = Batches(probe), seal(USER_ERASED, source=Party.UPSTREAM, cause=None, traceparent=None)
    duplicates = EVENTS_HANDLED.labels(USER_ERASED.name, "duplicate")._value.get()
    twice = [of("a", offset=offset, envelope=envelope) for offset in (0, 1)]
    await batches.consume(*twice, of("b", offset=2))
    await batches.consume(of("c", offset=3), *twice)
    assert batches.batches == [["a", "b"], ["c"]]
    assert EVENTS_HANDLED.labels(USER_ERASED.name, "duplicate")._value.get() == duplicates + 3


async def test_a_handler_with_keys_of_its_own_gets_everything_and_says_what_was_new(probe: Probe) -> None:
    events, given = EventRouter(), list[int]()

    @events.on_batch(USER_ERASED, marked=False)
    async def count_as_new(batch: Sequence[Received[Event]], _: Work) -> int:
        given.append(len(batch))
        return len(batch) - 1

    (subscription,) = events.subscriptions
    policy = RetryPolicy(attempts=3, first_delay_s=0.001, dead_letter_limit=5)
    consumer = Consumer(Party.DATASET, probe.database, policy=policy, on_stop=lambda _: None)
    handled, duplicate = (EVENTS_HANDLED.labels(USER_ERASED.name, name) for name in ("handled", "duplicate"))
    before = handled._value.get(), duplicate._value.get()
    await consumer.consume_records(subscription, records("a", "b", "c"))
    await consumer.consume_records(subscription, records("a"))
    assert (given, await probe.inbox()) == ([3, 1], set())
    assert (handled._value.get() - before[0], duplicate._value.get() - before[1]) == (2, 2)


async def test_what_cannot_be_read_goes_aside_and_the_rest_of_its_batch_is_handled(probe: Probe) -> None:
    batches = Batches(probe)
    await batches.consume(of("a"), a_raw_record(USER_ERASED, b"poison", offset=1), of("b", offset=2))
    assert batches.batches == [["a", "b"]]
    assert await letters(probe) == ["event.invalid-payload"]


async def test_an_event_that_breaks_the_handler_is_found_and_the_others_have_their_effect_once(probe: Probe) -> None:
    batches = Batches(probe, fails_at("f", ValueError("a bug")))
    await batches.consume(*records(*"abcdefgh"))
    assert sorted(await probe.effects()) == sorted("abcdegh")
    assert await letters(probe) == ["event.handler-failed"]
    assert len(batches.batches) < 12, "halves, not one after the other"


async def test_a_refusal_of_one_event_is_an_answer_to_that_one(probe: Probe) -> None:
    await Batches(probe, fails_at("b", Conflict("x.taken", "taken"))).consume(*records("a", "b", "c"))
    assert (await probe.effects(), await letters(probe)) == (["a", "c"], [])


async def test_what_stays_out_of_order_goes_aside_alone(probe: Probe) -> None:
    await Batches(probe, fails_at("a", OutOfOrder("x.too-early", "not yet"))).consume(*records("a", "b", "c"))
    assert (await probe.effects(), await letters(probe)) == (["b", "c"], ["x.too-early"])


class TestDependencyDown:
    async def test_the_whole_batch_is_tried_again_and_then_the_consumer_stops(self, probe: Probe) -> None:
        batches = Batches(probe, fails_at("b", StoreUnavailable("store.unavailable", "away")))
        with pytest.raises(ConsumerStopped, match=r"store\.unavailable"):
            await batches.consume(*records("a", "b", "c"))
        assert batches.batches == [["a", "b", "c"]] * 3
        assert (await probe.effects(), await letters(probe), await probe.inbox()) == ([], [], set())

    async def test_a_database_that_is_away_loses_nothing(self, probe: Probe, gate: Gate) -> None:
        batches, batch = Batches(probe), records("a", "b")
        await gate.shut()
        with pytest.raises(ConsumerStopped):
            await batches.consume(*batch)
        await gate.open()
        await batches.consume(*batch)
        assert await probe.effects() == ["a", "b"]


async def test_two_consumers_with_the_same_events_in_two_orders_do_not_block_each_other(probe: Probe) -> None:
    batch = records(*(f"u{number}" for number in range(40)))
    one, other = Batches(probe), Batches(probe)
    await asyncio.gather(one.consume(*batch), other.consume(*reversed(batch)))
    assert len(await probe.effects()) == 40
    assert len(one.batches) + len(other.batches) == 1, "the second waited for the first, and had nothing left to do"
