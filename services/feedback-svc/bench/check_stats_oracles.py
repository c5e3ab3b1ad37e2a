"""Compares the statistics with scipy, statsmodels, tea-tasting and gbstats on random data, to ten digits.

Runs in the environment of the oracles: `.venv-stats/bin/python services/feedback-svc/bench/check_stats_oracles.py`.
"""
# ruff: noqa: INP001, T201 - a script beside the package that prints a table

import math
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "src"))  # the oracles' environment has no package of ours

import numpy as np
import pandas as pd
import statsmodels.api as sm
import tea_tasting as tt
from gbstats.frequentist.tests import FrequentistConfig, SequentialConfig, SequentialTwoSidedTTest, TwoSidedTTest
from gbstats.models.statistics import RatioStatistic, RegressionAdjustedStatistic, SampleMeanStatistic
from scipy import stats
from statsmodels.stats import multitest, nonparametric, weightstats
from statsmodels.stats.power import NormalIndPower

from feedback_svc.domain.statistics.arms import ArmEpoch, Scale, arm_epoch_of
from feedback_svc.domain.statistics.estimators import difference, sides_of
from feedback_svc.domain.statistics.fixed_horizon import ratio, welch
from feedback_svc.domain.statistics.power import Raters, power_of
from feedback_svc.domain.statistics.ranks import brunner_munzel, mann_whitney
from feedback_svc.domain.statistics.results import FixedTest
from feedback_svc.domain.statistics.sequences import always_valid_p, half_width
from feedback_svc.domain.statistics.several import holm
from feedback_svc.domain.statistics.spending import spending_bounds
from feedback_svc.domain.statistics.users import UserMoments

DIGITS = 10
TRIALS = 20
ALPHA = 0.05
SCALE = Scale()
Pair = tuple[str, str, Sequence[float], Sequence[float]]


def digits(ours: Sequence[float], theirs: Sequence[float]) -> float:
    """Correct digits of the worst number; 16 where all are the same."""
    gaps = [abs(one - other) / max(abs(other), 1e-300) for one, other in zip(ours, theirs, strict=True)]
    worst = max(gaps)
    return 16.0 if worst == 0 else min(16.0, -math.log10(worst))


def some_users(chance: np.random.Generator, number: int, *, effect: float) -> list[UserMoments]:
    """Everybody has a past of one rating; one to six ratings, whose means the histogram holds exactly."""
    out: list[UserMoments] = []
    for _ in range(number):
        taste = chance.normal()
        stars = np.clip(np.round(3.6 + effect + 0.8 * taste + chance.normal(size=int(chance.integers(1, 7)))), 1, 5)
        before = float(np.clip(np.round(3.6 + 0.8 * taste + chance.normal()), 1, 5))
        total, squares = float(stars.sum()), float((stars**2).sum())
        out.append(UserMoments(ratings=len(stars), total=total, squares=squares, before=before))
    return out


class Trial:
    """One random experiment, as our sums and as the arrays that the oracles take."""

    def __init__(self, seed: int) -> None:
        chance = np.random.default_rng(seed)
        sizes = chance.integers(60, 400, size=2)
        self.users = [some_users(chance, int(size), effect=at * 0.25) for at, size in enumerate(sizes)]
        self.arms: list[ArmEpoch] = [arm_epoch_of(users, scale=SCALE) for users in self.users]
        self.means = [np.array([user.mean for user in users]) for users in self.users]
        self.before = [np.array([user.before for user in users]) for users in self.users]
        self.totals = [np.array([user.total for user in users]) for users in self.users]
        self.numbers = [np.array([user.ratings for user in users]) for users in self.users]
        self.frame = pd.DataFrame(
            {
                "variant": np.repeat([0, 1], sizes),
                "mean": np.concatenate(self.means),
                "before": np.concatenate(self.before),
                "total": np.concatenate(self.totals),
                "number": np.concatenate(self.numbers),
            }
        )

    def test(self, *, adjusted: bool) -> FixedTest:
        test = welch(difference(*sides_of(*self.arms), adjusted=adjusted), alpha=ALPHA)
        assert test is not None
        return test


def figures(test: FixedTest, *, as_chance_of_less: bool = False) -> list[float]:
    p = 1 - test.p if as_chance_of_less else test.p
    return [test.interval.effect, p, test.interval.lower, test.interval.upper]


