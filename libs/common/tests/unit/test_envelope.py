"""The envelope survives the way through Kafka, and everything that is no event is named as such."""

from contextlib import suppress
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loopwright.contracts.base import Event
from loopwright.contracts.envelope import Envelope, open_record, seal
from loopwright.contracts.registry import (
    DATASET_REQUESTED,
    FEEDBACK_RECEIVED,
    LOG_RECEIVED,
    TOPICS,
    USER_ERASED,
    Party,
    Topic,
)
from loopwright.errors import ContractError, InvalidPayload, UnknownEvent
from loopwright.testing.examples import an_event
from loopwright.testing.records import a_record

TRACEPARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


def headers_of(envelope: Envelope) -> list[tuple[str, bytes]]:
    return [(name, value.encode()) for name, value in envelope.to_headers()]


def opened(topic: Topic[Event], *, headers: list[tuple[str, bytes]], value: bytes | None = None) -> Envelope:
    content = an_event(topic).model_dump_json().encode() if value is None else value
    return open_record(topic, content, headers, position=f"{topic.name}:0:7").envelope


@pytest.mark.parametrize("topic", TOPICS, ids=lambda topic: topic.name)
def test_every_event_comes_out_as_it_went_in(topic: Topic[Event]) -> None:
    event = an_event(topic)
    envelope = seal(topic, source=topic.producers[0], cause=None, traceparent=TRACEPARENT)
    record = a_record(event, envelope=envelope)

    received = open_record(topic, record.value, record.headers, position="t:0:0")

    assert received.event == event
    assert received.envelope == envelope


text = st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=1, max_size=60)


@given(
    event_id=text,
    correlation_id=text,
    causation_id=st.none() | text,
    traceparent=st.none() | text,
    time=st.datetimes(timezones=st.sampled_from([UTC, timezone(timedelta(hours=9))])),
)
def test_any_envelope_comes_out_as_it_went_in(
    event_id: str, correlation_id: str, causation_id: str | None, traceparent: str | None, time: datetime
) -> None:
    envelope = Envelope(
        event_id=event_id,
        event_type=USER_ERASED.event_type,
        source="/somewhere",
        time=time,
        correlation_id=correlation_id,
        causation_id=causation_id,
        traceparent=traceparent,
    )
    assert opened(USER_ERASED, headers=headers_of(envelope)) == envelope


def test_headers_are_those_of_cloudevents_binary_mode() -> None:
    headers = dict(seal(USER_ERASED, source=Party.UPSTREAM, cause=None, traceparent=TRACEPARENT).to_headers())

    assert headers["ce_specversion"] == "1.0"
    assert headers["ce_type"] == "loopwright.user.erased.v1"
    assert headers["ce_source"] == "/loopwright/upstream-apps"
    assert headers["ce_dataschema"] == "loopwright:loopwright.user.erased.v1"
    assert headers["content-type"] == "application/json"
    assert headers["traceparent"] == TRACEPARENT
    assert datetime.fromisoformat(headers["ce_time"]).tzinfo is not None


def test_an_answer_names_its_cause_and_keeps_the_chain() -> None:
    first = seal(LOG_RECEIVED, source=Party.UPSTREAM, cause=None, traceparent=None)
    second = seal(DATASET_REQUESTED, source=Party.FEEDBACK, cause=first, traceparent=None)
    third = seal(USER_ERASED, source=Party.UPSTREAM, cause=second, traceparent=None)

    assert first.correlation_id == first.event_id
    assert first.causation_id is None
    assert (third.correlation_id, third.causation_id) == (first.event_id, second.event_id)
    assert len({first.event_id, second.event_id, third.event_id}) == 3


class TestUpstreamRecordsWithoutEnvelope:
    @pytest.mark.parametrize("topic", [LOG_RECEIVED, FEEDBACK_RECEIVED, USER_ERASED], ids=lambda topic: topic.name)
    def test_the_position_is_the_id(self, topic: Topic[Event]) -> None:
        envelope = opened(topic, headers=[])

        assert envelope.event_id == envelope.correlation_id == f"{topic.name}:0:7"
        assert envelope.event_type == topic.event_type

    def test_headers_of_other_kinds_do_not_matter(self) -> None:
        assert opened(LOG_RECEIVED, headers=[("producer", b"payments")]).event_id == "log.received:0:7"

    def test_half_an_envelope_is_none(self) -> None:
        with pytest.raises(UnknownEvent):
            opened(LOG_RECEIVED, headers=[("ce_id", b"1")])
        with pytest.raises(UnknownEvent):
            opened(LOG_RECEIVED, headers=[("ce_type", LOG_RECEIVED.event_type.encode())])

    def test_only_topics_of_upstream_apps_do_without(self) -> None:
        with pytest.raises(UnknownEvent) as refused:
            opened(DATASET_REQUESTED, headers=[])
        assert refused.value.code == "event.no-envelope"


