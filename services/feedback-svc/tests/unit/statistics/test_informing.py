"""What informs people and shares out traffic, and decides nothing."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from feedback_svc.domain.statistics.allocation import FLOOR_0_1, SeenArm, top_two_shares, track_and_stop_shares
from feedback_svc.domain.statistics.arms import ArmEpoch, Scale, arm_epoch_of
from feedback_svc.domain.statistics.bayes import BetaBelief, NormalBelief, standings
from feedback_svc.domain.statistics.moments import MeanMoments
from feedback_svc.domain.statistics.novelty import novelty
from feedback_svc.domain.statistics.offpolicy import LoggedUser, doubly_robust, inverse_propensity, self_normalised
from feedback_svc.domain.statistics.power import Raters, power_of, smallest_detectable, users_needed
from feedback_svc.domain.statistics.segments import segment_effects
from feedback_svc.domain.statistics.users import UserMoments


class TestBayes:
    def test_two_normal_beliefs_have_a_closed_form(self) -> None:
        one, other = standings([NormalBelief(mean=4.0, std_error=0.1), NormalBelief(mean=4.1, std_error=0.05)])
        spread = math.hypot(0.1, 0.05)
        z = 0.1 / spread

        assert other.best_0_1 == pytest.approx(stats.norm.cdf(z), abs=1e-5)
        assert one.best_0_1 + other.best_0_1 == pytest.approx(1, abs=1e-6)
        assert other.expected_loss == pytest.approx(spread * stats.norm.pdf(z) - 0.1 * stats.norm.sf(z), abs=1e-5)

    def test_less_is_better_swaps_the_sides(self) -> None:
        beliefs = [NormalBelief(mean=4.0, std_error=0.1), NormalBelief(mean=4.1, std_error=0.05)]
        up, down = standings(beliefs), standings(beliefs, higher_is_better=False)

        assert down[0].best_0_1 == pytest.approx(up[1].best_0_1, abs=1e-5)
        assert down[0].expected_loss == pytest.approx(up[1].expected_loss, abs=1e-5)

    def test_beta_beliefs_agree_with_draws(self) -> None:
        chance = np.random.default_rng(3)
        draws = chance.beta(31, 71, 200_000), chance.beta(41, 61, 200_000)

        _, other = standings([BetaBelief(events=30, trials=100), BetaBelief(events=40, trials=100)])

        assert other.best_0_1 == pytest.approx(np.mean(draws[1] > draws[0]), abs=0.005)
        assert other.expected_loss == pytest.approx(np.maximum(draws[0] - draws[1], 0).mean(), abs=5e-4)


class TestPower:
    RATERS = Raters(std_dev=1.069, icc=0.29, ratings_per_user=4)

    def test_reference_figures_of_independent_and_repeated_ratings(self) -> None:
        assert users_needed(Raters(std_dev=1.31), effect=0.2) == pytest.approx(1347, abs=1)
        assert users_needed(self.RATERS, effect=0.3) == pytest.approx(247, abs=2)

    def test_a_past_saves_users(self) -> None:
        with_past = Raters(std_dev=1.069, icc=0.29, ratings_per_user=4, past_correlation=0.4)

        assert users_needed(with_past, effect=0.3) == pytest.approx(208, abs=2)

    @given(users=st.integers(20, 5000), share=st.floats(0.05, 0.95))
    def test_the_smallest_detectable_is_detected_as_promised(self, users: int, share: float) -> None:
        effect = smallest_detectable(self.RATERS, users=users, share_0_1=share)

        assert power_of(self.RATERS, users=users, effect=effect, share_0_1=share) == pytest.approx(0.8, abs=1e-3)
        assert users_needed(self.RATERS, effect=effect, share_0_1=share) == pytest.approx(users, abs=1)


class TestSegments:
    def arm(self, *stars: int) -> ArmEpoch:
        return arm_epoch_of([UserMoments(ratings=1, total=float(star)) for star in stars], scale=Scale())

    def test_extreme_small_segments_are_pulled_to_the_common_effect(self) -> None:
        alike = (self.arm(*(3, 4, 5) * 60), self.arm(*(3, 4, 5) * 60))
        extreme = (self.arm(2, 3, 4), self.arm(4, 5, 5))
        *large, small = segment_effects({**{str(number): alike for number in range(12)}, "small": extreme})

        assert small.seen > 1.5
        assert abs(small.effect) < small.seen / 2
        assert max(abs(one.effect) for one in large) < 0.1

    def test_segments_that_truly_differ_keep_their_effects(self) -> None:
        up = (self.arm(*(1, 2, 3) * 100), self.arm(*(3, 4, 5) * 100))
        down = (self.arm(*(3, 4, 5) * 100), self.arm(*(1, 2, 3) * 100))

        effects = segment_effects({"up": up, "down": down})

        assert [one.effect for one in effects] == pytest.approx([2, -2], abs=0.05)

    def test_segments_without_users_or_spread_are_left_out(self) -> None:
        assert segment_effects({"none": (self.arm(), self.arm()), "same": (self.arm(3, 3), self.arm(3, 3))}) == ()


class TestOffPolicy:
    @staticmethod
    def logged(seed: int, *, users: int = 200) -> list[LoggedUser]:
        """Unhappy users were given the variant in question rarely, one in five; its true mean over all is 3."""
        chance = np.random.default_rng(seed)
        log: list[LoggedUser] = []
        for _ in range(users):
            happy = chance.random() < 0.5
            propensity = 0.8 if happy else 0.2
            given = chance.random() < propensity
            expected = 4.0 if happy else 2.0
            log.append(
                LoggedUser(
                    value=expected + chance.normal() if given else 0.0,
                    propensity_0_1=propensity if given else 1 - propensity,
                    chosen_0_1=float(given), expected=expected if given else 0.0, expected_of_policy=expected,
                )
            )  # fmt: skip
        return log

    def test_estimates_undo_the_bias_of_the_split_and_cover_the_truth(self) -> None:
        for estimate in (inverse_propensity, self_normalised, doubly_robust):
            found = [estimate(self.logged(seed)) for seed in range(80)]
            values = [one for one in found if one is not None]

            assert np.mean([one.value for one in values]) == pytest.approx(3.0, abs=0.1)
            assert np.mean([one.lower <= 3.0 <= one.upper for one in values]) >= 0.9

    def test_a_right_model_narrows_the_interval(self) -> None:
        log = self.logged(1)
        plain, robust = inverse_propensity(log), doubly_robust(log)

        assert plain is not None
        assert robust is not None
        assert robust.upper - robust.lower < (plain.upper - plain.lower) / 1.5
        assert 0 < plain.effective_users < len(log)

    def test_nothing_comes_of_a_log_without_the_variant(self) -> None:
        other = [LoggedUser(value=3.0, propensity_0_1=0.5, chosen_0_1=0.0)] * 5

        assert self_normalised(other) is None
        assert inverse_propensity(other[:1]) is None


class TestAllocation:
    ARMS = (SeenArm(mean=3.0, variance=1.0, users=100), SeenArm(mean=3.8, variance=1.0, users=100),
            SeenArm(mean=3.7, variance=1.0, users=100))  # fmt: skip

    def test_rivals_share_the_traffic_and_the_hopeless_keep_the_floor(self) -> None:
        for shares in (top_two_shares(self.ARMS, seed=1), track_and_stop_shares(self.ARMS)):
            assert sum(shares) == pytest.approx(1)
            assert min(shares) >= FLOOR_0_1 - 1e-12
            assert shares[0] == min(shares)
            assert min(shares[1:]) > 0.3

    def test_the_same_seed_draws_the_same_shares(self) -> None:
        assert top_two_shares(self.ARMS, seed=7) == top_two_shares(self.ARMS, seed=7)

    def test_two_equal_arms_are_told_apart_soonest_half_and_half(self) -> None:
        assert track_and_stop_shares(self.ARMS[1:]) == pytest.approx((0.5, 0.5), abs=0.01)

    @given(means=st.lists(st.floats(1, 5), min_size=2, max_size=8), users=st.integers(0, 1000))
    def test_nobody_gets_less_than_the_floor(self, means: list[float], users: int) -> None:
        shares = top_two_shares([SeenArm(mean=mean, variance=1.0, users=users) for mean in means], seed=2)

        assert sum(shares) == pytest.approx(1)
        assert min(shares) >= FLOOR_0_1 - 1e-9


class TestNovelty:
    @staticmethod
    def days(*means: float) -> ArmEpoch:
        return ArmEpoch(by_day=tuple(MeanMoments.of([mean - 1, mean, mean + 1] * 40) for mean in means))

    def test_an_effect_that_wears_off_is_seen(self) -> None:
        worn = novelty([self.days(*(3.5,) * 7)], [self.days(4.2, 4.1, 4.0, 3.5, 3.5, 3.5, 3.5)])

        assert worn is not None
        assert worn.early > 0.5
        assert worn.change < -0.5
        assert worn.p < 0.001

    def test_a_lasting_effect_shows_no_change_and_no_late_days_show_nothing(self) -> None:
        lasting = novelty([self.days(*(3.5,) * 7)], [self.days(*(4.0,) * 7)])

        assert lasting is not None
        assert lasting.p > 0.5
        assert novelty([self.days(3.5)], [self.days(4.0)]) is None
