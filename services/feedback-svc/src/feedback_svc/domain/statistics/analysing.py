"""All figures of an experiment from what was agreed and what was counted."""

import math
from collections.abc import Callable, Sequence
from dataclasses import replace

from feedback_svc.domain.statistics.arms import ArmEpoch, merge
from feedback_svc.domain.statistics.bayes import Belief, BetaBelief, NormalBelief, Standing, standings
from feedback_svc.domain.statistics.comparing import compare
from feedback_svc.domain.statistics.deciding import is_significant
from feedback_svc.domain.statistics.fixed_horizon import design_effect
from feedback_svc.domain.statistics.moments import RESOLUTION
from feedback_svc.domain.statistics.plan import ArmSeen, Plan
from feedback_svc.domain.statistics.results import Analysis, VariantResult
from feedback_svc.domain.statistics.sequences import half_width, sample_ratio_log_evidence
from feedback_svc.domain.statistics.several import holm

LATENCY = "latency_ms"


def analyse(plan: Plan, arms: Sequence[ArmSeen]) -> Analysis:
    """Analyses an experiment; `arms` in the order of the plan, champion first."""
    users = sum(epoch.users for arm in arms for epoch in arm.epochs.values())
    look = min(plan.looks, users * plan.looks // plan.planned_users)
    judged = [compare(plan, arms[0], arm, look=look) for arm in arms[1:]]
    adjusted = holm([comparison.p for comparison in judged])
    comparisons = tuple(replace(one, adjusted_p=p) for one, p in zip(judged, adjusted, strict=True))
    whole = [merge(arm.epochs.values()) for arm in arms]
    standing = _standings(plan, whole)
    significant = {one.variant_id for one in comparisons if is_significant(plan, one, users=users, look=look)}
    return Analysis(
        variants=tuple(
            _variant(plan, arm.variant_id, seen, one, significant=arm.variant_id in significant)
            for arm, seen, one in zip(arms, whole, standing or [None] * len(arms), strict=True)
        ),
        comparisons=comparisons,
        users=users,
        look=look,
        sample_ratio_p=_ratio_p(plan, arms, lambda epoch: epoch.units),
        raters_ratio_p=_ratio_p(plan, arms, lambda epoch: epoch.users),
    )


def _ratio_p(plan: Plan, arms: Sequence[ArmSeen], counted: Callable[[ArmEpoch], int]) -> float:
    """Always-valid p-value that the counts follow the planned shares, epoch by epoch: evidence of epochs multiplies."""
    epochs = sorted({epoch for arm in arms for epoch in arm.epochs})
    evidence = 0.0
    for epoch in epochs:
        counts = [counted(arm.epochs[epoch]) if epoch in arm.epochs else 0 for arm in arms]
        shares = [arm.shares_0_1.get(epoch, 0.0) for arm in plan.arms]
        evidence += sample_ratio_log_evidence(counts, shares)
    return math.exp(-max(0.0, evidence))


def _standings(plan: Plan, arms: Sequence[ArmEpoch]) -> list[Standing] | None:
    """None before every arm has a spread."""
    beliefs = [belief for arm in arms if (belief := _belief(arm)) is not None]
    return standings(beliefs, higher_is_better=plan.higher_is_better) if len(beliefs) == len(arms) else None


def _belief(arm: ArmEpoch) -> Belief | None:
    """About the mean of users' means; about a share where every user said yes or no, 1 or 0, once."""
    outcome = arm.outcome
    if outcome.mean is None or not outcome.variance:
        return None
    yes, rest = divmod(outcome.total, RESOLUTION)
    if rest == 0 and outcome.squares == outcome.total * RESOLUTION and arm.ratings == arm.users:
        return BetaBelief(events=yes, trials=arm.users)
    return NormalBelief(mean=outcome.mean, std_error=math.sqrt(outcome.variance / outcome.count))


def _variant(
    plan: Plan, variant_id: str, arm: ArmEpoch, standing: Standing | None, *, significant: bool
) -> VariantResult:
    mean, variance = arm.outcome.mean, arm.outcome.variance
    width = None
    if variance:
        error = math.sqrt(variance / arm.users)
        width = float(half_width(error, arm.users, planned_users=plan.tightest_users, alpha=plan.alpha))
    latency = arm.guardrails.get(LATENCY)
    return VariantResult(
        variant_id=variant_id,
        units=arm.units,
        users=arm.users,
        samples=arm.ratings,
        mean=mean,
        lower=mean - width if mean is not None and width is not None else None,
        upper=mean + width if mean is not None and width is not None else None,
        variance=variance,
        design_effect=design_effect(arm.ratio),
        response_rate_0_1=arm.users / arm.units if arm.units else None,
        best_0_1=standing.best_0_1 if standing else None,
        expected_loss=standing.expected_loss if standing else None,
        latency_ms=latency.mean if latency else None,
        significant=significant,
    )
