"""One attempt at one job, whatever its objective: set up → learn → save → clean up, and what is said of each.

An objective is a file of its own with a function that loads data and model and builds the trainer.
"""

import sys
import traceback
from collections.abc import Callable, Sized
from contextlib import closing, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import datasets
import torch
from huggingface_hub import constants as hub
from transformers import PreTrainedTokenizerBase, PrinterCallback, Trainer
from transformers.utils.logging import disable_progress_bar

from loopwright.telemetry import continued_span, set_up_tracing
from trainer_svc.recipes.card import facts_of
from trainer_svc.recipes.checkpoints import discard_incomplete, newest_complete
from trainer_svc.recipes.distributed import SharedAsAsked, join, leave, lost_peer
from trainer_svc.recipes.failures import TrainingFailed, explain
from trainer_svc.recipes.job_file import JobFile
from trainer_svc.recipes.models import computing_dtype, precision, restore_adapter_precision
from trainer_svc.recipes.pace import NothingLeft, Pace, best_evaluation, final_loss
from trainer_svc.recipes.progress import EXIT_FAILED, EXIT_STOPPED, Failed, Finished, ProgressStream, Stopped
from trainer_svc.recipes.ranks import agreed, is_first, wait_for_all
from trainer_svc.recipes.reports import Reports, Sizes
from trainer_svc.recipes.samples import Splits, Use, read_splits
from trainer_svc.recipes.saving import save_finished
from trainer_svc.recipes.sharding import EXIT_PEER_LOST, sharding_of
from trainer_svc.recipes.stopping import Stop, ignore_stops
from trainer_svc.recipes.tracking import Tracker


@dataclass(frozen=True)
class Run:
    """What an attempt has at hand."""

    job: JobFile
    progress: ProgressStream
    stop: Stop
    tracker: Tracker


@dataclass(frozen=True)
class Lesson:
    """What an objective has set up.

    Attributes:
        learned: Training samples that are left after tokenization; the others are too long.
    """

    trainer: Trainer
    tokenizer: PreTrainedTokenizerBase
    splits: Splits
    learned: int


SetUp = Callable[[Run], Lesson]


def read_data(run: Run, *, use: Use) -> Splits:
    """Reads the samples that the objective can learn from, and begins to track the run.

    Raises:
        TrainingFailed: there are none.
    """
    job = run.job
    splits = read_splits(job.train_file, job.validation_file, use=use)
    told = {"method": job.method, "objective": job.objective, "base_model": job.base_model.name}
    measured = {
        "train_samples": len(splits.train),
        "validation_samples": len(splits.validation),
        "dtype": computing_dtype(),
    }
    chosen: dict[str, object] = job.hyperparameters.model_dump()
    run.tracker.start({name: str(value) for name, value in (told | measured | chosen).items()})
    return splits


def attempt(set_up: SetUp, job: JobFile, *, progress: ProgressStream, stop: Stop) -> int:
    """Runs one attempt to its end, whatever that is.

    Returns:
        Exit status: 0, `EXIT_STOPPED`, `EXIT_FAILED` or `EXIT_PEER_LOST`.
    """
    hub.HF_HUB_DISABLE_TELEMETRY = True  # trainers would tell their makers of every run
    datasets.disable_progress_bars()  # in a log they are noise
    disable_progress_bar()
    try:
        join(job)
        with closing(Tracker(job.tracking if is_first() else None)) as tracker:
            return _tell(Run(job, progress, stop, tracker), set_up)
    except Exception as error:  # noqa: BLE001 - whatever ends a run is said in words
        traceback.print_exception(error)
        if lost_peer(error):
            return EXIT_PEER_LOST
        why = explain(error)
        progress.say(Failed(code=why.code, reason=why.reason, advice=why.advice))
        return EXIT_FAILED
    finally:
        leave()


