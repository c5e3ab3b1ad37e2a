"""The gate between training and live traffic: what a candidate must show on held-out cases."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from loopwright.contracts.tasks import GatePolicy
from registry_svc.domain.scoring import CaseAnswer
from registry_svc.domain.statistics import mcnemar_exact

_ROUNDING = 1e-12  # 0.3 - 0.2 is a little above 0.1


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


NO_SCORE = VariantScore(cases=0, right=0, schema_valid=0, mean_latency_ms=0.0)


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


def judge(policy: GatePolicy, *, candidate: Sequence[CaseAnswer], champion: Sequence[CaseAnswer]) -> Verdict:
    """Compares candidate and champion on the same cases; what cannot be computed has failed."""
    by_candidate = {answer.number: answer.correct for answer in candidate}
    by_champion = {answer.number: answer.correct for answer in champion}
    if by_candidate.keys() != by_champion.keys():
        return cannot_be_judged("candidate and champion did not answer the same cases")
    if not by_candidate:
        return cannot_be_judged("there are no held-out cases")
    ours, theirs = score_of(candidate), score_of(champion)
    checks = (_check_cases(policy, ours), _check_accuracy(policy, ours), _check_regression(policy, ours, theirs))
    only_ours, only_theirs = _discordant(by_candidate, by_champion)
    p = mcnemar_exact(only_ours, only_theirs)
    paired = f"only the candidate was right on {only_ours} cases, only the champion on {only_theirs}; exact McNemar p = {p:.3g}"
    return Verdict(
        passed=all(passed for passed, _ in checks),
        reasons=(*(f"{'passed' if passed else 'FAILED'}: {words}" for passed, words in checks), paired),
        candidate=ours,
        champion=theirs,
        mcnemar_p=p,
    )


def cannot_be_judged(why: str) -> Verdict:
    """The verdict on what cannot be computed: failed."""
    return Verdict(passed=False, reasons=(f"FAILED: {why}",), candidate=NO_SCORE, champion=NO_SCORE, mcnemar_p=None)


def _check_cases(policy: GatePolicy, candidate: VariantScore) -> tuple[bool, str]:
    return (
        candidate.cases >= policy.min_cases,
        f"{candidate.cases} held-out cases, at least {policy.min_cases} are needed",
    )


def _check_accuracy(policy: GatePolicy, candidate: VariantScore) -> tuple[bool, str]:
    words = (
        f"candidate accuracy {candidate.accuracy_0_1:.3f} ({candidate.right} of {candidate.cases}), "
        f"at least {policy.min_accuracy_0_1:.3f} is needed"
    )
    return candidate.accuracy_0_1 >= policy.min_accuracy_0_1 - _ROUNDING, words


def _check_regression(policy: GatePolicy, candidate: VariantScore, champion: VariantScore) -> tuple[bool, str]:
    change = candidate.accuracy_0_1 - champion.accuracy_0_1
    words = (
        f"candidate is {change:+.3f} against the champion's {champion.accuracy_0_1:.3f} "
        f"({champion.right} of {champion.cases}), at most {policy.max_regression_0_1:.3f} below is allowed"
    )
    return change >= -policy.max_regression_0_1 - _ROUNDING, words


def _discordant(candidate: Mapping[int, bool], champion: Mapping[int, bool]) -> tuple[int, int]:
    return _count(candidate[n] and not champion[n] for n in candidate), _count(
        champion[n] and not candidate[n] for n in candidate
    )


def _count(flags: Iterable[bool]) -> int:
    return sum(flags)
