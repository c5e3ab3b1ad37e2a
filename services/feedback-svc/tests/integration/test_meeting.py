"""Two transactions that meet: the second is begun while the first is open, and must see what the first did."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime

import pytest
from feedback_world import BASE, TASK, World, a_rating, a_task, an_erasure, an_evaluation, an_inference, rated

from feedback_svc.adapters.signals import answered_of, rating_of
from feedback_svc.handlers.deciding import decide_experiment
from feedback_svc.handlers.erasures import erase_unit
from feedback_svc.handlers.evaluations import take_evaluation
from feedback_svc.handlers.inferences import take_inferences
from feedback_svc.handlers.ratings import take_ratings
from feedback_svc.handlers.records import take_feedback
from loopwright.contracts.inferences import InferenceCompleted, InferenceRated
from loopwright.contracts.registry import EXPERIMENT_CONCLUDED, FEEDBACK_RECEIVED
from loopwright.testing.examples import an_event
from loopwright.unit_of_work import Work

NOW = datetime(2026, 11, 21, 13, tzinfo=UTC)
_BEGUN_S = 0.5  # long enough for the second transaction to come as far as it can
Step = Callable[[Work], Awaitable[object]]


def hears(event: InferenceCompleted | InferenceRated) -> Step:
    """What the consumer does of an event, as a step."""
    if isinstance(event, InferenceCompleted):
        return lambda work: take_inferences([answered_of(event)], work, now=NOW)
    return lambda work: take_ratings([rating_of(event)], work, now=NOW)


async def meet(world: World, first: Step, second: Step) -> None:
    """Runs the first step, the second while the first is not committed, and then commits both."""

    async def follow() -> None:
        async with world.work() as work:
            await second(work)
            begun.set()

    begun = asyncio.Event()
    async with world.work() as work:
        await first(work)
        following = asyncio.create_task(follow())
        await asyncio.wait({asyncio.create_task(begun.wait())}, timeout=_BEGUN_S)
    await following


async def test_an_inference_and_its_rating_form_their_sample(world: World) -> None:
    await world.hand(a_task())
    await meet(
        world,
        hears(an_inference(1)),
        hears(a_rating(1, rating_id="r1")),
    )
    await meet(
        world,
        hears(a_rating(2, rating_id="r2")),
        hears(an_inference(2)),
    )
    assert await world.ready_samples() == {"answer 1": ("r1",), "answer 2": ("r2",)}


async def test_two_ratings_of_one_inference_by_one_rater_leave_the_later_one(world: World) -> None:
    await world.hand(a_task(), an_inference())
    await meet(
        world,
        hears(a_rating(1, 5, minute=1)),
        hears(a_rating(1, 1, minute=2)),
    )
    assert sorted((row["value"], row["counts"]) for row in await world.table("ratings")) == [(1, True), (5, False)]
    assert await world.ready_samples() == {}


async def test_two_ratings_that_make_a_request_due_make_one(world: World) -> None:
    await world.hand(a_task(retraining={"min_new_samples": 3, "cooldown_s": 3600}))
    for number in range(4):
        await world.hand(an_inference(number))
    await world.hand(a_rating(0), a_rating(1))
    await meet(
        world,
        hears(a_rating(2)),
        hears(a_rating(3)),
    )
    await world.timer.look()
    (request,) = await world.table("dataset_requests")
    assert (request["number"], request["new_samples"]) == (1, 3)


async def test_two_evaluations_start_one_experiment(world: World) -> None:
    await world.hand(a_task())
    await meet(
        world,
        lambda work: take_evaluation(an_evaluation(1), work, now=NOW),
        lambda work: take_evaluation(an_evaluation(2, candidate="mood:2"), work, now=NOW),
    )
    states = {row["candidate_variant_id"]: row["state"] for row in await world.table("experiments")}
    assert states == {"mood:1": "running", "mood:2": "draft"}


async def test_two_inferences_of_a_new_unit_count_it_once(world: World) -> None:
    experiment_id = await world.start_experiment()

    def seen(number: int) -> Step:
        return hears(an_inference(number, unit_hash="newcomer", experiment_id=experiment_id))

    await meet(world, seen(1), seen(2))
    (user,) = await world.table("experiment_users")
    assert (user["unit_hash"], user["exposures"]) == ("newcomer", 2)


async def test_two_replicas_that_find_an_experiment_decided_conclude_it_once(world: World) -> None:
    experiment_id = await world.start_experiment(min_users_per_arm=2, max_users=4)
    await world.hand(*(rated(experiment_id, BASE, unit, 3) for unit in range(4)))
    done: list[bool] = []

    async def decide(work: Work) -> None:
        done.append(await decide_experiment(experiment_id, TASK, work, now=datetime.now(UTC)))

    await meet(world, decide, decide)
    assert done == [True, False]
    assert len(await world.announced(EXPERIMENT_CONCLUDED)) == 1


async def test_a_rating_that_comes_while_an_experiment_ends_changes_none_of_its_figures(world: World) -> None:
    experiment_id = await world.start_experiment(min_users_per_arm=2, max_users=4)
    await world.hand(*(rated(experiment_id, BASE, unit, 3) for unit in range(4)))

    async def decide(work: Work) -> None:
        assert await decide_experiment(experiment_id, TASK, work, now=datetime.now(UTC))

    await meet(world, decide, hears(rated(experiment_id, BASE, 5, 1)))
    assert (await world.experiment())["findings"]["users"] == 4
    assert len(await world.table("experiment_users")) == 4


SPOKEN: dict[str, Step] = {
    "inferences": hears(an_inference(answer="words")),
    "ratings": hears(a_rating(comment="words", correction="words")),
    "upstream_records": lambda work: take_feedback(
        [an_event(FEEDBACK_RECEIVED, record={"unit_hash": "unit-1", "text": "words"})], work, now=NOW
    ),
}


@pytest.mark.parametrize("table", SPOKEN)
async def test_an_erasure_takes_the_words_of_what_arrives_beside_it(world: World, table: str) -> None:
    await world.hand(a_task())
    await meet(world, SPOKEN[table], lambda work: erase_unit(an_erasure(), work, now=NOW))
    (row,) = await world.table(table)
    assert "words" not in str(dict(row))