class TestRefusals:
    def headers(self, **changes: bytes) -> list[tuple[str, bytes]]:
        headers = dict(headers_of(seal(USER_ERASED, source=Party.UPSTREAM, cause=None, traceparent=None)))
        return list((headers | changes).items())

    @pytest.mark.parametrize(
        "event_type", [b"loopwright.user.erased.v2", b"loopwright.log.received.v1", b"", b"\xff\xfe", b"x" * 9999]
    )
    def test_another_type_or_version_is_unknown(self, event_type: bytes) -> None:
        with pytest.raises(UnknownEvent) as refused:
            opened(USER_ERASED, headers=self.headers(ce_type=event_type))
        assert refused.value.code == "event.unknown-type"
        assert len(refused.value.detail) < 400

    @pytest.mark.parametrize("time", [b"yesterday", b"", b"2026-13-01T00:00:00Z", b"\xff"])
    def test_a_malformed_time_is_refused(self, time: bytes) -> None:
        with pytest.raises(UnknownEvent) as refused:
            opened(USER_ERASED, headers=self.headers(ce_time=time))
        assert refused.value.code == "event.bad-time"

    def test_an_absent_time_is_now_and_a_naive_one_is_utc(self) -> None:
        without = [header for header in self.headers() if header[0] != "ce_time"]
        assert abs(opened(USER_ERASED, headers=without).time - datetime.now(UTC)) < timedelta(seconds=5)
        assert opened(USER_ERASED, headers=self.headers(ce_time=b"2026-11-21T10:00:00")).time.tzinfo is UTC

    def test_a_record_without_value_is_refused(self) -> None:
        with pytest.raises(InvalidPayload) as refused:
            open_record(USER_ERASED, None, self.headers(), position="t:0:0")
        assert refused.value.code == "event.empty"

    @pytest.mark.parametrize("value", [b"", b"{", b"[]", b"null", b"{}", b"\xff\xfe", b'{"erasure_id": 5}'])
    def test_a_value_that_is_not_the_promised_json_is_refused_with_its_place(self, value: bytes) -> None:
        with pytest.raises(InvalidPayload) as refused:
            opened(USER_ERASED, headers=self.headers(), value=value)
        assert refused.value.code == "event.invalid-payload"
        assert refused.value.detail

    @pytest.mark.parametrize("record", [{"text": "a\0b"}, {"a": [{"b": "\0"}]}, {"\0": 1}])
    def test_a_text_that_no_database_takes_is_refused_before_it_reaches_one(self, record: dict[str, object]) -> None:
        value = an_event(FEEDBACK_RECEIVED).model_copy(update={"record": record}).model_dump_json().encode()
        with pytest.raises(InvalidPayload) as refused:
            opened(FEEDBACK_RECEIVED, headers=[], value=value)
        assert refused.value.code == "event.nul-character"

    def test_a_text_that_only_speaks_of_it_passes(self) -> None:
        event = an_event(FEEDBACK_RECEIVED).model_copy(update={"record": {"text": r"write \u0000 for NUL"}})
        received = open_record(FEEDBACK_RECEIVED, event.model_dump_json().encode(), [], position="t:0:0")
        assert received.event == event

    def test_a_header_without_value_is_as_good_as_absent(self) -> None:
        with pytest.raises(UnknownEvent):
            opened(USER_ERASED, headers=[*self.headers()[:1], ("ce_id", None), ("ce_type", None)])  # type: ignore[list-item]

    @given(
        st.lists(st.tuples(st.sampled_from(["ce_id", "ce_type", "ce_time", "other"]), st.binary(max_size=40))),
        st.binary(),
    )
    def test_no_record_at_all_raises_anything_but_a_contract_error(
        self, headers: list[tuple[str, bytes]], value: bytes
    ) -> None:
        with suppress(ContractError):
            open_record(USER_ERASED, value, headers, position="t:0:0")
