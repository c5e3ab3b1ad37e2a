"""What may be looked at as often as one likes: known values, monotony, and agreement between interval and p-value."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from feedback_svc.domain.statistics.betting import best_log_wealth, harm_log_wealth
from feedback_svc.domain.statistics.sequences import (
    always_valid_p,
    half_width,
    information_users,
    one_sided_width,
    sample_ratio_log_evidence,
)
from feedback_svc.domain.statistics.several import holm
from feedback_svc.domain.statistics.spending import spending_bounds


def test_half_width_is_equation_nine() -> None:
    rho2 = (-2 * math.log(0.05) + math.log(-2 * math.log(0.05) + 1)) / 500
    expected = 0.1 * math.sqrt(2 * (300 * rho2 + 1) / (300 * rho2) * math.log(math.sqrt(300 * rho2 + 1) / 0.05))

    assert half_width(0.1, 300, planned_users=500, alpha=0.05) == pytest.approx(expected, rel=1e-14)


@given(effect=st.floats(0.001, 2), error=st.floats(0.01, 0.5), users=st.integers(10, 10_000))
def test_p_is_below_alpha_exactly_when_the_interval_leaves_zero_out(effect: float, error: float, users: int) -> None:
    width = half_width(error, users, planned_users=200, alpha=0.05)
    p = always_valid_p(effect, error, users, planned_users=200, alpha=0.05)

    assert (p < 0.05) == (effect > width)


def test_harm_alone_is_seen_sooner_than_either_side() -> None:
    terms = {"planned_users": 200, "alpha": 0.05}
    assert one_sided_width(0.1, 200, **terms) < half_width(0.1, 200, **terms)


def test_the_clock_counts_what_is_known_not_who_was_counted() -> None:
    once = information_users(4 * 1.5 / 200, 1.5)

    assert once == pytest.approx(200)
    assert information_users(4 * 1.5 / 200 / 3, 1.5) == pytest.approx(600)


def test_a_lost_tenth_of_one_arm_is_evidence_and_a_fair_split_is_none() -> None:
    assert sample_ratio_log_evidence((5000, 5000), (0.5, 0.5)) < 0
    assert sample_ratio_log_evidence((5000, 4500), (0.5, 0.5)) > -math.log(0.01)
    assert sample_ratio_log_evidence((1, 0), (0.0, 1.0)) == math.inf


def test_bounds_of_several_looks_share_one_error_rate() -> None:
    bounds = np.array(spending_bounds(3, alpha=0.05))
    times = np.arange(1, 4) / 3
    together = np.sqrt(np.minimum.outer(times, times) / np.maximum.outer(times, times))
    inside = stats.multivariate_normal(cov=together, seed=1).cdf(bounds, lower_limit=-bounds)

    assert inside == pytest.approx(0.95, abs=1e-4)
    assert list(bounds) == sorted(bounds, reverse=True)
    assert spending_bounds(1, alpha=0.05)[0] == pytest.approx(stats.norm.isf(0.025), abs=1e-9)


def test_a_bettor_grows_rich_on_harm_and_not_on_chance() -> None:
    chance = np.random.default_rng(5)
    fair = [harm_log_wealth(chance.integers(1, 6, (60, 2)).tolist(), low=1, high=5) for _ in range(400)]
    harmed = harm_log_wealth([(5.0, 1.0)] * 12, low=1, high=5)

    assert np.mean(np.array(fair) > -math.log(0.05)) <= 0.05
    assert harmed > -math.log(0.05)
    assert best_log_wealth([0.1] * 50, null_mean=0.5) == 0


def test_holm_steps_down_and_never_below_an_earlier_step() -> None:
    assert holm([0.01, 0.04, 0.03]) == pytest.approx([0.03, 0.06, 0.06])
    assert holm([0.5, 0.9]) == [1.0, 1.0]
    assert holm([]) == []
