"""Samples as files hold them and as the trainer wants them, and the order in which they are learned."""

import math
import random
from collections.abc import Iterator, Sequence
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from torch.utils.data import Sampler

from trainer_svc.recipes.failures import TrainingFailed

_POOL_BATCHES = 16  # batches that are sorted by length together: little padding, still a random order


class Turn(BaseModel):
    """One message of a sample."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    role: str
    content: str


class Sample(BaseModel):
    """A conversation whose last message is the answer to learn, or to avoid.

    Attributes:
        thumb: Whether the answer was liked; False makes it one that must not be imitated.
    """

    model_config = ConfigDict(frozen=True, extra="ignore")

    sample_id: str
    thumb: bool | None = None
    messages: tuple[Turn, ...] = Field(min_length=2)

    @property
    def prompt(self) -> tuple[Turn, ...]:
        return self.messages[:-1]

    @property
    def completion(self) -> tuple[Turn, ...]:
        return self.messages[-1:]


def read_samples(path: Path) -> list[Sample]:
    """Reads the samples of JSON Lines whose answers may be imitated.

    Raises:
        TrainingFailed: the file is missing, holds none, or a line is not a sample; says which.
    """
    advice = "validate the dataset again; a line is {sample_id, messages}, its last message the assistant's answer"
    samples: list[Sample] = []
    try:
        with path.open(encoding="utf-8") as file:
            for number, line in enumerate(file, start=1):
                if line.strip():
                    sample = _read_sample(line, f"{path.name} line {number}", advice)
                    if sample.thumb is not False:
                        samples.append(sample)
    except (OSError, UnicodeDecodeError) as error:
        raise TrainingFailed("training.unreadable-data", f"{path} cannot be read: {error}", advice=advice) from error
    if not samples:
        raise TrainingFailed("training.no-data", f"{path} holds no samples to imitate", advice=advice)
    return samples


def _read_sample(line: str, place: str, advice: str) -> Sample:
    try:
        sample = Sample.model_validate_json(line)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        reason = f"{place}: {'.'.join(map(str, first['loc'])) or 'line'}: {first['msg']}"
        raise TrainingFailed("training.unreadable-data", reason, advice=advice) from error
    if sample.messages[-1].role != "assistant":
        reason = f"{place}: the last message is the {sample.messages[-1].role}'s, not the assistant's"
        raise TrainingFailed("training.unreadable-data", reason, advice=advice)
    return sample


class LengthGroupedOrder(Sampler[int]):
    """A random order in which samples of like length share a batch.

    A pure function of (seed, epoch): a resumed run sees the order that an uninterrupted one would have seen, which
    samplers that draw from the global generator cannot promise.
    """

    def __init__(self, lengths: Sequence[int], *, batch_size: int, seed: int) -> None:
        self._lengths = lengths
        self._batch_size = batch_size
        self._seed = seed
        self._epoch = 0

    def set_epoch(self, epoch: int) -> None:
        self._epoch = epoch

    def __len__(self) -> int:
        return len(self._lengths)

    def __iter__(self) -> Iterator[int]:
        chance = random.Random(f"{self._seed}/{self._epoch}")  # noqa: S311 - an order, not a secret
        indices = list(range(len(self._lengths)))
        chance.shuffle(indices)
        whole = len(indices) - len(indices) % self._batch_size
        batches: list[list[int]] = []
        pool = self._batch_size * _POOL_BATCHES
        for start in range(0, whole, pool):
            block = sorted(indices[start : min(start + pool, whole)], key=lambda index: self._lengths[index])
            batches.extend(block[at : at + self._batch_size] for at in range(0, len(block), self._batch_size))
        chance.shuffle(batches)
        return iter([index for batch in [*batches, indices[whole:]] for index in batch])


def steps_per_epoch(samples: int, *, batch_size: int, accumulation: int) -> int:
    """Optimizer steps of one pass."""
    return math.ceil(math.ceil(samples / batch_size) / accumulation)
