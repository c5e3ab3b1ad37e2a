"""`dataset.deprecated`: jobs on the version stop, are marked, and come no more, in whatever order events arrive."""

import uuid
from pathlib import Path

import anyio
import httpx
import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from pydantic import JsonValue, SecretStr
from trainer_world import BASE, World, a_request, a_task, a_version

from loopwright.contracts.base import RunState
from loopwright.contracts.datasets import DatasetDeprecated
from loopwright.contracts.jobs import JobFinished, JobRequested
from loopwright.contracts.registry import DATASET_DEPRECATED, JOB_FINISHED, JOB_REQUESTED
from loopwright.settings import CommonSettings
from loopwright.testing.examples import an_event
from loopwright.testing.records import a_record
from loopwright.testing.tokens import TokenMint
from loopwright.testing.waiting import eventually
from loopwright.topics import create_missing_topics
from trainer_svc.main import build
from trainer_svc.settings import Settings

JOBS = "/api/v1/admin/finetuning/jobs"
VERSION = "dsv-1"


def a_deprecation(version_id: str = VERSION, **changes: JsonValue) -> DatasetDeprecated:
    return an_event(DATASET_DEPRECATED, **({"version_id": version_id, "detail": "somebody left"} | changes))


def on_version(number: int = 1, version_id: str = VERSION) -> JobRequested:
    data = a_request().training_data.model_copy(update={"version_id": version_id})
    return a_request(number, training_data=data.model_dump(mode="json"))


async def marks(world: World) -> dict[str, str | None]:
    rows = await world.table("jobs")
    found = {row["job_id"]: row["training_data_deprecated"] for row in rows}
    return {job_id: mark and str(mark.reason) for job_id, mark in found.items()}


class TestWaitingJobs:
    async def test_leave_the_queue_with_the_reason(self, world: World) -> None:
        await world.hand(on_version(1), on_version(2, "another"), a_deprecation())

        first, other = await world.job("job-1"), await world.job("job-2")
        assert (first["state"], other["state"]) == (RunState.STOPPED, RunState.QUEUED)
        assert first["reason"] == "dataset version dsv-1 must not be trained on (erasure): somebody left"
        assert await marks(world) == {"job-1": "erasure", "job-2": None}
        [finished] = await world.announced(JOB_FINISHED)
        assert (finished.job_id, finished.state, finished.reason) == ("job-1", RunState.STOPPED, first["reason"])


class TestEndedJobs:
    @pytest.mark.parametrize("state", [RunState.SUCCEEDED, RunState.FAILED, RunState.STOPPED])
    async def test_keep_their_state_and_say_what_they_learned_from(self, world: World, state: RunState) -> None:
        await world.hand(on_version())
        await world.set_job(state=state, reason="done")
        event = a_deprecation(reason="operator")

        await world.hand(event)

        job = await world.job()
        assert (job["state"], job["reason"]) == (state, "done")
        mark = job["training_data_deprecated"]
        assert (mark.reason, mark.detail, mark.deprecated_at) == ("operator", "somebody left", event.deprecated_at)
        assert await world.announced(JOB_FINISHED) == []


class TestOrder:
    async def test_a_job_that_is_asked_for_later_is_refused_and_marked(self, world: World) -> None:
        await world.hand(a_deprecation(), on_version())
        job = await world.job()
        assert (job["state"], job["training_data_deprecated"].reason) == (RunState.STOPPED, "erasure")
        [finished] = await world.announced(JOB_FINISHED)
        assert finished.reason == job["reason"]

    async def test_a_version_that_is_announced_later_starts_nothing(self, world: World) -> None:
        await world.hand(a_task(), a_deprecation(), a_version())
        assert await world.announced(JOB_REQUESTED) == []
        assert len(await world.table("dataset_versions")) == 1

    async def test_it_waits_for_no_task_that_is_not_known(self, world: World) -> None:
        await world.hand(a_deprecation(), a_version())
        assert world.stopped == []

    async def test_an_erasure_outweighs_an_operator_whichever_comes_first(self, world: World) -> None:
        await world.hand(on_version(1), a_deprecation(reason="operator"), a_deprecation())
        assert await marks(world) == {"job-1": "erasure"}
        await world.hand(a_deprecation(reason="operator"))
        assert await marks(world) == {"job-1": "erasure"}
        assert len(await world.announced(JOB_FINISHED)) == 1


