"""Small versions of what `make check-stats` shows at length: looking often must not raise the error."""

import math

import pytest
from stats_decisions import decided_alike
from stats_missing import Silence, seen
from stats_population import Population
from stats_streams import Design, Looks, Runs, looks_of

RUNS = 300
ALPHA = 0.05
REFERENCE = Population(shares=(0.06, 0.045, 0.15, 0.335, 0.41))


def bound(share: float = ALPHA) -> float:
    """A share and three standard errors: these are few runs."""
    return share + 3 * math.sqrt(share * (1 - share) / RUNS)


def looks(design: Design) -> Looks:
    return looks_of(Runs(design, runs=RUNS, seed=11))


@pytest.mark.parametrize(("share", "icc", "ratings"), [(0.5, 0.3, 4), (0.2, 0.0, 1), (0.2, 0.5, 1)])
def test_peeking_keeps_false_verdicts_low_where_a_t_test_does_not(share: float, icc: float, ratings: int) -> None:
    null = looks(Design(population=Population(icc=icc), shares=(share,), ratings=ratings, looks=100, gap=4))

    assert 0 < (null.better | null.worse).any(axis=1).mean() <= bound()
    assert null.peeked_t_test(alpha=ALPHA).any(axis=1).mean() > 4 * ALPHA


def test_a_ramp_under_drifting_ratings_makes_no_winner() -> None:
    null = looks(Design(population=Population(icc=0.3), shares=(0.1, 0.5), ratings=2, drift=0.3, looks=100))

    assert (null.better | null.worse).any(axis=1).mean() <= bound()


def test_a_true_difference_is_found_within_four_hundred_users() -> None:
    found = looks(Design(population=REFERENCE, geometric=4.0, effect=0.3, users_per_look=4, looks=100, gap=1))

    assert found.promoted.any(axis=1).mean() > 0.7


def test_hostile_fresh_accounts_do_not_win_it() -> None:
    null = looks(Design(population=REFERENCE, geometric=4.0, hostile_0_1=0.05, looks=60, gap=1))

    assert null.better.any(axis=1).mean() > 4 * ALPHA
    assert null.promoted.any(axis=1).mean() <= bound()


def test_silent_unhappy_users_do_not_win_it() -> None:
    history = seen(Silence(answering_0_1=0.7, looks=50), runs=RUNS, seed=5)

    assert history.better.any(axis=1).mean() > 0.6
    assert history.promoted.mean() <= bound(0.15)
    assert history.flagged.mean() > 0.85


@pytest.mark.parametrize(
    "design",
    [
        Design(population=Population(icc=0.3), shares=(0.2,), ratings=3, looks=60),
        Design(population=Population(icc=0.3), shares=(0.1, 0.5), ratings=3, looks=60, drift=0.3),
        Design(population=REFERENCE, geometric=4.0, effect=0.5, users_per_look=4, looks=60, gap=1),
    ],
)
def test_the_service_decides_as_the_simulation_says(design: Design) -> None:
    same, of = decided_alike(design, runs=4, seed=3)

    assert same == of
    assert of >= 8
