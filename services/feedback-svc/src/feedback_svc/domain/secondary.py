"""Metrics beside the one that decides: the same estimator, always-valid intervals, Holm over several candidates.

They inform. Which metric decides is agreed before an experiment begins; the best of many afterwards is chance.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace

from pydantic import Field

from feedback_svc.domain.statistics.analysing import analyse
from feedback_svc.domain.statistics.arms import Scale, arm_epoch_of
from feedback_svc.domain.statistics.plan import ArmSeen, Plan, Rule
from feedback_svc.domain.statistics.results import Analysis, Comparison
from feedback_svc.domain.statistics.users import UserMoments
from loopwright.contracts.base import Value

_KNOWN = {"stars": Scale(low=1.0, high=5.0), "thumb": Scale(low=0.0, high=1.0)}


class SecondaryArm(Value):
    """One side's users, and the mean of their means."""

    variant_id: str
    users: int
    mean: float | None


class SecondaryEffect(Value):
    """A candidate minus the champion."""

    variant_id: str
    effect: float | None = Field(description="none before both sides have two users")
    lower: float | None = Field(description="lower end of its always-valid interval")
    upper: float | None = Field(description="upper end of it")
    p: float = Field(description="always-valid p-value")
    adjusted_p: float = Field(description="the same after Holm over all candidates")


class SecondaryMetric(Value):
    """A metric that users rated beside the one that decides."""

    metric: str
    variants: tuple[SecondaryArm, ...] = Field(description="champion first")
    effects: tuple[SecondaryEffect, ...]


def secondary_metric(
    plan: Plan, metric: str, users: Mapping[tuple[int, int], Sequence[UserMoments]]
) -> SecondaryMetric:
    """What one metric says.

    Args:
        users: Those who rated it, by arm, 0 the champion's, and epoch.
    """
    scale = _KNOWN.get(metric) or _scale_of([user.mean for rated in users.values() for user in rated])
    arms = [
        ArmSeen(
            variant_id=arm.variant_id,
            epochs={epoch: arm_epoch_of(rated, scale=scale) for (at, epoch), rated in users.items() if at == number},
        )
        for number, arm in enumerate(plan.arms)
    ]
    own = replace(
        plan, metric=metric, higher_is_better=True, scale=scale, rule=Rule.ALWAYS_VALID, guardrails=(), margin=0.0
    )
    return _shown(metric, analyse(own, arms))


def _shown(metric: str, analysis: Analysis) -> SecondaryMetric:
    return SecondaryMetric(
        metric=metric,
        variants=tuple(
            SecondaryArm(variant_id=one.variant_id, users=one.users, mean=one.mean) for one in analysis.variants
        ),
        effects=tuple(_effect(one) for one in analysis.comparisons),
    )


def _effect(comparison: Comparison) -> SecondaryEffect:
    interval = comparison.interval
    return SecondaryEffect(
        variant_id=comparison.variant_id,
        effect=interval.effect if interval else None,
        lower=interval.lower if interval else None,
        upper=interval.upper if interval else None,
        p=comparison.p,
        adjusted_p=comparison.adjusted_p,
    )


def _scale_of(means: Sequence[float]) -> Scale:
    """A named number has no ends of its own: those of what was seen are taken."""
    low, high = min(means), max(means)
    return Scale(low=low, high=high) if low < high else Scale(low=low, high=low + 1)
