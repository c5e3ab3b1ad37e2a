"""Made-up raters of the statistics' checks: J-shaped stars, some people always happier than others.

A rating is a latent normal number cut into five stars; part of it belongs to the user, so that two ratings of one user
correlate as asked (ICC on the stars, not on the latent scale).
"""
# ruff: noqa: INP001 - beside the scripts of this folder

import math
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import numpy.typing as npt
from scipy import optimize, special

STARS = np.arange(1.0, 6.0)
J_SHAPED = (0.10, 0.08, 0.15, 0.27, 0.40)  # mean 3.79, SD 1.31
Grid = npt.NDArray[np.float32]
_NODES, _WEIGHTS = np.polynomial.hermite_e.hermegauss(81)


@dataclass(frozen=True, slots=True, kw_only=True)
class Population:
    """Raters of one kind.

    Attributes:
        shares: Of 1 to 5 stars.
        icc: Correlation of two ratings of one user.
        fresh_0_1: Share of users without ratings before.
    """

    shares: tuple[float, ...] = J_SHAPED
    icc: float = 0.29
    fresh_0_1: float = 0.3

    @property
    def cuts(self) -> npt.NDArray[np.float64]:
        return special.ndtri(np.cumsum(self.shares)[:-1])

    @property
    def own_share(self) -> float:
        """Share of the latent variance that belongs to the user."""
        return _own_share(self.shares, self.icc)

    def mean(self, shift: float = 0.0) -> float:
        return 1.0 + float(special.ndtr(shift - self.cuts).sum())

    def variance(self, shift: float = 0.0) -> float:
        above = np.concatenate([[1.0], special.ndtr(shift - self.cuts), [0.0]])
        return float(((STARS - self.mean(shift)) ** 2 * -np.diff(above)).sum())

    def shift_for(self, effect: float) -> float:
        """Latent shift that moves the mean by so many stars."""
        goal = self.mean() + effect
        return float(optimize.brentq(lambda shift: self.mean(shift) - goal, -5.0, 5.0))

    def latents(self, chance: np.random.Generator, tastes: Grid, number: int) -> Grid:
        """Latent parts of ratings of users of standard normal taste, `[..., rating]`; see `stars`."""
        own = self.own_share
        latent = chance.standard_normal((*tastes.shape, number), dtype=np.float32)
        latent *= np.float32(math.sqrt(1 - own))
        latent += (np.float32(math.sqrt(own)) * tastes)[..., None]
        return latent

    def stars(self, latent: Grid) -> Grid:
        """1 to 5."""
        out = np.ones(latent.shape, dtype=np.float32)
        for cut in self.cuts:
            out += latent > np.float32(cut)
        return out


@lru_cache
def _own_share(shares: tuple[float, ...], icc: float) -> float:
    if icc == 0:
        return 0.0
    cuts = special.ndtri(np.cumsum(shares)[:-1])
    weights = _WEIGHTS / _WEIGHTS.sum()

    def correlation(own: float) -> float:
        given = special.ndtr((math.sqrt(own) * _NODES[:, None] - cuts) / math.sqrt(1 - own)).sum(axis=1)
        mean = weights @ given
        return float(weights @ (given - mean) ** 2) / Population(shares=shares).variance()

    return float(optimize.brentq(lambda own: correlation(own) - icc, 1e-6, 0.98))
