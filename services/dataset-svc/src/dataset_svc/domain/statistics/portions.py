"""Portions of a version's samples, which may be measured anywhere and in any order."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from dataset_svc.domain.samples import SplitName
from dataset_svc.domain.statistics.builder import StatisticsBuilder
from dataset_svc.domain.statistics.columns import Measured, columns_of


@dataclass(frozen=True, kw_only=True)
class Portion:
    """Some samples of one part.

    Attributes:
        lines: The samples as their file holds them.
        measured: What was found out about them before.
        term_bound: As `StatisticsBuilder` wants it.
    """

    split: SplitName
    lines: list[bytes]
    measured: Measured
    term_bound: int | None


Gather = Callable[[Iterable[Portion]], Iterable[StatisticsBuilder]]


def measure_portion(portion: Portion) -> StatisticsBuilder:
    builder = StatisticsBuilder(term_bound=portion.term_bound)
    builder.add(columns_of(portion.lines, portion.split, portion.measured))
    return builder


def measured_here(portions: Iterable[Portion]) -> Iterable[StatisticsBuilder]:
    return map(measure_portion, portions)
