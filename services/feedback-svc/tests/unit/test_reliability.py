"""Raters who agree are believed; who is wrong more often than right is found, even among few others."""

import random

from feedback_svc.domain.reliability import UNKNOWN, Judgement, estimate


def said(chance: random.Random, rater: str, item: int, *, truth: bool, right: float) -> Judgement:
    return Judgement(rater, f"i{item}", truth if chance.random() < right else not truth)


def crowd(*, honest: int, hostile: int, items: int, each: int) -> list[Judgement]:
    chance = random.Random(5)
    names = [(f"honest-{n}", 0.85) for n in range(honest)] + [(f"hostile-{n}", 0.1) for n in range(hostile)]
    truths = [chance.random() < 0.7 for _ in range(items)]
    return [
        said(chance, name, item, truth=truth, right=right)
        for item, truth in enumerate(truths)
        for name, right in chance.sample(names, each)
    ]


def test_two_hostile_raters_of_ten_are_told_from_the_honest():
    found = estimate(crowd(honest=8, hostile=2, items=200, each=4), {})

    assert min(found[f"honest-{n}"].mean for n in range(8)) > 0.75
    assert max(found[f"hostile-{n}"].mean for n in range(2)) < 0.3
    assert all(found[f"hostile-{n}"].worse_than_chance > 0.95 for n in range(2))
    assert all(found[f"honest-{n}"].worse_than_chance < 0.01 for n in range(8))


def test_who_rated_alone_stays_unknown():
    found = estimate([Judgement("alone", "i1", endorses=True)], {})
    assert found.get("alone", UNKNOWN) == UNKNOWN


def test_checks_by_people_outweigh_a_hostile_majority():
    judgements = [
        Judgement(rater, f"i{item}", endorses=rater != "honest") for item in range(12) for rater in ("honest", "a", "b")
    ]
    believed = estimate(judgements, {})
    checked = estimate(judgements, {f"i{item}": False for item in range(12)})

    assert believed["a"].mean > believed["honest"].mean
    assert checked["honest"].mean > 0.9
    assert checked["a"].worse_than_chance > 0.95


def test_the_order_of_judgements_changes_nothing():
    judgements = crowd(honest=5, hostile=1, items=40, each=3)
    shuffled = random.Random(1).sample(judgements, len(judgements))
    found, again = estimate(judgements, {}), estimate(shuffled, {})
    assert {rater: round(one.mean, 9) for rater, one in found.items()} == {
        rater: round(one.mean, 9) for rater, one in again.items()
    }
