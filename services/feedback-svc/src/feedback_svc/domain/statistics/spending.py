"""Group-sequential bounds: a few planned looks that share one error rate, most of it kept for the last.

Sources:
    Lan, DeMets: Discrete sequential boundaries for clinical trials. Biometrika 70, 1983 (spending alpha t^2 as
    Kim and DeMets 1987).
    Armitage, McPherson, Rowe: Repeated significance tests on accumulating data. JRSS A 132, 1969 (recursion).
"""

import math
from functools import lru_cache

import numpy as np
import numpy.typing as npt
from scipy import optimize, special, stats

_POINTS = 401  # of each look's density; bounds hold to 6 digits

Row = npt.NDArray[np.float64]


@lru_cache(maxsize=64)
def spending_bounds(looks: int, *, alpha: float, power: float = 2.0) -> tuple[float, ...]:
    """Two-sided bounds of z at evenly spaced looks, spending alpha t^power of the error by the time t.

    Args:
        looks: How many; the last is at the horizon.
        alpha: Error rate of all looks together.
        power: Of the spending function; 2 keeps the final look near the fixed-horizon test.
    """
    bounds: list[float] = []
    grid, density = np.zeros(1), np.ones(1)
    spread = math.sqrt(1 / looks)
    for look in range(1, looks + 1):
        spent = alpha * (look**power - (look - 1) ** power) / looks**power
        scale = math.sqrt(look / looks)
        bound = _bound(grid, density, spread=spread, scale=scale, spent=spent)
        bounds.append(bound)
        grid, density = _survivors(grid, density, spread=spread, edge=bound * scale)
    return tuple(bounds)


def _bound(grid: Row, density: Row, *, spread: float, scale: float, spent: float) -> float:
    def excess(bound: float) -> float:
        edge = bound * scale
        tails = special.ndtr((grid - edge) / spread) + special.ndtr((-grid - edge) / spread)
        return float(_integral(tails * density, grid)) - spent

    return float(optimize.root_scalar(excess, bracket=(0.0, 12.0), method="brentq", xtol=1e-12).root)


def _survivors(grid: Row, density: Row, *, spread: float, edge: float) -> tuple[Row, Row]:
    """Density of the sum at a look, among experiments that no look has stopped yet."""
    new_grid = np.linspace(-edge, edge, _POINTS)
    kernel = stats.norm.pdf(new_grid[:, None] - grid[None, :], scale=spread)
    return new_grid, np.asarray(_integral(kernel * density, grid))


def _integral(values: Row, grid: Row) -> Row:
    """Simpson's rule along the last axis; a single point carries all its mass."""
    if len(grid) == 1:
        return values[..., 0]
    weights = np.ones(len(grid))
    weights[1:-1:2], weights[2:-1:2] = 4.0, 2.0
    return (values * weights).sum(axis=-1) * (grid[1] - grid[0]) / 3
