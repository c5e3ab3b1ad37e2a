"""Signals are read as structs, and mean what the contract's models read; what those refuse is refused."""

import json
from typing import get_args

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from feedback_svc.adapters.signals import answered_of, opened, rating_of, read_answered, read_rating
from feedback_svc.domain.ratings import Rating
from feedback_svc.domain.signals import Answered
from loopwright.contracts.base import Event, Identifier
from loopwright.contracts.inferences import InferenceCompleted, InferenceRated
from loopwright.contracts.registry import INFERENCE_COMPLETED, INFERENCE_RATED, Topic
from loopwright.sealed_content import seal_content
from loopwright.sealing import KeyRing
from loopwright.testing.examples import example_payload

RING = KeyRing("key-1", {"key-1": b"1" * 32})
ODD_VALUES = (
    None, True, False, 0, 1, 3, 10, 599, 600, -1, 0.5, 1.0, 1e300, 2**63, 10**30, "", "1", "true", "a b", "a\n", "a\nb",
    "-a", "a" * 200, "a" * 201, "a" * 10_001, "\ud800", "한국어", "2026-11-21T10:00:00", "2026-11-21T10:00:00Z",
    "2026-11-21T19:00:00.123456+09:00", "2026-11-21 10:00:00z", "2026-11-21T10:00:60Z", 1_700_000_000, [], {},
    [{"role": "user", "content": "x"}], [{"role": "u" * 33, "content": "x"}], [{"role": "user"}],
    [{"role": "user", "content": None}], [{"role": "user", "content": "x", "name": "y"}], float("inf"), float("nan"),
)  # fmt: skip


def read(topic: Topic[Event], value: bytes) -> Answered | Rating:
    return read_answered(value) if topic is INFERENCE_COMPLETED else read_rating(value)


def by_the_model(topic: Topic[Event], value: bytes) -> Answered | Rating:
    event = topic.event.model_validate_json(value)
    return answered_of(event) if isinstance(event, InferenceCompleted) else rating_of(InferenceRated(**dict(event)))


def check_same(topic: Topic[Event], value: bytes) -> None:
    """Both read the same, or both refuse."""
    try:
        wanted = by_the_model(topic, value)
    except (ValidationError, msgspec.ValidationError):
        with pytest.raises((ValidationError, msgspec.ValidationError)):
            read(topic, value)
    else:
        assert repr(read(topic, value)) == repr(wanted) or read(topic, value) == wanted


CASES = [(topic, name) for topic in (INFERENCE_COMPLETED, INFERENCE_RATED) for name in sorted(topic.event.model_fields)]


@pytest.mark.parametrize(("topic", "name"), CASES, ids=lambda case: getattr(case, "name", case))
def test_any_value_of_any_field_is_read_as_the_contract_reads_it(topic: Topic[Event], name: str) -> None:
    for odd in ODD_VALUES:
        check_same(topic, json.dumps({**example_payload(topic), name: odd}).encode())
    left_out = {key: value for key, value in example_payload(topic).items() if key != name}
    check_same(topic, json.dumps(left_out).encode())


@pytest.mark.parametrize("topic", [INFERENCE_COMPLETED, INFERENCE_RATED])
def test_what_is_no_fact_at_all_is_refused_as_the_contract_refuses_it(topic: Topic[Event]) -> None:
    whole = json.dumps(example_payload(topic)).encode()
    deep = b'{"x":' + b"[" * 5000 + b"]" * 5000 + b"," + whole[1:]
    for value in (b"", b"{", b"null", b"[]", b"\xff", whole + b"x", whole[:-1] + b',"more":[{"unknown":1e999}]}', deep):
        check_same(topic, value)


@given(st.dictionaries(st.sampled_from(sorted(InferenceCompleted.model_fields)), st.sampled_from(ODD_VALUES)))
def test_any_mixture_of_values_is_read_as_the_contract_reads_it(changes: dict[str, object]) -> None:
    check_same(INFERENCE_COMPLETED, json.dumps(example_payload(INFERENCE_COMPLETED) | changes).encode())


@pytest.mark.parametrize(("model", "struct"), [(InferenceCompleted, Answered), (InferenceRated, Rating)])
def test_no_field_and_no_identifier_of_the_contract_is_left_out(
    model: type[Event], struct: type[msgspec.Struct]
) -> None:
    assert model.model_fields.keys() <= set(struct.__struct_fields__)
    pattern = next(part.pattern for part in get_args(Identifier)[1].metadata if hasattr(part, "pattern"))
    named = [
        name
        for name, field in model.model_fields.items()
        if pattern in repr((field.annotation, field.metadata)).replace("\\\\", "\\")
    ]
    values = {name: f"id-{name}" for name in named}
    example = example_payload(INFERENCE_COMPLETED if model is InferenceCompleted else INFERENCE_RATED)
    read_back = msgspec.convert({**example, **values}, struct)
    assert isinstance(read_back, Answered | Rating)
    assert set(read_back.identifiers) == set(values.values())


def test_a_sealed_conversation_is_opened_for_its_own_inference() -> None:
    words = json.dumps({"input": "비밀", "messages": [{"role": "user", "content": "비밀"}], "answer": "그래"}).encode()
    sealed = seal_content(words, RING, inference_id="inf-1")
    example = example_payload(INFERENCE_COMPLETED)
    hidden = {"inference_id": "inf-1", "input": None, "messages": None, "answer": None, "sealed_content": sealed}
    found = opened(read_answered(json.dumps({**example, **hidden}).encode()), RING)
    assert (found.input, found.answer, found.sealed_content) == ("비밀", "그래", None)
    assert [turn.content for turn in found.messages or ()] == ["비밀"]
    plain = read_answered(json.dumps(example).encode())
    assert opened(plain, RING) is plain
