"""Portions of a version's samples, which may be measured anywhere and in any order."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dataset_svc.domain.kept_lines import Lines
from dataset_svc.domain.samples import SplitName
from dataset_svc.domain.statistics.builder import StatisticsBuilder
from dataset_svc.domain.statistics.columns import Measured, columns_of


@dataclass(frozen=True, kw_only=True)
class Portion:
    """Some samples of one part.

    Attributes:
        places: First byte and size of the line of each sample [samples, 2].
        measured: What was found out about them before.
        term_bound: As `StatisticsBuilder` wants it.
    """

    split: SplitName
    places: NDArray[np.int64]
    measured: Measured
    term_bound: int | None


Gather = Callable[[Iterable[Portion], Lines], Iterable[StatisticsBuilder]]


def measure_portion(portion: Portion, lines: Lines) -> StatisticsBuilder:
    builder = StatisticsBuilder(term_bound=portion.term_bound)
    builder.add(columns_of([lines.read(*place) for place in portion.places.tolist()], portion.split, portion.measured))
    return builder


def measured_here(portions: Iterable[Portion], lines: Lines) -> Iterable[StatisticsBuilder]:
    return (measure_portion(portion, lines) for portion in portions)
