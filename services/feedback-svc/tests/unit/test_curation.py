"""Whose samples teach: caps, tenure, bursts, surges, consent, and how little hostile newcomers get in."""

import random
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from feedback_svc.domain.curation import (
    Candidate,
    Crowd,
    Curated,
    Hold,
    Rater,
    Usual,
    busiest_stretch,
    curate,
    is_surge,
)
from feedback_svc.domain.reliability import Reliability
from loopwright.contracts.tasks import CurationPolicy

NOON = datetime(2026, 11, 21, 12, tzinfo=UTC)
POLICY = CurationPolicy()
QUIET = Usual(per_day=None, last_day=0)
OLD = Rater(first_at=NOON - timedelta(days=60), ratings=50, busiest=3)
NEW = Rater(first_at=NOON - timedelta(hours=2), ratings=20, busiest=3)


def sample(number: int, *raters: str, **changes: object) -> Candidate:
    one = Candidate(
        sample_id=f"s{number}", raters=raters, formed_at=NOON + timedelta(seconds=number),
        vouched=False, consents=True,
    )  # fmt: skip
    return replace(one, **changes)


def curated(candidates: list[Candidate], raters: dict[str, Rater], **crowd: object) -> Curated:
    values = {"usual": QUIET, "tenured_raters": 100, "exported": 0} | crowd
    return curate(candidates, Crowd(raters=raters, **values), POLICY, now=NOON)


def test_a_tenured_rater_teaches_and_a_newcomer_waits_for_a_person():
    result = curated([sample(1, "old"), sample(2, "new"), sample(3)], {"old": OLD, "new": NEW})

    assert result.taken.keys() == {"s1", "s3"}
    assert result.held == {"s2": Hold.RATER_NEW}


def test_newcomers_teach_as_long_as_nobody_is_tenured():
    assert curated([sample(1, "new")], {"new": NEW}, tenured_raters=19).taken.keys() == {"s1"}


def test_the_word_of_a_tenured_rater_carries_a_newcomer():
    assert curated([sample(1, "new", "old")], {"old": OLD, "new": NEW}).taken.keys() == {"s1"}


@pytest.mark.parametrize(
    ("rater", "reason"),
    [
        (replace(OLD, busiest=POLICY.burst_ratings + 1), Hold.RATER_BURST),
        (replace(OLD, reliability=Reliability(4, 30)), Hold.RATER_UNRELIABLE),
    ],
)
def test_who_cannot_be_believed_spoils_even_what_others_endorse(rater: Rater, reason: Hold):
    assert curated([sample(1, "odd", "old")], {"odd": rater, "old": OLD}).held == {"s1": reason}


def test_without_consent_nothing_is_taken_even_if_a_person_vouched():
    result = curated([sample(1, "old", vouched=True, consents=False)], {"old": OLD})
    assert result.held == {"s1": Hold.NO_CONSENT}


def test_what_a_person_accepted_teaches_at_full_weight_whoever_said_it():
    doubtful = replace(NEW, reliability=Reliability(1, 30), busiest=1000)
    assert curated([sample(1, "new", vouched=True)], {"new": doubtful}).taken == {"s1": 1.0}


def test_weights_follow_reliability_and_never_fall_below_a_fifth():
    poor = replace(OLD, reliability=Reliability(5, 5))
    poorest = replace(OLD, reliability=Reliability(1, 2))
    result = curated(
        [sample(1, "poor"), sample(2, "old"), sample(3, "poorest")], {"poor": poor, "old": OLD, "poorest": poorest}
    )

    assert result.taken["s1"] == pytest.approx(0.5 / 0.8)
    assert result.taken["s2"] == 1.0
    assert 0.2 <= result.taken["s3"] < result.taken["s1"]


def test_a_rater_teaches_no_more_than_its_share_and_the_rest_waits():
    others = [sample(number, f"r{number}") for number in range(3000)]
    mine = [sample(5000 + number, "busy") for number in range(100)]
    raters = {f"r{number}": OLD for number in range(3000)} | {"busy": OLD}
    result = curated(mine + others, raters)

    assert sum(name in result.taken for name in (one.sample_id for one in mine)) == 31  # a hundredth of 3,100
    assert set(result.held.values()) == {Hold.RATER_CAP}
    assert len(result.held) == 69
    again = curated(mine, raters | {"busy": replace(OLD, taught=31)}, exported=3000)
    assert not again.taken
    assert min(result.held) == "s5031", "those formed first are taken"


def test_a_surge_of_newcomers_is_held_even_where_newcomers_teach():
    assert is_surge(Usual(per_day=20, last_day=80))
    assert not is_surge(Usual(per_day=20, last_day=35))
    assert not is_surge(QUIET)
    result = curated([sample(1, "new")], {"new": NEW}, tenured_raters=0, usual=Usual(per_day=20, last_day=80))
    assert result.held == {"s1": Hold.NEWCOMER_SURGE}


def test_the_busiest_stretch_slides_over_the_times():
    assert busiest_stretch([], window_s=60) == 0
    assert busiest_stretch([0, 59, 60, 61, 200], window_s=60) == 3
    assert busiest_stretch([float(number) for number in range(0, 600, 30)], window_s=60) == 3


@pytest.mark.parametrize("share", [0.01, 0.03, 0.05])
def test_hostile_newcomers_get_at_most_a_thousandth_of_a_training_set(share: float):
    chance = random.Random(7)
    accounts = 600
    hostile = [f"h{number}" for number in range(round(accounts * share))]
    honest = [f"r{number}" for number in range(accounts - len(hostile))]
    fresh = set(honest[: len(honest) // 10])  # honest newcomers are held with them
    raters = {name: NEW if name in fresh else OLD for name in honest} | dict.fromkeys(hostile, NEW)
    votes = [name for name in hostile for _ in range(20)] + [
        name for name in honest for _ in range(chance.randint(0, 4))
    ]
    result = curated([sample(number, name) for number, name in enumerate(votes)], raters)
    theirs = sum(name in hostile for number, name in enumerate(votes) if f"s{number}" in result.taken)

    assert theirs <= 0.001 * len(result.taken)
    assert len(result.taken) > 900