@pytest.mark.usefixtures("scripted")
class TestRunningJobs:
    async def test_stop_and_say_why_and_leave_no_plain_data(self, world: World) -> None:
        job_id = await world.a_scripted_job({"hang": True})
        async with world.worker():
            await world.reached(0, job_id)
            await eventually((anyio.Path(world.work_dir) / job_id / "train.jsonl").exists)
            await world.hand(a_deprecation("dsv"))
            job = await world.ended(job_id)

        assert job["state"] == RunState.STOPPED
        assert job["reason"] == "dataset version dsv must not be trained on (erasure): somebody left"
        assert not await (anyio.Path(world.work_dir) / job_id / "train.jsonl").exists()
        assert [event.reason for event in await world.finished()] == [job["reason"]]

    async def test_stop_though_their_data_is_gone_before_they_had_it(self, world: World) -> None:
        job_id = await world.a_scripted_job({"hang": True})
        await world.storage.delete((await world.job(job_id))["training_data"].train.artifact)
        async with world.worker():
            await world.reached(0, job_id)
            await world.hand(a_deprecation("dsv"))
            job = await world.ended(job_id)
        assert (job["state"], "somebody left" in job["reason"]) == (RunState.STOPPED, True)

    async def test_what_succeeds_all_the_same_is_marked(self, world: World) -> None:
        job_id = await world.a_scripted_job({"sleep": 0.3}, {"adapter": "weights"})
        async with world.worker():
            await world.reached(0, job_id)
            await world.hand(a_deprecation("dsv"))
            job = await world.ended(job_id)
        assert job["training_data_deprecated"].reason == "erasure"

    async def test_are_not_begun_again_when_their_worker_stops(self, world: World) -> None:
        job_id = await world.a_scripted_job({"hang": True})
        async with world.worker():
            await world.reached(0, job_id)
            await world.hand(a_deprecation("dsv"))
        job = await world.job(job_id)
        assert (job["state"], "somebody left" in job["reason"]) == (RunState.STOPPED, True)


class TestOverKafka:
    async def test_a_waiting_job_ends_once_and_says_so(
        self, world: World, kafka_bootstrap: str, tmp_path: Path
    ) -> None:
        await create_missing_topics(kafka_bootstrap, replication=1)
        job_id = f"job-{uuid.uuid4().hex[:12]}"
        await world.hand(on_version().model_copy(update={"job_id": job_id}))
        common = CommonSettings(
            database_url=SecretStr(world.url), storage_uri=world.storage_uri, kafka_bootstrap=kafka_bootstrap
        )
        service = build(common, Settings(work_dir=tmp_path / "elsewhere", base_models={}))
        record = a_record(a_deprecation())
        async with service.app.router.lifespan_context(service.app), AIOKafkaProducer(
            bootstrap_servers=kafka_bootstrap
        ) as producer, AIOKafkaConsumer(
            JOB_FINISHED.name, bootstrap_servers=kafka_bootstrap, auto_offset_reset="earliest"
        ) as consumer:  # fmt: skip
            for _ in range(2):
                await producer.send_and_wait(
                    record.topic, value=record.value, key=record.key, headers=list(record.headers)
                )
            job = await world.ended(job_id)
            said = await read_until(consumer, job_id)
        assert (job["state"], "somebody left" in job["reason"]) == (RunState.STOPPED, True)
        assert [(event.job_id, event.state) for event in said] == [(job_id, RunState.STOPPED)]


async def read_until(consumer: AIOKafkaConsumer, job_id: str) -> list[JobFinished]:
    """What was said of a job, from the first word on until nothing more comes for a second."""
    found: list[JobFinished] = []

    async def look() -> bool:
        batches = await consumer.getmany(timeout_ms=1000)
        new = [JOB_FINISHED.event.model_validate_json(one.value) for batch in batches.values() for one in batch]
        found.extend(event for event in new if event.job_id == job_id)
        return bool(found) and not new

    await eventually(look)
    return found


class TestHttp:
    async def test_shows_the_mark_of_a_job(self, world: World, api: httpx.AsyncClient, mint: TokenMint) -> None:
        await world.hand(on_version(), a_deprecation())
        job = (await api.get(f"{JOBS}/job-1", headers=mint.header("viewer"))).json()
        assert job["training_data_deprecated"]["reason"] == "erasure"
        assert job["training_data_deprecated"]["deprecated_at"]

    @pytest.mark.parametrize("named", ["version", "dataset"])
    async def test_refuses_a_job_on_it(self, world: World, api: httpx.AsyncClient, mint: TokenMint, named: str) -> None:
        version = a_version()
        await world.hand(a_task(training={"auto": False}), version, a_deprecation())
        dataset_id = version.version_id if named == "version" else version.dataset_id
        body = {"job_name": "try it", "base_model": BASE, "dataset_id": dataset_id}

        answer = await api.post(JOBS, json=body, headers=mint.header("engineer"))

        assert (answer.status_code, answer.json()["code"]) == (409, "job.data-deprecated")
        assert await world.table("jobs") == []
