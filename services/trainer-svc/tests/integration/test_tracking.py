"""A real MLflow server: a run's page is enough to repeat it, and its absence costs training nothing."""

import asyncio
import json
import socket
import time
from collections.abc import AsyncGenerator
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import urlsplit
from uuid import uuid4

import pytest
import pytest_asyncio
from mlflow import MlflowClient
from mlflow.entities import Run

from loopwright.contracts.jobs import JobKind, JobRequested
from loopwright.contracts.registry import JOB_REQUESTED
from loopwright.contracts.tasks import Hyperparameters
from loopwright.errors import TrackingUnavailable
from loopwright.testing.examples import an_event
from loopwright.testing.gate import Gate
from trainer_svc.adapters.tracking import MlflowRuns
from trainer_svc.domain.jobs import Job, Lease
from trainer_svc.recipes.job_file import JobFile, TrackingTarget
from trainer_svc.recipes.tracking import Tracker

# mlflow and torch warn of their own deprecations
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning", "ignore::UserWarning")


def a_job(**changes: object) -> Job:
    request: JobRequested = an_event(JOB_REQUESTED)
    fields: dict[str, object] = {
        "lease": Lease(job_id=f"job-{uuid4().hex[:8]}", owner="here", attempt=1), "kind": JobKind.TRAIN,
        "job_name": "a job", "task_id": f"mood-{uuid4().hex[:8]}", "base_model": "tiny",
        "training_data": request.training_data, "method": "lora", "objective": "sft",
        "hyperparameters": Hyperparameters(lora_rank=4), "source_adapter": None, "devices": ("cpu:0",),
        "mlflow_run_id": None, "traceparent": None, "requested_at": datetime(2026, 11, 21, tzinfo=UTC),
    }  # fmt: skip
    return Job(**(fields | changes))


@pytest.fixture
def runs(mlflow_uri: str) -> MlflowRuns:
    return MlflowRuns(mlflow_uri)


@pytest.fixture
def client(mlflow_uri: str) -> MlflowClient:
    return MlflowClient(mlflow_uri)


@pytest_asyncio.fixture
async def door(mlflow_uri: str) -> AsyncGenerator[Gate]:
    """A way to MLflow that can be shut."""
    parts = urlsplit(mlflow_uri)
    assert parts.hostname is not None
    assert parts.port is not None
    async with Gate(parts.hostname, parts.port) as gate:
        yield gate


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A job's folder after its end."""
    job_file = JobFile(
        job_id="job-1", base_model=Path("base"), train_file=Path("train.jsonl"), checkpoint_dir=Path("checkpoints"),
        output_dir=Path("adapter"), tracking=TrackingTarget(uri="http://user:secret@somewhere", run_id="r"),
    )  # fmt: skip
    (tmp_path / "job.json").write_text(job_file.model_dump_json())
    (tmp_path / "log.txt").write_text("".join(f"line {number}\n" for number in range(5_000)))
    checkpoint = tmp_path / "checkpoints" / "checkpoint-5"
    checkpoint.mkdir(parents=True)
    (checkpoint / "complete.json").write_text('{"step": 5, "sizes": {"a": 1}}')
    return tmp_path


async def text_of(client: MlflowClient, run_id: str, path: str) -> str:
    def read() -> str:
        return Path(client.download_artifacts(run_id, path)).read_text()

    return await asyncio.to_thread(read)


