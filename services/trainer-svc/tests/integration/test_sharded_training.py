"""Two processes on CPU learn as one does, however they share; they stop together, and resume what they wrote.

All jobs run in one go before the first test, in processes that are forked after the imports (`forked_ranks`).
"""

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from forked_ranks import End, Scene
from pydantic import TypeAdapter
from recipe_runs import Kind, of_kind
from safetensors.torch import load_file

from loopwright.contracts.tasks import Hyperparameters
from trainer_svc.recipes.checkpoints import newest_complete
from trainer_svc.recipes.job_file import JobFile
from trainer_svc.recipes.progress import (
    EXIT_FAILED,
    EXIT_STOPPED,
    AnyLine,
    Checkpointed,
    Evaluated,
    Failed,
    Finished,
    Started,
    Stepped,
    Stopped,
    parse_line,
)
from trainer_svc.recipes.sharding import EXIT_PEER_LOST

pytestmark = [
    pytest.mark.timeout(600),
    pytest.mark.skipif(shutil.which("g++") is None, reason="DeepSpeed compiles an operator with g++ when ZeRO starts"),
]
SETTINGS = Hyperparameters(
    lora_rank=4, lora_alpha=8, learning_rate=0.01, batch_size=4, num_epochs=4, max_seq_length=64,
    checkpoint_every_steps=500,
)  # fmt: skip
IN_SHARDS = {"zero2", "zero3", "fsdp2"}
STEPS = 12  # four epochs of 24 samples, eight a step


class Stage:
    """Where jobs are described and then run, one scene after the other."""

    def __init__(self, folder: Path, model: Path, samples: Path) -> None:
        self._folder = folder
        self._model = model
        self._samples = samples
        self._scenes: list[Scene] = []

    def add(
        self, name: str, sharding: str, processes: int, *, job: str | None = None, method: str = "lora", **acts: object
    ) -> None:
        """Describes a run; `job` names an earlier one that it resumes."""
        folder = self._folder / (job or name)
        folder.mkdir(exist_ok=True)
        accumulation = 2 if sharding == "none" else 1  # the batch of all processes is the same
        changes = {"sharding": sharding, "gradient_accumulation_steps": accumulation}
        content = JobFile(
            job_id=name, base_model=self._model, train_file=self._samples, validation_file=self._samples,
            checkpoint_dir=folder / "checkpoints", output_dir=folder / "adapter", method=method,
            world_size=processes, cpu_threads=1, hyperparameters=SETTINGS.model_copy(update=changes),
        )  # fmt: skip
        file = folder / f"{name}.json"
        file.write_text(content.model_dump_json())
        scene = {"job_file": file, "processes": processes, "grouped": processes > 1 or sharding in IN_SHARDS} | acts
        self._scenes.append(Scene.model_validate(scene))

    def play(self) -> None:
        file = self._folder / "scenes.json"
        file.write_bytes(TypeAdapter(list[Scene]).dump_json(self._scenes))
        script = Path(__file__).with_name("forked_ranks.py")
        env = os.environ | {"OMP_NUM_THREADS": "1", "GLOO_SOCKET_IFNAME": "lo"}  # noqa: TID251 - of the processes
        subprocess.run([sys.executable, script, file], check=True, env=env, capture_output=True)

    def job(self, name: str) -> JobFile:
        (file,) = self._folder.glob(f"*/{name}.json")
        return JobFile.model_validate_json(file.read_bytes())

    def end(self, name: str) -> End:
        (file,) = self._folder.glob(f"*/{name}.end")
        return End.model_validate_json(file.read_bytes())

    def said(self, name: str, rank: int = 0) -> list[AnyLine]:
        (file,) = self._folder.glob(f"*/{name}.said.{rank}")
        return [parse_line(text) for text in file.read_text().splitlines()]

    def of_kind(self, name: str, kind: type[Kind]) -> list[Kind]:
        return of_kind(self.said(name), kind)

    def losses(self, name: str) -> dict[int, float]:
        return {line.step: line.loss for line in self.of_kind(name, Stepped)}

    def weights(self, name: str) -> dict[str, torch.Tensor]:
        (file,) = self.job(name).output_dir.glob("*.safetensors")
        return load_file(file)


@pytest.fixture(scope="module")
def stage(
    tmp_path_factory: pytest.TempPathFactory, tiny_model: Path, write_samples: Callable[[Path, int], Path]
) -> Stage:
    folder = tmp_path_factory.mktemp("sharded")
    stage = Stage(folder, tiny_model, write_samples(folder / "train.jsonl", 24))
    stage.add("one", "none", 1)
    stage.add("one-full", "none", 1, method="full")
    for sharding in ("ddp", "zero2", "zero3", "fsdp2"):
        stage.add(sharding, sharding, 2)
    for sharding in ("zero3", "fsdp2"):
        stage.add(f"{sharding}-full", sharding, 2, method="full")
    for sharding in ("ddp", "zero2", "zero3", "fsdp2"):
        stage.add(f"{sharding}-stopped", sharding, 2, signal="SIGTERM", to_rank=1, after_step=3)
        stage.add(f"{sharding}-resumed", sharding, 2 if sharding != "fsdp2" else 1, job=f"{sharding}-stopped")
    stage.add("zero2-alone", "zero2", 1, job="zero2-stopped")
    stage.add("killed", "zero2", 2, signal="SIGKILL", to_rank=1, after_step=4)
    stage.add("other-wrapper", "none", 1, grouped=True)
    stage.play()
    return stage


