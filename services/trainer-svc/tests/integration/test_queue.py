"""The queue: turns, slots, memory, leases that run out, and holders that came too late."""

import asyncio
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
import sqlalchemy as sa
from trainer_world import BASE, MODELS, World, a_request

from loopwright.contracts.base import RunState
from loopwright.contracts.registry import JOB_FINISHED, JOB_PROGRESSED
from trainer_svc.domain.installed import Installed
from trainer_svc.domain.jobs import Ending, Job
from trainer_svc.domain.memory import ModelShape
from trainer_svc.domain.waiting import WorkerState
from trainer_svc.handlers.endings import end_attempt
from trainer_svc.handlers.queueing import Offer, recover_silent, report_worker, take_next_job
from trainer_svc.handlers.requests import stop_job
from trainer_svc.handlers.running import Holding, heartbeat, record_checkpoint, record_line
from trainer_svc.handlers.steering import change_priority
from trainer_svc.queries import read_waits
from trainer_svc.recipes.progress import Checkpointed, Stepped
from trainer_svc.store import queue

TTL = timedelta(seconds=30)
LONG_AGO = datetime(2026, 1, 1, tzinfo=UTC)
STEP = Stepped(
    step=7, total_steps=9, epoch=0.5, loss=1.5, perplexity=4.5, learning_rate=1e-3, grad_norm=1.0, tokens_per_s=50,
    device_memory_bytes=1, eta_s=3,
)  # fmt: skip


async def take(world: World, owner: str = "here", *, slots: tuple[str, ...] = ("cpu:0",), most: int = 2) -> Job | None:
    async with world.work() as unit:
        return await take_next_job(unit, an_offer(owner, slots=slots, most=most))


def an_offer(
    owner: str = "here", *, slots: tuple[str, ...] = ("cpu:0",), most: int = 2, keep_after: timedelta = TTL
) -> Offer:
    state = WorkerState(
        name=owner, slots=slots, base_models=(BASE,), most_jobs=most, held={}, total_bytes={}, free_bytes={}
    )
    return Offer(worker=state, installed=Installed(folders=MODELS), lease=TTL, keep_after=keep_after)


async def recover(world: World, *, max_attempts: int = 5, owner: str | None = None) -> tuple[str, ...]:
    async with world.work() as unit:
        return await recover_silent(unit, max_attempts=max_attempts, owner=owner)


async def taken(world: World, owner: str = "here") -> Job:
    job = await take(world, owner)
    assert job is not None
    return job


class TestTaking:
    async def test_the_job_that_has_waited_longest_goes_first(self, world: World) -> None:
        await world.hand(a_request(2), a_request(1), a_request(3))
        assert [(await taken(world, owner)).lease.job_id for owner in "abc"] == ["job-1", "job-2", "job-3"]

    async def test_a_device_has_one_job(self, world: World) -> None:
        await world.hand(a_request(1), a_request(2), a_request(3))
        slots = ("cpu:0", "cpu:1")
        jobs = [await take(world, slots=slots), await take(world, slots=slots), await take(world, slots=slots)]
        assert [job and job.devices for job in jobs] == [("cpu:0",), ("cpu:1",), None]

    async def test_no_more_jobs_run_than_the_setting_says(self, world: World) -> None:
        await world.hand(a_request(1), a_request(2))
        assert await take(world, slots=("cpu:0", "cpu:1"), most=1) is not None
        assert await take(world, slots=("cpu:0", "cpu:1"), most=1) is None

    async def test_workers_that_look_at_once_take_different_jobs(self, world: World) -> None:
        await world.hand(*(a_request(number) for number in range(1, 9)))
        jobs = await asyncio.gather(*(take(world, f"worker-{number}") for number in range(8)))
        assert len({job.lease.job_id for job in jobs if job is not None}) == 8

    async def test_a_job_for_another_base_model_is_left_to_other_workers(self, world: World) -> None:
        await world.hand(a_request(1))
        await world.set_job(base_model="huge")
        assert await take(world) is None

    async def test_what_has_ended_is_not_taken(self, world: World) -> None:
        await world.hand(a_request(1))
        job = await taken(world)
        async with world.work() as unit:
            await end_attempt(unit, job.lease, Ending(state=RunState.FAILED, reason="no"))
        assert await take(world) is None


