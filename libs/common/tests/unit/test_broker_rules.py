"""The parts of Kafka's door that need no Kafka: delays, positions, dead letters, and their way back."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loopwright.broker import EventRouter, RetryPolicy, dead_letter, position_of
from loopwright.contracts.base import Event
from loopwright.contracts.envelope import Received
from loopwright.contracts.registry import LOG_RECEIVED, USER_ERASED
from loopwright.replay import replayed_headers
from loopwright.testing.examples import an_event
from loopwright.testing.records import a_raw_record, a_record
from loopwright.unit_of_work import Work


class TestRetryPolicy:
    def test_delays_double(self) -> None:
        policy = RetryPolicy(first_delay_s=0.5)
        assert [policy.delay_s(attempt) for attempt in (1, 2, 3, 4)] == [0.5, 1, 2, 4]

    @given(attempt=st.integers(1, 1000), first=st.floats(0.001, 60))
    def test_no_delay_is_longer_than_15_seconds_or_shorter_than_the_one_before(
        self, attempt: int, first: float
    ) -> None:
        policy = RetryPolicy(first_delay_s=first)
        assert 0 < policy.delay_s(attempt) <= policy.delay_s(attempt + 1) <= 15

    def test_the_default_gives_a_dependency_a_quarter_of_a_minute(self) -> None:
        policy = RetryPolicy()
        assert 10 < sum(policy.delay_s(attempt) for attempt in range(1, policy.attempts)) < 60


class TestDeadLetter:
    def test_keeps_the_record_and_says_why_where_and_for_whom(self) -> None:
        record = a_record(an_event(USER_ERASED), offset=12)

        letter = dead_letter(USER_ERASED, record, group="dataset-svc.user.erased", code="a.code", reason="it broke")

        assert (letter.topic, letter.key, letter.value) == (USER_ERASED.dead_letter_name, record.key, record.value)
        headers = dict(letter.headers)
        assert headers["ce_id"].encode() == dict(record.headers)["ce_id"]
        assert (headers["dlq_code"], headers["dlq_reason"]) == ("a.code", "it broke")
        assert headers["dlq_position"] == "user.erased:0:12" == position_of(record)
        assert headers["dlq_group"] == "dataset-svc.user.erased"
        assert headers["dlq_at"]

    def test_a_long_reason_is_cut(self) -> None:
        letter = dead_letter(USER_ERASED, a_raw_record(USER_ERASED, b""), group="g", code="c", reason="x" * 100_000)
        assert len(dict(letter.headers)["dlq_reason"]) == 2000

    @pytest.mark.parametrize("value", [b"\x00", b"\xff\xfe", b"a\x00b", None, "한글".encode()])
    def test_headers_become_text_that_a_database_takes(self, value: bytes | None) -> None:
        record = a_raw_record(USER_ERASED, b"", headers=[("odd", value), ("o\x00dd", b"1")])  # type: ignore[list-item]

        letter = dead_letter(USER_ERASED, record, group="g", code="c", reason="nul \x00 inside")

        assert all("\x00" not in name + text for name, text in letter.headers)
        "".join(text for _, text in letter.headers).encode()


class TestReplayedHeaders:
    def test_the_original_headers_come_back_alone(self) -> None:
        record = a_record(an_event(USER_ERASED))
        letter = dead_letter(USER_ERASED, record, group="g", code="c", reason="r")
        headers = [(name, text.encode()) for name, text in letter.headers]

        replayed = replayed_headers(a_raw_record(USER_ERASED, b"", headers=headers))

        assert replayed == list(record.headers)

    def test_a_record_that_came_without_envelope_keeps_the_id_of_its_position(self) -> None:
        record = a_raw_record(LOG_RECEIVED, b"{}", offset=41)
        letter = dead_letter(LOG_RECEIVED, record, group="g", code="c", reason="r")
        headers = [(name, text.encode()) for name, text in letter.headers]

        replayed = dict(replayed_headers(a_raw_record(LOG_RECEIVED, b"{}", headers=headers)))

        assert replayed == {"ce_id": b"log.received:0:41", "ce_type": LOG_RECEIVED.event_type.encode()}


def test_a_router_keeps_its_subscriptions_in_order_and_hands_handlers_back() -> None:
    router = EventRouter()

    async def handle(_received: Received[Event], _work: Work) -> None:
        pass

    assert router.on(USER_ERASED)(handle) is handle
    router.on(LOG_RECEIVED)(handle)
    assert [subscription.topic for subscription in router.subscriptions] == [USER_ERASED, LOG_RECEIVED]
