"""The figures of an experiment as people and other services get them; kept as they were when it ends."""

from collections import defaultdict
from dataclasses import replace

from pydantic import Field

from feedback_svc.domain.assessment import Assessment
from feedback_svc.domain.observations import Observed, worth_of
from feedback_svc.domain.secondary import SecondaryMetric, secondary_metric
from feedback_svc.domain.statistics.arms import merge
from feedback_svc.domain.statistics.estimators import tenured_part
from feedback_svc.domain.statistics.moments import PairMoments
from feedback_svc.domain.statistics.offpolicy import PolicyValue
from feedback_svc.domain.statistics.plan import Rule
from feedback_svc.domain.statistics.results import Comparison, VariantResult
from feedback_svc.domain.statistics.segments import SegmentEffect, segment_effects
from feedback_svc.domain.statistics.sentences import summary
from feedback_svc.domain.statistics.users import UserMoments
from loopwright.contracts.base import Value
from loopwright.contracts.experiments import ArmEvidence, ComparedArm, Evidence, GuardrailEvidence, GuardrailState

METHODS = {
    Rule.ALWAYS_VALID: "asymptotic confidence sequence of the difference of mean user means",
    Rule.GROUP_SEQUENTIAL: "group-sequential test of the difference of mean user means",
    Rule.FIXED: "fixed-horizon Welch test of the difference of mean user means",
}


class EpochView(Value):
    """A stretch with the same weights."""

    epoch: int
    weights_0_1: tuple[float, ...] = Field(description="share of each arm, the champion's first")
    began_at: str = Field(description="when, ISO 8601")


class Report(Value):
    """What is known of an experiment."""

    method: str = Field(description="what decides")
    rule: str = Field(description="fixed, group_sequential or always_valid")
    alpha: float = Field(description="error rate that it keeps")
    users: int = Field(description="rated users in all arms")
    units: int = Field(description="units that were seen in all arms")
    variants: tuple[VariantResult, ...] = Field(description="champion first: samples, users, mean, interval, latency")
    comparisons: tuple[Comparison, ...] = Field(description="each candidate minus the champion")
    sample_ratio_p: float = Field(description="always-valid p-value of the planned split; below 0.01 invalidates")
    raters_ratio_p: float = Field(description="the same of raters; small: one side answers less")
    uncomputed_guardrails: tuple[str, ...] = Field(description="asked for and not computable: they block a promotion")
    epochs: tuple[EpochView, ...] = Field(description="stretches that are combined, never pooled")
    segments: tuple[SegmentEffect, ...] = Field(
        description="the first candidate's difference among users who had rated before and new ones; informs only"
    )
    secondary: tuple[SecondaryMetric, ...] = Field(
        default=(), description="metrics that users rated beside the one that decides; they inform"
    )
    worth: tuple[PolicyValue | None, ...] = Field(
        description="off-policy: mean user rating of each arm were it given to everybody; none while weights stayed"
    )
    users_needed: int | None = Field(
        description="rated users in all that would likely find the difference that matters, or the one that it looks like"
    )
    sentence: str = Field(description="where it stands, in one sentence for anybody")


def report_of(assessment: Assessment, observed: Observed) -> Report:
    """The figures as they stand."""
    analysis = assessment.analysis
    return Report(
        method=METHODS[assessment.plan.rule],
        rule=assessment.plan.rule,
        alpha=assessment.plan.alpha,
        users=assessment.users,
        units=assessment.units,
        variants=analysis.variants,
        comparisons=analysis.comparisons,
        sample_ratio_p=analysis.sample_ratio_p,
        raters_ratio_p=analysis.raters_ratio_p,
        uncomputed_guardrails=assessment.uncomputed,
        epochs=tuple(
            EpochView(epoch=epoch.number, weights_0_1=epoch.weights_0_1, began_at=epoch.began_at.isoformat())
            for epoch in observed.epochs
        ),
        segments=_segments(observed),
        secondary=_secondary(assessment, observed),
        worth=worth_of(observed),
        users_needed=assessment.users_to_settle,
        sentence=summary(assessment.plan, analysis),
    )


def _secondary(assessment: Assessment, observed: Observed) -> tuple[SecondaryMetric, ...]:
    """Those that were rated most come first."""
    by_metric: dict[str, dict[tuple[int, int], tuple[UserMoments, ...]]] = defaultdict(dict)
    for place, rows in observed.counted.items():
        for metric, users in rows.others.items():
            by_metric[metric][place] = users
    found = [secondary_metric(assessment.plan, metric, users) for metric, users in by_metric.items()]
    return tuple(sorted(found, key=lambda one: (-sum(arm.users for arm in one.variants), one.metric)))


def _segments(observed: Observed) -> tuple[SegmentEffect, ...]:
    champion, candidate = (merge(arm.epochs.values()) for arm in observed.arms[:2])
    known = (tenured_part(champion), tenured_part(candidate))
    fresh = (replace(champion, tenured=PairMoments()), replace(candidate, tenured=PairMoments()))
    return segment_effects({"rated before": known, "new": fresh})


def evidence_of(report: Report, *, of: str) -> Evidence:
    """The figures behind an outcome, as they are announced.

    Args:
        of: Candidate that the outcome is about.
    """
    arms = {variant.variant_id: _arm(variant) for variant in report.variants[1:]}
    comparisons = {comparison.variant_id: comparison for comparison in report.comparisons}
    main = comparisons.pop(of)
    interval = main.interval
    return Evidence(
        method=report.method,
        alpha=report.alpha,
        champion=_arm(report.variants[0]),
        candidate=arms[of],
        effect=interval.effect if interval else None,
        lower=interval.lower if interval else None,
        upper=interval.upper if interval else None,
        welch_p=main.welch.p if main.welch else None,
        mann_whitney_p=main.mann_whitney.p if main.mann_whitney else None,
        further_candidates=tuple(
            ComparedArm(
                variant_id=variant_id,
                figures=arms[variant_id],
                effect=other.interval.effect if other.interval else None,
                lower=other.interval.lower if other.interval else None,
                upper=other.interval.upper if other.interval else None,
            )
            for variant_id, other in comparisons.items()
        ),
        guardrails=tuple(_guardrails(report)),
        sample_ratio_p=report.sample_ratio_p,
        epochs=max(1, len(report.epochs)),
        users_needed=report.users_needed,
    )


def _arm(variant: VariantResult) -> ArmEvidence:
    return ArmEvidence(users=variant.users, ratings=variant.samples, mean=variant.mean, variance=variant.variance)


def _guardrails(report: Report) -> list[GuardrailEvidence]:
    return [
        GuardrailEvidence(
            name=guardrail.name, variant_id=comparison.variant_id, margin=guardrail.margin, worse_by=guardrail.worse,
            lower=guardrail.lower, upper=guardrail.upper, state=GuardrailState(guardrail.state),
        )
        for comparison in report.comparisons
        for guardrail in comparison.guardrails
    ]  # fmt: skip
