"""What changed between two versions, sample by sample, known from hashes alone."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

import numpy as np

from dataset_svc.domain.samples import SplitName
from dataset_svc.domain.versions.row_hashes import Spans, Words, match
from dataset_svc.domain.versions.row_packs import Snapshot

_PARTS = tuple(SplitName)


class ChangeKind(StrEnum):
    """What became of a sample; one that changed may have moved as well."""

    ADDED = "added"
    REMOVED = "removed"
    CHANGED = "changed"
    MOVED = "moved"


@dataclass(frozen=True, kw_only=True)
class Row:
    """A row of a version: its part, its line there, and its place in the snapshot's index."""

    split: SplitName
    position: int
    place: int


@dataclass(frozen=True, kw_only=True)
class Change:
    """A sample before and after; None on the side where it is not."""

    before: Row | None
    after: Row | None


@dataclass(frozen=True, kw_only=True)
class PartFigures:
    """Size of a part; lengths are those of its lines in bytes.

    Attributes:
        p95_bytes: Nineteen lines in twenty are at most so long.
    """

    samples: int
    size_bytes: int
    mean_bytes: float
    median_bytes: float
    p95_bytes: float


@dataclass(frozen=True, kw_only=True)
class Move:
    """Samples that went from one part to another."""

    before: SplitName
    after: SplitName
    samples: int


@dataclass(frozen=True, kw_only=True)
class _Rows:
    """All rows of a version, part after part."""

    hashes: Words
    ids: Words
    places: Spans
    parts: Spans
    positions: Spans

    def at(self, row: int) -> Row:
        return Row(split=_PARTS[self.parts[row]], position=int(self.positions[row]), place=int(self.places[row]))


class VersionDiff:
    """The difference between two versions: samples are the same if their ids are.

    Samples of one id with other bytes count as changed, whether their text, weight or provenance is what differs.
    """

    def __init__(self, before: Snapshot, after: Snapshot) -> None:
        self._before, self._after = _rows_of(before), _rows_of(after)
        old = match(self._before.ids, self._after.ids)
        stayed = np.flatnonzero(old >= 0)
        gone = np.ones(len(self._before.ids), dtype=bool)
        gone[old[stayed]] = False
        self._old = old
        was, now = self._before, self._after
        differs = (was.hashes[old[stayed]] != now.hashes[stayed]).any(axis=1)
        moved = was.parts[old[stayed]] != now.parts[stayed]
        self._rows: dict[ChangeKind, Spans] = {
            ChangeKind.ADDED: np.flatnonzero(old < 0),
            ChangeKind.REMOVED: np.flatnonzero(gone),
            ChangeKind.CHANGED: stayed[differs],
            ChangeKind.MOVED: stayed[moved],
        }
        self.unchanged = int((~differs & ~moved).sum())

    def count(self, kind: ChangeKind) -> int:
        return len(self._rows[kind])

    def moves(self) -> tuple[Move, ...]:
        """How many samples went from where to where."""
        rows = self._rows[ChangeKind.MOVED]
        pairs = self._before.parts[self._old[rows]] * len(_PARTS) + self._after.parts[rows]
        codes, counts = np.unique(pairs, return_counts=True)
        return tuple(
            Move(before=_PARTS[code // len(_PARTS)], after=_PARTS[code % len(_PARTS)], samples=count)
            for code, count in zip(codes.tolist(), counts.tolist(), strict=True)
        )

    def changes(self, kind: ChangeKind, *, limit: int, offset: int) -> tuple[Change, ...]:
        """Some of the samples of a kind, in the order of the files."""
        rows = self._rows[kind][offset : offset + limit].tolist()
        if kind is ChangeKind.REMOVED:
            return tuple(Change(before=self._before.at(row), after=None) for row in rows)
        if kind is ChangeKind.ADDED:
            return tuple(Change(before=None, after=self._after.at(row)) for row in rows)
        return tuple(Change(before=self._before.at(int(self._old[row])), after=self._after.at(row)) for row in rows)


def figures_of(snapshot: Snapshot) -> Mapping[SplitName, PartFigures]:
    """Sizes of a version's parts."""
    return {name: _figures(snapshot.index.lengths[places]) for name, places in snapshot.parts.items()}


def _figures(lengths: np.ndarray[tuple[int, ...], np.dtype[np.uint32]]) -> PartFigures:
    if not len(lengths):
        return PartFigures(samples=0, size_bytes=0, mean_bytes=0.0, median_bytes=0.0, p95_bytes=0.0)
    median, p95 = (float(value) for value in np.percentile(lengths, (50, 95)))
    return PartFigures(
        samples=len(lengths),
        size_bytes=int(lengths.sum(dtype=np.int64)),
        mean_bytes=float(lengths.mean()),
        median_bytes=median,
        p95_bytes=p95,
    )


def _rows_of(snapshot: Snapshot) -> _Rows:
    places = np.concatenate([np.empty(0, dtype=np.int64), *(snapshot.parts[name] for name in _PARTS)])
    sizes = [len(snapshot.parts[name]) for name in _PARTS]
    return _Rows(
        hashes=snapshot.index.hashes[places],
        ids=snapshot.index.ids[places],
        places=places,
        parts=np.repeat(np.arange(len(_PARTS)), sizes),
        positions=np.concatenate([np.arange(size) for size in sizes]),
    )
