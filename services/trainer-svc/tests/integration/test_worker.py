"""The worker against every way in which a training process, or what it leans on, can end."""

import asyncio
import json
import tarfile
from collections.abc import Callable
from contextlib import suppress
from io import BytesIO
from pathlib import Path

import anyio
import pytest
from foreign_program import install
from pydantic import JsonValue
from trainer_world import BASE, MODELS, World

from loopwright.contracts.base import RunState
from loopwright.contracts.registry import JOB_FINISHED, JOB_PROGRESSED
from loopwright.testing.gate import Gate
from loopwright.testing.waiting import eventually
from trainer_svc.domain.installed import Installed
from trainer_svc.handlers.steering import resume_job
from trainer_svc.queries import read_waits
from trainer_svc.recipes.job_file import JobFile

pytestmark = pytest.mark.usefixtures("scripted")
Act = dict[str, JsonValue]
STARTED: Act = {
    "say": {
        "kind": "started", "step": 0, "total_steps": 3, "device": "cpu", "precision": "float32", "train_samples": 1,
        "validation_samples": 0, "trainable_parameters": 1,
    }
}  # fmt: skip
ADAPTER: Act = {"adapter": "weights"}


def step(number: int, **changes: JsonValue) -> Act:
    line: dict[str, JsonValue] = {
        "kind": "step", "step": number, "total_steps": 3, "epoch": number / 3, "loss": 1 / number, "perplexity": 2,
        "learning_rate": 0.001, "grad_norm": 1, "tokens_per_s": 100, "device_memory_bytes": 5, "eta_s": 3 - number,
    }  # fmt: skip
    return {"say": line} | changes


def checkpoint(number: int) -> Act:
    return {"say": {"kind": "checkpoint", "step": number, "epoch": 0.5, "path": f"/c-{number}", "size_bytes": 9}}


def evaluation(number: int, loss: float) -> Act:
    line: dict[str, JsonValue] = {
        "kind": "evaluation", "step": number, "total_steps": 3, "epoch": 1, "eval_loss": loss, "perplexity": 2,
    }  # fmt: skip
    return {"say": line}


def processes_in(folder: Path) -> list[str]:
    """Command lines of live processes whose job file lies in a folder."""
    found: list[str] = []
    for entry in Path("/proc").glob("[0-9]*/cmdline"):
        with suppress(OSError):
            found.append(entry.read_text(errors="replace"))
    return [command for command in found if str(folder) in command]


class TestSuccess:
    async def test_ends_with_the_adapter_in_storage_and_one_event_in_the_trace_of_the_request(
        self, world: World
    ) -> None:
        await world.a_scripted_job(STARTED, step(1), checkpoint(1), step(2), evaluation(2, 0.6), step(3), ADAPTER)
        trace_id = "4bf92f3577b34da6a3ce929d0e0e4736"
        await world.set_job(traceparent=f"00-{trace_id}-00f067aa0ba902b7-01")

        async with world.worker():
            job = await world.ended()

        assert (job["state"], job["attempt"], job["step"], job["total_steps"]) == (RunState.SUCCEEDED, 1, 3, 3)
        (finished,) = await world.finished()
        assert (finished.state, finished.final_loss, finished.validation_loss) == (RunState.SUCCEEDED, 0.5, 0.6)
        assert finished.adapter == job["adapter"]
        assert finished.training_data == job["training_data"]
        assert await world.trace_ids(JOB_FINISHED) == [trace_id]
        assert set(await world.trace_ids(JOB_PROGRESSED)) == {trace_id}
        with tarfile.open(fileobj=BytesIO(await world.storage.read_bytes(finished.adapter))) as tar:
            assert tar.getnames() == ["adapter_model.safetensors"]

    async def test_keeps_every_figure_and_checkpoint(self, world: World) -> None:
        await world.a_scripted_job(STARTED, step(1), checkpoint(1), step(2), evaluation(2, 0.6), step(3), ADAPTER)
        async with world.worker():
            await world.ended()
        metrics = sorted(await world.table("job_metrics"), key=lambda row: row["id"])
        assert [(row["step"], row["loss"], row["validation_loss"]) for row in metrics] == [
            (1, 1.0, None), (2, 0.5, None), (2, None, 0.6), (3, pytest.approx(1 / 3), None),
        ]  # fmt: skip
        (row,) = await world.table("checkpoints")
        assert (row["step"], row["path"], row["size_bytes"]) == (1, "/c-1", 9)
        assert (row["loss"], row["validation_loss"]) == (1.0, None)

    async def test_the_same_adapter_is_the_same_artifact(self, world: World) -> None:
        for number in (1, 2):
            await world.a_scripted_job(ADAPTER, number=number)
        async with world.worker():
            jobs = [await world.ended(f"job-{number}") for number in (1, 2)]
        assert jobs[0]["adapter"] == jobs[1]["adapter"]

    async def test_passes_over_what_is_not_a_line(self, world: World) -> None:
        await world.a_scripted_job({"say_raw": "Loading weights: 100%"}, step(1), ADAPTER)
        async with world.worker():
            assert (await world.ended())["state"] == RunState.SUCCEEDED