class TestLeases:
    async def test_a_job_whose_worker_fell_silent_goes_to_another_as_the_next_attempt(self, world: World) -> None:
        await world.hand(a_request(1))
        first = await taken(world, "dead")
        assert await recover(world) == ()
        await world.set_job(lease_expires_at=LONG_AGO)

        assert await recover(world) == ("job-1",)
        second = await taken(world, "other")

        assert (first.lease.attempt, second.lease.attempt) == (1, 2)
        assert (await world.job())["device"] == "other/cpu:0"

    async def test_a_heartbeat_keeps_it(self, world: World) -> None:
        await world.hand(a_request(1))
        job = await taken(world)
        await world.set_job(lease_expires_at=LONG_AGO)
        async with world.work() as unit:
            assert await heartbeat(unit, job.lease, expires_at=datetime.now(UTC) + TTL) is Holding.HELD
        assert await recover(world) == ()

    async def test_a_worker_that_wakes_up_too_late_changes_and_says_nothing(self, world: World) -> None:
        await world.hand(a_request(1))
        late = await taken(world, "late")
        await world.set_job(lease_expires_at=LONG_AGO)
        await recover(world)
        await taken(world, "other")
        before = await world.job()

        async with world.work() as unit:
            assert await heartbeat(unit, late.lease, expires_at=datetime.now(UTC) + TTL) is Holding.LOST
            await record_line(unit, late, STEP, announce=True)
            await record_checkpoint(unit, late, Checkpointed(step=7, epoch=0.5, path="/late", size_bytes=1))
            assert not await end_attempt(unit, late.lease, Ending(state=RunState.SUCCEEDED))

        assert await world.job() == before
        assert await world.announced(JOB_FINISHED) == await world.announced(JOB_PROGRESSED) == []
        assert await world.table("job_metrics") == await world.table("checkpoints") == []

    async def test_the_device_of_a_lease_that_ran_out_serves_the_next_job(self, world: World) -> None:
        """The older job waits while the lease of a younger one runs out on the only device."""
        await world.hand(a_request(2))
        await taken(world)
        await world.hand(a_request(1))
        await world.set_job("job-2", lease_expires_at=LONG_AGO)

        await recover(world)
        older = await taken(world)

        assert (older.lease.job_id, older.lease.owner, older.devices) == ("job-1", "here", ("cpu:0",))
        assert (await world.job("job-2"))["state"] == RunState.QUEUED

    async def test_a_job_that_outlives_no_worker_is_given_up(self, world: World) -> None:
        await world.hand(a_request(1))
        for attempt in (1, 2):
            assert (await taken(world)).lease.attempt == attempt
            await world.set_job(lease_expires_at=LONG_AGO)
            await recover(world, max_attempts=2)
        (finished,) = await world.announced(JOB_FINISHED)
        assert (finished.state, finished.attempts) == (RunState.FAILED, 2)

    async def test_a_worker_that_starts_again_gets_back_what_its_dead_process_held_at_once(self, world: World) -> None:
        await world.hand(a_request(1), a_request(2))
        await taken(world, "here")
        await taken(world, "there")
        assert await recover(world, owner="here") == ("job-1",)
        assert (await world.job("job-2"))["state"] == RunState.RUNNING

    async def test_the_database_itself_refuses_two_jobs_on_a_slot(self, world: World) -> None:
        await world.hand(a_request(1), a_request(2))
        await taken(world)
        with pytest.raises(sa.exc.IntegrityError):
            async with world.work() as unit:  # past the rules, as a worker with a mistake in it would
                await queue.take(unit.session, "job-2", owner="here", slots=("cpu:0",), ttl=TTL, memory_bytes=None)
        assert (await world.job("job-2"))["state"] == RunState.QUEUED


