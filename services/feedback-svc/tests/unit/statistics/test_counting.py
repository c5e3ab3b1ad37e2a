"""Counting one by one, in any order, with repetitions and late arrivals, is counting all at once."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from feedback_svc.domain.statistics.arms import ArmEpoch, Scale, arm_epoch_of, merge
from feedback_svc.domain.statistics.moments import MeanMoments, ProportionMoments
from feedback_svc.domain.statistics.users import UserMoments

SCALE = Scale()
STARS = st.integers(1, 5).map(float)
EVENTS = st.lists(st.tuples(st.sampled_from("abcdef"), st.integers(0, 3), STARS), max_size=40)
PASTS = {"a": 2.5, "c": 4.0, "e": 1.0}  # users of the other letters are fresh


def a_user(name: str) -> UserMoments:
    return UserMoments(before=PASTS.get(name), before_ratings=3)


def at_once(events: list[tuple[str, int, float]]) -> ArmEpoch:
    """The last rating of each (user, answer) counts."""
    last = {(name, answer): value for name, answer, value in events}
    users: dict[str, UserMoments] = {}
    for (name, _), value in last.items():
        users[name] = users.get(name, a_user(name)).with_rating(value)
    return arm_epoch_of(users.values(), scale=SCALE)


@given(events=EVENTS)
def test_one_by_one_is_all_at_once_to_the_last_bit(events: list[tuple[str, int, float]]) -> None:
    arm, users, known = ArmEpoch(), dict[str, UserMoments](), dict[tuple[str, int], float]()
    for name, answer, value in events:
        before = users.get(name, a_user(name))
        after = before.with_rating(value, replaced=known.get((name, answer)))
        arm = arm.with_users(before=[before], after=[after], scale=SCALE)
        users[name], known[name, answer] = after, value

    assert arm == at_once(events)


@given(events=EVENTS, seed=st.integers(0, 2**32))
def test_neither_order_nor_repetition_changes_anything(events: list[tuple[str, int, float]], seed: int) -> None:
    last = {(name, answer): (name, answer, value) for name, answer, value in events}
    shuffled = [*last.values(), *random.Random(seed).choices([*last.values()], k=5 if last else 0)]
    random.Random(seed).shuffle(shuffled)

    assert at_once(shuffled) == at_once(events)


@given(parts=st.lists(st.lists(st.tuples(STARS, st.booleans()), max_size=6), max_size=5))
def test_parts_counted_apart_merge_to_the_whole(parts: list[list[tuple[float, bool]]]) -> None:
    def users(part: list[tuple[float, bool]]) -> list[UserMoments]:
        return [UserMoments(before=3.0 if past else None).with_rating(value) for value, past in part]

    whole = arm_epoch_of([user for part in parts for user in users(part)], scale=SCALE)

    assert merge(arm_epoch_of(users(part), scale=SCALE) for part in parts) == whole


@given(values=st.lists(st.floats(-1e6, 1e6), max_size=30), taken=st.integers(0, 30))
def test_what_is_taken_out_leaves_no_trace(values: list[float], taken: int) -> None:
    whole, part = MeanMoments.of(values), MeanMoments.of(values[:taken])

    assert whole.minus(part) == MeanMoments.of(values[taken:])


def test_a_rating_taken_back_leaves_the_past_alone() -> None:
    user = UserMoments(before=4.0, before_ratings=7)

    assert user.with_rating(2.0).without_rating(2.0) == user


def test_the_histogram_holds_means_of_up_to_six_stars_exactly() -> None:
    means = {total / number for number in range(1, 7) for total in range(number, 5 * number + 1)}

    assert all(SCALE.value_of(SCALE.histogram_of([mean]).index(1)) == pytest.approx(mean, abs=1e-12) for mean in means)


def test_guardrails_add_up_by_name_and_never_across_kinds() -> None:
    arm = ArmEpoch().with_guardrail("errors", ProportionMoments(events=1, trials=10))
    arm = merge([arm, arm.with_guardrail("latency_ms", MeanMoments.of([5.0]))])

    assert arm.guardrails["errors"] == ProportionMoments(events=2, trials=20)
    assert arm.guardrails["latency_ms"] == MeanMoments.of([5.0])
    with pytest.raises(TypeError, match="errors"):
        arm.with_guardrail("errors", MeanMoments.of([1.0]))