class TestConcurrency:
    async def test_two_jobs_run_at_once_on_two_slots_and_a_third_waits(self, world: World) -> None:
        for number in (1, 2, 3):
            await world.a_scripted_job(step(1), {"hang": True}, number=number)
        async with world.worker(slots=("cpu:0", "cpu:1")):
            devices = {(await world.reached(1, f"job-{number}"))["device"] for number in (1, 2)}
            assert devices == {"here/cpu:0", "here/cpu:1"}
            assert (await world.job("job-3"))["state"] == RunState.QUEUED
            async with world.work() as unit:
                words = (await read_waits(unit.session, {}))["job-3"]
            assert words == "one of 2 places of worker here: job-1 and job-2 run"

    async def test_the_next_job_starts_when_a_slot_is_free_again(self, world: World) -> None:
        await world.a_scripted_job(ADAPTER, number=1)
        await world.a_scripted_job(ADAPTER, number=2)
        async with world.worker():
            assert (await world.ended("job-2"))["state"] == RunState.SUCCEEDED
        first, second = await world.job("job-1"), await world.job("job-2")
        assert first["finished_at"] <= second["started_at"]

    async def test_two_processes_cannot_work_under_one_name(self, world: World) -> None:
        async with world.worker():
            await eventually(lambda: _exists(world.work_dir / ".worker.lock"))
            with pytest.raises(BlockingIOError):
                async with world.worker():
                    await asyncio.sleep(0.5)


async def _visible(folder: Path) -> str | None:
    return gpus_of_the_process_in(folder)


def gpus_of_the_process_in(folder: Path) -> str | None:
    """CUDA_VISIBLE_DEVICES of the process that works in a folder."""
    for entry in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            command = (entry / "cmdline").read_text(errors="replace")
            if str(folder) in command and "python" in command.split("\0")[0]:
                found = dict(line.partition("=")[::2] for line in (entry / "environ").read_text().split("\0"))
                return found.get("CUDA_VISIBLE_DEVICES")
    return None


async def _exists(path: Path) -> bool:
    return await anyio.Path(path).exists()


