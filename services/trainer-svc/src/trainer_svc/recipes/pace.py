"""When a run logs, evaluates, checkpoints and stops: a callback of the trainer."""

# ruff: noqa: ARG002 - the trainer hands every hook the same arguments

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import torch
from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from trainer_svc.recipes.checkpoints import folder_of, keep_newest, seal
from trainer_svc.recipes.job_file import JobFile
from trainer_svc.recipes.progress import Checkpointed, ProgressStream
from trainer_svc.recipes.ranks import agreed, is_first, wait_for_all
from trainer_svc.recipes.reports import Reports
from trainer_svc.recipes.stopping import Stop


class NothingLeft(Exception):
    """A resumed run has no steps to take: leaves the trainer before it takes one too many."""


@dataclass(frozen=True)
class Evaluation:
    """A loss on the validation split."""

    step: int
    loss: float


class Pace(TrainerCallback):
    """Decides at the end of each step, in one place, so that a resumed run repeats the uninterrupted one exactly.

    The trainer evaluates before it saves within one step. Left to its own strategies it would evaluate after saving
    at the end of an epoch, and the random state in a checkpoint would not be the one that the next step starts from.
    Evaluations leave the random state alone, so that one that a stop has put off can be made up for on resume.

    Args:
        evaluate: The trainer's own evaluation; None if nothing is watched.
    """

    def __init__(
        self,
        job: JobFile,
        progress: ProgressStream,
        stop: Stop,
        *,
        reports: Reports,
        evaluate: Callable[[], Mapping[str, float]] | None,
    ) -> None:
        self._job = job
        self._progress = progress
        self._stop = stop
        self._reports = reports
        self._evaluate = evaluate
        self._is_resuming = False
        self._chance: torch.Tensor | None = None
        self._saved_at = time.monotonic()

    def on_train_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: object
    ) -> None:
        model = kwargs["model"]
        assert isinstance(model, torch.nn.Module)
        self._is_resuming = state.global_step > 0
        self._reports.start(args, state, model)

    def on_step_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: object
    ) -> None:
        if self._is_resuming:
            self._is_resuming = False
            self.make_up_for_evaluation(state)
            if self.has_ended(state):
                raise NothingLeft
        self._reports.step_begins()

    def make_up_for_evaluation(self, state: TrainerState) -> None:
        """Evaluates if this step should have been and was not, because somebody asked to stop."""
        done = any(evaluation.step == state.global_step for evaluation in evaluations(state.log_history))
        if self._evaluate is not None and not done and self._evaluation_is_due(state):
            self._chance = torch.get_rng_state()
            self._evaluate()

    def on_step_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: object
    ) -> None:
        self._reports.step_ends()
        last, stop = state.global_step >= state.max_steps, agreed(self._stop.asked)
        control.should_evaluate = self._evaluation_is_due(state) and not stop
        control.should_save = last or stop or self._checkpoint_is_due(state.global_step)
        # loss and gradient are looked at before a checkpoint is written: none ever holds NaN
        control.should_log = (
            control.should_save or control.should_evaluate or state.global_step % self._job.log_every_steps == 0
        )
        control.should_training_stop = last or stop
        self._chance = torch.get_rng_state()

    def _evaluation_is_due(self, state: TrainerState) -> bool:
        every = self._job.hyperparameters.eval_every_steps
        due = float(state.epoch).is_integer() if every is None else state.global_step % every == 0
        return self._evaluate is not None and (due or state.global_step >= state.max_steps)

    def _checkpoint_is_due(self, step: int) -> bool:
        every = self._job.hyperparameters.checkpoint_every_steps
        return step % every == 0 or agreed(time.monotonic() - self._saved_at >= self._job.checkpoint_every_s)

    def on_evaluate(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: object
    ) -> None:
        assert self._chance is not None
        torch.set_rng_state(self._chance)
        best = best_evaluation(state.log_history)
        if self._job.hyperparameters.early_stopping_patience is None or best is None:
            return
        control.should_save = control.should_save or best.step == state.global_step
        if self._patience_is_over(state):
            control.should_save = control.should_training_stop = True

    def _patience_is_over(self, state: TrainerState) -> bool:
        patience, best = self._job.hyperparameters.early_stopping_patience, best_evaluation(state.log_history)
        if patience is None or best is None:
            return False
        return sum(evaluation.step > best.step for evaluation in evaluations(state.log_history)) >= patience

    def has_ended(self, state: TrainerState) -> bool:
        """Whether no step is left: the last was taken, or the validation loss has not improved for too long."""
        return 0 < state.max_steps <= state.global_step or self._patience_is_over(state)

    def on_log(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: object) -> None:
        logs = kwargs["logs"]
        assert isinstance(logs, dict)
        if "loss" in logs:
            self._reports.step(state, logs, args)
        elif "eval_loss" in logs:
            self._reports.evaluation(state, logs)

    def on_save(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: object) -> None:
        wait_for_all()
        self._saved_at = time.monotonic()
        if not is_first():
            return
        folder = folder_of(self._job.checkpoint_dir, state.global_step)
        size = seal(folder, step=state.global_step)
        best = best_evaluation(state.log_history)
        count = self._job.hyperparameters.keep_checkpoints
        keep_newest(self._job.checkpoint_dir, count, besides=best.step if best is not None else None)
        self._progress.say(Checkpointed(step=state.global_step, epoch=state.epoch, path=str(folder), size_bytes=size))


def final_loss(state: TrainerState) -> float | None:
    """Last training loss, also of a run whose last step an earlier attempt took."""
    losses = [float(entry["loss"]) for entry in state.log_history if "loss" in entry]
    return losses[-1] if losses else None


def evaluations(log_history: Sequence[Mapping[str, float]]) -> list[Evaluation]:
    return [Evaluation(int(entry["step"]), entry["eval_loss"]) for entry in log_history if "eval_loss" in entry]


def best_evaluation(log_history: Sequence[Mapping[str, float]]) -> Evaluation | None:
    """The one with the lowest loss, the earliest of equals."""
    return min(evaluations(log_history), key=lambda evaluation: evaluation.loss, default=None)
