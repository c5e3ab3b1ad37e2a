"""Assignment is pure, keeps everybody in place over ramps, splits as told, and experiments do not know each other."""

import itertools
import subprocess
import sys
from collections.abc import Callable
from math import sqrt

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from router_svc.domain.assignment import (
    POINTS,
    ManyArms,
    Split,
    TwoArms,
    coverage_of,
    point_of,
    section_of,
    split_of,
    unit_bytes,
)

USERS = [f"user-{number}".encode() for number in range(20_000)]
POINTS_OF_THREE = [16080488750127217687, 1112273947271147042, 6225648347612327717]  # of ada, grace and nobody
ARMS_OF_FORTY = "2012001100112000333131002311223312121011"  # of user-0 to user-39 among four arms
RAMP = (0.01, 0.05, 0.1, 0.25, 0.5, 1.0)
SALT = "exp-5d2a41-0f9c"
WEIGHTS = {"champion": 0.4, "b": 0.3, "c": 0.2, "d": 0.1}


def two(weight: float, salt: str = SALT) -> Split:
    return split_of(salt, [("champion:1", 1 - weight), ("candidate:1", weight)])


def arms(split: Split) -> list[int]:
    return [split.arm_of(user) for user in USERS]


def many(**weights: float) -> Callable[[bytes], str]:
    """Name of the arm that a unit gets; the names' order is the arms'."""
    split = split_of(SALT, list(weights.items()))
    names = list(weights)
    return lambda unit: names[split.arm_of(unit)]


def test_a_ramp_of_the_weight_moves_nobody_from_candidate_back_to_champion() -> None:
    steps = [arms(two(weight)) for weight in RAMP]
    for before, after in itertools.pairwise(steps):
        assert all(earlier <= later for earlier, later in zip(before, after, strict=True))
    assert sum(steps[-1]) == len(USERS)


def test_a_ramp_of_the_coverage_only_adds_units_and_leaves_their_arms() -> None:
    covered: list[set[bytes]] = []
    for share in RAMP:
        gate = coverage_of(SALT, share)
        covered.append({user for user in USERS if gate is None or gate.holds(user)})
        error = sqrt(share * (1 - share) / len(USERS))
        assert abs(len(covered[-1]) / len(USERS) - share) <= 4 * error
    assert all(before < after for before, after in itertools.pairwise(covered))


@pytest.mark.parametrize("weight", RAMP[:-1])
def test_the_split_is_within_four_standard_errors_of_its_weight(weight: float) -> None:
    error = sqrt(weight * (1 - weight) / len(USERS))
    assert abs(sum(arms(two(weight, "a-salt-of-its-own"))) / len(USERS) - weight) < 4 * error


@given(weight=st.integers(0, 10_000))
def test_shares_are_exact_to_a_hundredth_of_a_per_cent(weight: int) -> None:
    split = two(weight / 10_000)
    assert isinstance(split, TwoArms)
    assert abs(split.candidate_points / POINTS - weight / 10_000) <= 2**-53


def correlation(first: list[int], second: list[int]) -> float:
    return float(np.corrcoef(first, second)[0, 1])


def test_experiments_gates_arms_and_layers_know_nothing_of_each_other() -> None:
    # keys that differ in the last character couple GrowthBook v1's experiments by up to .889
    half, other_half = coverage_of(SALT, 0.5), coverage_of("exp-5d2a41-0f9d", 0.5)
    layers = [section_of(name, salt=SALT, from_0_1=0, to_0_1=0.5) for name in ("prompt", "model")]
    assert half is not None
    assert other_half is not None
    sections = [half, other_half, *layers]
    drawn = [[int(section.holds(user)) for user in USERS] for section in sections]
    drawn += [arms(two(0.5)), arms(two(0.5, "exp-5d2a41-0f9d"))]
    drawn.append([min(arm, 1) for arm in arms(split_of(SALT, [("a", 0.5), ("b", 0.25), ("c", 0.25)]))])
    worst = max(abs(correlation(first, second)) for first, second in itertools.combinations(drawn, 2))
    assert worst < 4.5 / sqrt(len(USERS))


