"""Samples column by column, as the statistics take them in."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from dataset_svc.domain.line_cuts import ROLES, cut_lines
from dataset_svc.domain.samples import SplitName
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

    categories: pa.LargeStringArray | None = None
    languages: pa.LargeStringArray | None = None
    tokens: Mapping[LengthPart, NDArray[np.int32]] = field(default_factory=dict)
    scores: Mapping[str, NDArray[np.float64]] = field(default_factory=dict)


def columns_of(
    content: bytes, places: NDArray[np.int64], splits: NDArray[np.int8], measured: Measured | None = None
) -> SampleColumns:
    """Samples as columns.

    Args:
        content: Has their lines in it.
        places: First byte and size of each line in it `[n, 2]`.
        splits: As `SampleColumns` has them.
    """
    found, cuts = measured or Measured(), cut_lines(content, places)
    return SampleColumns(
        sample_ids=cuts.sample_ids,
        questions=cuts.questions,
        answers=cuts.answers,
        splits=splits,
        sources=cuts.sources,
        weights=cuts.weights,
        categories=found.categories,
        languages=found.languages,
        turns={role: turns for role, turns in zip(ROLES, cuts.turns.T, strict=True) if turns.any()},
        tokens=found.tokens,
        scores=found.scores,
    )
