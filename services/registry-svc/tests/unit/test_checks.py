"""What a gate may ask beyond accuracy: it refuses for each reason, and for what it cannot compute."""

import pytest

from loopwright.contracts.tasks import GatePolicy
from registry_svc.domain.checks import Evidence, describe
from registry_svc.domain.contamination import Contamination
from registry_svc.domain.evaluations import Extra, extras_of
from registry_svc.domain.gate import Verdict, judge
from registry_svc.domain.scoring import CaseAnswer, Part

LENIENT = GatePolicy(min_cases=1, min_accuracy_0_1=0.0, max_regression_0_1=1.0)


def answers(variant_id: str, flags: list[bool], **changes: object) -> list[CaseAnswer]:
    return [
        CaseAnswer(
            **{
                "variant_id": variant_id, "number": number, "sample_id": f"s{number}", "expected": "x",
                "answer": "x" if correct else "y", "error": None, "correct": correct, "schema_valid": True,
                "latency_ms": 10.0 * number, "inference_id": None, "output_tokens": 8,
                "scores": {"rouge_l": float(correct), "custom.tone": 0.25},
            }
            | changes
        )
        for number, correct in enumerate(flags, start=1)
    ]  # fmt: skip


def verdict_of(
    candidate: list[bool] | None = None, champion: list[bool] | None = None, evidence: Evidence | None = None,
    **policy: object,
) -> Verdict:  # fmt: skip
    return judge(
        LENIENT.model_copy(update=policy),
        candidate=answers("m:2", candidate or [True] * 20),
        champion=answers("m:1", champion or [True] * 20),
        evidence=evidence or Evidence(),
    )


def asked(part: Part, flags: dict[str, list[bool]]) -> dict[str, list[CaseAnswer]]:
    return {variant: answers(variant, right, part=part) for variant, right in flags.items()}


def general(candidate: list[bool], base: list[bool]) -> Evidence:
    return Evidence(general=asked(Part.GENERAL, {"m:2": candidate, "base:1": base}), base="base:1")


class TestNothingAsked:
    def test_a_policy_of_old_has_the_checks_of_old(self):
        assert len(verdict_of().reasons) == 4
        assert extras_of(GatePolicy()) == frozenset()


class TestLimits:
    @pytest.mark.parametrize(
        ("name", "passing", "failing"),
        [
            ("rouge_l", 0.9, 0.99),
            ("custom.tone", 0.25, 0.26),
            ("macro_f1", 0.0, 1.01),
            ("latency_p95_ms", 190.5, 190.0),
            ("latency_p50_ms", 105.0, 104.0),
            ("tokens_per_answer", 8.0, 7.9),
            ("tokens_per_s", 76.0, 77.0),
        ],
    )
    def test_a_floor_or_a_ceiling_refuses_what_is_beyond_it(self, name: str, passing: float, failing: float):
        flags = [True] * 18 + [False] * 2
        assert verdict_of(flags, limits={name: passing}).passed
        refused = verdict_of(flags, limits={name: failing})
        assert not refused.passed
        assert refused.reasons[4].startswith(f"FAILED: candidate's {name} ")

    @pytest.mark.parametrize("name", ["perplexity", "judge_win_rate", "bleurt", "custom.gone"])
    def test_what_cannot_be_computed_has_failed(self, name: str):
        refused = verdict_of(limits={name: 0.0})
        assert not refused.passed
        assert refused.reasons[4].startswith(f"FAILED: {name} cannot be computed: ")

    def test_says_why_a_judge_is_missing(self):
        evidence = Evidence(why_not={"judge_win_rate": "no judge is set"})
        refused = verdict_of(limits={"judge_win_rate": 0.5}, evidence=evidence)
        assert refused.reasons[4] == "FAILED: judge_win_rate cannot be computed: no judge is set"


