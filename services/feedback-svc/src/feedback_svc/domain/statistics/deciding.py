"""The decision: promote, roll back, equivalent, inconclusive, invalid, or go on.

Harm is acted on at once; a promotion must also satisfy every guardrail, the users who had rated before, and what the
users who do not rate could change.
"""

from collections.abc import Sequence
from datetime import datetime

from feedback_svc.domain.statistics.plan import Plan, Rule
from feedback_svc.domain.statistics.results import (
    Analysis,
    Comparison,
    Decision,
    GuardrailState,
    Interval,
    Verdict,
)

SAMPLE_RATIO_ALPHA = 0.01
_TINY_SHARE = 0.1  # of the level, on top of it: plain harm is far beyond that
TENURE_KNOWN_0_1 = 0.1  # with fewer tenured raters than this share there is no history to check against


def decide(
    plan: Plan, analysis: Analysis, *, started_at: datetime, now: datetime, last_look: int = 0
) -> Verdict | None:
    """Decides on a running experiment; None to go on.

    Args:
        last_look: `Analysis.look` of the last call for this experiment; counts for group-sequential plans only.
    """
    return (
        _invalid(analysis)
        or _harmed(plan, analysis)
        or _on_quality(plan, analysis, ripe=now - started_at >= plan.min_run, last_look=last_look)
    )


def is_significant(plan: Plan, comparison: Comparison, *, users: int, look: int) -> bool:
    """Whether a difference is beyond chance by the experiment's own rule, which also says when one may look."""
    if comparison.interval is None or comparison.smallest_arm < plan.min_users_per_arm:
        return False
    return may_look(plan, users=users, look=look) and comparison.adjusted_p < plan.alpha


def may_look(plan: Plan, *, users: int, look: int) -> bool:
    """Whether the rule lets anybody decide on quality at this number of users."""
    match plan.rule:
        case Rule.ALWAYS_VALID:
            return True
        case Rule.GROUP_SEQUENTIAL:
            return look > 0
        case Rule.FIXED:
            return users >= plan.planned_users


def gain(plan: Plan, interval: Interval) -> Interval:
    """The interval turned so that more is better."""
    if plan.higher_is_better:
        return interval
    return Interval(effect=-interval.effect, lower=-interval.upper, upper=-interval.lower)


def is_worse(plan: Plan, analysis: Analysis, comparison: Comparison) -> bool:
    """Worse beyond chance, and by more than is borne."""
    significant = is_significant(plan, comparison, users=analysis.users, look=analysis.look)
    return significant and comparison.interval is not None and gain(plan, comparison.interval).upper < -plan.margin


def is_better(plan: Plan, analysis: Analysis, comparison: Comparison) -> bool:
    """Better beyond chance; with a margin, not worse by more than it."""
    if comparison.interval is None or comparison.smallest_arm < plan.min_users_per_arm:
        return False
    turned = gain(plan, comparison.interval)
    if plan.margin > 0:
        return may_look(plan, users=analysis.users, look=analysis.look) and turned.lower > -plan.margin
    return turned.effect > 0 and is_significant(plan, comparison, users=analysis.users, look=analysis.look)


def held_back(plan: Plan, comparison: Comparison) -> str | None:
    """Why a challenger that is better must not be promoted yet; None if nothing speaks against it."""
    for guardrail in comparison.guardrails:
        if guardrail.state is not GuardrailState.HOLDS and guardrail.worse > guardrail.margin:
            return f"{guardrail.name} is worse by {guardrail.worse:.3g}, and {guardrail.margin:.3g} is borne"
    if not _tenured_agree(plan, comparison):
        return "raters who had rated before the experiment do not confirm it; accounts without a past may be behind it"
    response = comparison.response
    if response is None or response.region is None or gain(plan, response.region).lower > -plan.margin:
        return None
    fewer = "fewer" if response.difference < 0 else "more"
    return f"{abs(response.difference):.1%} {fewer} of its users answered, and those who did not could turn it around"


def _tenured_agree(plan: Plan, comparison: Comparison) -> bool:
    """As if only those users had been asked; there must be some to ask."""
    if comparison.tenured_share_0_1 < TENURE_KNOWN_0_1:
        return True
    return comparison.tenured is not None and gain(plan, comparison.tenured).lower > -plan.margin


