"""What an experiment can find before it begins, and what it would take once it has found nothing."""

import math
from dataclasses import dataclass
from datetime import timedelta

from feedback_svc.domain.experiments import Experiment
from feedback_svc.domain.statistics.power import Raters, power_of, smallest_detectable, users_needed
from feedback_svc.domain.statistics.results import Analysis
from loopwright.contracts.tasks import MetricKind, SuccessMetric

PAST = timedelta(days=30)  # from which raters are taken as an example
LEAST_POWER = 0.5  # with less, no answer is the likelier outcome
_LEAST_USERS = 20  # raters of the past from whom a spread is taken
_MOST_USERS = 1_000_000_000
# a difference of 0.3 stars, and its like on other scales; the spread of five-star ratings in ../shared is 1.3
_ASSUMED = {
    MetricKind.STARS: (0.3, 1.3),
    MetricKind.THUMB: (0.075, 0.5),
    MetricKind.BOOLEAN: (0.075, 0.5),
    MetricKind.FLOAT: (0.3, 1.3),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class PastRaters:
    """Raters of a task's metric in the last weeks.

    Attributes:
        std_dev: Of users' means; None below two users.
    """

    users: int
    std_dev: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Planning:
    """What an experiment can find.

    Attributes:
        users: Rated users that are planned for.
        std_dev: Of users' means; `observed` if it is that of raters of the past, else assumed.
        smallest_detectable: Difference that is found with a chance of 0.8, at one look after all of them.
        effect: Difference that matters: as the policy names it, else one of 0.3 stars or its like.
        power: Chance to find that one.
        warning: What a person should know before it starts; None if nothing.
    """

    users: int
    std_dev: float
    observed: bool
    smallest_detectable: float
    effect: float
    power: float
    warning: str | None


def raters_of(metric: SuccessMetric, past: PastRaters) -> tuple[Raters, bool]:
    """Raters as the past shows them, and whether it does; one mean a user, so what they rated more is in it."""
    if past.std_dev and past.users >= _LEAST_USERS:
        return Raters(std_dev=past.std_dev, icc=1.0), True
    return Raters(std_dev=_ASSUMED[metric.kind][1], icc=1.0), False


def planning_of(experiment: Experiment, past: PastRaters) -> Planning:
    """What an experiment can find of its first candidate."""
    rollout = experiment.rollout
    raters, observed = raters_of(experiment.metric, past)
    effect = rollout.smallest_effect or _ASSUMED[experiment.metric.kind][0]
    champion, candidate = experiment.weights_0_1[:2]
    users, share = rollout.planned_users, candidate / (champion + candidate)
    power = power_of(raters, users=users, effect=effect, share_0_1=share, alpha=rollout.alpha)
    warning = None
    if power < LEAST_POWER:
        wanted = users_needed(raters, effect=effect, share_0_1=share, alpha=rollout.alpha)
        warning = (
            f"{users} users find a difference of {effect:g} with a chance of {power:.0%} only; "
            f"{wanted} would find it with one of 80%"
        )
    return Planning(
        users=users,
        std_dev=raters.std_dev,
        observed=observed,
        smallest_detectable=smallest_detectable(raters, users=users, share_0_1=share, alpha=rollout.alpha),
        effect=effect,
        power=power,
        warning=warning,
    )


def users_to_settle(experiment: Experiment, analysis: Analysis) -> int | None:
    """Rated users in all that would likely find the difference that matters, or else the one that it looks like.

    From the spread that was observed; None before there is one, or where no difference is seen.
    """
    champion, candidate = analysis.variants[:2]
    interval = analysis.comparisons[0].interval
    effect = experiment.rollout.smallest_effect or (abs(interval.effect) if interval else 0.0)
    if not effect or champion.variance is None or candidate.variance is None:
        return None
    spread = math.sqrt((champion.variance + candidate.variance) / 2)
    weights = experiment.weights_0_1
    share = weights[1] / (weights[0] + weights[1])
    if spread == 0 or spread / effect > math.sqrt(_MOST_USERS) / 10:
        return None
    raters = Raters(std_dev=spread, icc=1.0)
    return users_needed(raters, effect=effect, share_0_1=share, alpha=experiment.rollout.alpha)