def _tell(run: Run, set_up: SetUp) -> int:
    with continued_span("trainer.load", traceparent=None):
        if run.job.cpu_threads is not None:
            torch.set_num_threads(run.job.cpu_threads)
        lesson = set_up(run)
        pace, reports = _keep_pace(run, lesson)
    with continued_span("trainer.learn", traceparent=None):
        _learn(run, lesson.trainer, pace)
    if not pace.has_ended(lesson.trainer.state):
        if is_first():
            run.progress.say(Stopped(step=lesson.trainer.state.global_step))
        wait_for_all()  # the first one seals the checkpoint; torchrun kills it when another has left for long
        return EXIT_STOPPED
    if is_first():
        with continued_span("trainer.save", traceparent=None):
            _save(run, lesson, reports)
    wait_for_all()
    return 0


def _keep_pace(run: Run, lesson: Lesson) -> tuple[Pace, Reports]:
    job, splits, trainer = run.job, lesson.splits, lesson.trainer
    if lesson.learned == 0:
        reason = f"no sample fits into {job.hyperparameters.max_seq_length} tokens"
        raise TrainingFailed("training.no-data", reason, advice="raise max_seq_length, or shorten the prompts")
    if job.method == "qlora":
        assert trainer.model is not None
        restore_adapter_precision(trainer.model)
    too_long = len(splits.train) - lesson.learned
    watched = 0 if trainer.eval_dataset is None else len(cast("Sized", trainer.eval_dataset))
    sizes = Sizes(lesson.learned, watched, left_out=splits.left_out + too_long)
    reports = Reports(job, run.progress, tracker=run.tracker, sizes=sizes)
    evaluate = trainer.evaluate if watched else None
    pace = Pace(job, run.progress, run.stop, reports=reports, evaluate=evaluate)
    trainer.remove_callback(PrinterCallback)
    trainer.add_callback(pace)
    trainer.add_callback(SharedAsAsked(trainer, sharding_of(job)))
    return pace, reports


def _learn(run: Run, trainer: Trainer, pace: Pace) -> None:
    """Takes the remaining steps, from the newest complete checkpoint if there is one."""
    if agreed(run.stop.asked):
        return
    folder = run.job.checkpoint_dir
    if is_first():
        discard_incomplete(folder)
    wait_for_all()
    checkpoint = newest_complete(folder)
    with suppress(NothingLeft):
        trainer.train(resume_from_checkpoint=str(checkpoint) if checkpoint else None)
    if pace.has_ended(trainer.state):
        pace.make_up_for_evaluation(trainer.state)


def _save(run: Run, lesson: Lesson, reports: Reports) -> None:
    """Writes the adapter: where early stopping was asked for, the one that did best on the validation split."""
    job, state = run.job, lesson.trainer.state
    best = best_evaluation(state.log_history)
    best_step = best.step if best is not None and job.hyperparameters.early_stopping_patience is not None else None
    figures = {"final_loss": final_loss(state), "eval_loss": best.loss if best is not None else None}
    # no times: equal runs make equal folders
    found = figures | {
        "train_samples": reports.sizes.learned,
        "validation_samples": reports.sizes.watched,
        "steps": state.global_step if best_step is None else best_step,
        "device": str(lesson.trainer.args.device),
        "precision": precision(job),
    }
    facts = facts_of(job).model_copy(update=found)
    save_finished(job, lesson.trainer, tokenizer=lesson.tokenizer, best_step=best_step, facts=facts)
    run.progress.say(
        Finished(
            step=state.global_step,
            adapter_dir=str(job.output_dir),
            final_loss=figures["final_loss"],
            eval_loss=figures["eval_loss"],
            best_step=best_step,
            train_seconds=reports.step_seconds,
            tokens=reports.tokens,
        )
    )


def main(set_up: SetUp) -> int:
    """Runs the job file that the command line names."""
    progress = ProgressStream.taking_stdout()
    stop = Stop()
    job = JobFile.model_validate_json(Path(sys.argv[1]).read_bytes())
    trace = job.trace
    service = f"training-{job.job_id}-{job.attempt}"
    tracing = set_up_tracing(service, otlp_endpoint=trace.otlp_endpoint, trace_dir=trace.trace_dir)
    try:
        with continued_span("trainer.attempt", traceparent=trace.traceparent, attributes={"job_id": job.job_id}):
            return attempt(set_up, job, progress=progress, stop=stop)
    finally:
        ignore_stops()
        tracing.shutdown()
