"""Tests that hold at one look only: Welch's t, and the ratio of sums beside it. Peeked at, they promise too much.

Sources: Welch 1947, Biometrika 34. Deng, Knoblich, Lu: Applying the delta method in metric analytics. KDD 2018.
"""

import math

from scipy import stats

from feedback_svc.domain.statistics.estimators import Difference
from feedback_svc.domain.statistics.moments import RESOLUTION, RatioMoments
from feedback_svc.domain.statistics.results import FixedTest, Interval


def welch(difference: Difference, *, alpha: float) -> FixedTest | None:
    """Welch's t of a difference, with its interval; None if there is no spread to judge it by."""
    freedom = difference.degrees_of_freedom if difference.variance > 0 else math.nan
    return _tested(float(difference.effect), float(difference.variance), float(freedom), alpha=alpha)


def ratio(champion: RatioMoments, candidate: RatioMoments, *, alpha: float) -> FixedTest | None:
    """Mean over all ratings, users still as units (delta method): heavy raters weigh more than in the mean of means.

    None before each arm has two users, or without any spread.
    """
    one, other = _ratio_and_error(champion), _ratio_and_error(candidate)
    if one is None or other is None:
        return None
    parts = Difference(
        effect=other[0] - one[0],
        champion_error=one[1],
        candidate_error=other[1],
        champion_users=float(champion.count),
        candidate_users=float(candidate.count),
    )
    return welch(parts, alpha=alpha)


def _tested(effect: float, variance: float, freedom: float, *, alpha: float) -> FixedTest | None:
    if not variance > 0 or not freedom > 0:
        return None
    std_error = math.sqrt(variance)
    width = std_error * float(stats.t.isf(alpha / 2, freedom))
    statistic = effect / std_error
    return FixedTest(
        statistic=statistic,
        p=2 * float(stats.t.sf(abs(statistic), freedom)),
        degrees_of_freedom=freedom,
        interval=Interval(effect=effect, lower=effect - width, upper=effect + width),
    )


def _ratio_and_error(moments: RatioMoments) -> tuple[float, float] | None:
    users = moments.count
    if users < 2 or moments.number == 0:
        return None
    mean = moments.total / (moments.number * RESOLUTION)
    pairs = users * (users - 1)
    totals = (moments.total_squares * users - moments.total**2) / (pairs * RESOLUTION**2)
    numbers = (moments.number_squares * users - moments.number**2) / pairs
    cross = (moments.cross * users - moments.total * moments.number) / (pairs * RESOLUTION)
    per_user = moments.number / users
    error = (totals - 2 * mean * cross + mean**2 * numbers) / (per_user**2 * users)
    return mean, max(0.0, error)


def design_effect(moments: RatioMoments) -> float | None:
    """How many times wider the variance of the mean rating is than that of as many independent ratings.

    Source: Kish, Survey Sampling, 1965.
    """
    known, variance = _ratio_and_error(moments), moments.rating_variance
    if known is None or not variance:
        return None
    return known[1] / (variance / moments.number)
