"""Versions as layers of rows: every row is kept once, a version is the order in which it reads them.

A layer is what one commit added: packs of lines, and an index of their hashes. A manifest names the layers of a version
and, for each part, the places of its rows in them, so any version is read without the ones before it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

import cramjam
import msgspec
import numpy as np
import numpy.typing as npt

from dataset_svc.domain.samples import SplitName
from dataset_svc.domain.versions.row_hashes import Lines, Spans, Words, cut, hash_sample_ids, hash_spans, match

PACK_BYTES = 16 << 20
MOST_LAYERS = 16
_LEVEL = 1  # 3 takes four times as long for packs that are a tenth smaller
_INDEX_ROW_BYTES = 36
Lengths = npt.NDArray[np.uint32]


class StoredObject(msgspec.Struct, frozen=True, kw_only=True):
    """An object in storage."""

    uri: str
    sha256: str
    size_bytes: int


class StoredPack(msgspec.Struct, frozen=True, kw_only=True):
    """Consecutive rows of a layer as zstd-compressed lines."""

    object: StoredObject
    rows: int


class StoredLayer(msgspec.Struct, frozen=True, kw_only=True):
    """What one commit added."""

    index: StoredObject
    rows: int
    packs: tuple[StoredPack, ...]


class _Part(msgspec.Struct, frozen=True, kw_only=True):
    sha256: str
    rows: int
    places: bytes


class Manifest(msgspec.Struct, frozen=True, kw_only=True):
    """A version: its layers and, for each part, which of their rows it reads in which order."""

    key: bytes
    layers: tuple[StoredLayer, ...]
    parts: dict[str, _Part]


@dataclass(frozen=True, kw_only=True)
class RowIndex:
    """What is known of rows without their text.

    Attributes:
        hashes: Of the line `[rows, 2]`.
        ids: Of the sample id `[rows, 2]`.
        lengths: Bytes of the line with its line end `[rows]`.
    """

    hashes: Words
    ids: Words
    lengths: Lengths


@dataclass(frozen=True, kw_only=True)
class Snapshot:
    """A version without its texts.

    Attributes:
        layers: Empty if the version was never packed and is known from its files alone.
        index: Rows of all layers, one layer after the other.
        parts: Places in the index, in the order of the part's file.
        sha256: Hash of each part's file.
        key: What its rows are hashed with; children inherit it.
    """

    layers: tuple[StoredLayer, ...]
    index: RowIndex
    parts: dict[SplitName, Spans]
    sha256: dict[SplitName, str]
    key: bytes

    @property
    def rows(self) -> int:
        return sum(len(places) for places in self.parts.values())


@dataclass(frozen=True, kw_only=True)
class Content:
    """One part's file, cut into hashed lines."""

    content: bytes
    lines: Lines
    hashes: Words
    key: bytes


@dataclass(frozen=True, kw_only=True)
class Growth:
    """What a commit must add to what earlier ones stored.

    Attributes:
        kept: Layers of the parent that the version goes on reading.
        packs: Views of the lines of each new pack, to be joined and compressed.
        pack_rows: How many rows each of them has.
        index: Of the new rows.
        places: Of the version's rows: in the kept layers, then in the new one.
    """

    kept: tuple[StoredLayer, ...]
    packs: tuple[tuple[memoryview, ...], ...]
    pack_rows: tuple[int, ...]
    index: RowIndex
    places: dict[SplitName, Spans]


def hashed(content: bytes, key: bytes) -> Content:
    """Cuts and hashes a file of lines.

    Raises:
        ValueError: its last line has no end.
    """
    lines = cut(content)
    return Content(content=content, lines=lines, hashes=hash_spans(content, lines, key), key=key)