class TestSeveralSlots:
    async def test_a_job_gets_all_its_slots_at_once_and_gives_all_of_them_back(self, world: World) -> None:
        await world.hand(a_request(1, device_count=2), a_request(2))
        job = await take(world, slots=TWO)
        assert job is not None
        assert job.devices == TWO
        assert await take(world, slots=TWO) is None
        row = await world.job()
        assert (row["device"], row["ran_on"]) == ("here/cuda:0", ("here/cuda:0", "here/cuda:1"))

        async with world.work() as unit:
            await end_attempt(unit, job.lease, Ending(state=RunState.FAILED, reason="no"))

        assert await world.table("job_devices") == []
        assert (await world.job())["ran_on"] == ("here/cuda:0", "here/cuda:1")
        assert await take(world, slots=TWO) is not None

    async def test_the_slots_of_a_silent_worker_are_free_again(self, world: World) -> None:
        await world.hand(a_request(1, device_count=2))
        await take(world, "dead", slots=TWO)
        await world.set_job(lease_expires_at=LONG_AGO)
        await recover(world)
        assert await world.table("job_devices") == []

    async def test_named_slots_are_waited_for_while_others_run(self, world: World) -> None:
        await world.hand(a_request(1, devices=["cuda:0"]), a_request(2, devices=["cuda:0"]), a_request(3))
        assert [job and job.lease.job_id for job in [await take(world, slots=TWO) for _ in range(3)]] == [
            "job-1", "job-3", None,
        ]  # fmt: skip

    async def test_when_two_look_at_once_a_gang_is_never_held_in_part(self, world: World) -> None:
        """Two processes that take themselves for the same worker, and jobs that need two of its three slots."""
        await world.hand(*(a_request(number, device_count=2) for number in range(1, 5)))
        three = (*TWO, "cuda:2")
        found = await asyncio.gather(*(take(world, slots=three, most=9) for _ in range(6)))
        jobs = [job for job in found if job is not None]
        assert [len(job.devices) for job in jobs] == [2]
        rows = await world.table("job_devices")
        assert sorted(row["slot"] for row in rows) == ["cuda:0", "cuda:1"]

    async def test_when_the_rules_are_passed_by_the_database_lets_one_gang_through_whole(self, world: World) -> None:
        await world.hand(a_request(1, device_count=2), a_request(2, device_count=2))
        wanted = [("job-1", ("cuda:0", "cuda:1")), ("job-2", ("cuda:2", "cuda:1"))]
        results = await asyncio.gather(
            *(take_past_the_rules(world, job_id, slots) for job_id, slots in wanted), return_exceptions=True
        )
        assert sum(isinstance(result, sa.exc.IntegrityError) for result in results) == 1
        rows = await world.table("job_devices")
        assert len(rows) == 2
        assert len({row["job_id"] for row in rows}) == 1
        assert sorted([row["state"] for row in await world.table("jobs")]) == ["queued", "running"]

    async def test_a_big_job_that_waited_too_long_keeps_its_slots(self, world: World) -> None:
        await world.hand(
            a_request(1, requested_by="ann"), a_request(2, device_count=2), a_request(3, requested_by="bob")
        )
        small = await take(world, slots=TWO)
        assert small is not None
        await world.set_job("job-2", queued_at=LONG_AGO)
        async with world.work() as unit:
            assert await take_next_job(unit, an_offer(slots=TWO)) is None  # one slot is free, and kept for job-2
        async with world.work() as unit:
            await end_attempt(unit, small.lease, Ending(state=RunState.FAILED, reason="no"))
        assert [job and job.lease.job_id for job in [await take(world, slots=TWO)]] == ["job-2"]


TWO = ("cuda:0", "cuda:1")


async def take_past_the_rules(world: World, job_id: str, slots: tuple[str, ...]) -> Job | None:
    async with world.work() as unit:
        job = await queue.take(unit.session, job_id, owner="here", slots=slots, ttl=TTL, memory_bytes=None)
        await asyncio.sleep(0.1)  # so that both are under way
        return job


class TestTurns:
    async def test_two_who_ask_are_served_in_turn_whatever_the_one_asks_for(self, world: World) -> None:
        await world.hand(*(a_request(number, requested_by="ann") for number in range(1, 5)))
        await world.hand(a_request(5, requested_by="bob"), a_request(6, requested_by="bob"))
        order: list[str] = []
        while (job := await take(world)) is not None:
            order.append(job.lease.job_id)
            async with world.work() as unit:
                await end_attempt(unit, job.lease, Ending(state=RunState.FAILED, reason="no"))
        assert order == ["job-1", "job-5", "job-2", "job-6", "job-3", "job-4"]

    async def test_priority_goes_before_turns_and_can_be_changed_while_it_waits(self, world: World) -> None:
        await world.hand(a_request(1), a_request(2, priority=5), a_request(3))
        async with world.work() as unit:
            await change_priority(unit, "job-3", 9)
        assert [(await taken(world, owner)).lease.job_id for owner in "abc"] == ["job-3", "job-2", "job-1"]


