"""Shares of the next epoch, drawn from the evidence so far; nobody gets less than a floor, so all stay comparable.

Sources: Russo: Simple Bayesian algorithms for best arm identification. Operations Research 68, 2020 (top-two Thompson
sampling); Garivier, Kaufmann: Optimal best arm identification with fixed confidence. COLT 2016 (track and stop).
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import optimize

FLOOR_0_1 = 0.1
_DRAWS = 10_000

Row = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class SeenArm:
    """What is known of an arm: mean of users' means, where more is better, its variance over users, and the users."""

    mean: float
    variance: float
    users: int


def top_two_shares(arms: Sequence[SeenArm], *, seed: int, best_0_1: float = 0.5) -> tuple[float, ...]:
    """Shares by how often each arm is drawn as the best, and as the best of the others.

    Args:
        seed: The same seed gives the same shares.
        best_0_1: Weight of the best against the runner-up; one half asks each arm as often as its rival.
    """
    chance = np.random.default_rng(seed)
    means = np.array([arm.mean for arm in arms])
    errors = np.sqrt([arm.variance / max(1, arm.users) for arm in arms])
    draws = chance.normal(means, errors, size=(_DRAWS, len(arms)))
    order = np.argsort(draws, axis=1)
    first = np.bincount(order[:, -1], minlength=len(arms)) / _DRAWS
    second = np.bincount(order[:, -2], minlength=len(arms)) / _DRAWS
    return with_floor(best_0_1 * first + (1 - best_0_1) * second)


def track_and_stop_shares(arms: Sequence[SeenArm]) -> tuple[float, ...]:
    """Shares that tell the best arm from each other one soonest, were the means as they look now."""
    if len(arms) < 2:
        return (1.0,) * len(arms)
    means = np.array([arm.mean for arm in arms])
    variances = np.maximum([arm.variance for arm in arms], 1e-9)
    best = int(np.argmax(means))
    gaps = np.maximum(means[best] - means, 1e-3)
    others = np.arange(len(arms)) != best

    def slowest(logits: Row) -> float:
        shares = np.exp(logits - logits.max())
        shares /= shares.sum()
        clarity = gaps**2 / (variances[best] / shares[best] + variances / shares)
        return -float(np.log(clarity[others]).min())

    found = optimize.minimize(slowest, np.zeros(len(arms)), method="Nelder-Mead", options={"maxiter": 4000})
    shares = np.exp(found.x - found.x.max())
    return with_floor(shares / shares.sum())


def with_floor(shares: Row) -> tuple[float, ...]:
    """Lifts what is below the floor to it, at the cost of what is above it, in proportion."""
    floor = min(FLOOR_0_1, 1 / len(shares))
    room = 1 - floor * len(shares)
    above = np.maximum(shares - floor, 0.0)
    spread = above / above.sum() if above.sum() > 0 else np.full(len(shares), 1 / len(shares))
    return tuple(float(share) for share in floor + room * spread)