def plan_growth(parts: Mapping[SplitName, Content], parent: Snapshot | None) -> Growth:
    """Finds the rows that no layer of the parent holds.

    With too many layers only the larger half is read on; what the version needs of the others is stored again.
    """
    kept, known = _kept_layers(parent)
    found = {name: match(known.hashes, part.hashes) for name, part in parts.items()}
    used = np.unique(_layer_of(np.concatenate([*found.values(), _none()]), kept))
    if len(used) < len(kept):
        keeping = [layer for place, layer in enumerate(kept) if place in set(used.tolist())]
        kept, known = _select(kept, known, keeping)
        found = {name: match(known.hashes, part.hashes) for name, part in parts.items()}
    fresh = {name: np.flatnonzero(places < 0) for name, places in found.items()}
    next_place = len(known.hashes)
    for name, rows in fresh.items():
        found[name][rows] = np.arange(next_place, next_place + len(rows))
        next_place += len(rows)
    return _with_packs(kept, parts, fresh, found)


def snapshot_of(parts: Mapping[SplitName, Content], sha256: Mapping[SplitName, str]) -> Snapshot:
    """A version that was never packed, as if it had been."""
    rows = {name: np.arange(len(part.hashes), dtype=np.int64) for name, part in parts.items()}
    places: dict[SplitName, Spans] = {}
    start = 0
    for name, part in parts.items():
        places[name] = rows[name] + start
        start += len(part.hashes)
    index = _joined([_index_of(part, rows[name]) for name, part in parts.items()])
    key = next(part.key for part in parts.values())
    return Snapshot(layers=(), index=index, parts=places, sha256=dict(sha256), key=key)


def encode_index(index: RowIndex) -> bytes:
    """The index as stored: hashes cannot be compressed, lengths are too few bytes to matter."""
    return index.hashes.tobytes() + index.ids.tobytes() + index.lengths.tobytes()


def decode_index(content: bytes) -> RowIndex:
    rows = len(content) // _INDEX_ROW_BYTES
    hashes, ids = (np.frombuffer(content, "<u8", 2 * rows, start * rows).reshape(-1, 2) for start in (0, 16))
    return RowIndex(hashes=hashes, ids=ids, lengths=np.frombuffer(content, "<u4", rows, 32 * rows))


def encode_manifest(
    layers: Sequence[StoredLayer], parts: Mapping[SplitName, Spans], sha256: Mapping[SplitName, str], *, key: bytes
) -> bytes:
    encoded = {
        str(name): _Part(sha256=sha256[name], rows=len(places), places=_pack_places(places))
        for name, places in parts.items()
    }
    return msgspec.msgpack.encode(Manifest(key=key, layers=tuple(layers), parts=encoded))


def decode_manifest(content: bytes) -> Manifest:
    return msgspec.msgpack.decode(content, type=Manifest)


def as_snapshot(manifest: Manifest, indexes: Sequence[RowIndex]) -> Snapshot:
    """Puts a manifest and the indexes of its layers together."""
    return Snapshot(
        layers=manifest.layers,
        index=_joined(indexes),
        parts={SplitName(name): _unpack_places(part.places) for name, part in manifest.parts.items()},
        sha256={SplitName(name): part.sha256 for name, part in manifest.parts.items()},
        key=manifest.key,
    )


def compress(pieces: Sequence[bytes | memoryview]) -> bytes:
    return bytes(cramjam.zstd.compress(b"".join(pieces), level=_LEVEL))


def decompress(pack: bytes, *, size_bytes: int) -> bytes:
    """The lines of a pack, `size_bytes` of them together."""
    return bytes(cramjam.zstd.decompress(pack, output_len=size_bytes))


