"""Tests on ranks of users' means, from counts: nothing but the histograms of both arms is needed.

Sources: Mann and Whitney 1947, Annals of Mathematical Statistics 18 (normal approximation with ties and continuity
correction). Brunner and Munzel 2000, Biometrical Journal 42. The effect size is the chance that one user's mean is
above another's, ties half (Vargha and Delaney 2000).
"""

import math
from collections.abc import Sequence

import numpy as np
from scipy import stats

from feedback_svc.domain.statistics.results import RankTest

Counts = Sequence[int]


def mann_whitney(champion: Counts, candidate: Counts) -> RankTest | None:
    """Mann-Whitney U of the candidate; None without users on a side, or when all are in one bin."""
    one, other = np.asarray(champion, dtype=np.float64), np.asarray(candidate, dtype=np.float64)
    n, m, both = one.sum(), other.sum(), one + other
    total = n + m
    if not n or not m or both.max() == total:
        return None
    statistic = float((other * (np.cumsum(one) - one / 2)).sum())
    ties = float((both**3 - both).sum()) / (total * (total - 1))
    spread = math.sqrt(n * m / 12 * (total + 1 - ties))
    z = max(0.0, abs(statistic - n * m / 2) - 0.5) / spread
    return RankTest(statistic=statistic, p=min(1.0, 2 * float(stats.norm.sf(z))), better_0_1=statistic / float(n * m))


def brunner_munzel(champion: Counts, candidate: Counts) -> RankTest | None:
    """Brunner-Munzel: as Mann-Whitney, but right where the spreads differ; None where it cannot be computed."""
    one, other = np.asarray(champion, dtype=np.float64), np.asarray(candidate, dtype=np.float64)
    n, m = one.sum(), other.sum()
    if n < 2 or m < 2:
        return None
    # placements: the share of the other side below each user, ties half
    placed_one = (np.cumsum(other) - other / 2) / m
    placed_other = (np.cumsum(one) - one / 2) / n
    better = float((other * placed_other).sum() / m)
    spread_one = _spread(one, placed_one)
    spread_other = _spread(other, placed_other)
    error = spread_one / n + spread_other / m
    if error <= 0:
        return None
    statistic = (better - 0.5) / math.sqrt(error)
    freedom = error**2 / ((spread_one / n) ** 2 / (n - 1) + (spread_other / m) ** 2 / (m - 1))
    return RankTest(statistic=statistic, p=2 * float(stats.t.sf(abs(statistic), freedom)), better_0_1=better)


def _spread(counts: "np.typing.NDArray[np.float64]", values: "np.typing.NDArray[np.float64]") -> float:
    users = counts.sum()
    mean = (counts * values).sum() / users
    return float((counts * (values - mean) ** 2).sum() / (users - 1))
