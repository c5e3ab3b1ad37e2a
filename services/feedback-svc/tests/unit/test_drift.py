"""Drifts of inputs: what is one, and that chance is none."""

import math
import random

import pytest

from feedback_svc.domain.drift import chance_limit, find_drift, stability_index
from loopwright.contracts.tasks import DriftPolicy

POLICY = DriftPolicy(inputs=300)
WORDS = [f"word{'abcdefghijklmnop'[number % 16]}{'xyz'[number % 3] * (number % 7)}" for number in range(200)]


def inputs(chance: random.Random, *, words: int = 8, count: int = 300, vocabulary: list[str] = WORDS) -> list[str]:
    return [" ".join(chance.choices(vocabulary, k=chance.randint(words, 2 * words))) for _ in range(count)]


def test_equal_histograms_have_no_index_and_the_textbooks_example_has_its_own() -> None:
    assert stability_index([0, 1, 2] * 50, [2, 1, 0] * 50, 3) == 0
    many = 200_000  # half an observation more in each bucket does not show
    then, now = [0] * many + [1] * many, [0] * (many // 2) + [1] * (3 * many // 2)
    assert stability_index(then, now, 2) == pytest.approx(0.25 * math.log(2) + 0.25 * math.log(1.5), abs=1e-4)


def test_an_empty_bucket_is_no_infinity() -> None:
    assert math.isfinite(stability_index([0] * 10, [1] * 10, 2))


def test_unchanged_inputs_stay_below_what_chance_allows() -> None:
    chance = random.Random(3)
    exceeded = 0
    for _ in range(2000):
        then, now = (chance.choices(range(16), k=300) for _ in range(2))
        exceeded += stability_index(then, now, 16) > chance_limit(300, 300, 16)
    assert exceeded <= 8  # 2 of 2,000 are to be expected


def test_unchanged_inputs_are_no_drift() -> None:
    assert all(find_drift(inputs(chance), inputs(chance), POLICY) is None for chance in map(random.Random, range(20)))


@pytest.mark.parametrize(
    ("changed", "feature"),
    [
        ({"words": 40}, "length"),
        ({"vocabulary": ["서버가", "멈췄습니다", "다시", "시작"]}, "script"),
        ({"vocabulary": ["invoices", "customs"], "words": 8}, "words"),
    ],
)
def test_other_inputs_are_a_drift_of_the_feature_that_moved(changed: dict[str, object], feature: str) -> None:
    chance = random.Random(5)
    shift = find_drift(inputs(chance), inputs(chance, **changed), POLICY)  # pyright: ignore[reportArgumentType]
    assert shift is not None
    assert shift.index > 0.25
    if feature != "script":  # other scripts are other words as well
        assert shift.feature == feature


def test_too_few_inputs_say_nothing() -> None:
    chance = random.Random(5)
    assert find_drift(inputs(chance, count=299), inputs(chance, words=50), POLICY) is None


def test_hostile_inputs_are_read_within_bounds() -> None:
    hostile = ["가" * 1_000_000, "\ud800", "", "\0", "a" * 1_000_000] * 60
    assert find_drift(hostile, ["hello there"] * 300, POLICY) is not None
