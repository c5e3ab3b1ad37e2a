"""Those who do not rate, and what they could change."""

import numpy as np
import pytest

from feedback_svc.domain.statistics.arms import ArmEpoch, Scale, arm_epoch_of
from feedback_svc.domain.statistics.nonresponse import lee_bounds, response
from feedback_svc.domain.statistics.users import UserMoments

SCALE = Scale()
VALUES = np.arange(1.0, 6.0)


def rated(stars: list[int], *, units: int) -> ArmEpoch:
    users = [UserMoments(ratings=1, total=float(star), squares=float(star**2)) for star in stars]
    return arm_epoch_of(users, scale=SCALE, units=units)


def test_bounds_trim_the_side_that_answers_more_from_either_end() -> None:
    champion, candidate = np.array([2.0, 0, 0, 0, 8.0]), np.array([0.0, 0, 0, 0, 8.0])

    bounds = lee_bounds(champion, candidate, VALUES, units=(10.0, 10.0))

    assert bounds.lower == pytest.approx(5 - 5)  # the champion's two unhappy users, not counted
    assert bounds.upper == pytest.approx(5 - (2 * 1 + 6 * 5) / 8)


def test_trimming_splits_a_bin_where_the_share_ends() -> None:
    champion, candidate = np.array([0.0, 0, 4.0, 0, 4.0]), np.array([0.0, 0, 3.0, 0, 3.0])

    bounds = lee_bounds(champion, candidate, VALUES, units=(8.0, 8.0))

    assert bounds.lower == pytest.approx(4 - (2 * 3 + 4 * 5) / 6)
    assert bounds.upper == pytest.approx(4 - (4 * 3 + 2 * 5) / 6)


def test_where_everybody_rates_nothing_is_missing() -> None:
    one, other = rated([1, 5] * 40, units=80), rated([2, 5] * 40, units=80)

    result = response([one], [other], scale=SCALE, planned_users=100, alpha=0.05)

    assert result is not None
    assert (result.bounds, result.region, result.difference) == (None, None, 0.0)


def test_silent_unhappy_users_leave_zero_within_the_region() -> None:
    one = rated([1] * 40 + [4] * 80 + [5] * 80, units=200)
    other = rated([1] * 10 + [4] * 80 + [5] * 80, units=200)

    result = response([one], [other], scale=SCALE, planned_users=100, alpha=0.05)

    assert result is not None
    assert result.region is not None
    assert (one.outcome.mean or 0) < (other.outcome.mean or 0) - 0.3
    assert result.region.lower < 0
    assert result.differs
    assert result.breached


def test_a_clear_difference_stands_where_few_are_missing() -> None:
    one = rated([1, 3, 4, 5] * 100, units=410)
    other = rated([4, 5, 5, 5] * 100, units=410)

    result = response([one], [other], scale=SCALE, planned_users=100, alpha=0.05)

    assert result is not None
    assert result.region is not None
    assert result.region.lower > 0
    assert not result.differs


def test_response_rates_are_compared_within_epochs() -> None:
    early = rated([4] * 450, units=900), rated([4] * 50, units=100)
    late = rated([4] * 400, units=500), rated([4] * 400, units=500)

    result = response([early[0], late[0]], [early[1], late[1]], scale=SCALE, planned_users=100, alpha=0.05)

    assert result is not None
    assert result.difference == pytest.approx(0.0, abs=1e-12)  # pooled, 0.61 against 0.75
