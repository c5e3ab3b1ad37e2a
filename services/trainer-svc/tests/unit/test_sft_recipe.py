"""Supervised fine-tuning on a tiny model: what it says, what it writes, how it stops, resumes and fails."""

import json
import resource
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from recipe_runs import SETTINGS, WARNINGS, JobMaker, adapter_of, describe_job, of_kind, run, same_adapters
from safetensors.torch import load_file

from trainer_svc.recipes.answer_trainer import AnswerTrainer
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

pytestmark = WARNINGS


@pytest.fixture
def a_job(tmp_path: Path, tiny_model: Path, write_samples: Callable[[Path, int], Path]) -> JobMaker:
    """Function that describes a job in a folder of its own."""

    def make(name: str = "job", **changes: object) -> JobFile:
        fields: dict[str, object] = {
            "base_model": tiny_model,
            "train_file": write_samples(tmp_path / "train.jsonl", 26),
            "validation_file": write_samples(tmp_path / "validation.jsonl", 6),
        }
        return describe_job(tmp_path / name, **(fields | changes))

    return make


class TestTrain:
    def test_tells_of_start_steps_evaluations_checkpoints_and_end(self, a_job: JobMaker) -> None:
        job = a_job()

        status, lines = run(job)

        assert status == 0
        (started,) = of_kind(lines, Started)
        assert (started.step, started.total_steps, started.train_samples, started.validation_samples) == (0, 21, 26, 6)
        steps = of_kind(lines, Stepped)
        assert [line.step for line in steps] == list(range(1, 22))
        assert all(line.tokens_per_s > 0 and line.device_memory_bytes > 0 and line.grad_norm for line in steps)
        assert steps[-1].eta_s == 0
        assert [line.epoch for line in of_kind(lines, Evaluated)] == [1.0, 2.0, 3.0]
        assert [line.step for line in of_kind(lines, Checkpointed)] == [5, 10, 15, 20, 21]
        (finished,) = of_kind(lines, Finished)
        assert lines[-1] == finished
        assert finished.adapter_dir == str(job.output_dir)
        assert finished.final_loss == pytest.approx(steps[-1].loss)
        assert finished.eval_loss == pytest.approx(min(line.eval_loss for line in of_kind(lines, Evaluated)))

    def test_learns(self, a_job: JobMaker) -> None:
        settings = SETTINGS.model_copy(update={"num_epochs": 12, "lora_dropout": 0.0})
        _, lines = run(a_job(hyperparameters=settings))
        steps = of_kind(lines, Stepped)
        assert steps[-1].loss < steps[0].loss / 4

    def test_full_fine_tuning_writes_a_whole_model(self, a_job: JobMaker, tiny_model: Path) -> None:
        job = a_job(method="full", hyperparameters=SETTINGS.model_copy(update={"num_epochs": 1}))

        assert run(job)[0] == 0

        trained, base = load_file(job.output_dir / "model.safetensors"), load_file(tiny_model / "model.safetensors")
        assert trained.keys() == base.keys()
        assert not torch.equal(trained["model.norm.weight"], base["model.norm.weight"])
        assert (job.output_dir / "tokenizer.json").exists()

    def test_keeps_only_the_newest_checkpoints(self, a_job: JobMaker) -> None:
        job = a_job(hyperparameters=SETTINGS.model_copy(update={"keep_checkpoints": 2}))
        run(job)
        assert {path.name for path in job.checkpoint_dir.glob("checkpoint-*")} == {"checkpoint-20", "checkpoint-21"}

    def test_checkpoints_when_few_steps_take_long(self, a_job: JobMaker) -> None:
        settings = SETTINGS.model_copy(update={"checkpoint_every_steps": 500, "num_epochs": 1})
        _, lines = run(a_job(hyperparameters=settings, checkpoint_every_s=1e-9))
        assert [line.step for line in of_kind(lines, Checkpointed)] == list(range(1, 8))


class TestLoss:
    @pytest.mark.parametrize("system", ["say whether this line is an alert or normal", ""])
    def test_is_that_of_trl_with_the_instructions_run_once_per_batch(
        self, a_job: JobMaker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, system: str
    ) -> None:
        rows = [json.loads(line) for line in a_job().train_file.read_text().splitlines()]
        for row in rows:
            row["messages"] = (
                [{"role": "system", "content": system}, *row["messages"][1:]] if system else row["messages"][1:]
            )
        file = tmp_path / "rows.jsonl"
        file.write_text("\n".join(json.dumps(row) for row in rows))
        settings = SETTINGS.model_copy(update={"lora_dropout": 0.0, "num_epochs": 1})
        ours = of_kind(run(a_job("ours", train_file=file, hyperparameters=settings))[1], Stepped)

        monkeypatch.delattr(AnswerTrainer, "compute_loss")
        theirs = of_kind(run(a_job("theirs", train_file=file, hyperparameters=settings))[1], Stepped)

        assert [line.loss for line in ours] == pytest.approx([line.loss for line in theirs], rel=1e-4)
        assert [line.grad_norm for line in ours] == pytest.approx([line.grad_norm for line in theirs], rel=1e-3)