class TestMemory:
    async def test_a_job_that_fits_no_worker_fails_before_it_starts_with_advice(self, world: World) -> None:
        await world.hand(a_request(1))
        assert await offer(world, total=1_000) is None
        (finished,) = await world.announced(JOB_FINISHED)
        assert (finished.job_id, finished.state, finished.attempts) == ("job-1", RunState.FAILED, 1)
        assert finished.reason is not None
        for word in ("needs about", "worker here has", "batch_size", "QLoRA", "training.too-large"):
            assert word in finished.reason

    async def test_a_job_that_does_not_fit_now_waits_for_memory(self, world: World) -> None:
        await world.hand(a_request(1))
        assert await offer(world, total=10**12, free=1_000) is None
        assert (await world.job())["state"] == RunState.QUEUED
        async with world.work() as unit:
            words = (await read_waits(unit.session, SHAPES))["job-1"]
        assert words.startswith("memory of cpu on worker here: it needs about")
        assert await offer(world, total=10**12, free=10**12) is not None

    async def test_what_running_jobs_were_promised_is_not_promised_again(self, world: World) -> None:
        await world.hand(a_request(1), a_request(2))
        first = await offer(world, total=10**12, free=10**12)
        assert first is not None
        need = (await world.job())["memory_bytes"]
        assert need > 0
        assert await offer(world, total=need * 2 - 1, free=need * 2 - 1) is None
        assert await offer(world, total=need * 2, free=need * 2) is not None

    async def test_without_a_readable_configuration_nothing_is_refused(self, world: World) -> None:
        await world.hand(a_request(1))
        assert await offer(world, total=1, shapes={}) is not None


SHAPES = {BASE: ModelShape(vocabulary=99, hidden=8, layers=2, heads=2, kv_heads=2, head_size=4, mlp=16)}


async def offer(
    world: World, *, total: int, free: int | None = None, shapes: dict[str, ModelShape] | None = None
) -> Job | None:
    """Takes a job for a worker with two CPU slots and so many bytes."""
    standard = an_offer(slots=("cpu:0", "cpu:1"))
    worker = replace(standard.worker, total_bytes={"cpu": total}, free_bytes={"cpu": total if free is None else free})
    installed = Installed(folders=MODELS, shapes=SHAPES if shapes is None else shapes)
    async with world.work() as unit:
        return await take_next_job(unit, replace(standard, worker=worker, installed=installed))


class TestWaitingFor:
    async def test_the_third_of_three_says_which_jobs_it_waits_for(self, world: World) -> None:
        await world.hand(a_request(1), a_request(2), a_request(3))
        two = ("cpu:0", "cpu:1")
        await take(world, slots=two, most=9)
        await take(world, slots=two, most=9)
        async with world.work() as unit:
            assert await read_waits(unit.session, {}) == {
                "job-3": "slot cpu:0, held by job-1, slot cpu:1, held by job-2"
            }

    async def test_a_worker_that_fell_silent_is_not_waited_for(self, world: World) -> None:
        await world.hand(a_request(1))
        async with world.work() as unit:
            await report_worker(unit, replace(an_offer(), lease=timedelta(0)))
            assert await read_waits(unit.session, {}) == {"job-1": "a worker: none has been heard of lately"}
            await report_worker(unit, an_offer())
        async with world.work() as unit:
            assert await read_waits(unit.session, {}) == {"job-1": "the worker's next look"}


class TestStopping:
    async def test_a_job_that_waits_ends_at_once(self, world: World) -> None:
        await world.hand(a_request(1))
        async with world.work() as unit:
            await stop_job(unit, "job-1")
        assert (await world.job())["state"] == RunState.STOPPED
        assert [event.state for event in await world.announced(JOB_FINISHED)] == [RunState.STOPPED]
        assert await take(world) is None

    async def test_a_job_that_runs_is_told_by_its_next_heartbeat(self, world: World) -> None:
        await world.hand(a_request(1))
        job = await taken(world)
        async with world.work() as unit:
            await stop_job(unit, "job-1")
        async with world.work() as unit:
            assert await heartbeat(unit, job.lease, expires_at=datetime.now(UTC) + TTL) is Holding.STOP_ASKED
        assert await world.announced(JOB_FINISHED) == []

    async def test_a_job_whose_worker_died_before_it_heard_of_the_stop_is_not_begun_again(self, world: World) -> None:
        await world.hand(a_request(1))
        await taken(world, "dead")
        async with world.work() as unit:
            await stop_job(unit, "job-1")
        await world.set_job(lease_expires_at=LONG_AGO)

        await recover(world)

        assert await take(world, "other") is None
        assert (await world.job())["state"] == RunState.STOPPED
        assert [event.state for event in await world.announced(JOB_FINISHED)] == [RunState.STOPPED]
