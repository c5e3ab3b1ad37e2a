"""Samples on their way into a version: where the line of each waits, and what is decided by beside it.

Objects of a sample's own texts take several times the memory of its line, and objects of its own the time of what is done
to them all; so there are columns, and who needs a sample has it made anew.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import chain
from typing import Self, TypeVar

import msgspec
import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from dataset_svc.domain.kept_lines import Lines
from dataset_svc.domain.samples import Sample, decode, encode_all, preference_of
from dataset_svc.domain.texts.hashes import Bytes, sha256s, sha256s_within
from dataset_svc.domain.texts.same_texts import Texts, same_texts
from loopwright.contracts.datasets import SampleSource

Rows = NDArray[np.int64]
SOURCES = tuple(SampleSource)
_HASH_BYTES = 32
_AVOIDED = "avoid\n"
_number_of = {source: number for number, source in enumerate(SOURCES)}
_T = TypeVar("_T")


class CandidateBatch(msgspec.Struct, frozen=True, kw_only=True):
    """Some candidates in order, ready to cross to another process; `Candidates` says what is what.

    Attributes:
        places: int64, as all numbers little-endian.
        questions: In UTF-8, one after the other; `question_sizes` are int64.
        meanings: By place, of those that have any.
        sources: Places in SOURCES, int8.
        weights: float64.
    """

    sample_ids: list[str]
    places: bytes
    line_hashes: bytes
    questions: bytes
    question_sizes: bytes
    question_hashes: bytes
    answer_hashes: bytes
    meanings: dict[int, str]
    sources: bytes
    weights: bytes
    inference_ids: list[str | None]
    rating_ids: list[tuple[str, ...]]
    unit_hashes: list[str | None]
    categories: list[str | None]
    groups: list[str | None]

    def __len__(self) -> int:
        return len(self.sample_ids)

    def line(self, place: int, lines: Lines) -> bytes:
        first_byte, size = _pairs(self.places)[place].tolist()
        return lines.read(first_byte, size)

    def renamed(self, names: Mapping[int, str], lines: Lines) -> Self:
        """The same samples, some of them under other ids.

        Args:
            names: By place.
        """
        if not names:
            return self
        samples = [
            msgspec.structs.replace(decode(self.line(place, lines)), sample_id=name) for place, name in names.items()
        ]
        ids, places, hashes = list(self.sample_ids), _pairs(self.places).copy(), _digests(self.line_hashes).copy()
        rows = list(names)
        places[rows], hashes[rows] = _put_aside(samples, lines)
        for place, name in names.items():
            ids[place] = name
        return msgspec.structs.replace(self, sample_ids=ids, places=places.tobytes(), line_hashes=hashes.tobytes())


@dataclass(frozen=True, kw_only=True)
class Candidates:
    """Samples that may become part of a version, column by column.

    Attributes:
        places: Where the line of each waits, the sample as its file will hold it: first byte and size `[rows, 2]`.
        line_hashes: SHA-256 of each line `[rows, 32]`, as all hashes.
        questions: As `same_text` writes them.
        question_hashes: Of those.
        answer_hashes: Of the answers as `same_text` writes them.
        meanings: What is learned from the answer beside itself, of the rows that say so: that it is to be avoided, or
            liked more than another.
        sources: Places in SOURCES, int8.
    """

    sample_ids: list[str]
    places: NDArray[np.int64]
    line_hashes: Bytes
    questions: pa.LargeStringArray
    question_hashes: Bytes
    answer_hashes: Bytes
    meanings: dict[int, str]
    sources: NDArray[np.int8]
    weights_0_1: NDArray[np.float64]
    inference_ids: list[str | None]
    rating_ids: list[tuple[str, ...]]
    unit_hashes: list[str | None]
    categories: list[str | None]
    groups: list[str | None]

    @classmethod
    def of(cls, batches: Sequence[CandidateBatch]) -> Self:
        """All of them, one batch after the other."""
        sizes = np.frombuffer(b"".join(batch.question_sizes for batch in batches), dtype="<i8")
        ends = np.concatenate((np.zeros(1, dtype=np.int64), np.cumsum(sizes)))
        questions = pa.py_buffer(b"".join(batch.questions for batch in batches))
        return cls(
            sample_ids=_all_of(batches, lambda batch: batch.sample_ids),
            places=_pairs(b"".join(batch.places for batch in batches)),
            line_hashes=_digests(b"".join(batch.line_hashes for batch in batches)),
            questions=pa.LargeStringArray.from_buffers(len(sizes), pa.py_buffer(ends), questions),
            question_hashes=_digests(b"".join(batch.question_hashes for batch in batches)),
            answer_hashes=_digests(b"".join(batch.answer_hashes for batch in batches)),
            meanings=_meanings(batches),
            sources=np.frombuffer(b"".join(batch.sources for batch in batches), dtype=np.int8),
            weights_0_1=np.frombuffer(b"".join(batch.weights for batch in batches), dtype="<f8"),
            inference_ids=_all_of(batches, lambda batch: batch.inference_ids),
            rating_ids=_all_of(batches, lambda batch: batch.rating_ids),
            unit_hashes=_all_of(batches, lambda batch: batch.unit_hashes),
            categories=_all_of(batches, lambda batch: batch.categories),
            groups=_all_of(batches, lambda batch: batch.groups),
        )

    def __len__(self) -> int:
        return len(self.sample_ids)

    @cached_property
    def ranks(self) -> Rows:
        """Of each row in the order of ids."""
        ranks = np.empty(len(self), dtype=np.int64)
        ranks[sorted(range(len(self)), key=self.sample_ids.__getitem__)] = np.arange(len(self))
        return ranks

    @cached_property
    def corrected(self) -> NDArray[np.bool_]:
        """Whether a correction is behind it."""
        return self.sources == _number_of[SampleSource.CORRECTION]

    @property
    def avoided(self) -> Rows:
        """Rows whose answers are to be avoided."""
        return np.array([row for row, meaning in self.meanings.items() if meaning.startswith(_AVOIDED)], dtype=np.int64)

    def by_id(self, rows: Rows) -> Rows:
        """Some rows in the order of their ids."""
        return rows[np.argsort(self.ranks[rows])]

    def best_first(self, rows: Rows) -> Rows:
        """Some rows in the order of their preference."""
        order = np.lexsort((self.ranks[rows], -self.weights_0_1[rows], ~self.corrected[rows]))
        return rows[order]

    def preference(self, row: int) -> tuple[bool, float, str]:
        return preference_of(SOURCES[self.sources[row]], float(self.weights_0_1[row]), self.sample_ids[row])

    def questions_of(self, rows: Rows) -> list[str]:
        return self.questions.take(pa.array(rows)).to_pylist()


def candidates_of(samples: Sequence[Sample], questions: Texts, answers: Texts, lines: Lines) -> CandidateBatch:
    """The candidates that samples are; their lines are put aside.

    Args:
        questions: Of the samples, which take a while to put together; so do `answers`.
    """
    asked, answered = same_texts(questions), same_texts(answers)
    places, hashes = _put_aside(samples, lines)
    return CandidateBatch(
        sample_ids=[sample.sample_id for sample in samples],
        places=places.tobytes(),
        line_hashes=hashes.tobytes(),
        questions=b"".join(asked.utf_8),
        question_sizes=np.fromiter(map(len, asked.utf_8), dtype="<i8", count=len(samples)).tobytes(),
        question_hashes=sha256s(asked.utf_8).tobytes(),
        answer_hashes=sha256s(answered.utf_8).tobytes(),
        meanings={place: meaning for place, sample in enumerate(samples) if (meaning := _meaning_of(sample))},
        sources=bytes([_number_of[sample.source] for sample in samples]),
        weights=np.array([sample.weight_0_1 for sample in samples], dtype="<f8").tobytes(),
        inference_ids=[sample.inference_id for sample in samples],
        rating_ids=[sample.rating_ids for sample in samples],
        unit_hashes=[sample.unit_hash for sample in samples],
        categories=[sample.category for sample in samples],
        groups=[sample.group for sample in samples],
    )


def _put_aside(samples: Sequence[Sample], lines: Lines) -> tuple[NDArray[np.int64], Bytes]:
    """Places `[samples, 2]` and hashes `[samples, 32]` of their lines."""
    written, ends = encode_all(samples)
    starts = ends - np.diff(ends, prepend=0)
    return np.stack((starts + lines.add(written), ends - starts), axis=1), sha256s_within(written, starts, ends)


def _meaning_of(sample: Sample) -> str:
    if sample.rejected is None and sample.thumb is not False:  # most samples
        return ""
    return f"{_AVOIDED if sample.thumb is False else ''}{sample.rejected or ''}"


def _all_of(batches: Iterable[CandidateBatch], column: Callable[[CandidateBatch], list[_T]]) -> list[_T]:
    return list(chain.from_iterable(map(column, batches)))


def _meanings(batches: Iterable[CandidateBatch]) -> dict[int, str]:
    meanings: dict[int, str] = {}
    first = 0
    for batch in batches:
        meanings |= {first + place: meaning for place, meaning in batch.meanings.items()}
        first += len(batch)
    return meanings


def _pairs(places: bytes) -> NDArray[np.int64]:
    return np.frombuffer(places, dtype="<i8").reshape(-1, 2)


def _digests(joined: bytes) -> Bytes:
    return np.frombuffer(joined, dtype=np.uint8).reshape(-1, _HASH_BYTES)
