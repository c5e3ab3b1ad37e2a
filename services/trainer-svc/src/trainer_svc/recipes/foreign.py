"""Jobs that another project's trainer runs: its files are written from the job's, then it is started and followed."""

import json
import math
import shutil
import subprocess
import sys
import traceback
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from time import monotonic
from typing import cast

import yaml
from pydantic import JsonValue

from trainer_svc.recipes.card import facts_of
from trainer_svc.recipes.conversations import Row
from trainer_svc.recipes.distributed import save_from_checkpoint
from trainer_svc.recipes.failures import TrainingFailed, explain
from trainer_svc.recipes.finishing import finish
from trainer_svc.recipes.foreign_lines import Follower
from trainer_svc.recipes.job_file import JobFile
from trainer_svc.recipes.progress import EXIT_FAILED, EXIT_STOPPED, Failed, Finished, ProgressStream, Started, Stopped
from trainer_svc.recipes.samples import Sample, Splits, Use, read_splits
from trainer_svc.recipes.stopping import Stop, ignore_stops

Settings = dict[str, JsonValue]
_TOLD_LINES = 20  # of what it printed last, when it fails


@dataclass(frozen=True)
class Plan:
    """What another trainer is told and given.

    Attributes:
        row: A sample as its files hold it.
        files: Contents of its configuration files by name.
        command: Starts it.
    """

    use: Use
    row: Callable[[Sample], Row]
    files: Mapping[str, Settings]
    command: tuple[str, ...]


def files_folder(job: JobFile) -> Path:
    """Where its configuration and data go."""
    return job.checkpoint_dir.with_name("foreign")


def supported_use(job: JobFile, uses: Mapping[str, Use], *, trainer: str) -> Use:
    """What the objective learns from.

    Raises:
        TrainingFailed: the trainer does not know the objective, or cannot share the job as it says.
    """
    own = "this service's own recipe"
    if job.objective not in uses:
        reason = f"{trainer} does not learn objective {job.objective} as this service understands it"
        raise TrainingFailed("training.not-supported", reason, advice=f"use objective {' or '.join(uses)}, or {own}")
    if job.world_size > 1 or job.hyperparameters.sharding != "none":
        reason = f"{trainer} is run on one device only"
        raise TrainingFailed("training.not-supported", reason, advice=f"ask for one device, or use {own}")
    return uses[job.objective]


def turns(value: object) -> list[Row]:
    """The messages in a field of a conversational row."""
    return cast("list[Row]", value)


def attempt(plan_of: Callable[[JobFile], Plan], job: JobFile, *, progress: ProgressStream, stop: Stop) -> int:
    """Runs one attempt to its end, whatever that is.

    Returns:
        Exit status: 0, `EXIT_STOPPED` or `EXIT_FAILED`.
    """
    try:
        plan = plan_of(job)
        splits = read_splits(job.train_file, job.validation_file, use=plan.use)
        if not splits.validation:
            plan = plan_of(job.model_copy(update={"validation_file": None}))
        command = _installed(plan.command, job.program)
        _write(plan, job, splits)
        return _follow(command, job, splits, progress=progress, stop=stop)
    except Exception as error:  # noqa: BLE001 - whatever ends a run is said in words
        traceback.print_exception(error)
        why = explain(error)
        progress.say(Failed(code=why.code, reason=why.reason, advice=why.advice))
        return EXIT_FAILED
    finally:
        # what people wrote lies here in plain text, and no longer than a process reads it
        shutil.rmtree(files_folder(job), ignore_errors=True)


def _installed(command: Sequence[str], place: Path | None) -> tuple[str, ...]:
    program = shutil.which(place or command[0])
    if program is None:
        reason = f"{command[0]} is not installed beside this service"
        raise TrainingFailed("training.not-installed", reason, advice="install it, or use this service's own recipe")
    return (program, *command[1:])


def _write(plan: Plan, job: JobFile, splits: Splits) -> None:
    folder = files_folder(job)
    folder.mkdir(parents=True, exist_ok=True)
    for name, samples in (("train", splits.train), ("validation", splits.validation)):
        lines = (json.dumps(plan.row(sample), ensure_ascii=False) + "\n" for sample in samples)
        (folder / f"{name}.jsonl").write_text("".join(lines), encoding="utf-8")
    for name, content in plan.files.items():
        text = json.dumps(content, indent=1) if name.endswith(".json") else yaml.safe_dump(content, sort_keys=False)
        (folder / name).write_text(text, encoding="utf-8")


def _follow(command: Sequence[str], job: JobFile, splits: Splits, *, progress: ProgressStream, stop: Stop) -> int:
    chosen = job.hyperparameters
    batch = chosen.batch_size * chosen.gradient_accumulation_steps
    steps = math.ceil(len(splits.train) / batch)
    progress.say(
        Started(
            step=0,
            total_steps=math.ceil(steps * chosen.num_epochs),
            device=Path(command[0]).name,
            precision="as its configuration says",
            train_samples=len(splits.train),
            validation_samples=len(splits.validation),
            left_out_samples=splits.left_out,
            trainable_parameters=0,  # not told
        )
    )
    follower = Follower(progress, steps_an_epoch=steps, epochs=chosen.num_epochs)
    began = monotonic()
    status, told = _run(command, follower)
    if stop.asked:  # the signal went to the whole group, so it stopped as well; it resumes from its own checkpoints
        progress.say(Stopped(step=follower.step))
        return EXIT_STOPPED
    if status != 0:
        raise RuntimeError(f"{Path(command[0]).name} ended with status {status}: {' '.join(told)}")
    _save(job, follower)
    progress.say(
        Finished(
            step=follower.step, adapter_dir=str(job.output_dir), final_loss=follower.loss, eval_loss=follower.best,
            train_seconds=monotonic() - began, tokens=0,
        )
    )  # fmt: skip
    return 0


def _run(command: Sequence[str], follower: Follower) -> tuple[int, Sequence[str]]:
    """Exit status, and what was printed last."""
    told: deque[str] = deque(maxlen=_TOLD_LINES)
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as process:  # noqa: S603 - a program of this installation
        assert process.stdout is not None
        for text in process.stdout:
            sys.stderr.write(text)
            follower.read(text)
            told.append(text.strip())
    return process.returncode, told


def _save(job: JobFile, follower: Follower) -> None:
    target = job.output_dir
    partial = target.with_name(f".{target.name}.partial")
    save_from_checkpoint(job.checkpoint_dir, partial)
    figures = {"steps": follower.step, "final_loss": follower.loss, "eval_loss": follower.best}
    finish(partial, job, facts_of(job).model_copy(update=figures))
    shutil.rmtree(target, ignore_errors=True)
    partial.replace(target)


def main(plan_of: Callable[[JobFile], Plan]) -> int:
    """Runs the job file that the command line names."""
    progress = ProgressStream.taking_stdout()
    stop = Stop()
    job = JobFile.model_validate_json(Path(sys.argv[1]).read_bytes())
    try:
        return attempt(plan_of, job, progress=progress, stop=stop)
    finally:
        ignore_stops()
