"""What becomes of one record, told at the consumer itself on real PostgreSQL: counts of tries, marks and letters."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator

import pytest

from loopwright.broker import Consumer, ConsumerStopped, RetryPolicy, Subscription
from loopwright.contracts.base import Event
from loopwright.contracts.envelope import Received, seal
from loopwright.contracts.registry import LOG_RECEIVED, USER_ERASED, Party
from loopwright.errors import Conflict, InvalidPayload, OutOfOrder, ServingUnavailable, UnknownEvent
from loopwright.telemetry import EVENTS_HANDLED
from loopwright.testing.examples import an_event
from loopwright.testing.gate import Gate
from loopwright.testing.probe import Probe
from loopwright.testing.records import a_raw_record, a_record
from loopwright.unit_of_work import Work

GROUP = f"{Party.DATASET}.{USER_ERASED.name}"
POLICY = RetryPolicy(attempts=3, first_delay_s=0.001, dead_letter_limit=5)
Handle = Callable[[Received[Event], Work], Awaitable[None]]


def a_consumer(probe: Probe, policy: RetryPolicy = POLICY) -> Consumer:
    return Consumer(Party.DATASET, probe.database, policy=policy, on_stop=lambda _: None)


class Handler:
    """Acts on every event; fails first with the given errors, one a try."""

    def __init__(self, probe: Probe, *failures: Exception) -> None:
        self._probe = probe
        self._failures: Iterator[Exception] = iter(failures)
        self.tries = 0

    async def __call__(self, received: Received[Event], work: Work) -> None:
        self.tries += 1
        await self._probe.act(work.session, f"erased {received.event.unit_hash}")
        work.announce(an_event(USER_ERASED))
        if failure := next(self._failures, None):
            raise failure


def erase(handler: Handle) -> Subscription[Event]:
    return Subscription(USER_ERASED, USER_ERASED.event.model_validate_json, handler)


def outcome_count(outcome: str) -> float:
    return EVENTS_HANDLED.labels(USER_ERASED.name, outcome)._value.get()


async def letters(probe: Probe) -> list[dict[str, str]]:
    return [dict(row["headers"]) for row in await probe.outbox() if row["topic"] == USER_ERASED.dead_letter_name]


async def announced(probe: Probe) -> int:
    return len([row for row in await probe.outbox() if row["topic"] == USER_ERASED.name])


async def test_an_event_has_its_effect_its_mark_and_its_answer_together(probe: Probe) -> None:
    record = a_record(an_event(USER_ERASED, unit_hash="u-1"))
    before = outcome_count("handled")

    await a_consumer(probe).consume_record(erase(Handler(probe)), record)

    assert await probe.effects() == ["erased u-1"]
    assert await probe.inbox() == {dict(record.headers)["ce_id"].decode()}
    assert await announced(probe) == 1
    assert outcome_count("handled") == before + 1


async def test_a_duplicate_has_no_effect_even_at_another_position(probe: Probe) -> None:
    envelope = seal(USER_ERASED, source=Party.UPSTREAM, cause=None, traceparent=None)
    handler, consumer = Handler(probe), a_consumer(probe)
    before = outcome_count("duplicate")

    for offset in range(3):
        await consumer.consume_record(erase(handler), a_record(an_event(USER_ERASED), envelope=envelope, offset=offset))

    assert (handler.tries, len(await probe.effects()), await announced(probe)) == (1, 1, 1)
    assert outcome_count("duplicate") == before + 2


async def test_the_same_event_handled_by_two_processes_at_once_has_one_effect(probe: Probe) -> None:
    record = a_record(an_event(USER_ERASED))
    handlers = [Handler(probe) for _ in range(4)]

    await asyncio.gather(*(a_consumer(probe).consume_record(erase(handler), record) for handler in handlers))

    assert len(await probe.effects()) == 1
    assert sum(handler.tries for handler in handlers) == 1


@pytest.mark.parametrize(
    ("value", "headers", "code"),
    [
        (b"not json", None, "event.invalid-payload"),
        (b'{"erasure_id": "e"}', None, "event.invalid-payload"),
        (None, None, "event.empty"),
        (b"{}", [("ce_id", b"1"), ("ce_type", b"loopwright.user.erased.v9")], "event.unknown-type"),
        (b"{}", [("ce_id", b"1"), ("ce_type", b"\x00")], "event.unknown-type"),
        (b"{}", [("ce_id", None), ("ce_type", b"\xff")], "event.no-envelope"),
        (b"{}", [("ce_id", b"1"), ("ce_type", b"loopwright.user.erased.v1"), ("ce_time", b"\x00")], "event.bad-time"),
    ],
    ids=["no-json", "no-such-fields", "no-value", "other-version", "nul-type", "null-header", "bad-time"],
)
async def test_poison_is_set_aside_at_once_with_its_reason_and_only_once(
    probe: Probe, value: bytes | None, headers: list[tuple[str, bytes]] | None, code: str
) -> None:
    record = a_raw_record(USER_ERASED, value, headers=headers, key=b"k\x00", offset=3)
    handler, consumer = Handler(probe), a_consumer(probe)

    for _ in range(3):
        await consumer.consume_record(erase(handler), record)

    [letter] = await letters(probe)
    assert handler.tries == 0
    assert (letter["dlq_code"], letter["dlq_group"]) == (code, GROUP)
    assert letter["dlq_position"] == "user.erased:0:3"
    assert letter["dlq_reason"]
    [row] = await probe.outbox()
    assert (row["key"], row["value"]) == (b"k\x00", value)


@pytest.mark.parametrize("error", [InvalidPayload("sample.unreadable", "line 3"), UnknownEvent("x.unknown", "what?")])
async def test_a_contract_error_of_a_handler_is_poison_too(probe: Probe, error: Exception) -> None:
    handler = Handler(probe, error)
    await a_consumer(probe).consume_record(erase(handler), a_record(an_event(USER_ERASED)))

    assert (handler.tries, await probe.effects()) == (1, [])
    assert [letter["dlq_code"] for letter in await letters(probe)] == [error.code]


async def test_a_bug_is_tried_again_and_then_set_aside_without_any_effect(probe: Probe) -> None:
    handler = Handler(probe, *[ValueError("a bug")] * 9)
    await a_consumer(probe).consume_record(erase(handler), a_record(an_event(USER_ERASED)))

    [letter] = await letters(probe)
    assert handler.tries == 3
    assert (letter["dlq_code"], letter["dlq_reason"]) == ("event.handler-failed", "ValueError('a bug')")
    assert (await probe.effects(), await announced(probe)) == ([], 0)


async def test_a_letter_that_is_delivered_again_is_not_tried_to_the_end_again(probe: Probe) -> None:
    """Else a batch of such events would outlast the consumer's membership, come again, and never end."""
    record, consumer = a_record(an_event(USER_ERASED)), a_consumer(probe)
    await consumer.consume_record(erase(Handler(probe, *[ValueError("a bug")] * 9)), record)
    again = Handler(probe, *[ValueError("a bug")] * 9)

    await consumer.consume_record(erase(again), record)

    assert again.tries == 1
    assert len(await letters(probe)) == 1


