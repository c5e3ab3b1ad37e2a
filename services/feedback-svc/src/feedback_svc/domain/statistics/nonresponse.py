"""Missing ratings: whether as many answer on both sides, and how far those who do not could bend the comparison.

Source: Lee: Training, wages, and sample selection: estimating sharp bounds on treatment effects. Review of Economic
Studies 76, 2009 (trimming bounds, and proposition 3 for their variance).
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import stats

from feedback_svc.domain.statistics.arms import BINS, ArmEpoch, Scale
from feedback_svc.domain.statistics.estimators import Real, combined, plain_difference
from feedback_svc.domain.statistics.results import Interval, ResponseResult
from feedback_svc.domain.statistics.sequences import half_width

CAUTION_P = 0.05
# One-sided 97.7 % of the bound that a promotion must clear, whether or not response rates differ significantly: where a
# twentieth of the happier side is missing, two thousand raters show it in only nine of ten experiments.
BOUND_Z = 2.0
Row = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class LeeBounds:
    """Bounds of the effect among users who would rate on both sides, with squared standard errors of each end."""

    lower: Real
    upper: Real
    lower_error: Real
    upper_error: Real


def lee_bounds(champion: Row, candidate: Row, values: Row, *, units: tuple[Real, Real]) -> LeeBounds:
    """Trims the side that answers more by the share that it answers more, from either end.

    Args:
        champion: Users by mean rating, `[..., bin]`; at least two.
        candidate: The same.
        values: Ratings that the bins stand for, ascending, `[bin]`.
        units: Exposed units of both, `[...]`.
    """
    rates = [side.sum(axis=-1) / of for side, of in zip((champion, candidate), units, strict=True)]
    excess = [1 - np.minimum(1.0, rates[1] / rates[0]), 1 - np.minimum(1.0, rates[0] / rates[1])]
    unsure = sum((1 - np.minimum(rate, 1.0)) / (rate * of) for rate, of in zip(rates, units, strict=True))
    (one_low, one_high), (other_low, other_high) = (
        (_trimmed(side, values, share, unsure), _trimmed(side[..., ::-1], values[::-1], share, unsure))
        for side, share in zip((champion, candidate), excess, strict=True)
    )
    # the worst for the candidate: its best missing from the count, the champion's worst too
    return LeeBounds(
        lower=other_low[0] - one_high[0],
        upper=other_high[0] - one_low[0],
        lower_error=other_low[1] + one_high[1],
        upper_error=other_high[1] + one_low[1],
    )


def _trimmed(counts: Row, values: Row, share: Real, unsure: Real) -> tuple[Real, Real]:
    """Mean of all but the last `share` of users, and its squared standard error."""
    users = counts.sum(axis=-1)
    kept_users = users * (1 - np.asarray(share))
    before = np.cumsum(counts, axis=-1) - counts
    kept = np.clip(kept_users[..., None] - before, 0.0, counts)
    mean = (kept * values).sum(axis=-1) / kept_users
    spread = (kept * (values - mean[..., None]) ** 2).sum(axis=-1) / kept_users
    edge = values[np.minimum((before < kept_users[..., None]).sum(axis=-1) - 1, len(values) - 1)]
    gap = np.where(np.asarray(share) > 0, (edge - mean) ** 2, 0.0)
    return mean, (spread + gap * share) / kept_users + gap * unsure


def response_z(effect: Real, variance: Real) -> Real:
    """Difference of response rates in standard errors; 0 where all or nobody answers."""
    return np.where(variance > 0, effect / np.sqrt(np.where(variance > 0, variance, 1.0)), 0.0)


def response(
    champion: Sequence[ArmEpoch], candidate: Sequence[ArmEpoch], *, scale: Scale, planned_users: int, alpha: float
) -> ResponseResult | None:
    """Response rates and Lee bounds, epoch by epoch, then combined; None before each side has two units.

    Both sides hold the same epochs in the same order.
    """
    pairs = [
        (one, other)
        for one, other in zip(champion, candidate, strict=True)
        if min(one.units, other.units) >= 2 and min(one.users, other.users) >= 1
    ]
    parts = [plain_difference(one.response, other.response) for one, other in pairs]
    whole = combined([part for part in parts if part is not None])
    if not pairs or whole.users == 0:
        return None
    difference, error = float(whole.effect), math.sqrt(float(whole.variance))
    width = float(half_width(error, whole.users, planned_users=planned_users, alpha=alpha))
    z = float(response_z(whole.effect, whole.variance))
    bounds, region = _combined_bounds(pairs, scale)
    p = 2 * float(stats.norm.sf(abs(z)))
    return ResponseResult(
        difference=difference,
        p=p,
        differs=p < CAUTION_P,
        breached=abs(difference) > width,
        bounds=bounds,
        region=region,
    )


def _combined_bounds(
    pairs: Sequence[tuple[ArmEpoch, ArmEpoch]], scale: Scale
) -> tuple[Interval | None, Interval | None]:
    """Bounds over all epochs, and the region around them; None where everybody answered."""
    if all(one.users >= one.units and other.users >= other.units for one, other in pairs):
        return None, None
    values = np.array([scale.value_of(position) for position in range(BINS)])
    weights = np.array([one.users * other.users / (one.users + other.users) for one, other in pairs])
    parts = [
        lee_bounds(
            np.array(one.histogram, dtype=np.float64),
            np.array(other.histogram, dtype=np.float64),
            values,
            units=(float(one.response.trials), float(other.response.trials)),
        )
        for one, other in pairs
    ]
    shares = weights / weights.sum()
    lower, upper = (float(shares @ np.array([getattr(part, end) for part in parts])) for end in ("lower", "upper"))
    below, above = (
        BOUND_Z * math.sqrt(float(shares**2 @ np.array([getattr(part, end) for part in parts])))
        for end in ("lower_error", "upper_error")
    )
    middle = (lower + upper) / 2
    return (
        Interval(effect=middle, lower=lower, upper=upper),
        Interval(effect=middle, lower=lower - below, upper=upper + above),
    )
