"""What must not get worse: one-sided always-valid bounds, epochs combined, guardrails sharing one error rate.

Rates are also bet on from the first pair of units on: exact where arms are too small for bounds, which are normal
approximations. Both share a guardrail's error rate evenly.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace

from feedback_svc.domain.statistics.arms import ArmEpoch
from feedback_svc.domain.statistics.betting import Arrival, excess_log_wealth, paired
from feedback_svc.domain.statistics.estimators import Difference, combined, plain_difference
from feedback_svc.domain.statistics.moments import MeanMoments, ProportionMoments
from feedback_svc.domain.statistics.plan import RESPONSE_RATE, ArmSeen, Guardrail, Plan
from feedback_svc.domain.statistics.results import GuardrailResult, GuardrailState
from feedback_svc.domain.statistics.sequences import one_sided_width

_NOBODY: Mapping[int, tuple[Arrival, ...]] = {}


def guardrail_results(plan: Plan, champion: ArmSeen, candidate: ArmSeen) -> tuple[GuardrailResult, ...]:
    """All guardrails that can be told of by now."""
    alpha = plan.alpha / max(1, len(plan.guardrails) * plan.comparisons)
    results: list[GuardrailResult] = []
    for guardrail in plan.guardrails:
        pairs = _pairs(guardrail, champion, candidate)
        share = alpha / 2 if pairs else alpha
        bounded = _bounded(guardrail, plan, _difference(guardrail, champion, candidate), alpha=share)
        results += filter(None, [_bet_on(guardrail, pairs, bounded, alpha=share) or bounded])
    return tuple(results)


def _pairs(guardrail: Guardrail, champion: ArmSeen, candidate: ArmSeen) -> list[tuple[float, float]]:
    """Pairs of units that were served under the same weights, epoch by epoch."""
    one, other = (arm.rates.get(guardrail.name, _NOBODY) for arm in (champion, candidate))
    return [pair for epoch in sorted(one.keys() & other.keys()) for pair in paired(one[epoch], other[epoch])]


def _bet_on(
    guardrail: Guardrail, pairs: Sequence[tuple[float, float]], bounded: GuardrailResult | None, *, alpha: float
) -> GuardrailResult | None:
    """A breach that a fortune proves; None if there is none."""
    if excess_log_wealth(pairs, margin=guardrail.margin) < -math.log(alpha):
        return None
    if bounded is not None:
        return replace(bounded, lower=max(bounded.lower, guardrail.margin), state=GuardrailState.BREACHED)
    worse = sum(other - one for one, other in pairs) / len(pairs)
    return GuardrailResult(
        name=guardrail.name, margin=guardrail.margin, worse=worse, lower=guardrail.margin, upper=1.0,
        state=GuardrailState.BREACHED,
    )  # fmt: skip


def _difference(guardrail: Guardrail, champion: ArmSeen, candidate: ArmSeen) -> Difference:
    """Over the epochs in which it was counted on both sides."""
    epochs = sorted(champion.epochs.keys() & candidate.epochs.keys())
    sides = [[_counted(arm.epochs[epoch], guardrail.name) for arm in (champion, candidate)] for epoch in epochs]
    parts = [plain_difference(one, other) for one, other in sides if one is not None and other is not None]
    return combined([part for part in parts if part is not None])


def _bounded(guardrail: Guardrail, plan: Plan, whole: Difference, *, alpha: float) -> GuardrailResult | None:
    if min(whole.champion_users, whole.candidate_users) < plan.min_users_per_arm:
        return None
    worse = float(whole.effect) if guardrail.higher_is_worse else -float(whole.effect)
    # nothing has happened yet on either side: one event is imagined, for no spread is no certainty
    error = math.sqrt(max(float(whole.variance), 1 / float(whole.users) ** 2))
    width = float(one_sided_width(error, whole.users, planned_users=plan.tightest_users, alpha=alpha))
    return GuardrailResult(
        name=guardrail.name,
        margin=guardrail.margin,
        worse=worse,
        lower=worse - width,
        upper=worse + width,
        state=_state(worse - width, worse + width, guardrail.margin),
    )


def _state(lower: float, upper: float, margin: float) -> GuardrailState:
    if lower > margin:
        return GuardrailState.BREACHED
    return GuardrailState.HOLDS if upper <= margin else GuardrailState.OPEN


def _counted(arm: ArmEpoch, name: str) -> MeanMoments | ProportionMoments | None:
    return arm.response if name == RESPONSE_RATE else arm.guardrails.get(name)
