"""How many users it takes, and what so many users can find: the calculator before an experiment.

Sources: Cohen, Statistical Power Analysis, 1988 (normal approximation); Kish, Survey Sampling, 1965 (repeated ratings);
Deng et al. 2013 (CUPED's 1 - rho^2).
"""

import math
from dataclasses import dataclass

from scipy import stats


@dataclass(frozen=True, slots=True, kw_only=True)
class Raters:
    """What is known, or assumed, of those who rate.

    Attributes:
        std_dev: Of single ratings.
        icc: Correlation of two ratings of one user.
        ratings_per_user: Mean number; numbers are taken as geometric, many users rate once.
        past_correlation: Between a user's means before and during, 0 where no past is known; over all users.
    """

    std_dev: float = 1.3
    icc: float = 0.29
    ratings_per_user: float = 1.0
    past_correlation: float = 0.0

    @property
    def user_variance(self) -> float:
        """Variance of users' means, after CUPED."""
        mean = self.ratings_per_user
        # E[1/n] of a geometric number of ratings
        single = 1.0 if mean <= 1 else math.log(mean) / (mean - 1)
        return self.std_dev**2 * (self.icc + (1 - self.icc) * single) * (1 - self.past_correlation**2)


def users_needed(
    raters: Raters, *, effect: float, share_0_1: float = 0.5, alpha: float = 0.05, power: float = 0.8
) -> int:
    """Rated users in both arms that find a difference of users' means at one look.

    Args:
        effect: Difference in stars, either sign.
        share_0_1: The challenger's share of the users.
        alpha: Two-sided.
        power: Chance to find it.
    """
    return math.ceil(_scale(raters, share_0_1) * ((_normal(1 - alpha / 2) + _normal(power)) / effect) ** 2)


def smallest_detectable(
    raters: Raters, *, users: int, share_0_1: float = 0.5, alpha: float = 0.05, power: float = 0.8
) -> float:
    """The smallest difference that so many rated users in both arms find at one look."""
    return (_normal(1 - alpha / 2) + _normal(power)) * math.sqrt(_scale(raters, share_0_1) / users)


def power_of(raters: Raters, *, users: int, effect: float, share_0_1: float = 0.5, alpha: float = 0.05) -> float:
    """Chance that so many rated users in both arms find a difference at one look."""
    shift = abs(effect) / math.sqrt(_scale(raters, share_0_1) / users)
    edge = _normal(1 - alpha / 2)
    return float(stats.norm.sf(edge - shift) + stats.norm.cdf(-edge - shift))


def _scale(raters: Raters, share_0_1: float) -> float:
    return raters.user_variance / (share_0_1 * (1 - share_0_1))


def _normal(probability: float) -> float:
    return float(stats.norm.ppf(probability))
