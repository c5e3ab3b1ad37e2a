"""Early stopping on a tiny model: ends when the validation loss gets no better, and the best adapter is what is kept."""

import shutil
from pathlib import Path

import pytest
import torch
from alert_samples import answered, case, write, write_cases
from recipe_runs import SETTINGS, WARNINGS, JobMaker, adapter_of, describe_job, of_kind, run, same_adapters
from safetensors.torch import load_file

from trainer_svc.recipes.job_file import JobFile
from trainer_svc.recipes.progress import EXIT_STOPPED, AnyLine, Evaluated, Finished, Started, Stepped

pytestmark = WARNINGS


@pytest.fixture
def a_job(tmp_path: Path, tiny_model: Path) -> JobMaker:
    """Function that describes a job whose validation split teaches the opposite: it soon gets worse."""

    def make(name: str = "job", **changes: object) -> JobFile:
        settings = {
            "num_epochs": 20, "eval_every_steps": 3, "early_stopping_patience": 3, "keep_checkpoints": 1,
            "checkpoint_every_steps": 2,
        }  # fmt: skip
        wrong = (
            {**answered(number), "messages": [*case(number)[0], said(case(number)[2])]} for number in range(60, 76)
        )
        fields: dict[str, object] = {
            "base_model": tiny_model,
            "train_file": write_cases(tmp_path / "train.jsonl", range(48), answered),
            "validation_file": write(tmp_path / "validation.jsonl", wrong),
            "hyperparameters": SETTINGS.model_copy(update=settings | dict(changes.pop("settings", {}))),
        }
        return describe_job(tmp_path / name, **(fields | changes))

    return make


def said(answer: str) -> dict[str, str]:
    return {"role": "assistant", "content": answer}


def evaluated(lines: list[AnyLine]) -> dict[int, float]:
    return {line.step: line.eval_loss for line in of_kind(lines, Evaluated)}


def test_ends_after_so_many_evaluations_without_a_better_one_and_keeps_the_best(a_job: JobMaker) -> None:
    job = a_job()

    status, lines = run(job)

    assert status == 0
    losses = evaluated(lines)
    finished = of_kind(lines, Finished)[0]
    best = min(losses, key=lambda step: losses[step])
    assert finished.best_step == best
    assert finished.step == best + 3 * 3 == max(losses)
    assert finished.step < of_kind(lines, Started)[0].total_steps
    assert finished.eval_loss == losses[best]
    kept = load_file(job.checkpoint_dir / f"checkpoint-{best}" / "adapter_model.safetensors")
    assert all(torch.equal(value, kept[name]) for name, value in adapter_of(job).items())
    newest = f"checkpoint-{finished.step}"
    assert {path.name for path in job.checkpoint_dir.glob("checkpoint-*")} == {f"checkpoint-{best}", newest}
    last = load_file(job.checkpoint_dir / newest / "adapter_model.safetensors")
    assert not all(torch.equal(value, last[name]) for name, value in adapter_of(job).items())


def test_of_full_fine_tuning_keeps_the_best_model(a_job: JobMaker) -> None:
    job = a_job(method="full", settings={"learning_rate": 0.003})
    _, lines = run(job)
    finished = of_kind(lines, Finished)[0]
    assert finished.best_step != finished.step
    best = load_file(job.checkpoint_dir / f"checkpoint-{finished.best_step}" / "model.safetensors")
    saved = load_file(job.output_dir / "model.safetensors")
    assert saved.keys() == best.keys()
    assert all(torch.equal(value, best[name]) for name, value in saved.items())


def test_without_patience_the_run_goes_to_its_end(a_job: JobMaker) -> None:
    settings = {"early_stopping_patience": None, "num_epochs": 2}
    finished = of_kind(run(a_job(settings=settings))[1], Finished)[0]
    assert (finished.step, finished.best_step) == (24, None)


@pytest.mark.parametrize("stop_after", [4, 5, 8], ids=["between evaluations", "at one", "at the next"])
def test_a_stopped_run_ends_where_an_uninterrupted_one_does(a_job: JobMaker, stop_after: int) -> None:
    whole, parted = a_job("whole"), a_job("parted")
    _, told = run(whole)

    status, first = run(parted, stop_after_step=stop_after)  # takes one step more
    _, second = run(parted)

    assert status == EXIT_STOPPED
    assert evaluated([*first, *second]) == evaluated(told)
    ends = [of_kind(lines, Finished)[0] for lines in (told, second)]
    assert ends[0].step == ends[1].step
    assert ends[0].best_step == ends[1].best_step
    assert same_adapters(whole, parted)


def test_a_run_that_died_before_it_saved_takes_no_further_step(a_job: JobMaker) -> None:
    job = a_job()
    _, before = run(job)
    weights = adapter_of(job)
    shutil.rmtree(job.output_dir)

    status, lines = run(job)

    assert status == 0
    assert of_kind(lines, Stepped) == []
    assert of_kind(lines, Finished)[0].best_step == of_kind(before, Finished)[0].best_step
    assert all(torch.equal(value, adapter_of(job)[name]) for name, value in weights.items())