def _kept_layers(parent: Snapshot | None) -> tuple[tuple[StoredLayer, ...], RowIndex]:
    if parent is None or not parent.layers:
        return (), _joined([])
    if len(parent.layers) < MOST_LAYERS:
        return parent.layers, parent.index
    largest = sorted(parent.layers, key=lambda layer: -layer.rows)[: MOST_LAYERS // 2]
    return _select(parent.layers, parent.index, [layer for layer in parent.layers if layer in largest])


def _select(
    layers: Sequence[StoredLayer], index: RowIndex, wanted: Sequence[StoredLayer]
) -> tuple[tuple[StoredLayer, ...], RowIndex]:
    held = np.repeat([layer in wanted for layer in layers], [layer.rows for layer in layers]).astype(bool)
    chosen = RowIndex(hashes=index.hashes[held], ids=index.ids[held], lengths=index.lengths[held])
    return tuple(wanted), chosen


def _layer_of(places: Spans, layers: Sequence[StoredLayer]) -> Spans:
    starts = np.cumsum([0, *(layer.rows for layer in layers)])
    return np.searchsorted(starts, places[places >= 0], side="right") - 1


def _with_packs(
    kept: tuple[StoredLayer, ...], parts: Mapping[SplitName, Content], fresh: Mapping[SplitName, Spans],
    places: dict[SplitName, Spans],
) -> Growth:  # fmt: skip
    packs: list[tuple[memoryview, ...]] = []
    pack_rows: list[int] = []
    room = 0
    for name, part in parts.items():
        for run in _runs_of_packs(part.lines.lengths[fresh[name]]):
            views = _views(part, fresh[name][run])
            size = sum(len(view) for view in views)
            if size <= room:
                packs[-1] += views
                pack_rows[-1] += run.stop - run.start
            else:
                packs.append(views)
                pack_rows.append(run.stop - run.start)
                room = PACK_BYTES
            room -= size
    index = _joined([_index_of(part, fresh[name]) for name, part in parts.items()])
    return Growth(kept=kept, packs=tuple(packs), pack_rows=tuple(pack_rows), index=index, places=places)


def _runs_of_packs(lengths: Spans) -> list[slice]:
    if not len(lengths):
        return []
    ends = np.cumsum(lengths + 1)
    cuts = np.flatnonzero(np.diff(ends // PACK_BYTES)) + 1
    bounds = [0, *cuts.tolist(), len(lengths)]
    return [slice(first, last) for first, last in pairwise(bounds)]


def _views(part: Content, rows: Spans) -> tuple[memoryview, ...]:
    starts = part.lines.starts[rows]
    ends = starts + part.lines.lengths[rows] + 1
    apart = np.flatnonzero(starts[1:] != ends[:-1])
    firsts = starts[np.concatenate(([0], apart + 1))].tolist()
    lasts = ends[np.concatenate((apart, [len(rows) - 1]))].tolist()
    view = memoryview(part.content)
    return tuple(view[first:last] for first, last in zip(firsts, lasts, strict=True))


def _index_of(part: Content, rows: Spans) -> RowIndex:
    lines = Lines(starts=part.lines.starts[rows], lengths=part.lines.lengths[rows])
    return RowIndex(
        hashes=part.hashes[rows],
        ids=hash_sample_ids(part.content, lines, part.key),
        lengths=(lines.lengths + 1).astype(np.uint32),
    )


def _joined(indexes: Sequence[RowIndex]) -> RowIndex:
    if len(indexes) == 1:
        return indexes[0]
    empty = np.empty((0, 2), dtype=np.uint64)
    return RowIndex(
        hashes=np.concatenate([empty, *(one.hashes for one in indexes)]),
        ids=np.concatenate([empty, *(one.ids for one in indexes)]),
        lengths=np.concatenate([np.empty(0, dtype=np.uint32), *(one.lengths for one in indexes)]),
    )


def _none() -> Spans:
    return np.empty(0, dtype=np.int64)


def _pack_places(places: Spans) -> bytes:
    # steps instead of places: rows that stayed together become runs of ones
    return compress([np.diff(places, prepend=0).astype("<i4").tobytes()])


def _unpack_places(packed: bytes) -> Spans:
    steps = np.frombuffer(bytes(cramjam.zstd.decompress(packed)), dtype="<i4")
    return np.cumsum(steps, dtype=np.int64)
