"""Portions of a version's samples, which may be measured anywhere and in any order."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dataset_svc.domain.kept_lines import Lines
from dataset_svc.domain.measurements import Measurements
from dataset_svc.domain.statistics.builder import StatisticsBuilder
from dataset_svc.domain.statistics.columns import columns_of


@dataclass(frozen=True, kw_only=True)
class Portion:
    """Some samples, of whatever part.

    Attributes:
        places: First byte and size of the line of each sample, near each other `[samples, 2]`.
        splits: Places of their parts in `SplitName`, int8 `[samples]`.
        measured: What was found out about them before.
        categories: Of the samples.
        term_bound: As `StatisticsBuilder` wants it.
    """

    places: NDArray[np.int64]
    splits: NDArray[np.int8]
    measured: Measurements
    categories: Sequence[str | None]
    term_bound: int | None


Gather = Callable[[Iterable[Portion], Lines], Iterable[StatisticsBuilder]]


def measure_portion(portion: Portion, lines: Lines) -> StatisticsBuilder:
    firsts, sizes = portion.places.T
    first = int(firsts.min())
    content = lines.read(first, int((firsts + sizes).max()) - first)
    builder = StatisticsBuilder(term_bound=portion.term_bound)
    measured = portion.measured.measured(categories=portion.categories)
    builder.add(columns_of(content, portion.places - (first, 0), portion.splits, measured))
    return builder


def measured_here(portions: Iterable[Portion], lines: Lines) -> Iterable[StatisticsBuilder]:
    return (measure_portion(portion, lines) for portion in portions)
