"""A build as it crosses from the builder's process to the service: its lines and rows in a file, to be taken some at a time.

Taking over a hundred thousand objects at once would hold up every other request for seconds, and so would the bytes of
a million rows in one message.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import accumulate

import msgspec

from dataset_svc.domain.built import Built, BuiltRow, BuiltRows, BuiltSplit
from dataset_svc.domain.kept_lines import Lines
from dataset_svc.domain.report_page.page import render
from dataset_svc.domain.samples import SplitName
from dataset_svc.domain.versions.origins import encode_origins

_ROWS_AT_ONCE = 250  # some milliseconds of work


@dataclass(frozen=True, kw_only=True)
class PackedPart:
    """One part of the version.

    Attributes:
        first_byte: Where its lines begin in the file that holds the lines of all parts, in the order of the parts.
        rows: First byte and size of its rows in that file, packed by some hundreds, in order.
        units: Lines of each person, by the person's hash.
    """

    first_byte: int
    size_bytes: int
    samples: int
    rows: tuple[tuple[int, int], ...]
    units: Mapping[str, tuple[int, ...]]

    def unpacked(self, file: Lines) -> Iterator[list[BuiltRow]]:
        return (_decoder.decode(file.read(first_byte, size)).rows() for first_byte, size in self.rows)


@dataclass(frozen=True, kw_only=True)
class PackedBuild:
    """The outcome; `rejected_because` says whether the parts may become a version.

    Attributes:
        report: JSON; so are the statistics.
        page: Report and statistics for people, HTML.
        origins: File of what was done to each sample.
    """

    parts: dict[SplitName, PackedPart]
    rejected_because: tuple[str, ...]
    quality_score_0_1: float
    report: bytes
    statistics: bytes
    page: bytes
    origins: bytes


def pack(built: Built, file: Lines, *, title: str) -> PackedBuild:
    """Packs a build.

    Args:
        file: Holds the lines of all parts, or has room for them at its beginning; takes the rows.
        title: Of the page.
    """
    parts, origins = _packed_parts(built.splits, file), encode_origins(built.origins)
    return PackedBuild(
        parts=parts,
        rejected_because=built.report.rejected_because,
        quality_score_0_1=built.report.quality_score_0_1,
        report=built.report.model_dump_json(indent=1).encode(),
        statistics=built.statistics.model_dump_json().encode(),  # last, for others measure meanwhile
        page=render(built.report, built.statistics, title=title).encode(),
        origins=origins,
    )


def _packed_parts(splits: Mapping[SplitName, BuiltSplit], file: Lines) -> dict[SplitName, PackedPart]:
    sizes = [split.size_bytes for split in splits.values()]
    firsts = accumulate(sizes, initial=0)
    return {
        name: _packed_part(split, file, first_byte=first, size_bytes=size)
        for (name, split), first, size in zip(splits.items(), firsts, sizes, strict=False)
    }


def _packed_part(split: BuiltSplit, file: Lines, *, first_byte: int, size_bytes: int) -> PackedPart:
    units: dict[str, list[int]] = {}
    for position, unit in enumerate(split.of(split.candidates.unit_hashes)):
        if unit is not None:
            units.setdefault(unit, []).append(position)
    return PackedPart(
        first_byte=first_byte,
        size_bytes=size_bytes,
        samples=len(split),
        rows=tuple((file.add(packed), len(packed)) for packed in map(_encoder.encode, split.portions(_ROWS_AT_ONCE))),
        units={unit: tuple(lines) for unit, lines in units.items()},
    )


_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(BuiltRows)
