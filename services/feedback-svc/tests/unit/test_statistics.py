"""Sufficient statistics: whatever the order of ratings and replacements, they equal what all ratings give at once."""

import statistics

import pytest
from hypothesis import given
from hypothesis import strategies as st

from feedback_svc.domain.statistics import ArmStatistics, UserStatistics, arm_of

STARS = st.integers(min_value=1, max_value=5).map(float)
ANY_NUMBER = st.floats(min_value=-1e4, max_value=1e4, allow_nan=False)


def counted(events: list[tuple[int, int, float]]) -> tuple[ArmStatistics, dict[int, UserStatistics]]:
    """Counts (user, inference, value) one after the other; a second value for a user's inference replaces the first."""
    arm, users, latest = ArmStatistics(), dict[int, UserStatistics](), dict[tuple[int, int], float]()
    for user, inference, value in events:
        before = users.get(user, UserStatistics())
        users[user] = before.with_rating(value, replaced=latest.get((user, inference)))
        latest[user, inference] = value
        arm = arm.with_user(before, users[user])
    return arm, users


def events(values: st.SearchStrategy[float]) -> st.SearchStrategy[list[tuple[int, int, float]]]:
    return st.lists(st.tuples(st.integers(0, 6), st.integers(0, 3), values), max_size=60)


def check(history: list[tuple[int, int, float]]) -> None:
    arm, _ = counted(history)
    latest = {(user, inference): value for user, inference, value in history}
    by_user = {user: [value for (owner, _), value in latest.items() if owner == user] for user, _ in latest}
    anew = arm_of([UserStatistics(ratings=len(values), total=sum(values)) for values in by_user.values()], units=0)
    means = [statistics.fmean(values) for values in by_user.values()]

    assert (arm.users, arm.ratings) == (anew.users, anew.ratings) == (len(by_user), len(latest))
    if not means:
        assert arm == anew == ArmStatistics()
        return
    assert arm.mean == pytest.approx(statistics.fmean(means), rel=1e-9, abs=1e-8)
    assert anew.mean == pytest.approx(statistics.fmean(means), rel=1e-9, abs=1e-8)
    if len(means) < 2:
        assert arm.variance is None
        assert anew.variance is None
    else:
        # sums of squares lose what is below 1e-15 of the largest square that ever was in them
        tolerance = 1e-12 * max(1.0, *(value**2 for _, _, value in history)) * len(history)
        assert arm.variance == pytest.approx(statistics.variance(means), rel=1e-9, abs=tolerance)
        assert anew.variance == pytest.approx(statistics.variance(means), rel=1e-9, abs=tolerance)


class TestIncrementalEqualsRecomputed:
    @given(events(STARS))
    def test_for_stars(self, history: list[tuple[int, int, float]]) -> None:
        check(history)

    @given(events(ANY_NUMBER))
    def test_for_any_number(self, history: list[tuple[int, int, float]]) -> None:
        check(history)

    def test_of_large_values_that_hardly_differ(self) -> None:
        check([(user, 0, 1e6 + user * 1e-3) for user in range(7)])


def test_units_count_apart_from_users() -> None:
    arm = ArmStatistics().with_unit().with_unit()
    assert (arm.units, arm.users, arm.mean, arm.variance) == (2, 0, None, None)


def test_a_replacement_keeps_the_number_of_ratings() -> None:
    user = UserStatistics().with_rating(5).with_rating(3).with_rating(1, replaced=5)
    assert (user.ratings, user.mean) == (2, 2.0)
