"""Bets on rates prove harm in tiny arms, and are not fooled by days that differ or by splits that are uneven."""

import math
import random

from feedback_svc.domain.statistics.betting import Arrival, excess_log_wealth, paired

ALPHA = 0.05


def drifting(seed: int, *, share_0_1: float, units: int, rise: float = 0.0) -> float:
    """Fortune of a run whose rates fall from 0.6 to 0.1, of which the candidate gets a share of the units."""
    drawn = random.Random(seed)
    arms: tuple[list[Arrival], list[Arrival]] = ([], [])
    for at in range(units):
        side = drawn.random() < share_0_1
        rate = 0.6 - 0.5 * at / units + rise * side
        arms[side].append(Arrival(float(at), float(drawn.random() < rate)))
    return excess_log_wealth(paired(*arms), margin=0.0)


def test_whoever_comes_is_paired_with_the_last_who_waits_on_the_other_side() -> None:
    champion = [Arrival(1.0, 0.1), Arrival(2.0, 0.2), Arrival(4.0, 0.4)]
    candidate = [Arrival(3.0, 0.9), Arrival(5.0, 0.8)]
    assert paired(champion, candidate) == [(0.2, 0.9), (0.4, 0.8)]
    assert paired(candidate, champion) == [(0.9, 0.2), (0.8, 0.4)]
    assert paired(champion, []) == []


def test_units_that_came_at_once_are_paired_in_their_order_whatever_was_measured() -> None:
    champion = [Arrival(1.0, value) for value in (0.3, 0.1, 0.2)]
    candidate = [Arrival(1.0, value) for value in (0.7, 0.9, 0.8)]
    assert paired(champion, candidate) == [(0.2, 0.7), (0.1, 0.9), (0.3, 0.8)]


def test_no_difference_is_taken_for_harm_more_often_than_agreed() -> None:
    runs = 300
    for share_0_1 in (0.5, 0.1):
        false = sum(drifting(seed, share_0_1=share_0_1, units=200) >= -math.log(ALPHA) for seed in range(runs))
        assert false / runs <= ALPHA + 2 * math.sqrt(ALPHA * (1 - ALPHA) / runs)


def test_harm_is_found_in_arms_that_bounds_are_not_made_for() -> None:
    found = sum(drifting(seed, share_0_1=0.5, units=90, rise=0.4) >= -math.log(ALPHA) for seed in range(100))
    assert found >= 80
