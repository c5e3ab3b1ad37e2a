"""A build as it crosses from the builder's process to the service: bytes, and rows that are unpacked some at a time.

Taking over a hundred thousand objects at once would hold up every other request for seconds.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import islice

import msgspec

from dataset_svc.domain.built import Built, BuiltRow, BuiltSplit
from dataset_svc.domain.report_page.page import render
from dataset_svc.domain.samples import SplitName
from dataset_svc.domain.versions.origins import encode_origins

_ROWS_AT_ONCE = 1_000  # some milliseconds of work


@dataclass(frozen=True, kw_only=True)
class PackedPart:
    """One part of the version.

    Attributes:
        content: Its file.
        rows: Its rows in order, packed by some hundreds.
        units: Lines of each person, by the person's hash.
    """

    content: bytes
    samples: int
    rows: tuple[bytes, ...]
    units: Mapping[str, tuple[int, ...]]

    def unpacked(self) -> Iterator[list[BuiltRow]]:
        return map(_decoder.decode, self.rows)


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


def pack(built: Built, *, title: str) -> PackedBuild:
    """Packs a build.

    Args:
        title: Of the page.
    """
    return PackedBuild(
        parts={name: _packed_part(split) for name, split in built.splits.items()},
        rejected_because=built.report.rejected_because,
        quality_score_0_1=built.report.quality_score_0_1,
        report=built.report.model_dump_json(indent=1).encode(),
        statistics=built.statistics.model_dump_json().encode(),
        page=render(built.report, built.statistics, title=title).encode(),
        origins=encode_origins(built.origins),
    )


def _packed_part(split: BuiltSplit) -> PackedPart:
    units: dict[str, list[int]] = {}
    for position, one in enumerate(split.candidates):
        if one.unit_hash is not None:
            units.setdefault(one.unit_hash, []).append(position)
    return PackedPart(
        content=split.content,
        samples=len(split.candidates),
        rows=tuple(_packed_rows(split.rows())),
        units={unit: tuple(lines) for unit, lines in units.items()},
    )


def _packed_rows(rows: Iterator[BuiltRow]) -> Iterable[bytes]:
    while chunk := list(islice(rows, _ROWS_AT_ONCE)):
        yield msgspec.msgpack.encode(chunk)


_decoder = msgspec.msgpack.Decoder(list[BuiltRow])
