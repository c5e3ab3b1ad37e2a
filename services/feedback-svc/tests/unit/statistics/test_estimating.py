"""The effect and its error, against the textbook by other means."""

import math
from dataclasses import replace

import numpy as np
import pytest
from scipy import stats

from feedback_svc.domain.statistics.arms import ArmEpoch, Scale, arm_epoch_of
from feedback_svc.domain.statistics.estimators import combined, difference, sides_of
from feedback_svc.domain.statistics.fixed_horizon import design_effect, ratio, welch
from feedback_svc.domain.statistics.ranks import brunner_munzel, mann_whitney
from feedback_svc.domain.statistics.users import UserMoments

SCALE = Scale()


def some_users(seed: int, *, number: int = 80, effect: float = 0.0, past: float = 1.0) -> list[UserMoments]:
    chance = np.random.default_rng(seed)
    users: list[UserMoments] = []
    for _ in range(number):
        taste = chance.normal()
        stars = np.clip(np.round(3.5 + effect + taste + chance.normal(size=int(chance.integers(1, 7)))), 1, 5)
        before = float(np.clip(3.5 + taste + chance.normal(), 1, 5)) if chance.random() < past else None
        users.append(
            UserMoments(
                ratings=len(stars), total=float(stars.sum()), squares=float((stars**2).sum()),
                before=before, before_ratings=int(chance.integers(1, 9)),
            )
        )  # fmt: skip
    return users


def arms(*groups: list[UserMoments]) -> list[ArmEpoch]:
    return [arm_epoch_of(group, scale=SCALE) for group in groups]


def means(users: list[UserMoments]) -> list[float]:
    return [user.mean for user in users]


ONE, OTHER = some_users(1, past=0.7), some_users(2, number=130, effect=0.4, past=0.7)


def test_welch_is_scipys() -> None:
    ours = welch(difference(*sides_of(*arms(ONE, OTHER)), adjusted=False), alpha=0.05)
    theirs = stats.ttest_ind(means(OTHER), means(ONE), equal_var=False)

    assert ours is not None
    assert (ours.statistic, ours.p) == pytest.approx((theirs.statistic, theirs.pvalue), rel=1e-12)
    assert ours.interval.lower == pytest.approx(theirs.confidence_interval(0.95).low, rel=1e-12)


def test_cuped_subtracts_what_trusted_pasts_foretell() -> None:
    x = [np.array([user.before or 0.0 for user in users]) for users in (ONE, OTHER)]
    w = [np.array([user.trust_0_1 if user.before is not None else 0.0 for user in users]) for users in (ONE, OTHER)]
    centre = np.concatenate([a * b for a, b in zip(x, w, strict=True)]).sum() / np.concatenate(w).sum()
    covariates = [b * (a - centre) for a, b in zip(x, w, strict=True)]
    both, y = np.concatenate(covariates), np.array(means(ONE) + means(OTHER))
    theta = np.cov(both, y)[0, 1] / both.var(ddof=1)
    one, other = (np.array(means(u)) - theta * c for u, c in zip((ONE, OTHER), covariates, strict=True))

    ours = difference(*sides_of(*arms(ONE, OTHER)), adjusted=True)

    assert ours.effect == pytest.approx(other.mean() - one.mean(), rel=1e-11)
    assert ours.champion_error == pytest.approx(one.var(ddof=1) / len(one), rel=1e-11)
    assert ours.variance < difference(*sides_of(*arms(ONE, OTHER)), adjusted=False).variance


def test_without_any_past_cuped_changes_nothing() -> None:
    pair = arms(some_users(3, past=0.0), some_users(4, past=0.0))

    assert difference(*sides_of(*pair), adjusted=True) == difference(*sides_of(*pair), adjusted=False)


def test_a_split_that_changes_while_ratings_drift_makes_no_difference_from_nothing() -> None:
    low = [UserMoments(ratings=1, total=value) for value in (2.0, 3.0)]
    high = [UserMoments(ratings=1, total=value) for value in (4.0, 5.0)]
    early, late = arms(low * 9, low), arms(high * 5, high * 5)
    epochs = [difference(*sides_of(*pair), adjusted=False) for pair in (early, late)]
    pooled = difference(*sides_of(*arms(low * 9 + high * 5, low + high * 5)), adjusted=False)

    assert combined(epochs).effect == 0
    assert pooled.effect > 0.9
    assert combined(epochs).users == 40


def test_epochs_too_small_to_judge_weigh_nothing() -> None:
    full = difference(*sides_of(*arms(ONE, OTHER)), adjusted=True)
    tiny = replace(full, effect=math.nan, champion_error=math.nan, champion_users=1.0)

    assert combined([full, tiny]).effect == full.effect
    assert combined([full, tiny]).users == full.users


def test_mann_whitney_and_brunner_munzel_from_counts_are_scipys() -> None:
    one, other = arms(ONE, OTHER)
    ours, theirs = mann_whitney(one.histogram, other.histogram), stats.mannwhitneyu(means(OTHER), means(ONE))
    munzel, scipys = brunner_munzel(one.histogram, other.histogram), stats.brunnermunzel(means(ONE), means(OTHER))

    assert ours is not None
    assert munzel is not None
    assert (ours.statistic, ours.p) == pytest.approx((theirs.statistic, theirs.pvalue), rel=1e-12)
    assert (munzel.statistic, munzel.p) == pytest.approx((scipys.statistic, scipys.pvalue), rel=1e-11)
    assert ours.better_0_1 == pytest.approx(munzel.better_0_1)


def test_ratios_weigh_heavy_raters_and_keep_users_as_units() -> None:
    one, other = arms(ONE, OTHER)
    ours = ratio(one.ratio, other.ratio, alpha=0.05)
    expected = sum(u.total for u in OTHER) / sum(u.ratings for u in OTHER)
    expected -= sum(u.total for u in ONE) / sum(u.ratings for u in ONE)

    assert ours is not None
    assert ours.interval.effect == pytest.approx(expected, rel=1e-12)


def test_users_who_repeat_themselves_are_worth_fewer_ratings() -> None:
    stubborn = [UserMoments(ratings=5, total=5.0 * star, squares=5.0 * star**2) for star in (1, 2, 3, 4, 5) * 20]
    single = [UserMoments(ratings=1, total=float(star), squares=float(star**2)) for star in (1, 2, 3, 4, 5) * 20]

    assert design_effect(arms(stubborn)[0].ratio) == pytest.approx(5, rel=0.02)
    assert design_effect(arms(single)[0].ratio) == pytest.approx(1, rel=0.02)


def test_nothing_is_computed_from_nothing() -> None:
    alone = arm_epoch_of([UserMoments(ratings=1, total=3.0)], scale=SCALE)
    same = arm_epoch_of([UserMoments(ratings=1, total=3.0)] * 5, scale=SCALE)

    assert welch(difference(*sides_of(same, same), adjusted=True), alpha=0.05) is None
    assert mann_whitney(same.histogram, same.histogram) is None
    assert brunner_munzel(alone.histogram, same.histogram) is None
    assert ratio(alone.ratio, same.ratio, alpha=0.05) is None
    assert design_effect(alone.ratio) is None
    assert math.isclose(same.outcome.mean or 0.0, 3.0)