@pytest.mark.parametrize("sharding", ["ddp", "zero2", "zero3", "fsdp2"])
class TestTwoProcesses:
    def test_learn_as_one_does_from_the_same_batches(self, stage: Stage, sharding: str) -> None:
        alone, together = stage.losses("one"), stage.losses(sharding)
        assert list(together) == list(range(1, STEPS + 1))
        assert together[STEPS] < together[1] / 3
        assert together == pytest.approx(alone, abs=1e-2)
        watched = [line.eval_loss for line in stage.of_kind(sharding, Evaluated)]
        assert watched == pytest.approx([line.eval_loss for line in stage.of_kind("one", Evaluated)], abs=1e-2)

    def test_write_one_adapter_that_is_what_one_process_writes(self, stage: Stage, sharding: str) -> None:
        alone, together = stage.weights("one"), stage.weights(sharding)
        assert alone.keys() == together.keys()
        for name, value in alone.items():
            torch.testing.assert_close(together[name].float(), value.float(), atol=5e-3, rtol=0)
        (finished,) = stage.of_kind(sharding, Finished)
        assert Path(finished.adapter_dir) == stage.job(sharding).output_dir
        held = {path.name for path in stage.job(sharding).output_dir.iterdir()}
        assert held == {path.name for path in stage.job("one").output_dir.iterdir()}

    def test_speak_with_one_voice(self, stage: Stage, sharding: str) -> None:
        assert stage.end(sharding).statuses == [0, 0]
        assert [type(line) for line in stage.said(sharding)][:2] == [Started, Stepped]
        assert stage.said(sharding, rank=1) == []

    def test_stop_together_with_one_sealed_checkpoint_when_one_is_asked_to(self, stage: Stage, sharding: str) -> None:
        name = f"{sharding}-stopped"
        assert stage.end(name).statuses == [EXIT_STOPPED, EXIT_STOPPED]
        *_, written, said = stage.said(name)
        assert isinstance(written, Checkpointed)
        assert isinstance(said, Stopped)
        assert 3 <= said.step < STEPS
        assert written.step == said.step

    def test_resume_what_they_wrote(self, stage: Stage, sharding: str) -> None:
        """Within an epoch; the checkpoint of FSDP2 by one process, with batches of the same size."""
        name = f"{sharding}-resumed"
        assert set(stage.end(name).statuses) == {0}
        (stopped,) = stage.of_kind(f"{sharding}-stopped", Stopped)
        (started,) = stage.of_kind(name, Started)
        assert started.step == stopped.step
        losses = stage.losses(name)
        assert list(losses) == list(range(stopped.step + 1, STEPS + 1))
        uninterrupted = stage.losses(sharding)
        assert losses == pytest.approx({step: uninterrupted[step] for step in losses}, abs=1e-2)


@pytest.mark.parametrize("sharding", ["zero3", "fsdp2"])
class TestParametersInShards:
    def test_of_a_whole_model_are_put_together(self, stage: Stage, sharding: str) -> None:
        name = f"{sharding}-full"
        assert stage.losses(name) == pytest.approx(stage.losses("one-full"), abs=1e-2)
        alone, together = stage.weights("one-full"), stage.weights(name)
        assert alone.keys() == together.keys()
        assert all(value.shape == together[name].shape for name, value in alone.items())
        assert (stage.job(name).output_dir / "tokenizer.json").exists()

    def test_lie_apart_in_the_checkpoint_or_whole_but_once(self, stage: Stage, sharding: str) -> None:
        newest = newest_complete(stage.job(f"{sharding}-full").checkpoint_dir)
        assert newest is not None
        held = {path.name for path in newest.rglob("*")}
        if sharding == "zero3":
            assert sum(name.endswith("_optim_states.pt") for name in held) == 2
        else:
            assert {"pytorch_model_fsdp.bin", "optimizer.bin"} <= held


class TestZero:
    def test_says_that_another_number_of_processes_cannot_resume(self, stage: Stage) -> None:
        assert stage.end("zero2-alone").statuses == [EXIT_FAILED]
        (failed,) = stage.of_kind("zero2-alone", Failed)
        assert failed.code == "training.other-process-count"
        assert "2 devices" in failed.advice


class TestWrapper:
    def test_that_is_not_what_the_job_says_is_refused(self, stage: Stage) -> None:
        """As libraries fall back to data parallelism, this process was made to train in a group of one."""
        (failed,) = stage.of_kind("other-wrapper", Failed)
        assert failed.code == "training.not-shared"
        assert "DistributedDataParallel" in failed.reason


class TestKilledProcess:
    def test_ends_the_others_within_seconds_without_failing_the_job(self, stage: Stage) -> None:
        end = stage.end("killed")
        assert end.statuses == [EXIT_PEER_LOST, -signal.SIGKILL]
        assert end.seconds_after_signal is not None
        assert end.seconds_after_signal < 10
        assert stage.of_kind("killed", Failed) == []
