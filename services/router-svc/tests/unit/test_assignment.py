"""Assignment is pure, keeps everybody in place over a ramp, splits as told, and experiments do not know each other."""

import itertools
from math import sqrt

import pytest
from hypothesis import given
from hypothesis import strategies as st

from router_svc.domain.assignment import point_of, split_of

USERS = [f"user-{number}" for number in range(100_000)]
POINTS = [16080488750127217687, 1112273947271147042, 6225648347612327717]  # of ada, grace and nobody
RAMP = (0.01, 0.05, 0.1, 0.25, 0.5, 1.0)


def candidates(salt: str, weight: float) -> set[str]:
    split = split_of(salt, candidate_weight_0_1=weight)
    return {user for user in USERS if split.is_candidate(user)}


def test_a_ramp_moves_nobody_from_candidate_back_to_champion() -> None:
    steps = [candidates("exp-5d2a41-0f9c", weight) for weight in RAMP]
    moved_back = [len(smaller - larger) for smaller, larger in itertools.pairwise(steps)]
    assert moved_back == [0] * (len(RAMP) - 1)
    assert len(steps[-1]) == len(USERS)


@pytest.mark.parametrize("weight", RAMP[:-1])
def test_the_split_is_within_four_standard_errors_of_its_weight(weight: float) -> None:
    error = sqrt(weight * (1 - weight) / len(USERS))
    assert abs(len(candidates("a-salt-of-its-own", weight)) / len(USERS) - weight) < 4 * error


def test_two_salts_assign_independently() -> None:
    # keys that differ in the last character couple GrowthBook v1's experiments by up to .889
    first, second = candidates("experiment-1", 0.5), candidates("experiment-2", 0.5)
    both = len(first & second) / len(USERS)
    shares = len(first) / len(USERS), len(second) / len(USERS)
    correlation = (both - shares[0] * shares[1]) / sqrt(shares[0] * (1 - shares[0]) * shares[1] * (1 - shares[1]))
    assert abs(correlation) < 4 / sqrt(len(USERS))


@given(salt=st.text(min_size=8), unit=st.text())
def test_the_bounds_are_exact(salt: str, unit: str) -> None:
    assert not split_of(salt, candidate_weight_0_1=0).is_candidate(unit)
    assert split_of(salt, candidate_weight_0_1=1).is_candidate(unit)


def test_points_never_change_between_releases() -> None:
    # a changed figure here would reshuffle every running experiment
    split = split_of("exp-5d2a41-0f9c", candidate_weight_0_1=0.5)
    assert [point_of(split.key, unit) for unit in ("ada", "grace", "")] == POINTS