def _invalid(analysis: Analysis) -> Verdict | None:
    if analysis.sample_ratio_p >= SAMPLE_RATIO_ALPHA:
        return None
    seen = " to ".join(str(variant.units) for variant in analysis.variants)
    reason = f"units were split {seen}, which the planned shares cannot explain: the comparison would mislead"
    return Verdict(decision=Decision.INVALID, reason=reason, variant_id=None)


def _harmed(plan: Plan, analysis: Analysis) -> Verdict | None:
    """Rolls back once every challenger is out for harm."""
    reasons = [_harm(plan, analysis, comparison) for comparison in analysis.comparisons]
    if any(reason is None for reason in reasons):
        return None
    reason = "; ".join(reason for reason in reasons if reason is not None)
    return Verdict(decision=Decision.ROLLBACK, reason=reason, variant_id=analysis.variants[0].variant_id)


def _harm(plan: Plan, analysis: Analysis, comparison: Comparison) -> str | None:
    name = comparison.variant_id
    for guardrail in comparison.guardrails:
        if guardrail.state is GuardrailState.BREACHED:
            least = f"{guardrail.lower:.3g}; {guardrail.margin:.3g} is borne"
            return f"{name} makes {guardrail.name} worse by at least {least}"
    if is_worse(plan, analysis, comparison):
        assert comparison.interval is not None
        return f"{name} is worse by at least {-gain(plan, comparison.interval).upper:.2f} in {plan.metric}"
    tiny = comparison.smallest_arm < plan.min_users_per_arm
    if tiny and comparison.harm_p is not None and comparison.harm_p < _TINY_SHARE * plan.level:
        return f"{name} is worse in {plan.metric}, plainly already with {comparison.smallest_arm} users"
    return None


def _on_quality(plan: Plan, analysis: Analysis, *, ripe: bool, last_look: int) -> Verdict | None:
    if plan.rule is Rule.GROUP_SEQUENTIAL and analysis.look <= last_look:
        return None
    better = [one for one in analysis.comparisons if is_better(plan, analysis, one)]
    clear = [one for one in better if held_back(plan, one) is None]
    if clear and ripe:
        return _promotion(plan, clear)
    if not better and _all_equivalent(plan, analysis):
        least = f"{plan.smallest_effect}, the least that matters"
        reason = f"whatever difference there is in {plan.metric}, it is smaller than {least}"
        return Verdict(decision=Decision.EQUIVALENT, reason=reason, variant_id=None)
    if analysis.users < plan.horizon or (clear and not ripe):
        return None
    return _end(plan, analysis, better)


def _promotion(plan: Plan, clear: Sequence[Comparison]) -> Verdict:
    def effect(comparison: Comparison) -> float:
        assert comparison.interval is not None
        return gain(plan, comparison.interval).effect

    best = max(clear, key=effect)
    assert best.interval is not None
    lower = gain(plan, best.interval).lower
    if lower > 0:
        reason = f"{best.variant_id} is better by at least {lower:.2f} in {plan.metric}"
    else:
        reason = f"{best.variant_id} is at most {-lower:.2f} worse in {plan.metric}, and {plan.margin:g} is borne"
    return Verdict(decision=Decision.PROMOTE, reason=reason, variant_id=best.variant_id)


def _all_equivalent(plan: Plan, analysis: Analysis) -> bool:
    if plan.smallest_effect is None or not may_look(plan, users=analysis.users, look=analysis.look):
        return False
    return all(
        one.interval is not None
        and one.smallest_arm >= plan.min_users_per_arm
        and max(-one.interval.lower, one.interval.upper) < plan.smallest_effect
        for one in analysis.comparisons
    )


def _end(plan: Plan, analysis: Analysis, better: Sequence[Comparison]) -> Verdict:
    champion = analysis.variants[0].variant_id
    if better:
        reason = f"{better[0].variant_id} looks better, but {held_back(plan, better[0])}: {champion} stays"
        breached = better[0].response is not None and better[0].response.breached
        decision = Decision.INVALID if breached else Decision.INCONCLUSIVE
        return Verdict(decision=decision, reason=reason, variant_id=None)
    widest = max(
        (one.interval.upper - one.interval.lower for one in analysis.comparisons if one.interval), default=None
    )
    told = f" a difference of about {widest / 2:.2f} would have been found;" if widest is not None else ""
    start = f"{analysis.users} users rated and no difference is beyond chance;{told}"
    reason = f"{start} smaller ones take more users, and {champion} stays"
    return Verdict(decision=Decision.INCONCLUSIVE, reason=reason, variant_id=None)