async def test_a_passing_failure_is_forgotten(probe: Probe) -> None:
    handler = Handler(probe, ValueError("first"), OutOfOrder("x.too-early", "not yet"))
    await a_consumer(probe).consume_record(erase(handler), a_record(an_event(USER_ERASED, unit_hash="u-2")))

    assert (handler.tries, await probe.effects(), await letters(probe)) == (3, ["erased u-2"], [])
    assert await announced(probe) == 1


async def test_what_stays_out_of_order_is_set_aside_under_its_own_code(probe: Probe) -> None:
    handler = Handler(probe, *[OutOfOrder("rating.inference-unknown", "no such inference yet")] * 3)
    await a_consumer(probe).consume_record(erase(handler), a_record(an_event(USER_ERASED)))

    assert handler.tries == 3
    assert [letter["dlq_code"] for letter in await letters(probe)] == ["rating.inference-unknown"]


async def test_a_refusal_that_escapes_is_an_answer_without_effect(probe: Probe) -> None:
    handler, before = Handler(probe, Conflict("x.taken", "taken")), outcome_count("refused")
    await a_consumer(probe).consume_record(erase(handler), a_record(an_event(USER_ERASED)))

    assert (handler.tries, await probe.effects(), await probe.outbox()) == (1, [], [])
    assert outcome_count("refused") == before + 1


