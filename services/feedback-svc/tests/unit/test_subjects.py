"""Whom an upstream record names, and what stays of it."""

import pytest
from pydantic import JsonValue

from feedback_svc.domain.subjects import subjects_of, without


@pytest.mark.parametrize(
    ("content", "named"),
    [
        ({"unit_hash": "u1", "text": "u2"}, {"u1"}),
        ({"who": {"all": [{"inference_id": "inf-1"}, {"unit_hash": "u2"}]}}, {"inf-1", "u2"}),
        ([{"unit_hash": "u1"}, {"unit_hash": "u2"}], {"u1", "u2"}),
        ({"unit_hash": ["u1"], "inference_id": 5}, set()),
        ({"unit_hash": "a\0b", "inference_id": "x" * 5000}, set()),
        ("u1", set()),
    ],
)
def test_names_are_found_however_deep_and_only_if_they_can_be_ids(content: JsonValue, named: set[str]) -> None:
    assert subjects_of(content) == named


def test_of_a_batch_only_the_records_of_the_person_go() -> None:
    batch: JsonValue = [{"unit_hash": "u1", "m": "mine"}, {"unit_hash": "u2", "m": "yours"}, {"m": "nobody's"}]
    assert without(batch, {"u1"}) == [None, {"unit_hash": "u2", "m": "yours"}, {"m": "nobody's"}]


def test_a_record_goes_whole() -> None:
    record: JsonValue = {"unit_hash": "u1", "text": "words", "more": {"text": "words"}}
    assert without(record, {"u1"}) is None
    assert without(record, {"u2"}) == record


def test_a_deep_record_is_no_burden() -> None:
    deep: JsonValue = {"unit_hash": "u1"}
    for _ in range(50_000):
        deep = [deep]
    assert subjects_of(deep) == {"u1"}
