"""The HTTP door for jobs that exist: resumed, moved in the queue, deleted."""

from datetime import UTC, datetime

import anyio
import httpx
import pytest
from trainer_world import World, a_request

from loopwright.contracts.base import RunState
from loopwright.contracts.registry import DATASET_DEPRECATED
from loopwright.testing.examples import an_event
from loopwright.testing.tokens import TokenMint
from trainer_svc.domain.jobs import Lease
from trainer_svc.store import jobs

JOBS = "/api/v1/admin/finetuning/jobs"


async def a_stopped_job(world: World, *steps: int) -> anyio.Path:
    """A job that was stopped after these checkpoints; returns its folder."""
    await world.hand(a_request())
    folder = anyio.Path(world.work_dir) / "job-1"
    await folder.mkdir(parents=True)
    async with world.work() as unit:
        for step in steps:
            path = folder / "checkpoints" / f"checkpoint-{step}"
            await path.mkdir(parents=True)
            figures = {"step": step, "epoch": 1.0, "path": str(path), "size_bytes": 1}
            lease = Lease(job_id="job-1", owner="here", attempt=1)
            await jobs.add_checkpoint(unit.session, lease, figures, at=datetime.now(UTC))
    await world.set_job(state=RunState.STOPPED, finished_at=datetime.now(UTC), attempt=1, stop_requested=True)
    return folder


class TestResume:
    async def test_puts_it_back_into_the_queue(self, api: httpx.AsyncClient, mint: TokenMint, world: World) -> None:
        await a_stopped_job(world, 10, 20)
        answer = await api.post(f"{JOBS}/job-1/resume", headers=mint.header("engineer"))
        assert (answer.status_code, answer.json()["state"]) == (202, "queued")
        assert answer.json()["reason"] == "resumed by somebody"
        job = await world.job()
        assert (job["stop_requested"], job["finished_at"], job["resume_from_step"]) == (False, None, None)

    async def test_remembers_the_checkpoint_that_was_named(
        self, api: httpx.AsyncClient, mint: TokenMint, world: World
    ) -> None:
        await a_stopped_job(world, 10, 20)
        engineer = mint.header("engineer")
        missing = await api.post(f"{JOBS}/job-1/resume", json={"checkpoint_step": 15}, headers=engineer)
        assert (missing.status_code, missing.json()["code"]) == (409, "job.checkpoint-not-found")
        assert "20, 10" in missing.json()["detail"]
        await api.post(f"{JOBS}/job-1/resume", json={"checkpoint_step": 10}, headers=engineer)
        assert (await world.job())["resume_from_step"] == 10

    async def test_is_refused_when_no_checkpoint_is_left(
        self, api: httpx.AsyncClient, mint: TokenMint, world: World
    ) -> None:
        folder = await a_stopped_job(world, 10)
        await (folder / "checkpoints" / "checkpoint-10").rmdir()
        answer = await api.post(f"{JOBS}/job-1/resume", headers=mint.header("engineer"))
        assert (answer.status_code, answer.json()["code"]) == (409, "job.no-checkpoint")

    async def test_can_go_on_from_those_that_are_said_to_be_kept(
        self, api: httpx.AsyncClient, mint: TokenMint, world: World
    ) -> None:
        folder = await a_stopped_job(world, 10, 20)
        await (folder / "checkpoints" / "checkpoint-20").rmdir()
        page = (await api.get(f"{JOBS}/job-1/checkpoints", headers=mint.header("viewer"))).json()
        assert [(entry["step"], entry["is_kept"]) for entry in page["items"]] == [(20, False), (10, True)]
        answer = await api.post(f"{JOBS}/job-1/resume", json={"checkpoint_step": 10}, headers=mint.header("engineer"))
        assert answer.status_code == 202

    async def test_is_refused_when_its_data_was_deprecated(
        self, api: httpx.AsyncClient, mint: TokenMint, world: World
    ) -> None:
        await a_stopped_job(world, 10)
        version_id = a_request().training_data.version_id
        await world.hand(an_event(DATASET_DEPRECATED, version_id=version_id))
        answer = await api.post(f"{JOBS}/job-1/resume", headers=mint.header("engineer"))
        assert (answer.status_code, answer.json()["code"]) == (409, "job.data-deprecated")

    async def test_is_refused_while_it_waits(self, api: httpx.AsyncClient, mint: TokenMint, world: World) -> None:
        await world.hand(a_request())
        answer = await api.post(f"{JOBS}/job-1/resume", headers=mint.header("engineer"))
        assert (answer.status_code, answer.json()["code"]) == (409, "job.not-ended")


class TestPriority:
    async def test_is_changed_while_it_waits_and_not_later(
        self, api: httpx.AsyncClient, mint: TokenMint, world: World
    ) -> None:
        await world.hand(a_request())
        engineer = mint.header("engineer")
        answer = await api.post(f"{JOBS}/job-1/priority", json={"priority": -3}, headers=engineer)
        assert (answer.status_code, answer.json()["priority"]) == (200, -3)
        await world.set_job(state=RunState.RUNNING)
        refused = await api.post(f"{JOBS}/job-1/priority", json={"priority": 3}, headers=engineer)
        assert (refused.status_code, refused.json()["code"]) == (409, "job.not-waiting")


class TestDelete:
    async def test_removes_rows_and_folder_and_keeps_what_it_made(
        self, api: httpx.AsyncClient, mint: TokenMint, world: World
    ) -> None:
        folder = await a_stopped_job(world, 10)
        adapter = await world.storage.put_bytes(b"weights", kind="adapters", suffix=".tar", media_type="x/y")
        await world.set_job(adapter=adapter)
        engineer = mint.header("engineer")

        assert (await api.delete(f"{JOBS}/job-1", headers=engineer)).status_code == 204

        assert await world.table("jobs") == await world.table("checkpoints") == []
        assert not await folder.exists()
        assert await world.storage.read_bytes(adapter) == b"weights"
        assert (await api.delete(f"{JOBS}/job-1", headers=engineer)).status_code == 404

    @pytest.mark.parametrize("state", [RunState.QUEUED, RunState.RUNNING])
    async def test_of_what_has_not_ended_is_refused(
        self, api: httpx.AsyncClient, mint: TokenMint, world: World, state: RunState
    ) -> None:
        await world.hand(a_request())
        await world.set_job(state=state)
        answer = await api.delete(f"{JOBS}/job-1", headers=mint.header("engineer"))
        assert (answer.status_code, answer.json()["code"]) == (409, "job.not-ended")

    async def test_a_request_that_is_delivered_late_does_not_bring_it_back(
        self, api: httpx.AsyncClient, mint: TokenMint, world: World
    ) -> None:
        await a_stopped_job(world)
        await api.delete(f"{JOBS}/job-1", headers=mint.header("engineer"))
        await world.hand(a_request())
        assert await world.table("jobs") == []
