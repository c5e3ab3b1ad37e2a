"""The two tests that people know, reported beside the decision and never deciding: peeked at, they promise too much.

Sources: Welch 1947, Biometrika 34; Mann and Whitney 1947, Annals of Mathematical Statistics 18 (normal approximation
with ties and continuity correction).
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from scipy import stats

from feedback_svc.domain.statistics import ArmStatistics


@dataclass(frozen=True, slots=True, kw_only=True)
class TestResult:
    """A statistic and its two-sided p-value."""

    __test__ = False  # not for pytest to collect

    statistic: float
    p: float


def welch(champion: ArmStatistics, candidate: ArmStatistics) -> TestResult | None:
    """Welch's t, positive when the candidate's mean is higher; None if it cannot be computed."""
    if champion.variance is None or candidate.variance is None or not (champion.variance or candidate.variance):
        return None
    result = stats.ttest_ind_from_stats(
        candidate.mean, math.sqrt(candidate.variance), candidate.users,
        champion.mean, math.sqrt(champion.variance), champion.users,
        equal_var=False,
    )  # fmt: skip
    return TestResult(statistic=float(result.statistic), p=float(result.pvalue))


def mann_whitney(champion: Sequence[float], candidate: Sequence[float]) -> TestResult | None:
    """Mann-Whitney U of the candidate over users' means; None without users, or when all means are the same."""
    if not champion or not candidate or len({*champion, *candidate}) == 1:
        return None
    result = stats.mannwhitneyu(candidate, champion, alternative="two-sided", method="asymptotic")
    return TestResult(statistic=float(result.statistic), p=float(result.pvalue))
