"""The queue: fair order, one job a device, leases that run out, and holders that came too late."""

import asyncio
from datetime import UTC, datetime, timedelta

import pytest
import sqlalchemy as sa
from trainer_world import BASE, World, a_request

from loopwright.contracts.base import RunState
from loopwright.contracts.registry import JOB_FINISHED, JOB_PROGRESSED
from trainer_svc.domain.jobs import Ending, Job
from trainer_svc.handlers.endings import end_attempt
from trainer_svc.handlers.requests import stop_job
from trainer_svc.handlers.running import (
    Holding,
    heartbeat,
    record_checkpoint,
    record_line,
    recover_silent,
    take_next_job,
)
from trainer_svc.recipes.progress import Checkpointed, Stepped

TTL = timedelta(seconds=30)
LONG_AGO = datetime(2026, 1, 1, tzinfo=UTC)
STEP = Stepped(
    step=7, total_steps=9, epoch=0.5, loss=1.5, perplexity=4.5, learning_rate=1e-3, grad_norm=1.0, tokens_per_s=50,
    device_memory_bytes=1, eta_s=3,
)  # fmt: skip


async def take(world: World, owner: str = "here", *, slots: tuple[str, ...] = ("cpu:0",), most: int = 2) -> Job | None:
    async with world.work() as unit:
        return await take_next_job(unit, owner=owner, slots=slots, most=most, base_models=(BASE,), ttl=TTL)


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
        assert [job and job.device for job in jobs] == ["here/cpu:0", "here/cpu:1", None]

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
        assert second.device == "other/cpu:0"

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

        assert (older.lease.job_id, older.device) == ("job-1", "here/cpu:0")
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

    async def test_the_database_itself_refuses_two_running_jobs_on_a_device(self, world: World) -> None:
        await world.hand(a_request(1), a_request(2))
        await taken(world)
        with pytest.raises(sa.exc.IntegrityError):
            await world.set_job("job-2", state=RunState.RUNNING, device="here/cpu:0")


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
