"""Welch and Mann-Whitney against scipy on raw data, and against published examples."""

import numpy as np
import pytest
from scipy import stats

from feedback_svc.domain.fixed_horizon import mann_whitney, welch
from feedback_svc.domain.statistics import ArmStatistics, UserStatistics, arm_of


def an_arm(values: list[float]) -> ArmStatistics:
    return arm_of([UserStatistics(ratings=1, total=value) for value in values], units=len(values))


class TestWelch:
    def test_agrees_with_scipy_on_raw_data_to_ten_digits(self) -> None:
        chance = np.random.default_rng(3)
        for size in (2, 7, 60, 400):
            champion, candidate = chance.normal(3, 1, size), chance.normal(3.2, 2, size + 5)
            ours = welch(an_arm(champion.tolist()), an_arm(candidate.tolist()))
            theirs = stats.ttest_ind(candidate, champion, equal_var=False)
            assert ours is not None
            assert ours.statistic == pytest.approx(theirs.statistic, rel=1e-10)
            assert ours.p == pytest.approx(theirs.pvalue, rel=1e-10)

    def test_gives_the_published_p_value(self) -> None:
        # Rosetta Code, "Welch's t-test", first pair of samples
        one = [27.5, 21.0, 19.0, 23.6, 17.0, 17.9, 16.9, 20.1, 21.9, 22.6, 23.1, 19.6, 19.0, 21.7, 21.4]
        other = [27.1, 22.0, 20.8, 23.4, 23.4, 23.5, 25.8, 22.0, 24.8, 20.2, 21.9, 22.1, 22.9, 20.5, 24.4]
        result = welch(an_arm(one), an_arm(other))
        assert result is not None
        assert result.p == pytest.approx(0.021378001462867, rel=1e-9)

    @pytest.mark.parametrize(("one", "other"), [([], [1.0, 2.0]), ([1.0], [1.0, 2.0]), ([3.0, 3.0], [4.0, 4.0])])
    def test_says_nothing_without_any_spread(self, one: list[float], other: list[float]) -> None:
        assert welch(an_arm(one), an_arm(other)) is None


class TestMannWhitney:
    def test_gives_the_published_statistic(self) -> None:
        # Hollander and Wolfe 1973, p. 69: permeability of the chorioamnion at term and at 12 to 26 weeks; W = 35
        term = [0.80, 0.83, 1.89, 1.04, 1.45, 1.38, 1.91, 1.64, 0.73, 1.46]
        early = [1.15, 0.88, 0.90, 0.74, 1.21]
        result = mann_whitney(early, term)
        assert result is not None
        assert result.statistic == 35
        # normal approximation with continuity correction by hand: z = (35 - 25 - 0.5) / sqrt(10 * 5 * 16 / 12)
        assert result.p == pytest.approx(2 * stats.norm.sf(9.5 / (800 / 12) ** 0.5), rel=1e-12)

    def test_corrects_for_ties(self) -> None:
        champion, candidate = [1.0] * 20 + [5.0] * 30, [1.0] * 10 + [3.0] * 5 + [5.0] * 35
        result = mann_whitney(champion, candidate)
        assert result is not None
        sizes = np.array([30, 5, 65])
        spread = (50 * 50 / 12) * (101 - (sizes**3 - sizes).sum() / (100 * 99))
        u = 10 * 20 / 2 + 5 * 20 + 35 * 20 + 35 * 30 / 2
        assert result.statistic == u
        assert result.p == pytest.approx(2 * stats.norm.sf((u - 1250 - 0.5) / spread**0.5), rel=1e-10)

    @pytest.mark.parametrize(("one", "other"), [([], [1.0]), ([1.0], []), ([2.0, 2.0], [2.0])])
    def test_says_nothing_without_any_difference(self, one: list[float], other: list[float]) -> None:
        assert mann_whitney(one, other) is None