def welch_pairs(trial: Trial) -> Iterator[Pair]:
    ours = trial.test(adjusted=False)
    one, other = trial.means
    theirs = stats.ttest_ind(other, one, equal_var=False)
    bounds = theirs.confidence_interval(1 - ALPHA)
    yield "Welch", "scipy", [ours.statistic, ours.p, ours.interval.lower, ours.interval.upper], [
        theirs.statistic, theirs.pvalue, bounds.low, bounds.high,
    ]  # fmt: skip
    compared = weightstats.CompareMeans.from_data(other, one)
    statistic, p, _ = compared.ttest_ind(usevar="unequal")
    yield "Welch", "statsmodels", [ours.statistic, ours.p], [statistic, p]
    result = tt.Experiment(mean=tt.Mean("mean")).analyze(trial.frame)["mean"]
    yield "Welch", "tea-tasting", figures(ours), tea(result)
    yield (
        "Welch",
        "gbstats",
        figures(ours, as_chance_of_less=True),
        growthbook(*(SampleMeanStatistic(n=len(y), sum=y.sum(), sum_squares=(y**2).sum()) for y in trial.means)),
    )


def cuped_pairs(trial: Trial) -> Iterator[Pair]:
    ours = trial.test(adjusted=True)
    result = tt.Experiment(mean=tt.Mean("mean", covariate="before")).analyze(trial.frame)["mean"]
    yield "CUPED", "tea-tasting", figures(ours), tea(result)
    sides = [
        {
            "n": len(y),
            "post_statistic": SampleMeanStatistic(n=len(y), sum=y.sum(), sum_squares=(y**2).sum()),
            "pre_statistic": SampleMeanStatistic(n=len(y), sum=x.sum(), sum_squares=(x**2).sum()),
            "post_pre_sum_of_products": float((x * y).sum()),
        }
        for y, x in zip(trial.means, trial.before, strict=True)
    ]
    x, y = np.concatenate(trial.before), np.concatenate(trial.means)
    theta = float(np.cov(x, y)[0, 1] / x.var(ddof=1))
    theirs = growthbook(*(RegressionAdjustedStatistic(**side, theta=theta) for side in sides))
    yield "CUPED", "gbstats", figures(ours, as_chance_of_less=True), theirs


def ratio_pairs(trial: Trial) -> Iterator[Pair]:
    ours = ratio(trial.arms[0].ratio, trial.arms[1].ratio, alpha=ALPHA)
    assert ours is not None
    result = tt.Experiment(ratio=tt.RatioOfMeans("total", "number")).analyze(trial.frame)["ratio"]
    yield "ratio (delta)", "tea-tasting", figures(ours), tea(result)
    sides = [
        RatioStatistic(
            n=len(m),
            m_statistic=SampleMeanStatistic(n=len(m), sum=m.sum(), sum_squares=(m**2).sum()),
            d_statistic=SampleMeanStatistic(n=len(m), sum=d.sum(), sum_squares=(d**2).sum()),
            m_d_sum_of_products=float((m * d).sum()),
        )
        for m, d in zip(trial.totals, trial.numbers.copy(), strict=True)
    ]
    yield "ratio (delta)", "gbstats", figures(ours, as_chance_of_less=True), growthbook(*sides)
    # one arm's squared error is statsmodels' cluster-robust one (CR0) but for k / (k - 1) users
    users, total, number = len(trial.totals[0]), trial.totals[0], trial.numbers[0]
    rows = np.repeat(total / number, number)
    clusters = np.repeat(np.arange(users), number)
    fit = sm.OLS(rows, np.ones_like(rows)).fit(
        cov_type="cluster", cov_kwds={"groups": clusters, "use_correction": False}
    )
    alone = ratio(trial.arms[0].ratio, trial.arms[0].ratio, alpha=ALPHA)
    assert alone is not None
    half = alone.interval.upper / stats.t.isf(ALPHA / 2, alone.degrees_of_freedom)
    yield "ratio (delta)", "statsmodels", [half / math.sqrt(2)], [fit.bse[0] * math.sqrt(users / (users - 1))]


