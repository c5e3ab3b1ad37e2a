"""Counts that can be added up in any order: of whole numbers, and of names."""

# ruff: noqa: SLF001 - merging reads what another of the same class holds

import hashlib
import math
from collections.abc import Mapping, Sequence

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from dataset_svc.domain.statistics.columns import SPLITS
from dataset_svc.domain.statistics.figures import Bin, Breakdown, Distribution, NamedCount

_EXACT = 2_048  # values below have a bucket each; above, each doubling has 1,024
_STEPS = 1_024
_LONGEST_NAME = 200
_SHOWN = 50
_BARS = 20
_NICE = (1, 2, 5)


class Tally:
    """Whole numbers from 0 on, counted in buckets no wider than a thousandth of their value (as HdrHistogram does).

    Args:
        scale: Values are stored as so many parts of one: 1 for lengths, 1,000 for scores from 0 to 1.
    """

    def __init__(self, *, scale: int = 1) -> None:
        self._scale = scale
        self._buckets = np.zeros(0, dtype=np.int64)
        self._total = 0
        self._ends: tuple[int, int] | None = None

    def add(self, values: NDArray[np.int64]) -> None:
        if not len(values):
            return
        self._add_buckets(np.bincount(_bucket_of(values)))
        self._total += int(values.sum())
        self._widen((int(values.min()), int(values.max())))

    def add_shares(self, shares: NDArray[np.float64]) -> None:
        """Values from 0 to 1; what is not a number counts as not measured."""
        known = np.clip(shares[~np.isnan(shares)], 0, 1)
        self.add(np.rint(known * self._scale).astype(np.int64))

    def merge(self, other: "Tally") -> None:
        if other._ends is not None:
            self._add_buckets(other._buckets)
            self._total += other._total
            self._widen(other._ends)

    def distribution(self) -> Distribution | None:
        if self._ends is None:
            return None
        samples = int(self._buckets.sum())
        low, high = self._ends
        return Distribution(
            samples=samples,
            total=self._total / self._scale,
            mean=self._total / self._scale / samples,
            minimum=low / self._scale,
            p5=self._percentile(5) / self._scale,
            p50=self._percentile(50) / self._scale,
            p95=self._percentile(95) / self._scale,
            maximum=high / self._scale,
            bins=self._bins(self._edges(low, high)),
        )

    def _percentile(self, percent: int) -> int:
        assert self._ends is not None
        cumulated = np.cumsum(self._buckets)
        rank = -(-percent * int(cumulated[-1]) // 100)
        value = _first_of(int(np.searchsorted(cumulated, rank)))
        return min(max(value, self._ends[0]), self._ends[1])

    def _edges(self, low: int, high: int) -> list[int]:
        """Where bins begin, and one past the end: at most some twenty of equal, round width, the last one to the end."""
        if self._scale > 1:
            step = self._scale // _BARS
            return [*range(0, self._scale, step), self._scale + 1]
        most = self._percentile(99)
        width = _round_width((most - low + 1) / _BARS)
        return [*range(low // width * width, most + 1, width), high + 1]

    def _bins(self, edges: Sequence[int]) -> tuple[Bin, ...]:
        places = np.flatnonzero(self._buckets)
        firsts = np.array([_first_of(int(place)) for place in places], dtype=np.int64)
        bin_of = np.clip(np.searchsorted(edges, firsts, side="right") - 1, 0, len(edges) - 2)
        counts = np.bincount(bin_of, weights=self._buckets[places], minlength=len(edges) - 1)
        return tuple(
            Bin(first=first / self._scale, last=(after - 1) / self._scale, samples=int(count))
            for first, after, count in zip(edges[:-1], edges[1:], counts, strict=True)
        )

    def _add_buckets(self, counts: NDArray[np.int64]) -> None:
        size = max(len(counts), len(self._buckets))
        summed = np.zeros(size, dtype=np.int64)
        summed[: len(self._buckets)] += self._buckets
        summed[: len(counts)] += counts
        self._buckets = summed

    def _widen(self, ends: tuple[int, int]) -> None:
        known = self._ends or ends
        self._ends = (min(known[0], ends[0]), max(known[1], ends[1]))


class NameTally:
    """Samples by name and part of the split.

    Up to `limit` names are followed exactly. If there are more, those with the smallest hashes are; a name among these
    was among them in every part of the whole, so its count stays exact, and nothing depends on the order.
    """

    def __init__(self, *, limit: int = 10_000) -> None:
        self._limit = limit
        self._counts: dict[str, NDArray[np.int64]] = {}
        self._named = 0
        self._unnamed = 0
        self._all_followed = True

    @property
    def samples(self) -> int:
        """Samples that bear a name."""
        return self._named

    def add(self, names: pa.LargeStringArray, splits: NDArray[np.int8]) -> None:
        """Names with nulls for samples without one, and places in `SplitName`, in equal order."""
        coded = names.dictionary_encode()
        codes = coded.indices.fill_null(-1).to_numpy(zero_copy_only=False)
        known = codes >= 0
        cells = np.bincount(codes[known] * len(SPLITS) + splits[known], minlength=len(coded.dictionary) * len(SPLITS))
        self._unnamed += int((~known).sum())
        self.add_counts(dict(zip(coded.dictionary.to_pylist(), cells.reshape(-1, len(SPLITS)), strict=True)))

    def add_unnamed(self, samples: int) -> None:
        self._unnamed += samples

    def add_counts(self, counts: Mapping[str, NDArray[np.int64]]) -> None:
        """Counts by name, `int64 [parts of the split]` each."""
        for name, cells in counts.items():
            self._named += int(cells.sum())
            short = name[:_LONGEST_NAME]
            self._counts[short] = self._counts[short] + cells if short in self._counts else cells.astype(np.int64)
        self._forget_some()

    def merge(self, other: "NameTally") -> None:
        named = self._named + other._named
        self._all_followed = self._all_followed and other._all_followed
        self._unnamed += other._unnamed
        self.add_counts(other._counts)
        self._named = named

    def breakdown(self) -> Breakdown:
        ranked = sorted(self._counts.items(), key=lambda item: (-int(item[1].sum()), item[0]))
        shown = tuple(
            NamedCount(
                name=name,
                samples=int(cells.sum()),
                by_split={split: int(count) for split, count in zip(SPLITS, cells, strict=True)},
            )
            for name, cells in ranked[:_SHOWN]
        )
        return Breakdown(
            shown=shown,
            other_samples=self._named - sum(count.samples for count in shown),
            unnamed_samples=self._unnamed,
            distinct=self._distinct(),
            all_followed=self._all_followed,
        )

    def balance(self) -> float:
        """Entropy of the names over its maximum: 1 if all are equally frequent or there is but one."""
        totals = sorted(int(cells.sum()) for cells in self._counts.values())
        if len(totals) < 2:
            return 1.0
        whole = sum(totals)
        entropy = -math.fsum(total / whole * math.log(total / whole) for total in totals)
        return min(1.0, entropy / math.log(len(totals)))

    def _distinct(self) -> int:
        if self._all_followed:
            return len(self._counts)
        return round((self._limit - 1) / ((max(map(name_hash, self._counts)) + 1) / 2**64))

    def _forget_some(self) -> None:
        if len(self._counts) > self._limit:
            self._counts = {name: self._counts[name] for name in smallest_by_hash(self._counts, self._limit)}
            self._all_followed = False


def smallest_by_hash(names: Mapping[str, object], limit: int) -> list[str]:
    """At most so many names, chosen in a way that does not depend on their order."""
    return sorted(names, key=lambda name: (name_hash(name), name))[:limit]


def name_hash(name: str) -> int:
    """64 bits that are the same on every machine."""
    digest = hashlib.blake2b(name.encode("utf-8", "surrogatepass"), digest_size=8).digest()
    return int.from_bytes(digest, "big")


def _bucket_of(values: NDArray[np.int64]) -> NDArray[np.int64]:
    if values.max(initial=0) < _EXACT:  # scores always are, lengths mostly
        return values
    # frexp is exact for whole numbers below 2**53
    exponents = np.frexp(np.maximum(values, 1).astype(np.float64))[1].astype(np.int64) - 1
    shifts = np.maximum(exponents - 10, 0)
    wide = _EXACT + (exponents - 11) * _STEPS + (values >> shifts) - _STEPS
    return np.where(values < _EXACT, values, wide)


def _first_of(bucket: int) -> int:
    """The smallest value of a bucket."""
    if bucket < _EXACT:
        return bucket
    doubling, step = divmod(bucket - _EXACT, _STEPS)
    return (step + _STEPS) << (doubling + 1)


def _round_width(width: float) -> int:
    """The next number of the row 1, 2, 5, 10, 20, 50 ..."""
    power = 1
    while True:
        for digit in _NICE:
            if digit * power >= width:
                return digit * power
        power *= 10
