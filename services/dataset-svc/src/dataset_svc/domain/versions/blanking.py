"""Takes the words of rows out of packs: spaces stand where they stood, so every other row keeps its place."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import msgspec
import numpy as np

from dataset_svc.domain.samples import SplitName
from dataset_svc.domain.versions.row_packs import Manifest, Snapshot, StoredObject, StoredPack, decode_manifest

Span = tuple[int, int]


@dataclass(frozen=True, kw_only=True)
class PackCut:
    """What must go from a pack.

    Attributes:
        size_bytes: Of the pack's lines.
        spans: Bytes of the lines from here up to there, without the line ends.
    """

    pack: StoredPack
    size_bytes: int
    spans: tuple[Span, ...]


def cuts_of(snapshot: Snapshot, rows: Mapping[SplitName, Sequence[int]]) -> tuple[PackCut, ...]:
    """Where rows of a version lie.

    Args:
        rows: Positions in the files of the parts, counted from 0.
    """
    packs = [pack for layer in snapshot.layers for pack in layer.packs]
    firsts = np.cumsum([0, *(pack.rows for pack in packs)])
    ends = np.concatenate(([0], np.cumsum(snapshot.index.lengths, dtype=np.int64)))
    spans: defaultdict[int, list[Span]] = defaultdict(list)
    for place in sorted({int(snapshot.parts[name][row]) for name, wanted in rows.items() for row in wanted}):
        number = int(np.searchsorted(firsts, place, side="right")) - 1
        start = int(ends[firsts[number]])
        spans[number].append((int(ends[place]) - start, int(ends[place + 1]) - start - 1))
    return tuple(
        PackCut(
            pack=packs[number],
            size_bytes=int(ends[firsts[number + 1]] - ends[firsts[number]]),
            spans=tuple(found),
        )
        for number, found in spans.items()
    )


def blanked(lines: bytes, spans: Sequence[Span]) -> bytes:
    """The lines with spaces in the place of some of them."""
    content = bytearray(lines)
    for start, end in spans:
        content[start:end] = b" " * (end - start)
    return bytes(content)


def with_packs_replaced(content: bytes, replaced: Mapping[str, StoredObject]) -> bytes | None:
    """A manifest that names other packs for some of its own, by their URIs; None if it names none of them."""
    manifest = decode_manifest(content)
    if not any(pack.object.uri in replaced for layer in manifest.layers for pack in layer.packs):
        return None
    layers = tuple(
        msgspec.structs.replace(
            layer,
            packs=tuple(
                msgspec.structs.replace(pack, object=replaced.get(pack.object.uri, pack.object)) for pack in layer.packs
            ),
        )
        for layer in manifest.layers
    )
    changed: Manifest = msgspec.structs.replace(manifest, layers=layers)
    return msgspec.msgpack.encode(changed)
