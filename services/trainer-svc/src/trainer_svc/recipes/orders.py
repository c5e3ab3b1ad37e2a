"""Orders in which samples are learned: pure functions of (seed, epoch).

A resumed run sees the order that an uninterrupted one would have seen, which samplers that draw from the global
generator cannot promise.
"""

import random
from collections.abc import Iterator, Sequence
from typing import TypeVar

from torch.utils.data import Sampler

Item = TypeVar("Item")
_POOL_BATCHES = 16  # batches that are sorted by length together: little padding, still a random order


class LengthGroupedOrder(Sampler[int]):
    """A random order in which samples of like length share a batch."""

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


class BatchOrder(Sampler[int]):
    """Batches of neighbours in a random order; what stands together stays together."""

    def __init__(self, count: int, *, batch_size: int, seed: int) -> None:
        self._count = count
        self._batch_size = batch_size
        self._seed = seed
        self._epoch = 0

    def set_epoch(self, epoch: int) -> None:
        self._epoch = epoch

    def __len__(self) -> int:
        return self._count

    def __iter__(self) -> Iterator[int]:
        chance = random.Random(f"{self._seed}/{self._epoch}")  # noqa: S311 - an order, not a secret
        whole = self._count - self._count % self._batch_size
        starts = list(range(0, whole, self._batch_size))
        chance.shuffle(starts)
        batches = [range(start, start + self._batch_size) for start in starts]
        return iter([index for batch in [*batches, range(whole, self._count)] for index in batch])


def shuffled(items: Sequence[Item], *, seed: int) -> list[Item]:
    """All items in a random order."""
    return random.Random(seed).sample(items, len(items))  # noqa: S311 - an order, not a secret
