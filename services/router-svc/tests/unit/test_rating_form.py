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
        {"metric": "thumb", "value": True}, {"metric": "solved", "value": False},
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
        {"value": True}, {"value": "many"},
        {"value": 3, "rater": ""}, {"comment": "x" * 10_001}, {"correction": "x" * 100_001},
        {"comment": "a\0b"}, {"correction": "\0"},
    ],
)  # fmt: skip
def test_refuses_what_is_not(fields: dict[str, JsonValue]) -> None:
    with pytest.raises(ValidationError):
        a_form(**fields)


@pytest.mark.parametrize(("value", "on_record"), [(True, 1.0), (False, 0.0), (1, 1.0), (0.25, 0.25)])
def test_a_boolean_is_recorded_as_one_or_zero(value: float, on_record: float) -> None:
    form = a_form(metric="solved", value=value)
    assert isinstance(form, Rating)
    recorded = form.draft().value
    assert (recorded, type(recorded)) == (on_record, float)


def test_every_bad_rating_of_a_batch_is_named_by_its_place() -> None:
    ratings: list[JsonValue] = [{"inference_id": "inf_a", "value": value} for value in (3, 9, 4, "x")]
    with pytest.raises(ValidationError) as refused:
        FORM.validate_python({"ratings": ratings})
    assert {error["loc"][:3] for error in refused.value.errors()} == {("batch", "ratings", 1), ("batch", "ratings", 3)}


def test_a_batch_has_at_least_one() -> None:
    one: JsonValue = {"inference_id": "inf_a", "value": 3}
    assert isinstance(FORM.validate_python({"ratings": [one, one]}), RatingBatch)
    for ratings in ([], [one, {}], [one] * 1001):
        with pytest.raises(ValidationError):
            FORM.validate_python({"ratings": ratings})
