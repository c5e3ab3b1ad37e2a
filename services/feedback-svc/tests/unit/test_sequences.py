"""The always-valid interval and the test of the split, against published values and independent arithmetic."""

import math

import numpy as np
import pytest
from scipy import stats

from feedback_svc.domain.sequences import effect_interval, half_width, sample_ratio_log_evidence
from feedback_svc.domain.statistics import ArmStatistics, UserStatistics, arm_of


class TestHalfWidth:
    def test_gives_the_interval_that_growthbook_publishes_for_means(self) -> None:
        # gbstats, its own test of the sequential t-test with N* = 1000: 0.50336 in [-0.55844, 1.56516]
        users, mean_a, mean_b = (3000, 3461), 1396.87 / 3000, 2422.7 / 3461
        variance_a = (52377.9767 - 1396.87**2 / users[0]) / (users[0] - 1)
        variance_b = (134698.29 - 2422.7**2 / users[1]) / (users[1] - 1)
        # relative uplift by the delta method, as that test computes it
        se = math.sqrt(variance_b / users[1] / mean_a**2 + variance_a / users[0] * mean_b**2 / mean_a**4)
        width = half_width(se, sum(users), planned_users=1000, alpha=0.05)
        uplift = mean_b / mean_a - 1
        assert (uplift - width, uplift + width) == pytest.approx((-0.55844, 1.56516), abs=5e-6)

    def test_gives_the_interval_that_growthbook_publishes_for_proportions(self) -> None:
        # the same for proportions with its default N* = 5000: 0.50386 in [0.40098, 0.60675]
        users, rate_a, rate_b = (3000, 3461), 1396 / 3000, 2422 / 3461
        spread_a, spread_b = rate_a * (1 - rate_a), rate_b * (1 - rate_b)
        se = math.sqrt(spread_b / users[1] / rate_a**2 + spread_a / users[0] * rate_b**2 / rate_a**4)
        width = half_width(se, sum(users), planned_users=5000, alpha=0.05)
        uplift = rate_b / rate_a - 1
        assert (uplift - width, uplift + width) == pytest.approx((0.40098, 0.60675), abs=5e-6)

    def test_is_where_the_mixture_martingale_reaches_one_over_alpha(self) -> None:
        # Robbins' normal mixture: with S the standardised sum, exp(S^2 rho^2 / (2 (n rho^2 + 1))) / sqrt(n rho^2 + 1)
        alpha, planned = 0.05, 500
        rho_squared = (-2 * math.log(alpha) + math.log(-2 * math.log(alpha) + 1)) / planned
        for n in (10, 100, 500, 5000):
            z = half_width(1.0, n, planned_users=planned, alpha=alpha)
            scaled = n * rho_squared + 1
            martingale = math.exp(z**2 * n * rho_squared / (2 * scaled)) / math.sqrt(scaled)
            assert martingale == pytest.approx(1 / alpha, rel=1e-12)

    def test_is_tightest_near_the_planned_number_of_users(self) -> None:
        def wide(planned: int) -> float:
            return half_width(1.0, 200, planned_users=planned, alpha=0.05)

        assert wide(200) < min(wide(20), wide(2000))
        best = min(range(20, 2000, 5), key=wide)
        assert best == pytest.approx(200, rel=0.1)

    def test_is_wider_than_a_test_at_one_fixed_time(self) -> None:
        assert half_width(1.0, 200, planned_users=200, alpha=0.05) > stats.norm.ppf(0.975)


def an_arm(values: list[float]) -> ArmStatistics:
    return arm_of([UserStatistics(ratings=1, total=value) for value in values], units=len(values))


class TestEffectInterval:
    def test_is_centred_on_the_difference_of_means(self) -> None:
        interval = effect_interval(an_arm([1, 2, 3]), an_arm([4, 5, 9]), planned_users=200, alpha=0.05)
        assert interval is not None
        assert interval.effect == pytest.approx(4)
        se = math.sqrt(np.var([1, 2, 3], ddof=1) / 3 + np.var([4, 5, 9], ddof=1) / 3)
        width = half_width(se, 6, planned_users=200, alpha=0.05)
        assert (interval.lower, interval.upper) == pytest.approx((4 - width, 4 + width))

    @pytest.mark.parametrize("values", [[], [3.0]])
    def test_is_unknown_below_two_users(self, values: list[float]) -> None:
        assert effect_interval(an_arm(values), an_arm([1, 2]), planned_users=200, alpha=0.05) is None
        assert effect_interval(an_arm([1, 2]), an_arm(values), planned_users=200, alpha=0.05) is None


class TestSampleRatio:
    @pytest.mark.parametrize("share", [0.5, 0.2, 0.05])
    @pytest.mark.parametrize("counts", [(0, 0), (1, 0), (50, 50), (480, 520), (8000, 2000)])
    def test_is_the_bayes_factor_of_a_beta_binomial(self, counts: tuple[int, int], share: float) -> None:
        total = sum(counts)
        prior = 100 * (1 - share), 100 * share
        expected = stats.betabinom.logpmf(counts[0], total, *prior) - stats.binom.logpmf(counts[0], total, 1 - share)
        assert sample_ratio_log_evidence(counts, (1 - share, share)) == pytest.approx(expected, abs=1e-6)

    def test_is_the_product_of_its_predictions(self) -> None:
        # Lindon and Malek 2022: one unit after the other, predicted by the posterior mean against the planned share
        seen, evidence = [0, 0], 0.0
        for arm in np.random.default_rng(5).integers(0, 2, 300):
            evidence += math.log((50 + seen[arm]) / (100 + sum(seen)) / 0.5)
            seen[arm] += 1
        assert sample_ratio_log_evidence(seen, (0.5, 0.5)) == pytest.approx(evidence, abs=1e-9)

    def test_alarms_on_a_broken_split_and_not_on_a_right_one(self) -> None:
        alarm = -math.log(0.01)
        assert sample_ratio_log_evidence((500, 700), (0.5, 0.5)) > alarm
        assert sample_ratio_log_evidence((980, 1020), (0.5, 0.5)) < alarm
        assert sample_ratio_log_evidence((800, 200), (0.8, 0.2)) < alarm

    def test_a_unit_in_an_arm_without_a_share_is_proof(self) -> None:
        assert sample_ratio_log_evidence((10, 1), (1.0, 0.0)) == math.inf

    def test_peeking_after_every_unit_alarms_in_at_most_one_run_in_a_hundred(self) -> None:
        chance, alarms, runs = np.random.default_rng(11), 0, 400
        for _ in range(runs):
            candidate = np.cumsum(chance.random(1000) < 0.3)
            alarms += any(
                sample_ratio_log_evidence((look - int(candidate[look - 1]), int(candidate[look - 1])), (0.7, 0.3))
                > -math.log(0.01)
                for look in range(1, 1001, 2)
            )
        assert alarms / runs <= 0.01 + 2 * math.sqrt(0.01 * 0.99 / runs)