class TestKinds:
    async def test_a_job_of_another_kind_gets_the_adapter_unpacked_and_ends_with_a_product(self, world: World) -> None:
        await world.a_scripted_job(ADAPTER)
        async with world.worker():
            source = (await world.ended())["adapter"]
            await world.a_scripted_job(
                {"adapter": "smaller"}, number=2, kind="gptq", source_adapter=source.model_dump(mode="json")
            )
            job = await world.ended("job-2")
        folder = world.work_dir / "job-2"
        told = JobFile.model_validate_json((folder / "job.json").read_bytes())
        assert (told.kind, told.source_adapter, told.output_dir) == ("gptq", folder / "source", folder / "product")
        source_file = anyio.Path(folder) / "source" / "adapter_model.safetensors"
        assert await source_file.read_text() == "weights"
        assert (job["state"], job["adapter"]) == (RunState.SUCCEEDED, None)
        (finished,) = [event for event in await world.finished() if event.job_id == "job-2"]
        assert (finished.kind, finished.adapter, finished.product) == ("gptq", None, job["product"])
        with tarfile.open(fileobj=BytesIO(await world.storage.read_bytes(finished.product))) as tar:
            assert tar.getnames() == ["adapter_model.safetensors"]

    async def test_an_adapter_that_would_write_outside_the_folder_fails_the_job(self, world: World) -> None:
        content = BytesIO()
        with tarfile.open(fileobj=content, mode="w") as tar:
            tar.addfile(tarfile.TarInfo("../escaped"))
        bad = await world.storage.put_bytes(content.getvalue(), kind="adapters", suffix=".tar", media_type="x/y")
        await world.a_scripted_job(ADAPTER, kind="merge", source_adapter=bad.model_dump(mode="json"))
        async with world.worker():
            job = await world.ended()
        assert job["state"] == RunState.FAILED
        assert "'../escaped' in the archive leaves its folder" in job["reason"]
        assert not await _exists(world.work_dir / "job-1" / "escaped")

    async def test_a_distillation_is_told_where_its_teacher_is(self, world: World) -> None:
        await world.a_scripted_job(ADAPTER, objective="distill", hyperparameters={"teacher": BASE})
        async with world.worker():
            await world.ended()
        told = JobFile.model_validate_json((world.work_dir / "job-1" / "job.json").read_bytes())
        assert told.teacher_model == MODELS[BASE]

    async def test_what_it_read_and_how_long_it_took_is_kept_for_estimates(self, world: World) -> None:
        await world.a_scripted_job(ADAPTER)
        async with world.worker():
            job = await world.ended()
        assert (job["tokens"], job["train_s"]) == (9, 1)


class TestAnotherProjectsTrainer:
    async def test_runs_a_job_that_names_it_where_it_is_installed(self, world: World, tmp_path: Path) -> None:
        install(tmp_path, "program", output=world.work_dir / "job-1" / "checkpoints")
        world.installed = Installed(folders=MODELS, programs={"llama_factory": tmp_path / "program"})
        sample = {
            "sample_id": "s",
            "messages": [{"role": "user", "content": "?"}, {"role": "assistant", "content": "!"}],
        }
        await world.a_job(json.dumps(sample).encode(), hyperparameters={"trainer": "llama_factory", "num_epochs": 2})
        async with world.worker(recipe=None, installed=Installed(folders=MODELS)):
            await eventually(lambda: self._waits_for(world, "trainer llama_factory, which worker here does not have"))
        async with world.worker(recipe=None):
            job = await world.ended()
        assert (job["state"], job["reason"]) == (RunState.SUCCEEDED, None)
        (finished,) = await world.finished()
        assert (job["step"], finished.final_loss, finished.validation_loss) == (2, 0.5, 1.25)
        with tarfile.open(fileobj=BytesIO(await world.storage.read_bytes(job["adapter"]))) as tar:
            assert "adapter_model.safetensors" in tar.getnames()

    async def _waits_for(self, world: World, words: str) -> bool:
        async with world.work() as unit:
            return words in (await read_waits(unit.session, {})).get("job-1", "")


class TestSeveralDevices:
    async def test_the_process_is_told_how_many_there_are_and_sees_those_gpus_only(self, world: World) -> None:
        await world.a_scripted_job({"hang": True}, devices=["cuda:3", "cuda:1"])
        async with world.worker(slots=("cuda:0", "cuda:1", "cuda:3")):
            await eventually(lambda: _visible(world.work_dir), timeout_s=30)
            assert await _visible(world.work_dir) == "3,1"
            told = JobFile.model_validate_json((world.work_dir / "job-1" / "job.json").read_bytes())
            assert told.world_size == 2
            assert (await world.job())["ran_on"] == ("here/cuda:3", "here/cuda:1")


