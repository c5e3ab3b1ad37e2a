"""What the deprecation of a dataset version means for models that learned from it."""

import pytest

from loopwright.contracts.registry import DATASET_DEPRECATED
from loopwright.errors import Conflict
from loopwright.testing.examples import an_event
from registry_svc.domain.deprecations import DataDeprecation, check_may_serve, deprecation_of, outweighs, why_not_served


def a_deprecation(reason: str = "erasure") -> DataDeprecation:
    return deprecation_of(an_event(DATASET_DEPRECATED, reason=reason, detail="somebody left"))


def test_an_event_is_taken_with_its_reason_and_time() -> None:
    event = an_event(DATASET_DEPRECATED)
    taken = deprecation_of(event)
    assert (taken.reason, taken.detail, taken.deprecated_at) == (event.reason, event.detail, event.deprecated_at)


@pytest.mark.parametrize(
    ("new", "known", "taken"),
    [
        ("operator", None, True),
        ("erasure", "operator", True),
        ("operator", "erasure", False),
        ("erasure", "erasure", False),
        ("operator", "operator", False),
    ],
)
def test_an_erasure_outweighs_an_operator_and_else_the_first_word_stands(
    new: str, known: str | None, *, taken: bool
) -> None:
    assert outweighs(a_deprecation(new), known and a_deprecation(known)) is taken


def test_what_learned_from_erased_data_may_not_serve() -> None:
    with pytest.raises(Conflict) as refused:
        check_may_serve("mood:3", a_deprecation())
    assert refused.value.code == "model.data-erased"
    assert "mood:3 learned from data that was erased: somebody left" in refused.value.detail


@pytest.mark.parametrize("known", [None, "operator"])
def test_anything_else_may(known: str | None) -> None:
    assert why_not_served("mood:3", known and a_deprecation(known)) is None