class TestResume:
    def test_gives_bit_for_bit_what_an_uninterrupted_run_gives(self, a_job: JobMaker) -> None:
        whole, parted = a_job("whole"), a_job("parted")
        _, told = run(whole)

        first_status, first = run(parted, stop_after_step=8)
        second_status, second = run(parted, stop_after_step=13)  # stops at 14, the end of an epoch, before it evaluates
        third_status, third = run(parted)

        assert (first_status, second_status, third_status) == (EXIT_STOPPED, EXIT_STOPPED, 0)
        assert [of_kind(lines, Started)[0].step for lines in (first, second, third)] == [0, 9, 14]
        assert isinstance(first[-1], Stopped)
        assert same_adapters(whole, parted)
        told_again = {line.step: line.loss for line in of_kind([*first, *second, *third], Stepped)}
        assert told_again == {line.step: line.loss for line in of_kind(told, Stepped)}
        watched_again = {line.step: line.eval_loss for line in of_kind([*first, *second, *third], Evaluated)}
        assert watched_again == {line.step: line.eval_loss for line in of_kind(told, Evaluated)}

    def test_never_starts_from_a_half_written_checkpoint(self, a_job: JobMaker) -> None:
        whole, crashed = a_job("whole"), a_job("crashed")
        run(whole)
        run(crashed, stop_after_step=11)
        newest = newest_complete(crashed.checkpoint_dir)
        assert newest is not None
        weights = newest / "adapter_model.safetensors"
        weights.write_bytes(weights.read_bytes()[:-100])
        unsealed = crashed.checkpoint_dir / "checkpoint-20"
        shutil.copytree(newest, unsealed)
        (unsealed / "complete.json").unlink()

        status, lines = run(crashed)

        assert status == 0
        assert of_kind(lines, Started)[0].step == 10
        assert same_adapters(whole, crashed)

    def test_of_a_finished_run_only_writes_the_adapter_again(self, a_job: JobMaker) -> None:
        job = a_job()
        _, before = run(job)
        weights = adapter_of(job)
        shutil.rmtree(job.output_dir)

        status, lines = run(job)

        assert status == 0
        assert of_kind(lines, Stepped) == []
        assert of_kind(lines, Finished)[0].eval_loss == of_kind(before, Finished)[0].eval_loss
        assert all(torch.equal(value, adapter_of(job)[name]) for name, value in weights.items())


class TestProcess:
    def test_stops_on_sigterm_with_a_checkpoint_and_says_nothing_but_lines(self, a_job: JobMaker) -> None:
        job = a_job(hyperparameters=SETTINGS.model_copy(update={"num_epochs": 10_000}))
        file = job.output_dir.parent / "job.json"
        file.write_text(job.model_dump_json())
        process = subprocess.Popen(
            [sys.executable, "-m", "trainer_svc.recipes.sft", file], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
        )
        assert process.stdout is not None
        lines: list[AnyLine] = []
        for text in process.stdout:
            lines.append(parse_line(text))
            if isinstance(lines[-1], Stepped) and lines[-1].step == 3:
                process.send_signal(signal.SIGTERM)

        assert process.wait() == EXIT_STOPPED
        last, said = lines[-2], lines[-1]
        assert isinstance(last, Checkpointed)
        assert isinstance(said, Stopped)
        assert last.step == said.step
        assert newest_complete(job.checkpoint_dir) == Path(last.path)


class TestFailure:
    def failure_of(self, job: JobFile) -> Failed:
        status, lines = run(job)
        assert status == EXIT_FAILED
        assert isinstance(lines[-1], Failed)
        return lines[-1]

    def test_of_a_loss_that_is_not_a_number_leaves_no_such_checkpoint(self, a_job: JobMaker) -> None:
        job = a_job(hyperparameters=SETTINGS.model_copy(update={"learning_rate": 1e30, "checkpoint_every_steps": 1}))
        failed = self.failure_of(job)
        assert failed.code == "training.loss-not-finite"
        assert "learning rate" in failed.advice
        newest = newest_complete(job.checkpoint_dir)
        assert newest is None or all(
            value.isfinite().all() for value in load_file(newest / "adapter_model.safetensors").values()
        )

    def test_of_an_unreadable_line_names_it(self, a_job: JobMaker, tmp_path: Path) -> None:
        file = tmp_path / "broken.jsonl"
        good = a_job().train_file.read_text().splitlines()[0]
        file.write_text(f'{good}\n{{"sample_id": "x", "messages": "hello"}}\n')
        failed = self.failure_of(a_job(train_file=file))
        assert failed.code == "training.unreadable-data"
        assert "broken.jsonl line 2: messages" in failed.reason

    def test_of_a_full_disk_says_so(self, a_job: JobMaker, monkeypatch: pytest.MonkeyPatch) -> None:
        job = a_job()
        monkeypatch.setattr(sys, "dont_write_bytecode", True)  # the limit would cut compiled modules
        before = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (8_000, before[1]))  # the kernel refuses longer files
        try:
            failed = self.failure_of(job)
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, before)
        assert failed.code == "training.disk-full"
        assert newest_complete(job.checkpoint_dir) is None

    def test_of_a_missing_base_model_names_the_folder(self, a_job: JobMaker, tmp_path: Path) -> None:
        failed = self.failure_of(a_job(base_model=tmp_path / "nowhere"))
        assert failed.code == "training.no-base-model"
        assert "nowhere" in failed.reason

    def test_of_answers_that_do_not_fit_says_so(self, a_job: JobMaker) -> None:
        failed = self.failure_of(a_job(hyperparameters=SETTINGS.model_copy(update={"max_seq_length": 16})))
        assert failed.code == "training.no-data"
