"""The decision after every rating: promote, roll back, give up, call it invalid, or go on."""

import math
from dataclasses import dataclass

from feedback_svc.domain.experiments import Experiment
from feedback_svc.domain.sequences import Interval, effect_interval, sample_ratio_log_evidence
from loopwright.contracts.experiments import Outcome

METHOD = "asymptotic confidence sequence of the difference of mean user means"
_SAMPLE_RATIO_ALPHA = 0.01


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """How an experiment ends, and why in one sentence."""

    outcome: Outcome
    reason: str


def interval_of(experiment: Experiment) -> Interval | None:
    """The effect so far with its always-valid interval."""
    return effect_interval(
        experiment.champion,
        experiment.candidate,
        planned_users=experiment.rollout.planned_users,
        alpha=experiment.rollout.alpha,
    )


def ratio_mismatch(experiment: Experiment) -> str | None:
    """Why the split of units cannot be believed to be the planned one; None while it can."""
    counts = (experiment.champion.units, experiment.candidate.units)
    if sample_ratio_log_evidence(counts, experiment.shares_0_1) < -math.log(_SAMPLE_RATIO_ALPHA):
        return None
    planned = " to ".join(f"{share:.0%}" for share in experiment.shares_0_1)
    return f"{counts[0]} and {counts[1]} units were seen where {planned} was planned: the comparison would mislead"


def decide(experiment: Experiment) -> Verdict | None:
    """Decides on a running experiment from its statistics alone; None to go on.

    Neither a winner nor a loser is named before each arm has `min_users_per_arm` rated users: with fewer, skewed
    ratings break the normal approximation that the interval rests on.
    """
    mismatch = ratio_mismatch(experiment)
    if mismatch is not None:
        return Verdict(outcome=Outcome.INVALID, reason=mismatch)
    policy = experiment.rollout
    users = (experiment.champion.users, experiment.candidate.users)
    interval = interval_of(experiment)
    if interval is not None and min(users) >= policy.min_users_per_arm:
        verdict = _verdict_on(interval, experiment)
        if verdict is not None:
            return verdict
    if sum(users) >= policy.max_users:
        return Verdict(
            outcome=Outcome.INCONCLUSIVE,
            reason=f"{sum(users)} users were heard, and neither variant is clearly better: the champion stays",
        )
    return None


def _verdict_on(interval: Interval, experiment: Experiment) -> Verdict | None:
    name = experiment.metric.name
    if experiment.metric.higher_is_better:
        gain, harm = interval.lower, -interval.upper
    else:
        gain, harm = -interval.upper, interval.lower
    if gain > 0:
        return Verdict(outcome=Outcome.PROMOTE, reason=f"the candidate is better by at least {gain:.3f} in {name}")
    if harm > 0:
        return Verdict(outcome=Outcome.ROLLBACK, reason=f"the candidate is worse by at least {harm:.3f} in {name}")
    return None


def summary(experiment: Experiment) -> str:
    """Where an experiment stands, in one sentence for anybody."""
    if experiment.reason is not None:
        return f"Ended as {experiment.outcome}: {experiment.reason}."
    interval = interval_of(experiment)
    if interval is None:
        return "Not enough rated users yet to say anything."
    heard = experiment.champion.users + experiment.candidate.users
    direction = "higher" if interval.effect > 0 else "lower"
    return (
        f"After {heard} users the candidate's mean {experiment.metric.name} is {abs(interval.effect):.2f} {direction}; "
        f"the true difference lies between {interval.lower:+.2f} and {interval.upper:+.2f}."
    )
