"""When a run logs, evaluates, checkpoints and stops, and what it says of each: a callback of the trainer."""

# ruff: noqa: ARG002 - the trainer hands every hook the same arguments

import math
import resource
import signal
import time
from types import FrameType

import torch
from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from trainer_svc.recipes.checkpoints import PREFIX, keep_newest, seal
from trainer_svc.recipes.failures import TrainingFailed
from trainer_svc.recipes.job_file import JobFile
from trainer_svc.recipes.progress import Checkpointed, Evaluated, ProgressStream, Started, Stepped
from trainer_svc.recipes.tracking import Tracker

_TRACKED = {"loss", "perplexity", "learning_rate", "grad_norm", "tokens_per_s", "device_memory_bytes"}
_SMOOTHING = 0.8  # weight of the past in the running mean of seconds per step


class Stop:
    """Whether SIGTERM has come; the run ends after the step in hand."""

    def __init__(self) -> None:
        self.asked = False
        signal.signal(signal.SIGTERM, self._on_signal)

    def _on_signal(self, _number: int, _frame: FrameType | None) -> None:
        self.asked = True


class Pace(TrainerCallback):
    """Decides at the end of each step, in one place, so that a resumed run repeats the uninterrupted one exactly.

    The trainer evaluates before it saves within one step. Left to its own strategies it would evaluate after saving
    at the end of an epoch, and the random state in a checkpoint would not be the one that the next step starts from.
    """

    def __init__(self, job: JobFile, progress: ProgressStream, stop: Stop, *, tracker: Tracker, watched: int) -> None:
        self._job = job
        self._progress = progress
        self._stop = stop
        self._tracker = tracker
        self._watched = watched
        self._step_began = self._saved_at = time.monotonic()
        self._mean_step_s: float | None = None
        self._unlogged_s = 0.0
        self._logged_tokens = self._first_token = 0
        self.step_seconds = 0.0
        self.tokens = 0

    def on_train_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: object
    ) -> None:
        model, loader = kwargs["model"], kwargs["train_dataloader"]
        assert isinstance(model, torch.nn.Module)
        self._logged_tokens = self._first_token = state.num_input_tokens_seen
        self._progress.say(
            Started(
                step=state.global_step,
                total_steps=state.max_steps,
                device=str(args.device),
                precision="bfloat16" if args.bf16 else "float32",
                train_samples=len(loader.dataset),  # pyright: ignore[reportAttributeAccessIssue] - a DataLoader
                validation_samples=self._watched,
                trainable_parameters=sum(p.numel() for p in model.parameters() if p.requires_grad),
            )
        )

    def on_step_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: object
    ) -> None:
        self._step_began = time.monotonic()

    def on_step_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: object
    ) -> None:
        seconds = time.monotonic() - self._step_began
        self._unlogged_s += seconds
        self.step_seconds += seconds
        before = seconds if self._mean_step_s is None else self._mean_step_s
        self._mean_step_s = _SMOOTHING * before + (1 - _SMOOTHING) * seconds
        last = state.global_step >= state.max_steps
        epoch_ends = float(state.epoch).is_integer()
        control.should_evaluate = self._watched > 0 and (epoch_ends or last) and not self._stop.asked
        control.should_save = last or self._stop.asked or self._checkpoint_is_due(state.global_step)
        # loss and gradient are looked at before a checkpoint is written: none ever holds NaN
        control.should_log = control.should_save or state.global_step % self._job.log_every_steps == 0
        control.should_training_stop = last or self._stop.asked

    def _checkpoint_is_due(self, step: int) -> bool:
        every = self._job.hyperparameters.checkpoint_every_steps
        return step % every == 0 or time.monotonic() - self._saved_at >= self._job.checkpoint_every_s

    def on_log(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: object) -> None:
        logs = kwargs["logs"]
        assert isinstance(logs, dict)
        if "loss" in logs:
            self._report_step(state, logs, args)
        elif "eval_loss" in logs:
            self._report_evaluation(state, float(logs["eval_loss"]))

    def _report_step(self, state: TrainerState, logs: dict[str, float], args: TrainingArguments) -> None:
        loss, norm = float(logs["loss"]), float(logs.get("grad_norm", 0.0))
        if not (math.isfinite(loss) and math.isfinite(norm)):
            reason = f"the loss became {loss} and the gradient norm {norm} at step {state.global_step}"
            advice = "lower the learning rate, warm up longer, or look for samples that are empty or broken"
            raise TrainingFailed("training.loss-not-finite", reason, advice=advice)
        self.tokens = state.num_input_tokens_seen - self._first_token
        line = Stepped(
            step=state.global_step,
            total_steps=state.max_steps,
            epoch=state.epoch,
            loss=loss,
            perplexity=_perplexity(loss),
            learning_rate=float(logs["learning_rate"]),
            grad_norm=norm,
            tokens_per_s=(state.num_input_tokens_seen - self._logged_tokens) / max(self._unlogged_s, 1e-9),
            device_memory_bytes=_peak_memory(args.device),
            eta_s=(state.max_steps - state.global_step) * (self._mean_step_s or 0.0),
        )
        self._logged_tokens, self._unlogged_s = state.num_input_tokens_seen, 0.0
        self._progress.say(line)
        self._tracker.log(state.global_step, line.model_dump(include=_TRACKED))

    def _report_evaluation(self, state: TrainerState, loss: float) -> None:
        line = Evaluated(
            step=state.global_step,
            total_steps=state.max_steps,
            epoch=state.epoch,
            eval_loss=loss,
            perplexity=_perplexity(loss),
        )
        self._progress.say(line)
        self._tracker.log(state.global_step, {"eval_loss": loss, "eval_perplexity": line.perplexity})

    def on_save(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: object) -> None:
        folder = self._job.checkpoint_dir / f"{PREFIX}{state.global_step}"
        size = seal(folder, step=state.global_step)
        keep_newest(self._job.checkpoint_dir, self._job.keep_checkpoints)
        self._saved_at = time.monotonic()
        self._progress.say(Checkpointed(step=state.global_step, epoch=state.epoch, path=str(folder), size_bytes=size))


def final_loss(state: TrainerState) -> float | None:
    """Last training loss, also of a run whose last step an earlier attempt took."""
    losses = [float(entry["loss"]) for entry in state.log_history if "loss" in entry]
    return losses[-1] if losses else None


def best_eval_loss(state: TrainerState) -> float | None:
    return min((float(entry["eval_loss"]) for entry in state.log_history if "eval_loss" in entry), default=None)


def _perplexity(loss: float) -> float:
    return math.exp(min(loss, 700.0))  # exp overflows a double above 709


def _peak_memory(device: torch.device) -> int:
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device)
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
