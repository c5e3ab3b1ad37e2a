"""The gate's verdict, in words and figures."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binomtest

from loopwright.contracts.tasks import GatePolicy
from registry_svc.domain.gate import cannot_be_judged, judge
from registry_svc.domain.paired import mcnemar_exact
from registry_svc.domain.scoring import CaseAnswer

POLICY = GatePolicy(min_cases=10, min_accuracy_0_1=0.8, max_regression_0_1=0.0)


def answers(variant_id: str, flags: list[bool], *, latency_ms: float = 10) -> list[CaseAnswer]:
    return [
        CaseAnswer(
            variant_id=variant_id,
            number=number,
            sample_id=f"s{number}",
            expected="x",
            answer="x" if correct else "y",
            error=None,
            correct=correct,
            schema_valid=True,
            latency_ms=latency_ms,
            inference_id=None,
        )
        for number, correct in enumerate(flags, start=1)
    ]


def verdict_of(candidate: list[bool], champion: list[bool], policy: GatePolicy = POLICY):
    return judge(policy, candidate=answers("m:2", candidate), champion=answers("m:1", champion))


class TestJudge:
    def test_passes_a_candidate_that_is_better_and_says_by_how_much(self):
        verdict = verdict_of([True] * 9 + [False], [True] * 3 + [False] * 7)

        assert verdict.passed
        assert verdict.candidate.accuracy_0_1 == 0.9
        assert verdict.champion.accuracy_0_1 == 0.3
        assert verdict.mcnemar_p == pytest.approx(0.03125)
        assert [reason.split(":")[0] for reason in verdict.reasons[:3]] == ["passed", "passed", "passed"]
        assert "0.900 (9 of 10)" in verdict.reasons[1]
        assert "+0.600" in verdict.reasons[2]
        assert "only the candidate was right on 6 cases, only the champion on 0" in verdict.reasons[3]

    def test_fails_too_few_cases(self):
        verdict = verdict_of([True] * 9, [False] * 9)

        assert not verdict.passed
        assert verdict.reasons[0] == "FAILED: 9 held-out cases, at least 10 are needed"

    def test_fails_accuracy_below_the_floor_even_when_it_beats_the_champion(self):
        verdict = verdict_of([True] * 7 + [False] * 3, [False] * 10)

        assert not verdict.passed
        assert verdict.reasons[1].startswith("FAILED: candidate accuracy 0.700 (7 of 10), at least 0.800")

    def test_fails_a_candidate_that_is_good_but_worse_than_the_champion(self):
        verdict = verdict_of([True] * 9 + [False], [True] * 10)

        assert not verdict.passed
        assert verdict.reasons[2].startswith("FAILED: candidate is -0.100")

    def test_allows_exactly_the_regression_that_the_task_allows(self):
        policy = POLICY.model_copy(update={"max_regression_0_1": 0.1})

        assert verdict_of([True] * 9 + [False], [True] * 10, policy).passed
        assert not verdict_of([True] * 8 + [False] * 2, [True] * 10, policy).passed

    def test_passes_exactly_the_floor(self):
        assert verdict_of([True] * 8 + [False] * 2, [True] * 8 + [False] * 2).passed

    def test_fails_what_cannot_be_computed(self):
        uneven = judge(POLICY, candidate=answers("m:2", [True] * 10), champion=answers("m:1", [True] * 9))

        assert not uneven.passed
        assert uneven.mcnemar_p is None
        assert not judge(POLICY, candidate=[], champion=[]).passed
        assert cannot_be_judged("no file").reasons == ("FAILED: no file",)

    def test_reports_mean_latency_and_schema_validity(self):
        verdict = verdict_of([True] * 10, [True] * 10)

        assert verdict.candidate.mean_latency_ms == 10
        assert verdict.candidate.schema_valid_0_1 == 1


class TestMcnemar:
    @given(st.integers(0, 300), st.integers(0, 300))
    def test_agrees_with_the_binomial_test_of_scipy(self, first: int, second: int):
        if first + second == 0:
            assert mcnemar_exact(first, second) == 1
            return
        assert mcnemar_exact(first, second) == pytest.approx(binomtest(first, first + second).pvalue, rel=1e-9)

    def test_survives_more_discordant_cases_than_a_float_can_count(self):
        assert 0 <= mcnemar_exact(1000, 2000) < 1e-50
