"""Statistics of variants that answered the same cases: exact test, intervals of shares, and bootstrap of anything else."""

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from math import comb, sqrt
from typing import Final

import numpy as np
from scipy import stats

_RESAMPLES: Final = 4999
_VALUES_AT_ONCE: Final = 1 << 20  # 8 MiB of resampled values, however many cases there are


@dataclass(frozen=True)
class Interval:
    """Where a figure lies with the confidence that was asked for; both ends belong to it."""

    lower: float
    upper: float


@dataclass(frozen=True, kw_only=True)
class Agreement:
    """Cases by who was right."""

    both: int
    only_first: int
    only_second: int
    neither: int

    @property
    def cases(self) -> int:
        return self.both + self.only_first + self.only_second + self.neither

    @property
    def first_right(self) -> int:
        return self.both + self.only_first

    @property
    def second_right(self) -> int:
        return self.both + self.only_second


def agreement(first: Sequence[bool], second: Sequence[bool]) -> Agreement:
    """Counts pairs of outcomes, which stand in the same order of cases."""
    pairs = list(zip(first, second, strict=True))
    return Agreement(
        both=pairs.count((True, True)),
        only_first=pairs.count((True, False)),
        only_second=pairs.count((False, True)),
        neither=pairs.count((False, False)),
    )


def mcnemar_exact(first_only: int, second_only: int) -> float:
    """Exact two-sided McNemar test (McNemar 1947): are the discordant cases split like coin tosses?

    Args:
        first_only: Cases that only the first variant got right.
        second_only: Cases that only the second variant got right.

    Returns:
        p-value; 1 when no case is discordant.
    """
    discordant = first_only + second_only
    smaller = min(first_only, second_only)
    tail = sum(comb(discordant, k) for k in range(smaller + 1))
    # integers until the last step: 2 ** n overflows a float beyond a thousand discordant cases
    return min(1.0, 2 * tail / 2**discordant)


def wilson(right: int, cases: int, *, confidence: float) -> Interval:
    """Score interval of a share (Wilson 1927).

    Args:
        cases: At least 1.
    """
    z = _z(confidence)
    share = right / cases
    middle = (share + z**2 / (2 * cases)) / (1 + z**2 / cases)
    half = z / (1 + z**2 / cases) * sqrt(share * (1 - share) / cases + z**2 / (4 * cases**2))
    return Interval(max(0.0, middle - half), min(1.0, middle + half))


def newcombe_paired(counts: Agreement, *, confidence: float) -> Interval:
    """Interval of the first share less the second, of the same cases (Newcombe 1998b, method 10).

    Args:
        counts: Of at least 1 case.
    """
    cases = counts.cases
    first, second = counts.first_right / cases, counts.second_right / cases
    one = wilson(counts.first_right, cases, confidence=confidence)
    other = wilson(counts.second_right, cases, confidence=confidence)
    phi = _phi(counts)

    def reach(of_first: float, of_second: float) -> float:
        # rounding may take a sum of squares a little below 0
        return sqrt(max(0.0, of_first**2 - 2 * phi * of_first * of_second + of_second**2))

    difference = first - second
    return Interval(
        max(-1.0, difference - reach(first - one.lower, other.upper - second)),
        min(1.0, difference + reach(one.upper - first, second - other.lower)),
    )


def bootstrap_mean(values: Sequence[float], *, confidence: float, seed: int) -> Interval | None:
    """Bias-corrected and accelerated bootstrap (Efron 1987) of a mean; for pairs, of the mean of their differences.

    Returns:
        None for fewer than two values.
    """
    sample = np.asarray(values, dtype=np.float64)
    if len(sample) < 2:
        return None
    if np.ptp(sample) == 0:
        return Interval(float(sample[0]), float(sample[0]))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", stats.DegenerateDataWarning)  # answered below
        found = stats.bootstrap(
            (sample,),
            np.mean,
            confidence_level=confidence,
            n_resamples=_RESAMPLES,
            batch=max(1, _VALUES_AT_ONCE // len(sample)),
            method="BCa",
            rng=np.random.default_rng(seed),
        ).confidence_interval
    lower, upper = float(found.low), float(found.high)
    return Interval(lower, upper) if np.isfinite(lower) and np.isfinite(upper) else None


def _phi(counts: Agreement) -> float:
    """Correlation of the pairs, with the continuity correction of method 10."""
    product = counts.first_right * (counts.only_second + counts.neither)
    product *= counts.second_right * (counts.only_first + counts.neither)
    if product == 0:
        return 0.0
    cross = counts.both * counts.neither - counts.only_first * counts.only_second
    if cross > 0:
        cross = max(cross - counts.cases / 2, 0)
    return cross / sqrt(product)


def _z(confidence: float) -> float:
    return float(stats.norm.ppf((1 + confidence) / 2))
