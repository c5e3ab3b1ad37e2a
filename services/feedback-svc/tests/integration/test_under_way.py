"""Never two requests of a task at once, and none that waits for what has ended."""

from datetime import UTC, datetime

import pytest
from feedback_world import TASK, World, a_rating, a_task, an_inference
from pydantic import JsonValue

from feedback_svc.domain.retraining import is_under_way
from feedback_svc.store.situations import situation_of
from feedback_svc.store.tasks import get_task
from loopwright.contracts.jobs import JobFinished
from loopwright.contracts.registry import JOB_FINISHED
from loopwright.testing.examples import an_event, example_payload

PATIENT: dict[str, JsonValue] = {"min_new_samples": 2, "patience_s": 86_400}


def ended(request_id: str, **changes: JsonValue) -> JobFinished:
    data = example_payload(JOB_FINISHED)["training_data"]
    assert isinstance(data, dict)
    standard: dict[str, JsonValue] = {
        "task_id": TASK, "state": "failed", "adapter": None, "reason": "out of memory", "requested_by": "policy",
        "training_data": data | {"request_id": request_id},
    }  # fmt: skip
    return an_event(JOB_FINISHED, **(standard | changes))


async def teach(world: World, first: int) -> None:
    for number in (first, first + 1):
        await world.hand(an_inference(number), a_rating(number))


async def asked(world: World) -> list[str]:
    """Requests of the task, in order, each announced."""
    while await world.exporter.export_next():
        pass
    return [row["request_id"] for row in sorted(await world.table("dataset_requests"), key=lambda row: row["number"])]


async def under_way(world: World) -> bool:
    async with world.work() as unit:
        task = await get_task(unit.session, TASK)
        situation = await situation_of(unit.session, task)
    return is_under_way(task.policies.retraining, situation, now=datetime.now(UTC))


@pytest.mark.parametrize("state", ["failed", "stopped"])
async def test_a_job_that_ended_without_a_model_frees_its_task_at_once(world: World, state: str) -> None:
    await world.hand(a_task(retraining=PATIENT))
    await teach(world, 1)
    (first,) = await asked(world)
    await teach(world, 3)
    assert not await world.timer.look()
    assert await asked(world) == [first]

    await world.hand(ended(first, state=state))
    assert not await under_way(world)
    assert await world.timer.look()
    assert len(await asked(world)) == 2
    assert await under_way(world)


@pytest.mark.parametrize(
    "other",
    [
        {"state": "succeeded"}, {"requested_by": "somebody"}, {"requested_by": None}, {"study_id": "study-1"},
        {"kind": "gguf"}, {"task_id": "another"},
    ],
)  # fmt: skip
async def test_what_is_not_the_policys_own_job_frees_nothing(world: World, other: dict[str, JsonValue]) -> None:
    await world.hand(a_task(retraining=PATIENT))
    await teach(world, 1)
    (first,) = await asked(world)
    await world.hand(ended(first, **other), ended("req-nobody-knows"))
    assert await under_way(world)


async def test_the_end_of_an_earlier_job_that_is_heard_late_frees_no_later_request(world: World) -> None:
    await world.hand(a_task(retraining=PATIENT))
    await teach(world, 1)
    (first,) = await asked(world)
    await world.hand(ended(first))
    await teach(world, 3)
    _, second = await asked(world)
    await world.hand(ended(first))
    assert await under_way(world)
    await world.hand(ended(second))
    assert not await under_way(world)
