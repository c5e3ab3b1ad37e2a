"""Adding up many numbers at once gives, to the last bit, what adding them up one by one gives."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from feedback_svc.domain.statistics import moments
from feedback_svc.domain.statistics.arms import BINS, Scale, arm_epoch_of
from feedback_svc.domain.statistics.columns import LARGEST, Column, fits
from feedback_svc.domain.statistics.moments import MeanMoments, fixed
from feedback_svc.domain.statistics.users import UserMoments

NUMBERS = st.floats(-LARGEST, LARGEST, exclude_min=True, exclude_max=True) | st.sampled_from((0.0, 1 / 3, 5.0, -1e-300))
USERS = st.builds(
    lambda values, before, number: UserMoments(
        ratings=len(values), total=sum(values), squares=sum(value**2 for value in values), before=before,
        before_ratings=number,
    ),
    st.lists(st.floats(0, 10) | st.integers(1, 5).map(float), max_size=6), st.none() | st.floats(1, 5),
    st.integers(1, 40),
)  # fmt: skip


@given(st.lists(st.tuples(NUMBERS, NUMBERS), max_size=40))
def test_sums_and_sums_of_products_are_those_of_the_fixed_numbers(pairs: list[tuple[float, float]]) -> None:
    ones, others = [one for one, _ in pairs], [other for _, other in pairs]
    column, other = Column(np.array(ones, dtype=np.float64)), Column(np.array(others, dtype=np.float64))
    assert column.total == sum(map(fixed, ones))
    assert column.dot(other) == sum(fixed(one) * fixed(two) for one, two in pairs)


@given(st.lists(USERS, min_size=moments.MANY, max_size=moments.MANY + 30))
def test_an_arm_of_many_users_is_the_arm_of_its_users_one_by_one(users: list[UserMoments]) -> None:
    whole = arm_epoch_of(users, scale=Scale())
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(moments, "MANY", 10**9)
        assert arm_epoch_of(users, scale=Scale()) == whole


def test_numbers_too_large_for_columns_are_added_up_all_the_same() -> None:
    values = [1e30, -2.5, *range(100)]
    assert not fits(values)
    assert not fits([float("nan")])
    assert MeanMoments.of(values).total == sum(fixed(value) for value in values)


@given(st.lists(st.floats(-3, 9) | st.integers(0, 480).map(lambda half: 1 + half / 120), max_size=20))
def test_a_histogram_counts_each_value_at_the_point_next_to_it(values: list[float]) -> None:
    counted = [0] * BINS
    for value in values:
        counted[round(min(1.0, max(0.0, (value - 1.0) / 4.0)) * (BINS - 1))] += 1
    assert Scale().histogram_of(values) == tuple(counted)
