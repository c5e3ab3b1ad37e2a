"""Evidence by betting, exact for bounded values however few: for tiny arms, where normal approximations fail.

Users of both arms are paired in the order of their first rating; if the arms do not differ, no bet on the pairs'
differences makes money on average, and the chance that a fortune ever reaches 1/alpha is at most alpha.

Source: Waudby-Smith, Ramdas: Estimating means of bounded random variables by betting. JRSS B 86, 2024 (aGRAPA bets,
section B.3; hedged capital).
"""

import math
from collections.abc import Iterable, Sequence
from heapq import merge
from operator import itemgetter
from typing import NamedTuple

_MOST = 0.5  # of what could be lost: no single pair may ruin the bettor
_PRIOR_VARIANCE = 0.25
_moment = itemgetter(0)


class Arrival(NamedTuple):
    """One unit: when it came, in seconds since the epoch, and what was measured of it.

    Of units that came at once, the order of a list counts; it must not depend on what was measured.
    """

    at: float
    value: float


def excess_log_wealth(pairs: Sequence[tuple[float, float]], *, margin: float) -> float:
    """Natural logarithm of the greatest fortune made by betting that the candidate's rate is above the champion's.

    Args:
        pairs: Rates from 0 to 1 of the champion's and the candidate's units, in the order in which pairs came about.
        margin: By how much it must be above to be worth a bet.
    """
    span = 2 * (1 + margin)
    return best_log_wealth([0.5 + (other - one - margin) / span for one, other in pairs], null_mean=0.5)


def paired(champion: Iterable[Arrival], candidate: Iterable[Arrival]) -> list[tuple[float, float]]:
    """Units of both sides as pairs: whoever comes is paired with the last of the other side who has no partner.

    So partners came at about the same time also where the split is uneven, and days that differ do not count as arms
    that differ. Which units become a pair does not depend on what was measured of them: lists keep their order where
    units came at once, and the champion's come before the candidate's.
    """
    sides = (
        [(*arrival, side) for arrival in sorted(arrivals, key=_moment)]
        for side, arrivals in enumerate((champion, candidate))
    )
    waiting: list[tuple[float, int]] = []
    pairs: list[tuple[float, float]] = []
    for _, value, side in merge(*sides, key=_moment):
        if not waiting or waiting[-1][1] == side:
            waiting.append((value, side))
            continue
        other, _ = waiting.pop()
        pairs.append((value, other) if side == 0 else (other, value))
    return pairs


def harm_log_wealth(pairs: Sequence[tuple[float, float]], *, low: float, high: float) -> float:
    """Natural logarithm of the greatest fortune made so far by betting that the candidate is worse.

    Args:
        pairs: Ratings of the champion's and the candidate's users, within `low` and `high`, in the order in which pairs
            came about.
    """
    span = 2 * (high - low)
    return best_log_wealth([0.5 + (one - other) / span for one, other in pairs], null_mean=0.5)


def best_log_wealth(values: Sequence[float], *, null_mean: float) -> float:
    """The greatest fortune of one who bets that the mean of values in [0, 1] is above `null_mean`."""
    wealth = best = 0.0
    count, total, squares = 1.0, null_mean, _PRIOR_VARIANCE
    for value in values:
        mean = total / count
        gap = mean - null_mean
        bet = min(max(0.0, gap / (squares / count + gap**2)), _MOST / null_mean)
        wealth += math.log1p(bet * (value - null_mean))
        best = max(best, wealth)
        count, total, squares = count + 1, total + value, squares + (value - mean) ** 2
    return best
