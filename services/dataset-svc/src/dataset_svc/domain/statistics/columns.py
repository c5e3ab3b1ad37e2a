"""Samples column by column, as the statistics take them in."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import msgspec
import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from dataset_svc.domain.samples import SplitName, decode, is_one_question
from dataset_svc.domain.statistics.figures import LengthPart

SPLITS = tuple(SplitName)


@dataclass(frozen=True, kw_only=True)
class SampleColumns:
    """One batch. Every column has one entry a sample; what was not measured is left out.

    Attributes:
        questions: Texts after masking, no nulls, as `large_string`; so are `answers` and `sample_ids`.
        splits: Place of the sample's part in `SplitName`, `int8 [n]`.
        categories: `large_string` with nulls for samples without one; so are `languages` and `sources`.
        turns: By role, turns of that role in each sample, `int32 [n]`.
        tokens: By part, as the task's tokenizer counts, `int32 [n]`.
        scores: By part of the quality score, from 0 to 1, NaN where not scored, `float64 [n]`.
        weights: From 0 to 1, `float64 [n]`.
    """

    sample_ids: pa.LargeStringArray
    questions: pa.LargeStringArray
    answers: pa.LargeStringArray
    splits: NDArray[np.int8]
    sources: pa.LargeStringArray
    weights: NDArray[np.float64]
    categories: pa.LargeStringArray | None = None
    languages: pa.LargeStringArray | None = None
    turns: Mapping[str, NDArray[np.int32]] = field(default_factory=dict)
    tokens: Mapping[LengthPart, NDArray[np.int32]] = field(default_factory=dict)
    scores: Mapping[str, NDArray[np.float64]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        given = (self.questions, self.answers, self.splits, self.sources, self.weights, self.categories, self.languages)
        columns = [column for column in given if column is not None]
        columns += [*self.turns.values(), *self.tokens.values(), *self.scores.values()]
        if any(len(column) != len(self.sample_ids) for column in columns):
            raise ValueError("columns of one batch are equally long")

    def __len__(self) -> int:
        return len(self.sample_ids)


@dataclass(frozen=True, kw_only=True)
class Measured:
    """What other rooms found out about the samples of one batch; see `SampleColumns`, whose fields these become."""

    categories: Sequence[str | None] | None = None
    languages: Sequence[str | None] | None = None
    tokens: Mapping[LengthPart, NDArray[np.int32]] = field(default_factory=dict)
    scores: Mapping[str, NDArray[np.float64]] = field(default_factory=dict)


class _Turn(msgspec.Struct, frozen=True, gc=False):
    role: str
    content: msgspec.Raw


class _Line(msgspec.Struct, frozen=True, gc=False):
    """What statistics want of a sample's line, with texts as they stand in it: few need more than their quotes off."""

    sample_id: str
    input: msgspec.Raw
    messages: tuple[_Turn, ...]
    source: str
    weight_0_1: float


_decoder = msgspec.json.Decoder(_Line)
_text_decoder = msgspec.json.Decoder(str)


def columns_of(lines: Sequence[bytes], split: SplitName, measured: Measured | None = None) -> SampleColumns:
    """Lines of one part of the split as columns."""
    found = measured or Measured()
    samples = list(map(_decoder.decode, lines))
    roles = [tuple([turn.role for turn in sample.messages]) for sample in samples]
    patterns = {pattern: Counter(pattern) for pattern in set(roles)}
    return SampleColumns(
        sample_ids=_texts([sample.sample_id for sample in samples]),
        questions=_texts(list(map(_question, samples, lines))),
        answers=_texts([_text(sample.messages[-1].content) for sample in samples]),
        splits=np.full(len(samples), SPLITS.index(split), dtype=np.int8),
        sources=_texts([sample.source for sample in samples]),
        weights=np.array([sample.weight_0_1 for sample in samples], dtype=np.float64),
        categories=None if found.categories is None else _texts(found.categories),
        languages=None if found.languages is None else _texts(found.languages),
        turns={
            role: np.array([patterns[pattern][role] for pattern in roles], dtype=np.int32)
            for role in sorted(set[str]().union(*patterns))
        },
        tokens=found.tokens,
        scores=found.scores,
    )


def _question(sample: _Line, line: bytes) -> bytes:
    return _text(sample.input) if is_one_question(sample.messages) else decode(line).question.encode()


def _text(quoted: msgspec.Raw) -> bytes:
    """A text in UTF-8 as JSON quotes it."""
    said = bytes(quoted)
    return _text_decoder.decode(said).encode() if b"\\" in said else said[1:-1]


def _texts(texts: Sequence[str | None] | Sequence[bytes]) -> pa.LargeStringArray:
    return pa.array(texts, pa.large_string())
