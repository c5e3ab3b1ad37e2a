"""How good answers are by their ratings: a grade, and whether it has fallen."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from loopwright.contracts.tasks import QualityDropPolicy


class Grade(StrEnum):
    """Mean stars in one letter."""

    A = "A"
    B = "B"
    C = "C"
    D = "D"


_MOST_DEVIATIONS = 3.0
_FLOORS = ((4.5, Grade.A), (3.5, Grade.B), (2.5, Grade.C))


def grade_of(mean_stars: float) -> Grade:
    return next((grade for floor, grade in _FLOORS if mean_stars >= floor), Grade.D)


@dataclass(frozen=True, slots=True, kw_only=True)
class Drop:
    """Ratings that have fallen.

    Attributes:
        usual: Mean of the reference.
        deviation: Its standard deviation.
        recent: Mean since the fall began.
        after: Ratings since then.
        sum: The chart's statistic, in standard deviations.
    """

    usual: float
    deviation: float
    recent: float
    after: int
    sum: float


def find_drop(ratings: Sequence[float], policy: QualityDropPolicy) -> Drop | None:
    """Whether ratings have fallen below what they were at first, and stay so at the end.

    One-sided tabular CUSUM, S = max(0, S + (m - x)/s - k), an alarm at S > h (Page, Continuous Inspection Schemes,
    Biometrika 41, 1954; the form and the choice k = 0.5, h = 5 as in Montgomery, Introduction to Statistical Quality
    Control, section 9.1). The mean and deviation are those of the first ratings; a deviation of nothing counts as half
    of the smallest step that ratings can make. No rating counts for more than three deviations, so that one alone is
    never a drop (Lucas and Crosier, Robust CUSUM, Communications in Statistics 11, 1982).

    Args:
        ratings: Values of the success metric, oldest first, higher is better; independent as far as that can be had.
    """
    first, rest = ratings[: policy.reference], ratings[policy.reference :]
    if len(first) < policy.reference or not rest:
        return None
    usual = math.fsum(first) / len(first)
    deviation = math.sqrt(math.fsum((value - usual) ** 2 for value in first) / (len(first) - 1)) or 0.5
    total, began = 0.0, 0
    for number, value in enumerate(rest, 1):
        total = max(0.0, total + min((usual - value) / deviation, _MOST_DEVIATIONS) - policy.slack)
        if total == 0:
            began = number
        elif total > policy.limit:
            since = rest[began:number]
            recent = math.fsum(since) / len(since)
            return Drop(usual=usual, deviation=deviation, recent=recent, after=len(since), sum=total)
    return None