def test_parts_of_one_layer_share_no_unit_and_miss_none() -> None:
    bounds = (0, 0.1, 1 / 3, 0.7, 1)
    parts = [section_of("prompt", salt=SALT, from_0_1=first, to_0_1=end) for first, end in itertools.pairwise(bounds)]
    assert all(sum(part.holds(user) for part in parts) == 1 for user in USERS[:10_000])


class TestManyArms:
    def test_shares_are_the_weights(self) -> None:
        arm_of = many(**WEIGHTS)
        got = [arm_of(user) for user in USERS]
        for name, weight in WEIGHTS.items():
            assert abs(got.count(name) / len(USERS) - weight) < 4 * sqrt(weight * (1 - weight) / len(USERS))

    @pytest.mark.parametrize(
        "after", [{"champion": 0.4, "b": 0.3, "c": 0, "d": 0.1}, {"champion": 0.4, "b": 0.3, "d": 0.1}]
    )
    def test_dropping_an_arm_moves_only_its_own_units(self, after: dict[str, float]) -> None:
        before, now = many(**WEIGHTS), many(**after)
        moved = {before(user) for user in USERS[:10_000] if before(user) != now(user)}
        assert moved == {"c"}

    def test_a_larger_weight_moves_units_only_to_its_arm(self) -> None:
        before, now = many(**WEIGHTS), many(**WEIGHTS | {"d": 0.3})
        moved = {now(user) for user in USERS[:10_000] if before(user) != now(user)}
        assert moved == {"d"}

    def test_the_order_of_the_arms_means_nothing(self) -> None:
        before, now = many(**WEIGHTS), many(**dict(reversed(WEIGHTS.items())))
        assert all(before(user) == now(user) for user in USERS[:5000])

    def test_two_arms_of_one_variant_are_two_arms(self) -> None:
        split = split_of(SALT, [("m:1", 0.4), ("m:1", 0.3), ("m:1", 0.3)])
        got = arms(split)
        assert all(abs(got.count(arm) / len(USERS) - share) < 0.015 for arm, share in enumerate((0.4, 0.3, 0.3)))

    def test_without_any_weight_the_champion_has_everybody(self) -> None:
        assert set(arms(split_of(SALT, [("a", 0), ("b", 0), ("c", 0)]))) == {0}

    def test_times_never_change_between_releases(self) -> None:
        split = split_of(SALT, list(WEIGHTS.items()))
        assert isinstance(split, ManyArms)
        assert "".join(str(split.arm_of(user)) for user in USERS[:40]) == ARMS_OF_FORTY


@given(salt=st.text(min_size=8), unit=st.text())
def test_the_bounds_are_exact(salt: str, unit: str) -> None:
    assert two(0, salt).arm_of(unit_bytes(unit)) == 0
    assert two(1, salt).arm_of(unit_bytes(unit)) == 1
    nobody = coverage_of(salt, 0)
    assert nobody is not None
    assert not nobody.holds(unit_bytes(unit))


def test_points_never_change_between_releases() -> None:
    # a changed figure here would reshuffle every running experiment
    split = two(0.5)
    assert isinstance(split, TwoArms)
    assert [point_of(split.key, unit) for unit in (b"ada", b"grace", b"")] == POINTS_OF_THREE
    assert [split.arm_of(unit) for unit in (b"ada", b"grace", b"")] == [0, 1, 1]


def test_another_process_assigns_alike_whatever_its_hash_seed() -> None:
    code = (
        "from router_svc.domain.assignment import split_of\n"
        f"two = split_of({SALT!r}, [('a', .5), ('b', .5)])\n"
        f"many = split_of({SALT!r}, [('champion', .4), ('b', .3), ('c', .2), ('d', .1)])\n"
        "users = [f'user-{number}'.encode() for number in range(2000)]\n"
        "print(''.join(f'{two.arm_of(user)}{many.arm_of(user)}' for user in users))\n"
    )
    here = split_of(SALT, list(WEIGHTS.items()))
    expected = "".join(f"{two(0.5).arm_of(user)}{here.arm_of(user)}" for user in USERS[:2000])
    run = subprocess.run(
        [sys.executable, "-c", code], env={"PYTHONHASHSEED": "4321"}, capture_output=True, text=True, check=True
    )
    assert run.stdout.strip() == expected