def rank_pairs(trial: Trial) -> Iterator[Pair]:
    one, other = trial.means
    ours = mann_whitney(trial.arms[0].histogram, trial.arms[1].histogram)
    theirs = stats.mannwhitneyu(other, one, alternative="two-sided", method="asymptotic")
    assert ours is not None
    yield "Mann-Whitney", "scipy", [ours.statistic, ours.p], [theirs.statistic, theirs.pvalue]
    result = tt.Experiment(u=tt.MannWhitneyU("mean", correction=True)).analyze(trial.frame)["u"]
    yield "Mann-Whitney", "tea-tasting", [ours.p], [result.pvalue]
    munzel = brunner_munzel(trial.arms[0].histogram, trial.arms[1].histogram)
    reference = stats.brunnermunzel(one, other)
    assert munzel is not None
    yield "Brunner-Munzel", "scipy", [munzel.statistic, munzel.p], [reference.statistic, reference.pvalue]
    ranked = nonparametric.rank_compare_2indep(other, one)
    yield "Brunner-Munzel", "statsmodels", [munzel.p, munzel.better_0_1], [ranked.pvalue, ranked.prob1]


def sequence_pairs(trial: Trial) -> Iterator[Pair]:
    sums = difference(*sides_of(*trial.arms), adjusted=False)
    error = math.sqrt(float(sums.variance))
    sides = [SampleMeanStatistic(n=len(y), sum=y.sum(), sum_squares=(y**2).sum()) for y in trial.means]
    for planned in (500, 1000, 5000):
        width = float(half_width(error, sums.users, planned_users=planned, alpha=ALPHA))
        p = float(always_valid_p(sums.effect, error, sums.users, planned_users=planned, alpha=ALPHA))
        config = SequentialConfig(alpha=ALPHA, difference_type="absolute", sequential_tuning_parameter=planned)
        theirs = SequentialTwoSidedTTest(*sides, config).compute_result()
        ends = [float(sums.effect) - width, float(sums.effect) + width]
        yield f"sequence, N* = {planned}", "gbstats", [*ends, p], [*theirs.ci, theirs.p_value]


def other_pairs(trial: Trial) -> Iterator[Pair]:
    p_values = [trial.test(adjusted=False).p, trial.test(adjusted=True).p, 0.04, 0.2]
    yield "Holm", "statsmodels", holm(p_values), list(multitest.multipletests(p_values, method="holm")[1])
    users = len(trial.means[0])
    ours = power_of(Raters(std_dev=1.3), users=2 * users, effect=0.3)
    theirs = NormalIndPower().power(0.3 / 1.3, users, ALPHA)
    yield "power", "statsmodels", [ours], [theirs]


def bounds_agree() -> bool:
    """The chance to stay within all bounds, by the multivariate normal integral, which is good to five digits."""
    bounds = np.array(spending_bounds(4, alpha=ALPHA))
    times = np.arange(1, 5) / 4
    together = np.sqrt(np.minimum.outer(times, times) / np.maximum.outer(times, times))
    alarms = 1 - stats.multivariate_normal(cov=together, seed=1).cdf(bounds, lower_limit=-bounds)
    print(f"group-sequential bounds, 4 looks: false alarms {alarms:.5f} by scipy's integral, {ALPHA} promised")
    return abs(alarms - ALPHA) < 2e-5


def tea(result: object) -> list[float]:
    return [getattr(result, name) for name in ("effect_size", "pvalue", "effect_size_ci_lower", "effect_size_ci_upper")]


def growthbook(champion: object, candidate: object) -> list[float]:
    result = TwoSidedTTest(
        champion, candidate, FrequentistConfig(alpha=ALPHA, difference_type="absolute")
    ).compute_result()
    # its p-values are 2 (1 - cdf), good to 16 digits behind the point only: compared as chances of less
    return [result.expected, 1 - result.p_value, *result.ci]


METHODS: tuple[Callable[[Trial], Iterator[Pair]], ...] = (
    welch_pairs, cuped_pairs, ratio_pairs, rank_pairs, sequence_pairs, other_pairs,
)  # fmt: skip


def main() -> int:
    """Prints the worst agreement of each method with each oracle; 1 if any has fewer digits than promised."""
    worst: dict[tuple[str, str], float] = {}
    for seed in range(TRIALS):
        trial = Trial(seed)
        for method in METHODS:
            for name, oracle, ours, theirs in method(trial):
                key = (name, oracle)
                worst[key] = min(worst.get(key, 16.0), digits(ours, theirs))
    print(f"{'method':<24}{'oracle':<14}{'digits':>7}   worst of {TRIALS} random experiments")
    for (name, oracle), agreed in worst.items():
        print(f"{name:<24}{oracle:<14}{agreed:>7.1f}{'' if agreed >= DIGITS else '   MISSED'}")
    return int(not bounds_agree() or min(worst.values()) < DIGITS)


if __name__ == "__main__":
    sys.exit(main())
