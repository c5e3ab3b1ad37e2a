"""What a build comes to: the parts of a version with their bytes, and what was seen on the way."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import chain, count, starmap
from typing import TypeVar

import msgspec
import numpy as np
from numpy.typing import NDArray

from dataset_svc.domain.candidates import SOURCES, Candidates, Rows
from dataset_svc.domain.kept_lines import Lines
from dataset_svc.domain.report import QualityReport
from dataset_svc.domain.samples import SplitName, sha256_of
from dataset_svc.domain.statistics.figures import Statistics
from dataset_svc.domain.texts.hashes import in_hex
from dataset_svc.domain.versions.origins import SampleOrigin

_ROWS_AT_ONCE = 1000
_T = TypeVar("_T")


class BuiltRow(msgspec.Struct, frozen=True, array_like=True):
    """What lineage knows of one sample.

    Attributes:
        position: Line of its part, counted from 0.
        content_sha256: Hash of that line.
        question: Its question as later versions must recognise it.
        group_sha256: Hash of its group's name; None if it has no group.
    """

    sample_id: str
    position: int
    content_sha256: str
    question: str
    question_sha256: str
    group_sha256: str | None
    source: str
    inference_id: str | None
    rating_ids: tuple[str, ...]
    unit_hash: str | None
    weight_0_1: float


@dataclass(frozen=True, kw_only=True)
class BuiltSplit:
    """One part.

    Attributes:
        chosen: Rows of its samples in the order of its lines.
    """

    candidates: Candidates
    chosen: Rows

    def __len__(self) -> int:
        return len(self.chosen)

    def lines(self, kept: Lines) -> Iterator[bytes]:
        """Its file."""
        return starmap(kept.read, self.places.tolist())

    @cached_property
    def places(self) -> NDArray[np.int64]:
        """First byte and size of each line where lines wait `[samples, 2]`."""
        return self.candidates.places[self.chosen]

    @property
    def size_bytes(self) -> int:
        """Of its file."""
        return int(self.places[:, 1].sum())

    def of(self, column: Sequence[_T]) -> list[_T]:
        """What a column of the candidates says of its samples."""
        return _some_of(column, self.chosen)

    def rows(self) -> Iterator[BuiltRow]:
        return chain.from_iterable(self.portions(_ROWS_AT_ONCE))

    def portions(self, rows: int) -> Iterator[list[BuiltRow]]:
        """Its rows, so many at a time."""
        for first in range(0, len(self), rows):
            yield list(self._rows(first, self.chosen[first : first + rows]))

    def _rows(self, first: int, chosen: Rows) -> Iterator[BuiltRow]:
        every = self.candidates
        return map(
            BuiltRow, _some_of(every.sample_ids, chosen), count(first), in_hex(every.line_hashes[chosen]),
            every.questions_of(chosen), in_hex(every.question_hashes[chosen]),
            _digests(_some_of(every.groups, chosen)), [SOURCES[number] for number in every.sources[chosen].tolist()],
            _some_of(every.inference_ids, chosen), _some_of(every.rating_ids, chosen),
            _some_of(every.unit_hashes, chosen), every.weights_0_1[chosen].tolist(),
        )  # fmt: skip


def _some_of(column: Sequence[_T], rows: Rows) -> list[_T]:
    return list(map(column.__getitem__, rows.tolist()))


def _digests(groups: Sequence[str | None]) -> list[str | None]:
    known = {group: None if group is None else sha256_of(group) for group in set(groups)}
    return [known[group] for group in groups]


@dataclass(frozen=True, kw_only=True)
class Built:
    """The outcome; `report.rejected_because` says whether the parts may become a version.

    Attributes:
        measure: Waits for whoever measures the samples, and adds up what they found.
    """

    splits: dict[SplitName, BuiltSplit]
    report: QualityReport
    measure: Callable[[], Statistics]
    origins: tuple[SampleOrigin, ...]

    @cached_property
    def statistics(self) -> Statistics:
        """Of the samples; whoever asks for them last does not wait for others to measure."""
        return self.measure()
