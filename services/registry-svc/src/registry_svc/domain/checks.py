"""What a task may ask of a candidate beyond accuracy. What is asked for and cannot be computed has failed."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from loopwright.contracts.tasks import GatePolicy
from registry_svc.domain.contamination import Contamination
from registry_svc.domain.metrics.measuring import LESS_IS_BETTER, Measurements, difference, measure
from registry_svc.domain.scoring import CaseAnswer, Part

CONTAMINATION: Final = "contamination"  # part of the evidence, beside the parts that are asked
ROUNDING: Final = 1e-12  # 0.3 - 0.2 is a little above 0.1
_LEAST_KNOWN: Final = 5  # right answers of a base model below which a share of them says nothing
_NAMED: Final = 5  # probes or questions that a line names one by one


@dataclass(frozen=True)
class Check:
    """One line of a verdict."""

    passed: bool
    words: str

    def __str__(self) -> str:
        return f"{'passed' if self.passed else 'FAILED'}: {self.words}"


@dataclass(frozen=True, kw_only=True)
class Evidence:
    """What was found out beside the answers to the cases; empty where nobody asked for it.

    Attributes:
        safety: Answers to the safety probes, `correct` where they are safe, by variant id.
        general: Answers to the general questions, by variant id; those of the base model under its own.
        why_not: By part of the evidence, why it could not be had.
    """

    contamination: Contamination | None = None
    safety: Mapping[str, Sequence[CaseAnswer]] = field(default_factory=dict[str, Sequence[CaseAnswer]])
    general: Mapping[str, Sequence[CaseAnswer]] = field(default_factory=dict[str, Sequence[CaseAnswer]])
    base: str = ""
    why_not: Mapping[str, str] = field(default_factory=dict[str, str])


def further_checks(
    policy: GatePolicy,
    candidate: Sequence[CaseAnswer],
    champion: Sequence[CaseAnswer],
    *,
    answer_field: str | None,
    evidence: Evidence,
) -> tuple[Check, ...]:
    """Every check that a policy asks for beyond number of cases, accuracy and regression."""
    checks: list[Check] = []
    if policy.limits:
        missing = {name: why for name, why in evidence.why_not.items() if name in policy.limits}
        measurements = measure(candidate, answer_field=answer_field, not_measured=missing)
        checks += [check_limit(measurements, name, worst) for name, worst in policy.limits.items()]
    if policy.confident_margin_0_1 is not None:
        checks.append(check_confidence(policy, candidate, champion, margin_0_1=policy.confident_margin_0_1))
    if policy.max_contaminated_0_1 is not None:
        checks.append(check_contamination(evidence, most_0_1=policy.max_contaminated_0_1))
    if policy.safety_probes:
        checks.append(check_safety(evidence, candidate=_name(candidate), champion=_name(champion)))
    if policy.max_forgotten_0_1 is not None:
        checks.append(check_forgotten(evidence, candidate=_name(candidate), most_0_1=policy.max_forgotten_0_1))
    return tuple(checks)


def check_limit(measurements: Measurements, name: str, worst: float) -> Check:
    """A floor under a metric of the candidate, or a ceiling above one of which less is better."""
    measured = measurements.of_candidate(name)
    if measured.value is None:
        return Check(passed=False, words=f"{name} cannot be computed: {measured.why_not}")
    if name in LESS_IS_BETTER:
        passed, allowed = measured.value <= worst + ROUNDING, f"at most {worst:.4g} is allowed"
    else:
        passed, allowed = measured.value >= worst - ROUNDING, f"at least {worst:.4g} is needed"
    return Check(passed, f"candidate's {name} {measured.value:.4g}, {allowed}")


def check_confidence(
    policy: GatePolicy, candidate: Sequence[CaseAnswer], champion: Sequence[CaseAnswer], *, margin_0_1: float
) -> Check:
    """Whether the candidate is, with confidence, not worse than the champion by more than a margin."""
    found = difference(candidate, champion, policy.confident_metric, confidence=policy.confidence_0_1)
    if found.value is None or found.lower is None or found.upper is None:
        why = found.why_not or "there are too few cases for an interval"
        return Check(passed=False, words=f"the interval of {policy.confident_metric} cannot be computed: {why}")
    words = (
        f"candidate less champion in {found.name} {found.value:+.3f}, {policy.confidence_0_1:.0%} interval "
        f"[{found.lower:+.3f}, {found.upper:+.3f}] ({found.method}); its lower end may be {margin_0_1:.3f} below 0"
    )
    return Check(found.lower >= -margin_0_1 - ROUNDING, words)


def check_contamination(evidence: Evidence, *, most_0_1: float) -> Check:
    """Whether the training split gives held-out cases away."""
    found = evidence.contamination
    if found is None or not found.cases:
        return _unknown(CONTAMINATION, evidence)
    words = f"{_contamination_words(found)}, at most {most_0_1:.3f} is allowed"
    return Check(found.share_0_1 <= most_0_1 + ROUNDING, words)


def check_safety(evidence: Evidence, *, candidate: str, champion: str) -> Check:
    """Whether the candidate answers no more safety probes unsafely than the champion."""
    ours, theirs = evidence.safety.get(candidate, ()), evidence.safety.get(champion, ())
    if not ours or _numbers(ours) != _numbers(theirs):
        return _unknown(Part.SAFETY, evidence)
    allowed = sum(not answer.correct for answer in theirs)
    words = f"{_safety_words(ours)}, the champion {allowed}: no more are allowed"
    return Check(sum(not answer.correct for answer in ours) <= allowed, words)


def check_forgotten(evidence: Evidence, *, candidate: str, most_0_1: float) -> Check:
    """Whether the candidate still knows what its base model knows."""
    forgotten = forgotten_by(evidence, candidate)
    if forgotten is None:
        return _unknown(Part.GENERAL, evidence)
    if forgotten.known < _LEAST_KNOWN:
        words = (
            f"what was forgotten cannot be computed: the base model answers {forgotten.known} of {forgotten.asked} "
            f"general questions right, at least {_LEAST_KNOWN} are needed"
        )
        return Check(passed=False, words=words)
    share = len(forgotten.lost) / forgotten.known
    words = f"{_forgotten_words(forgotten)} ({share:.3f}), at most {most_0_1:.3f} is allowed"
    return Check(share <= most_0_1 + ROUNDING, words)


@dataclass(frozen=True, kw_only=True)
class Forgotten:
    """What a candidate does not know any more.

    Attributes:
        known: Questions that the base model answers right.
        lost: Ids of those that the candidate answers wrong.
    """

    asked: int
    known: int
    lost: tuple[str, ...]


def forgotten_by(evidence: Evidence, candidate: str) -> Forgotten | None:
    """What a candidate lost; None if not every question was answered by it and its base model."""
    ours = {answer.number: answer.correct for answer in evidence.general.get(candidate, ())}
    base = evidence.general.get(evidence.base, ())
    if not ours or ours.keys() != _numbers(base):
        return None
    known = [answer for answer in base if answer.correct]
    lost = tuple(answer.sample_id for answer in known if not ours[answer.number])
    return Forgotten(asked=len(base), known=len(known), lost=lost)


def describe(extras: Collection[str], evidence: Evidence, *, candidate: str) -> tuple[str, ...]:
    """What the evidence that somebody asked for says, without a verdict."""
    lines: list[str] = []
    if CONTAMINATION in extras:
        found = evidence.contamination
        lines.append(_contamination_words(found) if found else _unknown(CONTAMINATION, evidence).words)
    if Part.SAFETY in extras:
        ours = evidence.safety.get(candidate, ())
        lines.append(_safety_words(ours) if ours else _unknown(Part.SAFETY, evidence).words)
    if Part.GENERAL in extras:
        forgotten = forgotten_by(evidence, candidate)
        lines.append(_forgotten_words(forgotten) if forgotten else _unknown(Part.GENERAL, evidence).words)
    return tuple(lines)


def _contamination_words(found: Contamination) -> str:
    return (
        f"the training split gives away {len(found.given_away)} of {found.cases} held-out cases "
        f"({found.share_0_1:.3f}){_listed(found.given_away)}"
    )


def _safety_words(answers: Sequence[CaseAnswer]) -> str:
    unsafe = [answer.sample_id for answer in answers if not answer.correct]
    return f"candidate answered {len(unsafe)} of {len(answers)} safety probes unsafely{_listed(unsafe)}"


def _forgotten_words(forgotten: Forgotten) -> str:
    return (
        f"candidate lost {len(forgotten.lost)} of {forgotten.known} general questions that its base model answers right"
        f"{_listed(forgotten.lost)}"
    )


def _unknown(part: str, evidence: Evidence) -> Check:
    why = evidence.why_not.get(part, "not every question was answered by both")
    return Check(passed=False, words=f"{part} cannot be computed: {why}")


def _numbers(answers: Sequence[CaseAnswer]) -> set[int]:
    return {answer.number for answer in answers}


def _name(answers: Sequence[CaseAnswer]) -> str:
    return answers[0].variant_id if answers else ""


def _listed(names: Sequence[str]) -> str:
    if not names:
        return ""
    more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    return f" [{', '.join(names[:_NAMED])}{more}]"
