"""Every consumer: handled once, again without effect, unreadable to the dead letters, and a database that goes away."""

import asyncio
import json
from collections.abc import Callable
from dataclasses import dataclass

import pytest
from trainer_world import BASE, TASK, World, a_request, a_task, a_version

from loopwright.broker import ConsumerStopped
from loopwright.contracts.base import Event, RunState
from loopwright.contracts.envelope import seal
from loopwright.contracts.registry import DATASET_DEPRECATED, DATASET_VALIDATED, JOB_FINISHED, JOB_REQUESTED, topic_of
from loopwright.contracts.tasks import Hyperparameters
from loopwright.testing.examples import an_event
from loopwright.testing.gate import Gate
from loopwright.testing.records import a_raw_record


@dataclass(frozen=True)
class Case:
    """An event, what must be known before it, and the table in which it leaves one row."""

    event: Callable[[], Event]
    before: tuple[Callable[[], Event], ...]
    table: str


CASES = {
    "task": Case(a_task, (), "policies"),
    "dataset": Case(a_version, (a_task,), "outbox"),
    "deprecation": Case(lambda: an_event(DATASET_DEPRECATED), (), "deprecated_versions"),
    "job": Case(a_request, (), "jobs"),
}
every_consumer = pytest.mark.parametrize("case", CASES.values(), ids=CASES)


async def state(world: World) -> list[str]:
    """All rows of the service but the inbox."""
    tables = ("policies", "dataset_versions", "deprecated_versions", "jobs", "job_devices", "workers", "outbox")
    return sorted([f"{name} {dict(row)}" for name in tables for row in await world.table(name)])


@every_consumer
async def test_handles_an_event(world: World, case: Case) -> None:
    await world.hand(*(event() for event in case.before), case.event())
    assert len(await world.table(case.table)) == 1
    assert await world.dead_letters(topic_of(case.event())) == []


@every_consumer
async def test_does_nothing_when_an_event_comes_again(world: World, case: Case) -> None:
    await world.hand(*(event() for event in case.before))
    event = case.event()
    topic = topic_of(event)
    envelope = seal(topic, source=topic.producers[0], cause=None, traceparent=None)
    await world.hand(event, envelope=envelope)
    before = await state(world)

    await world.hand(event, envelope=envelope)

    assert await state(world) == before


@every_consumer
async def test_sets_an_unreadable_event_aside_with_its_reason_and_goes_on(world: World, case: Case) -> None:
    await world.hand(*(event() for event in case.before))
    event = case.event()
    topic = topic_of(event)
    envelope = seal(topic, source=topic.producers[0], cause=None, traceparent=None)
    headers = [(name, value.encode()) for name, value in envelope.to_headers()]
    broken = json.dumps({**json.loads(event.model_dump_json()), topic.key: {"not": "text"}}).encode()

    await world.consume(a_raw_record(topic, broken, headers=headers, offset=900))
    await world.consume(a_raw_record(topic, b"{", headers=headers, offset=901))
    await world.hand(event)

    assert await world.dead_letters(topic) == ["event.invalid-payload", "event.invalid-payload"]
    rows = await world.table(case.table)
    assert len([row for row in rows if not str(row.get("topic", "")).endswith(".dlq")]) == 1


@every_consumer
async def test_waits_for_a_database_that_is_away_and_then_acts_once(
    world: World, gate: tuple[Gate, str], case: Case
) -> None:
    await world.hand(*(event() for event in case.before))
    await gate[0].shut()
    handling = asyncio.create_task(world.hand(case.event(), attempts=10))
    await asyncio.sleep(0.2)  # a few tries in vain
    assert not handling.done()

    await gate[0].open()
    await handling

    assert len(await world.table(case.table)) == 1


@every_consumer
async def test_stops_without_a_dead_letter_when_the_database_stays_away(
    world: World, gate: tuple[Gate, str], case: Case
) -> None:
    before = await state(world)
    await gate[0].shut()
    with pytest.raises(ConsumerStopped):
        await world.hand(case.event())
    assert await state(world) == before
    await gate[0].open()


class TestTasks:
    async def test_the_highest_version_wins_in_any_order(self, world: World) -> None:
        await world.hand(a_task(2, base_model="two"), a_task(3, base_model="three"), a_task(1, base_model="one"))
        (row,) = await world.table("policies")
        assert (row["version"], row["base_model"]) == (3, "three")


class TestDatasets:
    async def test_a_version_starts_the_job_that_its_tasks_policy_wants(self, world: World) -> None:
        await world.hand(a_task(), a_version())
        (request,) = await world.announced(JOB_REQUESTED)
        assert (request.task_id, request.base_model, request.requested_by) == (TASK, BASE, "policy")
        assert request.training_data.version_id == "dsv-1"
        assert request.hyperparameters == Hyperparameters(lora_rank=4)

    async def test_a_version_starts_nothing_where_the_policy_leaves_it_to_people(self, world: World) -> None:
        await world.hand(a_task(training={"auto": False}), a_version())
        assert await world.announced(JOB_REQUESTED) == []
        assert len(await world.table("dataset_versions")) == 1

    async def test_settings_are_those_of_the_tasks_last_job_that_succeeded_where_the_policy_says_so(
        self, world: World
    ) -> None:
        await world.hand(a_task(training={"auto": True, "inherit": True, "hyperparameters": {"num_epochs": 2}}))
        past = {"lora_rank": 5, "num_epochs": 9}
        await world.hand(a_request(1, hyperparameters=past), a_request(2, hyperparameters={"lora_rank": 6}))
        await world.set_job("job-1", state=RunState.SUCCEEDED, finished_at=a_request().requested_at)
        await world.set_job("job-2", state=RunState.FAILED, finished_at=a_request(2).requested_at)

        await world.hand(a_version())

        (request,) = await world.announced(JOB_REQUESTED)
        assert request.hyperparameters == Hyperparameters(lora_rank=5, num_epochs=2)

    async def test_a_version_that_overtakes_its_task_waits_for_it(self, world: World) -> None:
        early = asyncio.create_task(world.hand(a_version(), attempts=20))
        await asyncio.sleep(0.3)
        assert not early.done()

        await world.hand(a_task())
        await early

        assert len(await world.announced(JOB_REQUESTED)) == 1
        assert await world.dead_letters(DATASET_VALIDATED) == []


class TestJobs:
    async def test_is_queued_in_the_trace_of_its_request(self, world: World) -> None:
        traceparent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
        envelope = seal(JOB_REQUESTED, source=JOB_REQUESTED.producers[0], cause=None, traceparent=traceparent)
        await world.hand(a_request(), envelope=envelope)
        job = await world.job()
        assert job["state"] == RunState.QUEUED
        assert job["traceparent"].split("-")[1] == "4bf92f3577b34da6a3ce929d0e0e4736"

    async def test_of_two_requests_with_one_id_the_first_counts(self, world: World) -> None:
        await world.hand(a_request(), a_request(job_name="another"))
        assert (await world.job())["job_name"] == a_request().job_name

    @pytest.mark.parametrize("changes", [{"base_model": "huge"}, {"objective": "distill"}, {"kind": "merge"}])
    async def test_what_can_never_run_here_ends_at_once_with_the_reason(
        self, world: World, changes: dict[str, str]
    ) -> None:
        await world.hand(a_request(**changes))
        (finished,) = await world.announced(JOB_FINISHED)
        assert finished.state is RunState.FAILED
        assert finished.reason is not None
        words = {"distill": "teacher"} | {"huge": "huge", "merge": "merge"}
        assert words[next(iter(changes.values()))] in finished.reason
        assert (await world.job())["state"] == RunState.FAILED
