"""What a run says of its steps and evaluations, and hands to MLflow."""

import math
import resource
import time
from collections.abc import Mapping
from dataclasses import dataclass

import torch
from transformers import TrainerState, TrainingArguments

from trainer_svc.recipes.failures import TrainingFailed
from trainer_svc.recipes.job_file import JobFile
from trainer_svc.recipes.models import precision
from trainer_svc.recipes.progress import Evaluated, ProgressStream, Started, Stepped
from trainer_svc.recipes.ranks import is_first
from trainer_svc.recipes.tracking import Tracker

_SMOOTHING = 0.8  # weight of the past in the running mean of seconds per step
_NOT_TRACKED = {"kind", "step", "total_steps", "epoch", "eta_s"}
_LOOK_FOR_BROKEN = "look for samples that are empty or broken"


@dataclass(frozen=True)
class Sizes:
    """Samples that are learned from, watched, and of no use to the objective or too long."""

    learned: int
    watched: int
    left_out: int


class Reports:
    """Makes lines of the trainer's figures, and fails the run if one is not a number."""

    def __init__(self, job: JobFile, progress: ProgressStream, *, tracker: Tracker, sizes: Sizes) -> None:
        self._job = job
        self._progress = progress
        self._tracker = tracker
        self.sizes = sizes
        self._step_began = time.monotonic()
        self._mean_step_s: float | None = None
        self._unlogged_s = 0.0
        self._logged_tokens = self._first_token = 0
        self.step_seconds = 0.0
        self.tokens = 0

    def start(self, args: TrainingArguments, state: TrainerState, model: torch.nn.Module) -> None:
        self._logged_tokens = self._first_token = state.num_input_tokens_seen
        if not is_first():
            return
        self._progress.say(
            Started(
                step=state.global_step,
                total_steps=state.max_steps,
                device=str(args.device),
                precision=precision(self._job),
                train_samples=self.sizes.learned,
                validation_samples=self.sizes.watched,
                left_out_samples=self.sizes.left_out,
                trainable_parameters=sum(p.numel() for p in model.parameters() if p.requires_grad),
            )
        )

    def step_begins(self) -> None:
        self._step_began = time.monotonic()

    def step_ends(self) -> None:
        seconds = time.monotonic() - self._step_began
        self._unlogged_s += seconds
        self.step_seconds += seconds
        before = seconds if self._mean_step_s is None else self._mean_step_s
        self._mean_step_s = _SMOOTHING * before + (1 - _SMOOTHING) * seconds

    def step(self, state: TrainerState, logs: Mapping[str, float], args: TrainingArguments) -> None:
        """Raises TrainingFailed if loss or gradient is not a finite number."""
        loss, norm = float(logs["loss"]), float(logs.get("grad_norm", 0.0))
        if not (math.isfinite(loss) and math.isfinite(norm)):
            reason = f"the loss became {loss} and the gradient norm {norm} at step {state.global_step}"
            advice = f"lower the learning rate, warm up longer, or {_LOOK_FOR_BROKEN}"
            raise TrainingFailed("training.loss-not-finite", reason, advice=advice)
        self.tokens = state.num_input_tokens_seen - self._first_token
        line = Stepped(
            step=state.global_step,
            total_steps=state.max_steps,
            epoch=state.epoch,
            loss=loss,
            perplexity=self._perplexity(loss),
            learning_rate=float(logs["learning_rate"]),
            grad_norm=norm,
            reward_margin=logs.get("rewards/margins"),
            reward_accuracy=logs.get("rewards/accuracies"),
            tokens_per_s=(state.num_input_tokens_seen - self._logged_tokens) / max(self._unlogged_s, 1e-9),
            device_memory_bytes=_peak_memory(args.device),
            eta_s=(state.max_steps - state.global_step) * (self._mean_step_s or 0.0),
        )
        self._logged_tokens, self._unlogged_s = state.num_input_tokens_seen, 0.0
        self._tell(line, line.model_dump(exclude=_NOT_TRACKED, exclude_none=True))

    def evaluation(self, state: TrainerState, logs: Mapping[str, float]) -> None:
        """Raises TrainingFailed if the loss is not a finite number."""
        loss = float(logs["eval_loss"])
        if not math.isfinite(loss):
            reason = f"the validation loss became {loss} at step {state.global_step}"
            advice = f"lower the learning rate, or {_LOOK_FOR_BROKEN}"
            raise TrainingFailed("training.loss-not-finite", reason, advice=advice)
        line = Evaluated(
            step=state.global_step,
            total_steps=state.max_steps,
            epoch=state.epoch,
            eval_loss=loss,
            perplexity=self._perplexity(loss),
            reward_margin=logs.get("eval_rewards/margins"),
            reward_accuracy=logs.get("eval_rewards/accuracies"),
        )
        tracked = line.model_dump(exclude=_NOT_TRACKED | {"eval_loss"}, exclude_none=True)
        self._tell(line, {"eval_loss": loss} | {f"eval_{name}": value for name, value in tracked.items()})

    def _tell(self, line: Stepped | Evaluated, tracked: Mapping[str, float]) -> None:
        if is_first():
            self._progress.say(line)
            self._tracker.log(line.step, tracked)

    def _perplexity(self, loss: float) -> float | None:
        """Of a loss in nats per token; other losses have none."""
        return math.exp(min(loss, 700.0)) if self._job.objective == "sft" else None  # exp overflows a double above 709


def _peak_memory(device: torch.device) -> int:
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device)
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