class TestResume:
    async def test_after_a_stop_goes_on_from_the_newest_checkpoint_and_ends_once_more(
        self, world: World, stop: Callable[[str], object]
    ) -> None:
        await world.a_scripted_job(
            {"resume": 3}, {"checkpoint": 3}, {"hang": True, "attempt": 1}, {"resume": 9}, ADAPTER
        )
        async with world.worker():
            await world.reached(3)
            await stop("job-1")
            await world.ended()
            async with world.work() as unit:
                await resume_job(unit, "job-1", step=None, by="ann")
            job = await world.ended()
        assert (job["state"], job["attempt"], job["attempts_forgiven"]) == (RunState.SUCCEEDED, 2, 1)
        steps = [(row["attempt"], row["step"]) for row in await world.table("job_metrics")]
        assert sorted(steps) == [(1, 1), (1, 2), (1, 3), *((2, number) for number in range(4, 10))]
        assert [event.state for event in await world.finished()] == [RunState.STOPPED, RunState.SUCCEEDED]

    async def test_from_a_named_checkpoint_forgets_what_came_after_it(
        self, world: World, stop: Callable[[str], object]
    ) -> None:
        await world.a_scripted_job(
            {"checkpoint": 2, "attempt": 1}, {"checkpoint": 4, "attempt": 1}, {"hang": True, "attempt": 1},
            {"resume": 9}, ADAPTER,
        )  # fmt: skip
        async with world.worker():
            await world.reached(4)
            await stop("job-1")
            await world.ended()
            async with world.work() as unit:
                await resume_job(unit, "job-1", step=2, by="ann")
            job = await world.ended()
        assert job["state"] == RunState.SUCCEEDED
        assert job["resume_from_step"] is None
        assert min(row["step"] for row in await world.table("job_metrics")) == 3
        assert [row["step"] for row in await world.table("checkpoints")] == [2]
        assert not (world.work_dir / "job-1" / "checkpoints" / "checkpoint-4").exists()

    async def test_of_a_job_that_used_up_its_attempts_gives_it_new_ones(self, world: World) -> None:
        await world.a_scripted_job({"checkpoint": 1}, {"signal": 9, "attempt": 1}, {"signal": 9, "attempt": 2}, ADAPTER)
        async with world.worker(max_attempts=1):
            assert (await world.ended())["state"] == RunState.FAILED
            async with world.work() as unit:
                await resume_job(unit, "job-1", step=None, by="ann")
            assert (await world.ended())["state"] == RunState.FAILED
            async with world.work() as unit:
                await resume_job(unit, "job-1", step=None, by="ann")
            assert (await world.ended())["state"] == RunState.SUCCEEDED


class TestFailure:
    async def test_said_by_the_process_ends_the_job_with_reason_and_advice(self, world: World) -> None:
        failed: JsonValue = {"kind": "failed", "code": "training.no-data", "reason": "it is empty", "advice": "fill it"}
        await world.a_scripted_job({"say": failed}, {"exit": 1})
        async with world.worker():
            job = await world.ended()
        assert (job["state"], job["attempt"]) == (RunState.FAILED, 1)
        assert job["reason"] == "it is empty. fill it (training.no-data)"
        assert [event.reason for event in await world.finished()] == [job["reason"]]

    async def test_of_data_that_is_not_what_was_promised(self, world: World) -> None:
        await world.a_scripted_job(ADAPTER)
        job = await world.job()
        path = anyio.Path(job["training_data"].train.artifact.uri.removeprefix("file://"))
        await path.write_text("something else")
        async with world.worker():
            job = await world.ended()
        assert job["state"] == RunState.FAILED
        assert "data cannot be used" in job["reason"]

    @pytest.mark.parametrize("death", [{"signal": 9}, {"exit": 3}], ids=["killed", "crashed"])
    async def test_of_the_process_without_a_word_is_tried_again(self, world: World, death: Act) -> None:
        await world.a_scripted_job(step(1), death | {"attempt": 1}, ADAPTER)
        async with world.worker():
            job = await world.ended()
        assert (job["state"], job["attempt"]) == (RunState.SUCCEEDED, 2)
        assert [event.attempts for event in await world.finished()] == [2]

    async def test_of_every_attempt_ends_the_job_with_what_it_mostly_means(self, world: World) -> None:
        await world.a_scripted_job({"signal": 9})
        async with world.worker(max_attempts=2):
            job = await world.ended()
        assert (job["state"], job["attempt"]) == (RunState.FAILED, 2)
        assert "out of memory" in job["reason"]
        assert len(await world.finished()) == 1


