"""Sums that are kept of numbers: exact, so that any order, merge or removal gives the same, to the last bit.

Values are rounded once to 2^-52 and summed as integers of any length; nothing is lost however many are added and
taken away, and a replay of the log ends in the same bytes.
"""

from collections.abc import Iterable
from dataclasses import dataclass, fields
from typing import Self

import numpy as np

from feedback_svc.domain.statistics.columns import FRACTION_BITS, Column, fits

RESOLUTION = 1 << FRACTION_BITS  # parts of one: 15 decimal digits behind the point
MANY = 64  # from so many on, columns are faster than one by one


def fixed(value: float) -> int:
    """The value in parts of `RESOLUTION`."""
    return round(value * RESOLUTION)


@dataclass(frozen=True, slots=True, kw_only=True)
class Sums:
    """Integers that add up field by field: what may be merged in any order and taken out again."""

    def plus(self, other: Self) -> Self:
        return type(self)(**{part.name: getattr(self, part.name) + getattr(other, part.name) for part in fields(self)})

    def minus(self, other: Self) -> Self:
        """Takes out what was added before."""
        return type(self)(**{part.name: getattr(self, part.name) - getattr(other, part.name) for part in fields(self)})


@dataclass(frozen=True, slots=True, kw_only=True)
class MeanMoments(Sums):
    """Of one number per unit.

    Attributes:
        count: Units.
        total: Sum, in parts of `RESOLUTION`.
        squares: Sum of squares, in parts of its square.
    """

    count: int = 0
    total: int = 0
    squares: int = 0

    @staticmethod
    def of(values: Iterable[float]) -> "MeanMoments":
        given = list(values)
        if len(given) >= MANY and fits(given):
            column = Column(np.array(given))
            return MeanMoments(count=len(given), total=column.total, squares=column.dot(column))
        parts = [fixed(value) for value in given]
        return MeanMoments(count=len(parts), total=sum(parts), squares=sum(part**2 for part in parts))

    @property
    def mean(self) -> float | None:
        return self.total / (self.count * RESOLUTION) if self.count else None

    @property
    def variance(self) -> float | None:
        """Sample variance; None below two units."""
        if self.count < 2:
            return None
        scale = self.count * (self.count - 1) * RESOLUTION**2
        return (self.squares * self.count - self.total**2) / scale


@dataclass(frozen=True, slots=True, kw_only=True)
class ProportionMoments(Sums):
    """Of something that happened or did not, once per unit."""

    events: int = 0
    trials: int = 0

    @property
    def mean(self) -> float | None:
        return self.events / self.trials if self.trials else None

    @property
    def count(self) -> int:
        return self.trials

    @property
    def variance(self) -> float | None:
        """Sample variance of the zeros and ones; None below two trials."""
        if self.trials < 2:
            return None
        return self.events * (self.trials - self.events) / (self.trials * (self.trials - 1))


@dataclass(frozen=True, slots=True, kw_only=True)
class PairMoments(Sums):
    """Of users with a past: the mean rating y during the experiment, and the one before it, weighed by its trust.

    Attributes:
        count: Users.
        y: Sum of y; `yy` of its square.
        trust: Sum of how much each past is trusted, 0 to 1; `trust_squares`, `trust_y`, `trust_x` with itself, y and x.
        x: Sum of trust times the mean before; `xx` of its square, `xy` with y.
    """

    count: int = 0
    y: int = 0
    yy: int = 0
    trust: int = 0
    trust_squares: int = 0
    trust_y: int = 0
    trust_x: int = 0
    x: int = 0
    xx: int = 0
    xy: int = 0

    @staticmethod
    def of(users: Iterable[tuple[float, float, float]]) -> "PairMoments":
        """Of triples of y, the mean before, and its trust."""
        given = list(users)
        if len(given) >= MANY and fits(numbers := np.array(given, dtype=np.float64).T):
            y, before, trust = numbers
            return _pairs_of(len(given), Column(y), Column(before * trust), Column(trust))
        parts = [(fixed(y), fixed(before * trust), fixed(trust)) for y, before, trust in given]
        return PairMoments(
            count=len(parts),
            y=sum(y for y, _, _ in parts),
            yy=sum(y * y for y, _, _ in parts),
            trust=sum(trust for _, _, trust in parts),
            trust_squares=sum(trust * trust for _, _, trust in parts),
            trust_y=sum(trust * y for y, _, trust in parts),
            trust_x=sum(trust * x for _, x, trust in parts),
            x=sum(x for _, x, _ in parts),
            xx=sum(x * x for _, x, _ in parts),
            xy=sum(x * y for y, x, _ in parts),
        )

    @property
    def outcome(self) -> MeanMoments:
        """Of y alone."""
        return MeanMoments(count=self.count, total=self.y, squares=self.yy)


@dataclass(frozen=True, slots=True, kw_only=True)
class RatioMoments(Sums):
    """Of the sum and the number of one user's ratings: for the ratio of both over all users.

    Attributes:
        rating_squares: Sum of the squares of all ratings, in parts of `RESOLUTION`.
    """

    count: int = 0
    total: int = 0
    number: int = 0
    total_squares: int = 0
    number_squares: int = 0
    cross: int = 0
    rating_squares: int = 0

    @staticmethod
    def of(users: Iterable[tuple[float, int, float]]) -> "RatioMoments":
        """Of triples of a user's sum, number and sum of squares."""
        given = list(users)
        if len(given) >= MANY and fits(numbers := np.array(given, dtype=np.float64).T):
            return _ratio_of(len(given), *(Column(column) for column in numbers))
        parts = [(fixed(total), number, fixed(squares)) for total, number, squares in given]
        return RatioMoments(
            count=len(parts),
            total=sum(total for total, _, _ in parts),
            number=sum(number for _, number, _ in parts),
            total_squares=sum(total**2 for total, _, _ in parts),
            number_squares=sum(number**2 for _, number, _ in parts),
            cross=sum(total * number for total, number, _ in parts),
            rating_squares=sum(squares for _, _, squares in parts),
        )

    @property
    def rating_variance(self) -> float | None:
        """Sample variance of single ratings, whoever gave them; None below two."""
        if self.number < 2:
            return None
        scale = self.number * (self.number - 1) * RESOLUTION**2
        return (self.rating_squares * RESOLUTION * self.number - self.total**2) / scale


def _pairs_of(count: int, y: Column, x: Column, trust: Column) -> PairMoments:
    return PairMoments(
        count=count, y=y.total, yy=y.dot(y), trust=trust.total, trust_squares=trust.dot(trust), trust_y=trust.dot(y),
        trust_x=trust.dot(x), x=x.total, xx=x.dot(x), xy=x.dot(y),
    )  # fmt: skip


def _ratio_of(count: int, total: Column, number: Column, squares: Column) -> RatioMoments:
    """Numbers are whole: their column counts them in parts of `RESOLUTION` as well."""
    return RatioMoments(
        count=count, total=total.total, number=number.total // RESOLUTION, total_squares=total.dot(total),
        number_squares=number.dot(number) // RESOLUTION**2, cross=total.dot(number) // RESOLUTION,
        rating_squares=squares.total,
    )  # fmt: skip