class TestDependencyDown:
    async def test_is_tried_and_then_stops_without_a_trace(self, probe: Probe) -> None:
        handler = Handler(probe, *[ServingUnavailable("vllm.away", "away")] * 9)
        with pytest.raises(ConsumerStopped, match=r"vllm\.away"):
            await a_consumer(probe).consume_record(erase(handler), a_record(an_event(USER_ERASED)))

        assert handler.tries == 3
        assert (await probe.effects(), await probe.outbox(), await probe.inbox()) == ([], [], set())

    async def test_the_record_is_handled_when_it_comes_again(self, probe: Probe) -> None:
        record, consumer = a_record(an_event(USER_ERASED)), a_consumer(probe)
        handler = Handler(probe, *[ServingUnavailable("vllm.away", "away")] * 3)
        with pytest.raises(ConsumerStopped):
            await consumer.consume_record(erase(handler), record)
        await consumer.consume_record(erase(handler), record)
        assert len(await probe.effects()) == 1

    async def test_an_absent_database_stops_it_too(self, probe: Probe, gate: Gate) -> None:
        await gate.shut()
        with pytest.raises(ConsumerStopped):
            await a_consumer(probe).consume_record(erase(Handler(probe)), a_record(an_event(USER_ERASED)))

    async def test_poison_is_not_passed_over_while_it_cannot_be_set_aside(self, probe: Probe, gate: Gate) -> None:
        consumer, poison = a_consumer(probe), a_raw_record(USER_ERASED, b"poison")
        await gate.shut()
        with pytest.raises(ConsumerStopped):
            await consumer.consume_record(erase(Handler(probe)), poison)
        await gate.open()
        await consumer.consume_record(erase(Handler(probe)), poison)
        assert len(await letters(probe)) == 1


class TestTooManyDeadLetters:
    async def test_stop_the_consumer_instead_of_draining_the_topic(self, probe: Probe) -> None:
        consumer = a_consumer(probe)
        for offset in range(5):
            await consumer.consume_record(erase(Handler(probe)), a_raw_record(USER_ERASED, b"poison", offset=offset))
        with pytest.raises(ConsumerStopped, match="5 dead letters"):
            await consumer.consume_record(erase(Handler(probe)), a_raw_record(USER_ERASED, b"poison", offset=5))
        assert len(await letters(probe)) == 5
        assert len(consumer._dead[USER_ERASED.name]) == 6, "a stop is not tried again"

    async def test_are_counted_for_each_topic_and_forgotten_after_a_minute(
        self, probe: Probe, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        now = 0.0
        monkeypatch.setattr("loopwright.broker.time.monotonic", lambda: now)
        consumer = a_consumer(probe)
        for offset in range(5):
            await consumer.consume_record(erase(Handler(probe)), a_raw_record(USER_ERASED, b"poison", offset=offset))
        logs = Subscription(LOG_RECEIVED, LOG_RECEIVED.event.model_validate_json, Handler(probe))
        await consumer.consume_record(logs, a_raw_record(LOG_RECEIVED, b"poison"))
        now = 61.0
        await consumer.consume_record(erase(Handler(probe)), a_raw_record(USER_ERASED, b"poison", offset=5))
        assert len(await letters(probe)) == 6
