"""Where an experiment stands, in one sentence for anybody."""

from feedback_svc.domain.statistics.deciding import gain, held_back, is_better, is_worse
from feedback_svc.domain.statistics.plan import Plan, Rule
from feedback_svc.domain.statistics.results import Analysis, Comparison


def summary(plan: Plan, analysis: Analysis) -> str:
    """One sentence per challenger."""
    if plan.rule is Rule.FIXED and analysis.users < plan.planned_users:
        return f"{analysis.users} of {plan.planned_users} users have rated; before all have, nothing can be said."
    return " ".join(_of(plan, analysis, comparison) for comparison in analysis.comparisons)


def _of(plan: Plan, analysis: Analysis, comparison: Comparison) -> str:
    if comparison.interval is None:
        return f"{comparison.variant_id}: not enough rated users yet to say anything."
    turned = gain(plan, comparison.interval)
    between = f"between {comparison.interval.lower:+.2f} and {comparison.interval.upper:+.2f} in {plan.metric}"
    start = f"After {comparison.users} users, the difference that {comparison.variant_id} makes lies {between}"
    if is_better(plan, analysis, comparison):
        reason = held_back(plan, comparison)
        return f"{start}: it is better{f', but {reason}' if reason else ''}."
    if is_worse(plan, analysis, comparison):
        return f"{start}: it is worse."
    lean = "better" if turned.effect > 0 else "worse"
    return f"{start}: it looks {lean}, but that may be chance."
