"""What a job will take, before it starts: steps, tokens, time, memory and money, learned from earlier runs.

Where nothing was learned yet: four bytes of the dataset a token, and 6 floating-point operations a token and parameter
(Kaplan et al. 2020, "Scaling Laws for Neural Language Models", section 2.1; 4 with a frozen model, which has no
gradient of its weights) at an assumed speed of the device. Every estimate says what it rests on.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import median

from pydantic import Field

from loopwright.contracts.base import Value
from loopwright.contracts.jobs import JobKind
from loopwright.contracts.tasks import Method
from trainer_svc.domain.memory import ModelShape, Undertaking, peak_bytes

_BYTES_A_TOKEN = 4.0
_ASSUMED_FLOPS = {"cpu": 1e11, "cuda": 1e14}  # two cores with AVX-512; a third of an A100's peak in bfloat16
_ASSUMED_START_S = 20.0  # imports, model, data


class Estimate(Value):
    """What a job will take."""

    steps: int | None = Field(description="optimizer steps; none for kinds other than training")
    tokens: int | None = Field(description="tokens read; none for kinds other than training")
    seconds: float | None = Field(description="from start to end; none if nothing is known to tell it from")
    peak_memory_bytes: int | None = Field(description="on each device; none if the model's configuration is unreadable")
    cost: float | None = Field(description="in the currency of TRAINER_PRICE_PER_DEVICE_HOUR; none without a price")
    device_kind: str = Field(description="`cpu` or `cuda`")
    earlier_runs: int = Field(description="how many finished jobs the time was learned from")
    basis: str = Field(description="what the time rests on, for people")


@dataclass(frozen=True, kw_only=True)
class PastRun:
    """A job that succeeded.

    Attributes:
        seconds: From start to end.
        tokens: Read by its last attempt, in `train_s` seconds.
        data_bytes: Size of its training split times its epochs, if one attempt read all of it.
    """

    kind: JobKind
    base_model: str
    method: Method
    device_kind: str
    device_count: int
    seconds: float
    tokens: int | None
    train_s: float | None
    data_bytes: float | None

    @property
    def tokens_per_s(self) -> float | None:
        """Of one device."""
        if not self.tokens or not self.train_s:
            return None
        return self.tokens / self.train_s / self.device_count


@dataclass(frozen=True, kw_only=True)
class Prospect:
    """A job of which somebody wants to know what it will take.

    Attributes:
        device_kind: What it will run on.
        price_per_device_hour: None if nobody said.
    """

    work: Undertaking
    base_model: str
    samples: int
    data_bytes: int
    device_kind: str
    price_per_device_hour: float | None


def estimate(
    prospect: Prospect, past: Sequence[PastRun], shapes: Mapping[str, ModelShape], *, teacher: str | None = None
) -> Estimate:
    """Estimates a job.

    Args:
        past: Jobs that succeeded, newest first.
        shapes: Of base models, where they are known.
        teacher: Base model that is distilled.
    """
    work, shape = prospect.work, shapes.get(prospect.base_model)
    device = prospect.device_kind
    memory = None
    if shape is not None:
        memory = peak_bytes(work, shape, device=device, teacher=shapes.get(teacher or ""))
    alike = [run for run in past if run.device_kind == device and run.kind is work.kind]
    steps = tokens = None
    if work.kind is JobKind.TRAIN:
        steps = planned_steps(work, prospect.samples)
        tokens = _tokens(prospect, past)
        seconds, runs, basis = _training_time(prospect, tokens, alike, shapes)
    else:
        same = [run.seconds for run in alike if run.base_model == prospect.base_model]
        seconds, runs = (median(same) if same else None), len(same)
        basis = f"median of {_runs(runs)} of this kind" if same else "no job of this kind has run on such a device yet"
    price = prospect.price_per_device_hour
    return Estimate(
        steps=steps, tokens=tokens, seconds=seconds, peak_memory_bytes=memory, device_kind=device,
        cost=None if price is None or seconds is None else seconds / 3600 * work.device_count * price,
        earlier_runs=runs, basis=basis,
    )  # fmt: skip


def planned_steps(work: Undertaking, samples: int) -> int:
    """Optimizer steps of a whole run, rounded as transformers' Trainer does."""
    chosen = work.hyperparameters
    batches = math.ceil(samples / (chosen.batch_size * work.device_count))
    return math.ceil(chosen.num_epochs * max(math.ceil(batches / chosen.gradient_accumulation_steps), 1))


def _tokens(prospect: Prospect, past: Sequence[PastRun]) -> int:
    chosen = prospect.work.hyperparameters
    shares = [
        run.tokens / run.data_bytes
        for run in past
        if run.base_model == prospect.base_model and run.tokens and run.data_bytes
    ]
    an_epoch = prospect.data_bytes * (median(shares) if shares else 1 / _BYTES_A_TOKEN)
    return int(chosen.num_epochs * min(an_epoch, prospect.samples * chosen.max_seq_length))


def _training_time(
    prospect: Prospect, tokens: int, alike: Sequence[PastRun], shapes: Mapping[str, ModelShape]
) -> tuple[float | None, int, str]:
    """Seconds, how many runs they were learned from, and what they rest on."""
    count, device = prospect.work.device_count, prospect.device_kind
    same = [
        (run.tokens_per_s, run.seconds - (run.train_s or 0))
        for run in alike
        if run.tokens_per_s and (run.base_model, run.method) == (prospect.base_model, prospect.work.method)
    ]
    if same:
        speed, start_s = median(speed for speed, _ in same), median(start for _, start in same)
        basis = f"median speed of {_runs(len(same))} of the same base model, method and kind of device"
        return start_s + tokens / (speed * count), len(same), basis
    shape = shapes.get(prospect.base_model)
    if shape is None:
        return None, 0, "the base model has not been trained on such a device, and its configuration is unreadable"
    scaled = [
        run.tokens_per_s * shapes[run.base_model].parameters / shape.parameters
        for run in alike
        if run.tokens_per_s and run.base_model in shapes
    ]
    if scaled:
        basis = f"median speed of {_runs(len(scaled))} of other models or methods on {device}, by their sizes"
        return _ASSUMED_START_S + tokens / (median(scaled) * count), len(scaled), basis
    operations = tokens * shape.parameters * (6 if prospect.work.method == "full" else 4)
    assumed = _ASSUMED_FLOPS[device]
    basis = f"no job has run on {device} yet: {assumed:.0e} floating-point operations a second are assumed"
    return _ASSUMED_START_S + operations / (assumed * count), 0, basis


def _runs(count: int) -> str:
    return "1 run" if count == 1 else f"{count} runs"
