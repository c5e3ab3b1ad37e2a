"""What a build comes to: the parts of a version with their bytes, and what was seen on the way."""

import hashlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import accumulate, chain, count, pairwise, starmap
from typing import TypeVar

import msgspec
import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from dataset_svc.domain.candidates import SOURCES, Candidates, Rows
from dataset_svc.domain.kept_lines import Lines
from dataset_svc.domain.report import QualityReport
from dataset_svc.domain.samples import SplitName, sha256_of
from dataset_svc.domain.statistics.figures import Statistics
from dataset_svc.domain.texts.hashes import in_hex
from dataset_svc.domain.versions.origins import SampleOrigin

_ROWS_AT_ONCE = 1000
_DIGEST_BYTES = hashlib.sha256().digest_size
_SOURCES = tuple(map(str, SOURCES))
_T = TypeVar("_T")


class BuiltRow(msgspec.Struct, frozen=True):
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


class BuiltRows(msgspec.Struct, frozen=True, array_like=True):
    """What lineage knows of samples that follow each other, column by column.

    Attributes:
        first: Line of the first one.
        line_hashes: SHA-256 of each line, 32 bytes each, as all hashes.
        questions: One after the other, UTF-8.
        question_sizes: Bytes of each, `<i8`.
        groups: Hashes of their names, in hexadecimal digits.
        sources: Places in SOURCES, int8.
        weights_0_1: `<f8`.
    """

    first: int
    sample_ids: Sequence[str]
    line_hashes: bytes
    questions: bytes
    question_sizes: bytes
    question_hashes: bytes
    groups: Sequence[str | None]
    sources: bytes
    inference_ids: Sequence[str | None]
    rating_ids: Sequence[tuple[str, ...]]
    unit_hashes: Sequence[str | None]
    weights_0_1: bytes

    def rows(self) -> list[BuiltRow]:
        """Row by row."""
        ends = list(accumulate(np.frombuffer(self.question_sizes, dtype="<i8").tolist(), initial=0))
        return list(
            map(
                BuiltRow, self.sample_ids, count(self.first), _in_hex(self.line_hashes),
                [str(self.questions[start:end], "utf-8") for start, end in pairwise(ends)],
                _in_hex(self.question_hashes), self.groups, [_SOURCES[number] for number in self.sources],
                self.inference_ids, self.rating_ids, self.unit_hashes,
                np.frombuffer(self.weights_0_1, dtype="<f8").tolist(),
            )
        )  # fmt: skip


def _in_hex(digests: bytes) -> list[str]:
    return in_hex(np.frombuffer(digests, dtype=np.uint8).reshape(-1, _DIGEST_BYTES))


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
        return chain.from_iterable(portion.rows() for portion in self.portions(_ROWS_AT_ONCE))

    def portions(self, rows: int) -> Iterator[BuiltRows]:
        """Its rows, so many at a time."""
        for first in range(0, len(self), rows):
            yield self._portion(first, self.chosen[first : first + rows])

    def _portion(self, first: int, chosen: Rows) -> BuiltRows:
        every = self.candidates
        questions, question_sizes = _together(every.questions.take(pa.array(chosen)))
        return BuiltRows(
            first=first,
            sample_ids=_some_of(every.sample_ids, chosen),
            line_hashes=every.line_hashes[chosen].tobytes(),
            questions=questions,
            question_sizes=question_sizes,
            question_hashes=every.question_hashes[chosen].tobytes(),
            groups=_digests(_some_of(every.groups, chosen)),
            sources=every.sources[chosen].tobytes(),
            inference_ids=_some_of(every.inference_ids, chosen),
            rating_ids=_some_of(every.rating_ids, chosen),
            unit_hashes=_some_of(every.unit_hashes, chosen),
            weights_0_1=every.weights_0_1[chosen].tobytes(),
        )


def _some_of(column: Sequence[_T], rows: Rows) -> list[_T]:
    return list(map(column.__getitem__, rows.tolist()))


def _together(texts: pa.LargeStringArray) -> tuple[bytes, bytes]:
    """Texts one after the other, and the size of each; of an array that begins where its buffers do."""
    _, ends, content = texts.buffers()
    sizes = np.diff(np.frombuffer(ends, dtype="<i8", count=len(texts) + 1))
    return b"" if content is None else content.to_pybytes()[: sizes.sum()], sizes.tobytes()


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