class TestStop:
    async def test_on_request_lets_the_process_write_its_checkpoint(
        self, world: World, stop: Callable[[str], object]
    ) -> None:
        await world.a_scripted_job(step(1), {"hang": True})
        async with world.worker():
            await world.reached(1)
            await stop("job-1")
            job = await world.ended()
        assert job["state"] == RunState.STOPPED
        assert [event.state for event in await world.finished()] == [RunState.STOPPED]

    async def test_of_the_worker_gives_the_job_back_and_the_next_worker_ends_it(self, world: World) -> None:
        await world.a_scripted_job(step(1), {"hang": True, "attempt": 1}, ADAPTER)
        async with world.worker():
            await world.reached(1)
        job = await world.job()
        assert (job["state"], job["device"], job["lease_owner"]) == (RunState.QUEUED, None, None)
        assert processes_in(world.work_dir) == []

        async with world.worker():
            assert (await world.ended())["state"] == RunState.SUCCEEDED
        assert [event.attempts for event in await world.finished()] == [2]

    async def test_of_the_worker_kills_a_process_that_does_not_heed_it(self, world: World) -> None:
        await world.a_scripted_job(step(1), {"hang": True, "deaf": True})
        async with world.worker(grace_s=0.3):
            await world.reached(1)
        assert (await world.job())["state"] == RunState.QUEUED
        assert processes_in(world.work_dir) == []


class TestDependencies:
    async def test_a_database_that_is_away_for_a_moment_costs_nothing(
        self, world: World, gate: tuple[Gate, str]
    ) -> None:
        await world.a_scripted_job(step(1), {"sleep": 1.5}, step(2), step(3), ADAPTER)
        async with world.worker():
            await world.reached(1)
            await gate[0].shut()
            await asyncio.sleep(1)
            await gate[0].open()
            job = await world.ended()
        assert (job["state"], job["attempt"]) == (RunState.SUCCEEDED, 1)
        assert sorted(row["step"] for row in await world.table("job_metrics")) == [1, 2, 3]

    async def test_a_database_that_is_away_longer_than_the_lease_ends_the_attempt_but_not_the_job(
        self, world: World, gate: tuple[Gate, str]
    ) -> None:
        await world.a_scripted_job(step(1), {"hang": True, "attempt": 1}, ADAPTER)
        async with world.worker(lease=world.bench().lease / 2):
            await world.reached(1)
            await gate[0].shut()
            await eventually(lambda: _none_left(world.work_dir), timeout_s=20)
            await gate[0].open()
            job = await world.ended()
        assert (job["state"], job["attempt"]) == (RunState.SUCCEEDED, 2)
        assert len(await world.finished()) == 1

    async def test_a_lease_that_another_worker_took_ends_the_process_here(self, world: World) -> None:
        await world.a_scripted_job(step(1), {"hang": True, "deaf": True})
        async with world.worker():
            await world.reached(1)
            await world.set_job(lease_owner="other", attempt=2)
            await eventually(lambda: _none_left(world.work_dir), timeout_s=20)
        job = await world.job()
        assert (job["state"], job["lease_owner"]) == (RunState.RUNNING, "other")
        assert await world.finished() == []

    async def test_an_absent_tracking_server_does_not_keep_a_job_from_its_end(self, world: World) -> None:
        await world.a_scripted_job(ADAPTER)
        async with world.worker(mlflow_uri="http://127.0.0.1:9"):
            job = await world.ended(timeout_s=100)
        assert (job["state"], job["mlflow_run_id"]) == (RunState.SUCCEEDED, None)

    async def test_storage_that_is_away_at_the_end_is_waited_for(self, world: World) -> None:
        await world.a_scripted_job({"sleep": 1}, ADAPTER)
        adapters = anyio.Path(world.storage_uri.removeprefix("file://")) / "adapters"
        async with world.worker():
            await eventually(lambda: _exists(world.work_dir / "job-1" / "job.json"))
            await adapters.write_text("a file where a folder belongs")
            await asyncio.sleep(4)
            assert (await world.job())["state"] == RunState.RUNNING
            await adapters.unlink()
            job = await world.ended()
        assert (job["state"], job["attempt"]) == (RunState.SUCCEEDED, 1)


async def _none_left(folder: Path) -> bool:
    return processes_in(folder) == []
