"""Intervals of what two variants did on the same cases, against published figures and scipy."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from registry_svc.domain.paired import Agreement, Interval, agreement, bootstrap_mean, newcombe_paired, wilson

COUNTS = st.integers(0, 200)
CONFIDENCE = st.sampled_from([0.8, 0.9, 0.95, 0.99])


def counts(both: int, only_first: int, only_second: int, neither: int) -> Agreement:
    return Agreement(both=both, only_first=only_first, only_second=only_second, neither=neither)


class TestWilson:
    @given(st.integers(1, 500), st.data(), CONFIDENCE)
    def test_agrees_with_scipy(self, cases: int, data: st.DataObject, confidence: float):
        right = data.draw(st.integers(0, cases))
        ours = wilson(right, cases, confidence=confidence)
        theirs = stats.binomtest(right, cases).proportion_ci(confidence, method="wilson")
        assert (ours.lower, ours.upper) == pytest.approx((theirs.low, theirs.high), abs=1e-9)


class TestNewcombe:
    def test_agrees_with_the_example_of_the_paper(self):
        # Newcombe 1998b, table II: (36, 12, 2, 0), method 10
        interval = newcombe_paired(counts(36, 12, 2, 0), confidence=0.95)
        assert (interval.lower, interval.upper) == pytest.approx((0.0569, 0.3404), abs=5e-5)

    def test_takes_a_correlation_within_half_a_case_for_none(self):
        # (6, 4, 4, 4): ad - bc = 8 is below n / 2 = 9, so that the shares count as independent
        one = newcombe_paired(counts(6, 4, 4, 4), confidence=0.95)
        share = wilson(10, 18, confidence=0.95)
        reach = np.hypot(10 / 18 - share.lower, share.upper - 10 / 18)
        assert (one.lower, one.upper) == pytest.approx((-reach, reach))

    @given(COUNTS, COUNTS, COUNTS, COUNTS)
    def test_holds_the_difference_and_mirrors_when_the_variants_change_places(self, a: int, b: int, c: int, d: int):
        if a + b + c + d == 0:
            return
        one = newcombe_paired(counts(a, b, c, d), confidence=0.95)
        other = newcombe_paired(counts(a, c, b, d), confidence=0.95)
        difference = (b - c) / (a + b + c + d)
        assert -1 <= one.lower <= difference + 1e-9
        assert difference - 1e-9 <= one.upper <= 1
        assert (one.lower, one.upper) == pytest.approx((-other.upper, -other.lower), abs=1e-9)

    def test_covers_the_truth_as_often_as_it_says(self):
        random = np.random.default_rng(7)
        chances, truth, hits = (0.5, 0.25, 0.1, 0.15), 0.15, 0
        for a, b, c, d in random.multinomial(60, chances, size=1000).tolist():
            interval = newcombe_paired(counts(a, b, c, d), confidence=0.95)
            hits += interval.lower <= truth <= interval.upper
        assert 0.93 <= hits / 1000 <= 0.98


class TestAgreement:
    def test_counts_pairs_by_who_was_right(self):
        assert agreement([True, True, False, False], [True, False, True, False]) == counts(1, 1, 1, 1)


class TestBootstrap:
    def test_agrees_with_students_interval_where_that_is_right(self):
        sample = np.random.default_rng(3).normal(0.3, 1, size=400)
        ours = bootstrap_mean(sample.tolist(), confidence=0.95, seed=1)
        theirs = stats.t.interval(0.95, len(sample) - 1, sample.mean(), stats.sem(sample))
        assert ours is not None
        assert (ours.lower, ours.upper) == pytest.approx(theirs, abs=0.01)

    def test_leans_towards_the_long_tail_where_student_cannot(self):
        sample = np.random.default_rng(5).exponential(size=40)
        interval = bootstrap_mean(sample.tolist(), confidence=0.95, seed=1)
        assert interval is not None
        assert interval.upper - sample.mean() > sample.mean() - interval.lower

    def test_is_the_same_for_the_same_seed(self):
        sample = [0.1, 0.5, 0.9, 0.3, 0.2]
        assert bootstrap_mean(sample, confidence=0.9, seed=4) == bootstrap_mean(sample, confidence=0.9, seed=4)

    def test_is_a_point_where_every_case_is_the_same_and_none_for_a_single_case(self):
        assert bootstrap_mean([0.25] * 9, confidence=0.95, seed=1) == Interval(0.25, 0.25)
        assert bootstrap_mean([1.0], confidence=0.95, seed=1) is None