class TestRuns:
    async def test_say_what_was_chosen_learned_from_and_run(self, runs: MlflowRuns, client: MlflowClient) -> None:
        job = a_job()

        run: Run = await asyncio.to_thread(client.get_run, await runs.ensure_run(job))

        assert (run.data.params["lora_rank"], run.data.params["seed"]) == ("4", str(job.hyperparameters.seed))
        assert (run.data.params["base_model"], run.data.params["method"]) == ("tiny", "lora")
        inputs = {each.tags[0].value: each.dataset for each in run.inputs.dataset_inputs}
        train = job.training_data.train
        assert inputs["training"].name == job.training_data.version_id
        assert train.artifact.sha256.startswith(inputs["training"].digest)
        assert json.loads(inputs["training"].source) == {"uri": train.artifact.uri, "sha256": train.artifact.sha256}
        assert "trainer-svc" in run.data.tags["loopwright.code_version"]
        assert job.training_data.version_id in run.data.tags["mlflow.note.content"]

    async def test_are_found_again_and_completed(self, runs: MlflowRuns, client: MlflowClient) -> None:
        job = a_job()
        experiment = await asyncio.to_thread(client.create_experiment, job.task_id)
        tags = {"loopwright.job_id": job.lease.job_id}  # a crash came after the run was made
        made = await asyncio.to_thread(client.create_run, experiment, tags=tags)

        found = [await runs.ensure_run(job), await runs.ensure_run(job)]

        assert found == [made.info.run_id] * 2
        run = await asyncio.to_thread(client.get_run, made.info.run_id)
        assert run.data.params["lora_rank"] == "4"
        assert len(run.inputs.dataset_inputs) == 2

    async def test_end_with_the_papers_of_the_job_and_no_secret(
        self, runs: MlflowRuns, client: MlflowClient, folder: Path
    ) -> None:
        run_id = await runs.ensure_run(a_job())

        await runs.end_run(run_id, status="FAILED", folder=folder, facts={"loopwright.reason": "memory ran out"})

        run = await asyncio.to_thread(client.get_run, run_id)
        assert (run.info.status, run.data.tags["loopwright.reason"]) == ("FAILED", "memory ran out")
        told = await text_of(client, run_id, "job/job.json")
        assert "secret" not in told
        assert JobFile.model_validate_json(told).job_id == "job-1"
        log = (await text_of(client, run_id, "job/log.txt")).splitlines()
        assert (len(log), log[-1]) == (2_001, "line 4999")
        checkpoints = json.loads(await text_of(client, run_id, "job/checkpoints.json"))["checkpoints"]
        assert [entry["step"] for entry in checkpoints] == [5]

    async def test_end_also_where_nothing_was_written(
        self, runs: MlflowRuns, client: MlflowClient, tmp_path: Path
    ) -> None:
        run_id = await runs.ensure_run(a_job())
        await runs.end_run(run_id, status="KILLED", folder=tmp_path / "nothing")
        assert (await asyncio.to_thread(client.get_run, run_id)).info.status == "KILLED"

    async def test_of_an_absent_server_are_unavailable_at_once(self) -> None:
        began = time.monotonic()
        with pytest.raises(TrackingUnavailable):
            await MlflowRuns("http://127.0.0.1:9").ensure_run(a_job())
        assert time.monotonic() - began < 5


class TestTracker:
    async def test_brings_figures_with_their_steps_and_the_vitals_of_the_process(
        self, runs: MlflowRuns, client: MlflowClient
    ) -> None:
        run_id = await runs.ensure_run(a_job())
        tracker = Tracker(TrackingTarget(uri=runs.uri, run_id=run_id), look_every_s=0.2)

        tracker.start({"dtype": "bfloat16", "lora_rank": "other than the service said"})
        for step in range(1, 2_501):  # more than MLflow takes at once
            tracker.log(step, {"loss": 1 / step})
        await asyncio.to_thread(tracker.close)

        run = await asyncio.to_thread(client.get_run, run_id)
        assert (run.data.params["dtype"], run.data.params["lora_rank"]) == ("bfloat16", "4")
        history = await asyncio.to_thread(client.get_metric_history, run_id, "loss")
        assert {(metric.step, metric.value) for metric in history} == {(step, 1 / step) for step in range(1, 2_501)}
        assert run.data.metrics["system/process_memory_megabytes"] > 100
        assert run.data.metrics["system/process_cpu_percentage"] > 0

    async def test_brings_later_what_was_measured_while_the_server_was_away(
        self, runs: MlflowRuns, client: MlflowClient, door: Gate
    ) -> None:
        run_id = await runs.ensure_run(a_job())
        target = TrackingTarget(uri=f"http://127.0.0.1:{door.port}", run_id=run_id)
        tracker = Tracker(target, look_every_s=60, retry_after_s=0.3)
        await door.shut()
        tracker.start({})
        for step in range(1, 11):
            tracker.log(step, {"loss": 1 / step})
        away_until = int(time.time() * 1000)
        await asyncio.sleep(1)

        await door.open()
        await asyncio.to_thread(tracker.close)

        history = await asyncio.to_thread(client.get_metric_history, run_id, "loss")
        assert [metric.step for metric in sorted(history, key=lambda metric: metric.step)] == [*range(1, 11)]
        assert all(metric.timestamp <= away_until for metric in history)

    async def test_costs_a_run_nothing_when_the_server_does_not_answer(self, capfd: pytest.CaptureFixture[str]) -> None:
        with socket.create_server(("127.0.0.1", 0)) as silent:  # connections are made, and nobody takes them
            uri = f"http://127.0.0.1:{silent.getsockname()[1]}"
            tracker = Tracker(TrackingTarget(uri=uri, run_id="r"))
            tracker.start({"a": "b"})
            began = time.process_time()
            for step in range(30_000):
                tracker.log(step, {"loss": 1.0, "learning_rate": 0.1})
            mean_s = (time.process_time() - began) / 30_000
            began = time.monotonic()
            await asyncio.to_thread(tracker.close)

        assert mean_s < 1e-3
        assert time.monotonic() - began < 12
        assert "entries were not tracked" in capfd.readouterr().err
