"""Ratings are on their metric's scale and say something."""

import pytest
from pydantic import JsonValue, TypeAdapter, ValidationError

from router_svc.api.schemas import Rating, RatingBatch, RatingBody

FORM: TypeAdapter[Rating | RatingBatch] = TypeAdapter(RatingBody)


def a_form(**fields: JsonValue) -> Rating | RatingBatch:
    return FORM.validate_python({"inference_id": "inf_a", **fields})


@pytest.mark.parametrize(
    "fields",
    [
        {"value": 1}, {"value": 4.5}, {"metric": "thumb", "value": 0}, {"metric": "thumb", "value": 1},
        {"metric": "bleu", "value": -1e9}, {"comment": "nice"}, {"correction": ""},
        {"value": 5, "comment": "nice", "correction": "better", "rater": "ada"},
    ],
)  # fmt: skip
def test_takes_what_is_on_the_scale(fields: dict[str, JsonValue]) -> None:
    assert isinstance(a_form(**fields), Rating)


@pytest.mark.parametrize(
    "fields",
    [
        {}, {"value": 0}, {"value": 6}, {"metric": "thumb", "value": 0.5}, {"metric": "bleu", "value": float("nan")},
        {"metric": "bleu", "value": float("inf")}, {"value": None}, {"value": 3, "metric": "a b"}, {"stars": 3},
        {"value": 3, "rater": ""}, {"comment": "x" * 10_001}, {"correction": "x" * 100_001},
        {"comment": "a\0b"}, {"correction": "\0"},
    ],
)  # fmt: skip
def test_refuses_what_is_not(fields: dict[str, JsonValue]) -> None:
    with pytest.raises(ValidationError):
        a_form(**fields)


def test_a_batch_has_at_least_one() -> None:
    one: JsonValue = {"inference_id": "inf_a", "value": 3}
    assert isinstance(FORM.validate_python({"ratings": [one, one]}), RatingBatch)
    for ratings in ([], [one, {}], [one] * 1001):
        with pytest.raises(ValidationError):
            FORM.validate_python({"ratings": ratings})
