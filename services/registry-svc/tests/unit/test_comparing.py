"""Comparing versions: which cases they share, whose answers changed, and what differs in how they were made."""

from datetime import UTC, datetime, timedelta

import pytest

from loopwright.errors import Invalid
from registry_svc.domain.comparing import (
    MOST_VARIANTS,
    AnsweredSet,
    CaseSet,
    Change,
    Parameter,
    changes,
    choose,
    common_sets,
    newest_of,
    read_variants,
)
from registry_svc.domain.models import VariantId

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
HELD_OUT, SUITE = CaseSet("mood", 1, "a" * 64), CaseSet("mood", 1, "b" * 64)


def answered(cases: CaseSet, hour: int, evaluation_id: str = "e") -> AnsweredSet:
    return AnsweredSet(
        evaluation_id=evaluation_id, cases=cases, suite_id=None, finished_at=NOON + timedelta(hours=hour)
    )


class TestVariants:
    def test_the_first_is_what_others_are_compared_with(self):
        assert read_variants(["b:2", "a:1"]) == (VariantId("b", 2), VariantId("a", 1))

    @pytest.mark.parametrize(
        "texts", [["a:1"], ["a:1", "a:1"], ["a:1", "b"], [f"a:{n}" for n in range(1, MOST_VARIANTS + 2)]]
    )
    def test_refuses_what_cannot_be_compared(self, texts):
        with pytest.raises(Invalid):
            read_variants(texts)


class TestCommonCases:
    def test_only_sets_that_all_answered_count_and_the_newest_comes_first(self):
        first = [answered(SUITE, 1), answered(HELD_OUT, 0)]
        second = [answered(CaseSet("mood", 1, "c" * 64), 9), answered(HELD_OUT, 5)]
        third = [answered(HELD_OUT, 2), answered(SUITE, 1)]

        assert common_sets([first, second, third]) == (HELD_OUT,)
        assert common_sets([first, third]) == (HELD_OUT, SUITE)

    def test_the_same_cases_under_another_version_of_the_task_are_others(self):
        changed = CaseSet("mood", 2, HELD_OUT.sha256)
        assert common_sets([[answered(HELD_OUT, 0)], [answered(changed, 0)]]) == ()

    def test_a_set_is_chosen_by_hash_or_the_reason_is_said(self):
        common = (HELD_OUT, SUITE)

        assert choose(common, sha256=None) == HELD_OUT
        assert choose(common, sha256=SUITE.sha256) == SUITE
        assert "not all of these versions answered" in str(choose(common, sha256="c" * 64))
        assert "evaluate them on the same suite" in str(choose((), sha256=None))

    def test_of_two_evaluations_on_a_set_the_newer_one_counts(self):
        assert newest_of(
            [answered(SUITE, 9), answered(HELD_OUT, 8, "new"), answered(HELD_OUT, 1)], HELD_OUT
        ) == answered(HELD_OUT, 8, "new")


@pytest.mark.parametrize(
    ("change", "numbers"), [(Change.LOST, (1,)), (Change.GAINED, (3, 5)), (Change.CHANGED, (1, 3, 5))]
)
def test_a_case_that_only_one_of_them_answered_has_not_changed(change, numbers):
    first = {1: True, 2: True, 3: False, 5: False, 6: False, 7: True}
    other = {1: False, 2: True, 3: True, 5: True, 6: False, 8: True}

    assert changes(first, other, change) == numbers


def test_a_parameter_differs_when_one_version_has_another_value_or_none():
    assert not Parameter("rank", (8, 8)).differs
    assert Parameter("rank", (8, 8, 16)).differs
    assert Parameter("rank", (8, None)).differs