class TestConfidence:
    def test_refuses_a_candidate_that_may_be_worse_than_allowed(self):
        ours, theirs = [True] * 14 + [False] * 6, [True] * 13 + [False] * 6 + [True]
        assert verdict_of(ours, theirs, confident_margin_0_1=0.3).passed
        refused = verdict_of(ours, theirs, confident_margin_0_1=0.05)
        assert not refused.passed
        assert refused.reasons[4].startswith("FAILED: candidate less champion in accuracy +0.000, 95% interval [-0.")

    def test_asks_for_the_confidence_that_the_task_wants(self):
        ours, theirs = [True] * 16 + [False] * 4, [True] * 12 + [False] * 8
        assert verdict_of(ours, theirs, confident_margin_0_1=0.0, confidence_0_1=0.8).passed
        assert not verdict_of(ours, theirs, confident_margin_0_1=0.0, confidence_0_1=0.999).passed

    def test_takes_any_metric_that_every_case_has(self):
        ours, theirs = [True] * 15 + [False] * 5, [False] * 5 + [True] * 15
        refused = verdict_of(ours, theirs, confident_margin_0_1=0.1, confident_metric="rouge_l")
        assert not refused.passed
        assert "paired bootstrap (BCa)" in refused.reasons[4]

    @pytest.mark.parametrize("metric", ["macro_f1", "field.x"])
    def test_what_has_no_value_a_case_has_failed(self, metric: str):
        refused = verdict_of(confident_margin_0_1=0.1, confident_metric=metric)
        assert not refused.passed
        assert refused.reasons[4].startswith(f"FAILED: the interval of {metric} cannot be computed")


class TestContamination:
    def test_refuses_cases_that_training_gave_away(self):
        found = Evidence(contamination=Contamination(cases=20, given_away=("s3", "s9"), rows=100))
        assert verdict_of(evidence=found, max_contaminated_0_1=0.1).passed
        refused = verdict_of(evidence=found, max_contaminated_0_1=0.05)
        assert not refused.passed
        assert "gives away 2 of 20 held-out cases (0.100) [s3, s9]" in refused.reasons[4]

    def test_what_cannot_be_computed_has_failed(self):
        refused = verdict_of(evidence=Evidence(why_not={"contamination": "it is gone"}), max_contaminated_0_1=1.0)
        assert not refused.passed
        assert refused.reasons[4] == "FAILED: contamination cannot be computed: it is gone"


class TestSafety:
    def test_refuses_a_candidate_that_is_less_safe_than_the_champion(self):
        same = asked(Part.SAFETY, {"m:2": [True, False, True], "m:1": [False, True, True]})
        worse = asked(Part.SAFETY, {"m:2": [False, False, True], "m:1": [False, True, True]})
        assert verdict_of(evidence=Evidence(safety=same), safety_probes=True).passed
        refused = verdict_of(evidence=Evidence(safety=worse), safety_probes=True)
        assert not refused.passed
        assert "answered 2 of 3 safety probes unsafely [s1, s2], the champion 1" in refused.reasons[4]

    @pytest.mark.parametrize("flags", [{}, {"m:2": [True]}, {"m:2": [True], "m:1": [True, True]}])
    def test_what_not_both_answered_has_failed(self, flags: dict[str, list[bool]]):
        evidence = Evidence(safety=asked(Part.SAFETY, flags))
        assert not verdict_of(evidence=evidence, safety_probes=True).passed


class TestForgetting:
    def test_refuses_a_candidate_that_lost_more_of_what_its_base_knows_than_allowed(self):
        evidence = general([True] * 8 + [False] * 2 + [False] * 4, [True] * 10 + [False] * 4)
        assert verdict_of(evidence=evidence, max_forgotten_0_1=0.2).passed
        refused = verdict_of(evidence=evidence, max_forgotten_0_1=0.19)
        assert not refused.passed
        assert "candidate lost 2 of 10 general questions" in refused.reasons[4]

    def test_what_the_base_never_knew_is_not_forgotten(self):
        evidence = general([True] * 5 + [False] * 9, [True] * 5 + [False] * 9)
        assert verdict_of(evidence=evidence, max_forgotten_0_1=0.0).passed

    def test_a_base_that_knows_too_little_cannot_be_compared_with(self):
        refused = verdict_of(evidence=general([True] * 14, [True] * 4 + [False] * 10), max_forgotten_0_1=1.0)
        assert not refused.passed
        assert "the base model answers 4 of 14 general questions right, at least 5 are needed" in refused.reasons[4]

    def test_what_was_not_asked_has_failed(self):
        assert not verdict_of(max_forgotten_0_1=1.0).passed


class TestExtras:
    def test_a_policy_names_what_costs_further_requests(self):
        policy = GatePolicy(
            limits={"perplexity": 20, "judge_win_rate": 0.5}, max_contaminated_0_1=0, safety_probes=True,
            max_forgotten_0_1=0.1,
        )  # fmt: skip
        assert extras_of(policy) == frozenset(Extra)

    def test_evidence_is_described_without_a_verdict(self):
        evidence = general([True] * 6, [True] * 6)
        lines = describe({Extra.GENERAL, Extra.SAFETY}, evidence, candidate="m:2")
        assert lines == (
            "safety cannot be computed: not every question was answered by both",
            "candidate lost 0 of 6 general questions that its base model answers right",
        )
