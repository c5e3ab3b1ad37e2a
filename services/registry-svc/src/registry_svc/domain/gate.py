"""The gate between training and live traffic: what a candidate must show before it may meet users."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from loopwright.contracts.tasks import GatePolicy
from registry_svc.domain.checks import ROUNDING, Check, Evidence, further_checks
from registry_svc.domain.paired import agreement, mcnemar_exact
from registry_svc.domain.scoring import CaseAnswer


@dataclass(frozen=True, kw_only=True)
class VariantScore:
    """How one variant did.

    Attributes:
        mean_latency_ms: Over all its answers, in milliseconds; 0 without answers.
    """

    cases: int
    right: int
    schema_valid: int
    mean_latency_ms: float

    @property
    def accuracy_0_1(self) -> float:
        return self.right / self.cases if self.cases else 0.0

    @property
    def schema_valid_0_1(self) -> float:
        return self.schema_valid / self.cases if self.cases else 0.0


NO_SCORE: Final = VariantScore(cases=0, right=0, schema_valid=0, mean_latency_ms=0.0)
_NOTHING_MORE: Final = Evidence()


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """What the gate says, in words and figures.

    Attributes:
        mcnemar_p: Exact McNemar test of the paired answers; None when the gate could not be computed.
    """

    passed: bool
    reasons: tuple[str, ...]
    candidate: VariantScore
    champion: VariantScore
    mcnemar_p: float | None


def score_of(answers: Sequence[CaseAnswer]) -> VariantScore:
    if not answers:
        return NO_SCORE
    return VariantScore(
        cases=len(answers),
        right=sum(answer.correct for answer in answers),
        schema_valid=sum(answer.schema_valid for answer in answers),
        mean_latency_ms=sum(answer.latency_ms for answer in answers) / len(answers),
    )


def judge(
    policy: GatePolicy,
    *,
    candidate: Sequence[CaseAnswer],
    champion: Sequence[CaseAnswer],
    answer_field: str | None = None,
    evidence: Evidence = _NOTHING_MORE,
) -> Verdict:
    """Compares candidate and champion on the same cases; what cannot be computed has failed.

    Args:
        answer_field: Field of a structured answer that names its class.
        evidence: What the policy's further checks need.
    """
    by_candidate = {answer.number: answer.correct for answer in candidate}
    by_champion = {answer.number: answer.correct for answer in champion}
    if by_candidate.keys() != by_champion.keys():
        return cannot_be_judged("candidate and champion did not answer the same cases")
    if not by_candidate:
        return cannot_be_judged("there are no held-out cases")
    ours, theirs = score_of(candidate), score_of(champion)
    checks = (_check_cases(policy, ours), _check_accuracy(policy, ours), _check_regression(policy, ours, theirs))
    further = further_checks(policy, candidate, champion, answer_field=answer_field, evidence=evidence)
    counts = agreement(list(by_candidate.values()), [by_champion[number] for number in by_candidate])
    p = mcnemar_exact(counts.only_first, counts.only_second)
    paired = (
        f"only the candidate was right on {counts.only_first} cases, only the champion on {counts.only_second}; "
        f"exact McNemar p = {p:.3g}"
    )
    return Verdict(
        passed=all(check.passed for check in (*checks, *further)),
        reasons=(*(str(check) for check in checks), paired, *(str(check) for check in further)),
        candidate=ours,
        champion=theirs,
        mcnemar_p=p,
    )


def cannot_be_judged(why: str) -> Verdict:
    """The verdict on what cannot be computed: failed."""
    return Verdict(passed=False, reasons=(f"FAILED: {why}",), candidate=NO_SCORE, champion=NO_SCORE, mcnemar_p=None)


def _check_cases(policy: GatePolicy, candidate: VariantScore) -> Check:
    words = f"{candidate.cases} held-out cases, at least {policy.min_cases} are needed"
    return Check(candidate.cases >= policy.min_cases, words)


def _check_accuracy(policy: GatePolicy, candidate: VariantScore) -> Check:
    words = (
        f"candidate accuracy {candidate.accuracy_0_1:.3f} ({candidate.right} of {candidate.cases}), "
        f"at least {policy.min_accuracy_0_1:.3f} is needed"
    )
    return Check(candidate.accuracy_0_1 >= policy.min_accuracy_0_1 - ROUNDING, words)


def _check_regression(policy: GatePolicy, candidate: VariantScore, champion: VariantScore) -> Check:
    change = candidate.accuracy_0_1 - champion.accuracy_0_1
    words = (
        f"candidate is {change:+.3f} against the champion's {champion.accuracy_0_1:.3f} "
        f"({champion.right} of {champion.cases}), at most {policy.max_regression_0_1:.3f} below is allowed"
    )
    return Check(change >= -policy.max_regression_0_1 - ROUNDING, words)
