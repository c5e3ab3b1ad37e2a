"""One challenger against the champion: the deciding interval by the experiment's rule, and what stands beside it."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from scipy import stats

from feedback_svc.domain.statistics.arms import ArmEpoch, merge
from feedback_svc.domain.statistics.betting import harm_log_wealth, paired
from feedback_svc.domain.statistics.estimators import Difference, combined, difference, sides_of, tenured_part
from feedback_svc.domain.statistics.fixed_horizon import ratio, welch
from feedback_svc.domain.statistics.guardrails import guardrail_results
from feedback_svc.domain.statistics.nonresponse import response
from feedback_svc.domain.statistics.novelty import novelty
from feedback_svc.domain.statistics.plan import ArmSeen, Plan, Rule
from feedback_svc.domain.statistics.ranks import brunner_munzel, mann_whitney
from feedback_svc.domain.statistics.results import Comparison, FixedTest, Interval
from feedback_svc.domain.statistics.sequences import always_valid_p, half_width, information_users
from feedback_svc.domain.statistics.spending import spending_bounds

# Of the check that tenured users agree: it may err more often than the decision itself, which has to err too.
TENURED_ALPHA = 0.2  # of a sequence
_TENURED_ALPHA_ONCE = 0.1  # of one look


@dataclass(frozen=True, slots=True, kw_only=True)
class _Judged:
    interval: Interval | None
    p: float


def compare(plan: Plan, champion: ArmSeen, candidate: ArmSeen, *, look: int) -> Comparison:
    """Compares; `adjusted_p` is left as `p`, for it takes the other challengers to adjust it."""
    one, other = _same_epochs(champion, candidate)
    adjusted = _difference(one, other, adjusted=True)
    plain = _difference(one, other, adjusted=False)
    tenured = _difference([tenured_part(arm) for arm in one], [tenured_part(arm) for arm in other], adjusted=True)
    whole = (merge(one), merge(other))
    rule = _Rule(plan=plan, look=look, rating_variance=whole[0].ratio.plus(whole[1].ratio).rating_variance or 0.0)
    judged = rule.judge(adjusted)
    users = [arm.users for arm in whole]
    return Comparison(
        variant_id=candidate.variant_id,
        users=sum(users),
        smallest_arm=min(users),
        interval=judged.interval,
        p=judged.p,
        adjusted_p=judged.p,
        unadjusted=rule.judge(plain).interval,
        variance_reduction=_reduction(adjusted, plain),
        tenured=rule.of_tenured(tenured),
        tenured_share_0_1=sum(arm.tenured.count for arm in whole) / max(1, sum(users)),
        welch=_welch(plain, alpha=plan.alpha),
        cuped=_welch(adjusted, alpha=plan.alpha),
        mann_whitney=mann_whitney(whole[0].histogram, whole[1].histogram),
        brunner_munzel=brunner_munzel(whole[0].histogram, whole[1].histogram),
        ratio=ratio(whole[0].ratio, whole[1].ratio, alpha=plan.alpha),
        harm_p=_harm_p(plan, champion, candidate),
        response=response(one, other, scale=plan.scale, planned_users=plan.tightest_users, alpha=plan.alpha),
        guardrails=guardrail_results(plan, champion, candidate),
        novelty=novelty(one, other),
    )


def _same_epochs(champion: ArmSeen, candidate: ArmSeen) -> tuple[list[ArmEpoch], list[ArmEpoch]]:
    epochs = sorted({*champion.epochs, *candidate.epochs})
    one, other = ([arm.epochs.get(epoch, ArmEpoch()) for epoch in epochs] for arm in (champion, candidate))
    return one, other


def _difference(champion: Sequence[ArmEpoch], candidate: Sequence[ArmEpoch], *, adjusted: bool) -> Difference | None:
    """Over all epochs in which both arms have the two users that a spread takes."""
    parts = [
        difference(*sides_of(one, other), adjusted=adjusted)
        for one, other in zip(champion, candidate, strict=True)
        if min(one.users, other.users) >= 2
    ]
    return combined(parts) if parts else None


@dataclass(frozen=True, slots=True, kw_only=True)
class _Rule:
    """The experiment's rule at this look; `rating_variance` of single ratings sets the clock of sequences."""

    plan: Plan
    look: int
    rating_variance: float

    def judge(self, effect: Difference | None) -> _Judged:
        match self.plan.rule:
            case Rule.ALWAYS_VALID:
                return self.always_valid(effect, alpha=self.plan.level)
            case Rule.GROUP_SEQUENTIAL:
                return self._at_look(effect)
            case Rule.FIXED:
                test = _welch(effect, alpha=self.plan.level)
                return _Judged(interval=test.interval if test else None, p=test.p if test else 1.0)

    def of_tenured(self, effect: Difference | None) -> Interval | None:
        if self.plan.rule is not Rule.FIXED:
            return self.always_valid(effect, alpha=TENURED_ALPHA).interval
        test = _welch(effect, alpha=_TENURED_ALPHA_ONCE)
        return test.interval if test else None

    def always_valid(self, effect: Difference | None, *, alpha: float) -> _Judged:
        if effect is None or not effect.variance > 0:
            return _Judged(interval=None, p=1.0)
        error = math.sqrt(float(effect.variance))
        known = effect.users
        if self.rating_variance > 0:
            known = information_users(effect.variance, self.rating_variance)
        planned = self.plan.tightest_users
        width = float(half_width(error, known, planned_users=planned, alpha=alpha))
        p = float(always_valid_p(effect.effect, error, known, planned_users=planned, alpha=alpha))
        return _Judged(interval=_around(effect, width), p=p)

    def _at_look(self, effect: Difference | None) -> _Judged:
        """Between looks the bound of the last one; before the first that of the first."""
        if effect is None or not effect.variance > 0:
            return _Judged(interval=None, p=1.0)
        level = self.plan.level
        bound = spending_bounds(self.plan.looks, alpha=level)[max(0, self.look - 1)]
        error = math.sqrt(float(effect.variance))
        # the p-value of one look, scaled so that it is below the level exactly when the bound is crossed
        spent = 2 * float(stats.norm.sf(bound))
        p = 2 * float(stats.norm.sf(abs(float(effect.effect)) / error)) * level / spent
        return _Judged(interval=_around(effect, bound * error), p=min(1.0, p))


def _around(effect: Difference, width: float) -> Interval:
    middle = float(effect.effect)
    return Interval(effect=middle, lower=middle - width, upper=middle + width)


def _welch(effect: Difference | None, *, alpha: float) -> FixedTest | None:
    return welch(effect, alpha=alpha) if effect is not None else None


def _reduction(adjusted: Difference | None, plain: Difference | None) -> float | None:
    if adjusted is None or plain is None or not plain.variance > 0:
        return None
    return 1 - float(adjusted.variance) / float(plain.variance)


def _harm_p(plan: Plan, champion: ArmSeen, candidate: ArmSeen) -> float | None:
    """Exact p-value of harm from users' first ratings, where they are at hand."""
    if not champion.firsts or not candidate.firsts:
        return None
    better, worse = (champion, candidate) if plan.higher_is_better else (candidate, champion)
    low, high = plan.scale.low, plan.scale.high
    one, other = ([at._replace(value=min(high, max(low, at.value))) for at in side.firsts] for side in (better, worse))
    return math.exp(-harm_log_wealth(paired(one, other), low=low, high=high))
