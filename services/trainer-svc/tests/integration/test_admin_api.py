"""The HTTP door: who may do what, and what readers see of jobs."""

import anyio
import httpx
import pytest
from pydantic import JsonValue
from trainer_world import BASE, World, a_request, a_task, a_version

from loopwright.contracts.base import RunState
from loopwright.contracts.registry import JOB_FINISHED, JOB_REQUESTED
from loopwright.testing.tokens import TokenMint

JOBS = "/api/v1/admin/finetuning/jobs"
READS = ("", "/job-1", "/job-1/metrics", "/job-1/checkpoints", "/job-1/logs")


def a_body(**changes: JsonValue) -> dict[str, JsonValue]:
    return {"job_name": "try it", "base_model": BASE, "dataset_id": "dsv-1"} | changes


class TestRoles:
    @pytest.mark.parametrize("path", READS)
    async def test_reading_needs_a_token_and_the_role_viewer(
        self, api: httpx.AsyncClient, mint: TokenMint, world: World, path: str
    ) -> None:
        await world.hand(a_request())
        assert (await api.get(JOBS + path)).status_code == 401
        assert (await api.get(JOBS + path, headers=mint.header("viewer"))).status_code == 200

    @pytest.mark.parametrize("path", ["", "/job-1/stop"])
    async def test_changing_needs_the_role_engineer(self, api: httpx.AsyncClient, mint: TokenMint, path: str) -> None:
        assert (await api.post(JOBS + path, json=a_body())).status_code == 401
        expired = {"Authorization": f"Bearer {mint.token('engineer', ttl_s=-60)}"}
        assert (await api.post(JOBS + path, json=a_body(), headers=expired)).status_code == 401
        forged = TokenMint().header("engineer")
        assert (await api.post(JOBS + path, json=a_body(), headers=forged)).status_code == 401
        refused = await api.post(JOBS + path, json=a_body(), headers=mint.header("viewer"))
        assert refused.status_code == 403
        assert refused.headers["content-type"] == "application/problem+json"


class TestPostJob:
    async def test_queues_a_job_on_the_named_version_and_says_so(
        self, api: httpx.AsyncClient, mint: TokenMint, world: World
    ) -> None:
        await world.hand(a_task(training={"auto": False}), a_version())

        answer = await api.post(JOBS, json=a_body(), headers=mint.header("engineer"))

        assert answer.status_code == 202
        assert answer.json()["state"] == "queued"
        read = await api.get(answer.headers["Location"], headers=mint.header("viewer"))
        assert (read.json()["state"], read.json()["requested_by"]) == ("queued", "somebody")
        (request,) = await world.announced(JOB_REQUESTED)
        assert (request.job_id, request.training_data.version_id) == (answer.json()["job_id"], "dsv-1")

    async def test_of_a_dataset_the_newest_version_is_taken(
        self, api: httpx.AsyncClient, mint: TokenMint, world: World
    ) -> None:
        await world.hand(a_task(training={"auto": False}), a_version(2), a_version(1))
        body = a_body(dataset_id=a_version().dataset_id)
        await api.post(JOBS, json=body, headers=mint.header("engineer"))
        (request,) = await world.announced(JOB_REQUESTED)
        assert request.training_data.version_id == "dsv-2"

    @pytest.mark.parametrize(
        ("changes", "status", "code"),
        [
            ({"dataset_id": "unheard-of"}, 404, "job.dataset-not-found"),
            ({"base_model": "huge"}, 422, "job.cannot-run"),
            ({"objective": "dpo"}, 422, "job.cannot-run"),
            ({"method": "magic"}, 422, "request.malformed"),
            ({"hyperparameters": {"learning_rate": -1}}, 422, "request.malformed"),
            ({"surprise": 1}, 422, "request.malformed"),
            ({"job_name": "a\0b"}, 422, "request.malformed"),
        ],
    )
    async def test_what_cannot_be_run_is_refused_and_leaves_nothing(
        self,
        api: httpx.AsyncClient,
        mint: TokenMint,
        world: World,
        changes: dict[str, JsonValue],
        status: int,
        code: str,
    ) -> None:
        await world.hand(a_task(training={"auto": False}), a_version())
        answer = await api.post(JOBS, json=a_body(**changes), headers=mint.header("engineer"))
        assert (answer.status_code, answer.json()["code"]) == (status, code)
        assert await world.table("jobs") == await world.announced(JOB_REQUESTED) == []


class TestReadJobs:
    async def test_lists_the_newest_first_in_parts_and_by_state(
        self, api: httpx.AsyncClient, mint: TokenMint, world: World
    ) -> None:
        await world.hand(a_request(1), a_request(2), a_request(3))
        await world.set_job("job-2", state=RunState.FAILED)
        viewer = mint.header("viewer")

        first = (await api.get(JOBS, params={"limit": 2}, headers=viewer)).json()
        failed = (await api.get(JOBS, params={"state": "failed"}, headers=viewer)).json()

        assert [job["job_id"] for job in first["items"]] == ["job-3", "job-2"]
        assert (first["total"], first["limit"], first["offset"]) == (3, 2, 0)
        assert [job["job_id"] for job in failed["items"]] == ["job-2"]

    @pytest.mark.parametrize("path", ["", "/metrics", "/checkpoints", "/logs"])
    async def test_of_an_unknown_job_is_not_found(self, api: httpx.AsyncClient, mint: TokenMint, path: str) -> None:
        answer = await api.get(f"{JOBS}/job-0{path}", headers=mint.header("viewer"))
        assert (answer.status_code, answer.json()["code"]) == (404, "job.not-found")

    @pytest.mark.parametrize("path", ["", "/metrics", "/checkpoints", "/logs"])
    async def test_what_can_be_no_id_is_refused(self, api: httpx.AsyncClient, mint: TokenMint, path: str) -> None:
        answer = await api.get(f"{JOBS}/a%00b{path}", headers=mint.header("viewer"))
        assert (answer.status_code, answer.json()["code"]) == (422, "request.malformed")

    async def test_logs_are_the_last_lines_that_the_process_wrote(
        self, api: httpx.AsyncClient, mint: TokenMint, world: World
    ) -> None:
        await world.hand(a_request())
        folder = anyio.Path(world.work_dir) / "job-1"
        await folder.mkdir(parents=True)
        await (folder / "log.txt").write_text("one\ntwo\nthree\n")
        answer = await api.get(f"{JOBS}/job-1/logs", params={"lines": 2}, headers=mint.header("viewer"))
        assert answer.json() == {"job_id": "job-1", "lines": ["two", "three"]}


class TestStop:
    async def test_ends_a_job_that_waits_and_refuses_one_that_has_ended(
        self, api: httpx.AsyncClient, mint: TokenMint, world: World
    ) -> None:
        await world.hand(a_request())
        engineer = mint.header("engineer")

        first = await api.post(f"{JOBS}/job-1/stop", headers=engineer)
        second = await api.post(f"{JOBS}/job-1/stop", headers=engineer)

        assert (first.status_code, first.json()["state"]) == (202, "stopped")
        assert (second.status_code, second.json()["code"]) == (409, "job.ended")
        assert [event.state for event in await world.announced(JOB_FINISHED)] == [RunState.STOPPED]
