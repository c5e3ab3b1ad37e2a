"""The effect and its standard error: difference of mean user means, CUPED, epochs combined.

Formulas take floats or arrays of any one shape: the calibration runs drive the same lines as the service.

Source:
    Deng, Xu, Kohavi, Walker: Improving the sensitivity of online controlled experiments by utilizing pre-experiment
    data (CUPED). WSDM 2013.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from feedback_svc.domain.statistics.arms import ArmEpoch
from feedback_svc.domain.statistics.moments import RESOLUTION, MeanMoments, ProportionMoments

Real = float | npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Side:
    """Sums over one arm's users, around an origin that both arms share.

    Attributes:
        users: All users; `y` and `yy` are sums over them of the mean rating and its square.
        trust: Sum of the trust in each user's past, 0 for none; squared, and times y and x, in the three beside it.
        x: Sum of trust times the mean rating before; its square, and times y, in the two beside it.
    """

    users: Real
    y: Real
    yy: Real
    trust: Real = 0.0
    trust_squares: Real = 0.0
    trust_y: Real = 0.0
    trust_x: Real = 0.0
    x: Real = 0.0
    xx: Real = 0.0
    xy: Real = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """Challenger minus champion, with the squared standard errors of both means and their users."""

    effect: Real
    champion_error: Real
    candidate_error: Real
    champion_users: Real
    candidate_users: Real

    @property
    def users(self) -> Real:
        return self.champion_users + self.candidate_users

    @property
    def variance(self) -> Real:
        """Squared standard error of the difference."""
        return self.champion_error + self.candidate_error

    @property
    def degrees_of_freedom(self) -> Real:
        """Welch's and Satterthwaite's."""
        champion = self.champion_error**2 / (self.champion_users - 1)
        return self.variance**2 / (champion + self.candidate_error**2 / (self.candidate_users - 1))


def sides_of(champion: ArmEpoch, candidate: ArmEpoch) -> tuple[Side, Side]:
    """Both arms around their common means, so that no digits are lost to large sums."""
    pasts = champion.tenured.plus(candidate.tenured)
    whole = champion.outcome.plus(candidate.outcome)
    x, y = pasts.x * RESOLUTION // max(1, pasts.trust), whole.total // max(1, whole.count)
    return _side(champion, x, y), _side(candidate, x, y)


def tenured_part(arm: ArmEpoch) -> ArmEpoch:
    """Only its users who had rated before exposure, for whatever needs no more than moments."""
    return ArmEpoch(tenured=arm.tenured)


def difference(champion: Side, candidate: Side, *, adjusted: bool) -> Difference:
    """Mean of users' means, challenger minus champion; each arm needs two users.

    Args:
        adjusted: CUPED: minus what the ratings before exposure foretell. Theta is pooled over both arms. A past counts
            as far as it can be trusted, the more ratings the more; users without one get the mean of the others, which
            leaves them as they are.
    """
    sides = (champion, candidate)
    means = [side.y / side.users for side in sides]
    errors = [_variance(side.users, side.y, side.yy) / side.users for side in sides]
    if adjusted:
        foretelling = _Foretelling.of(champion, candidate)
        means = [mean - foretelling.shift(side) for mean, side in zip(means, sides, strict=True)]
        errors = [error + foretelling.change(side) for error, side in zip(errors, sides, strict=True)]
    return Difference(
        effect=means[1] - means[0],
        champion_error=errors[0],
        candidate_error=errors[1],
        champion_users=champion.users,
        candidate_users=candidate.users,
    )


def plain_difference(
    champion: MeanMoments | ProportionMoments, candidate: MeanMoments | ProportionMoments
) -> Difference | None:
    """Of two means as they are; None before each has two units."""
    if champion.count < 2 or candidate.count < 2:
        return None
    assert champion.mean is not None
    assert champion.variance is not None
    assert candidate.mean is not None
    assert candidate.variance is not None
    return Difference(
        effect=candidate.mean - champion.mean,
        champion_error=champion.variance / champion.count,
        candidate_error=candidate.variance / candidate.count,
        champion_users=float(champion.count),
        candidate_users=float(candidate.count),
    )


def combined(parts: Sequence[Difference]) -> Difference:
    """Epochs with different splits as one: each compared within itself, then weighted, never pooled.

    Pooled over a split that changes while ratings drift, a difference appears from nothing. Weights are the inverse
    variances that a common spread of users would give, na nb / (na + nb): estimated ones would favour small epochs
    whose few users happen to agree. Parts with fewer than two users in an arm weigh nothing.
    """
    weights = [_weight(part) for part in parts]
    whole = np.maximum(sum(weights), 1e-300)
    shares = [weight / whole for weight in weights]
    counted = [np.where(weight > 0, 1.0, 0.0) for weight in weights]
    return Difference(
        effect=_weighted(shares, [part.effect for part in parts]),
        champion_error=_weighted([share**2 for share in shares], [part.champion_error for part in parts]),
        candidate_error=_weighted([share**2 for share in shares], [part.candidate_error for part in parts]),
        champion_users=_weighted(counted, [part.champion_users for part in parts]),
        candidate_users=_weighted(counted, [part.candidate_users for part in parts]),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Foretelling:
    """What ratings before exposure say of those after: theta times trust times (mean before - centre).

    Around that centre the covariates of all users sum to nothing, so the mean of y drops out of their covariance.
    """

    theta: Real
    centre: Real

    @staticmethod
    def of(champion: Side, candidate: Side) -> "_Foretelling":
        trust = champion.trust + candidate.trust
        centre = (champion.x + candidate.x) / np.where(trust > 0, trust, 1.0)
        whole = _Foretelling(theta=0.0, centre=centre)
        sums = [whole.covariate(side) for side in (champion, candidate)]
        spread, together = sums[0][1] + sums[1][1], sums[0][2] + sums[1][2]
        theta = np.where(spread > 0, together / np.where(spread > 0, spread, 1.0), 0.0)
        return _Foretelling(theta=theta, centre=centre)

    def covariate(self, side: Side) -> tuple[Real, Real, Real]:
        """Sums over the arm's users of the covariate, of its square, and of its product with y."""
        return (
            side.x - self.centre * side.trust,
            side.xx - 2 * self.centre * side.trust_x + self.centre**2 * side.trust_squares,
            side.xy - self.centre * side.trust_y,
        )

    def shift(self, side: Side) -> Real:
        """Part of the arm's mean that was foretold."""
        return self.theta * self.covariate(side)[0] / side.users

    def change(self, side: Side) -> Real:
        """Change of the squared standard error of the arm's mean; negative where x foretells y."""
        total, squares, products = self.covariate(side)
        spread = (squares - total**2 / side.users) / (side.users - 1)
        together = (products - total * side.y / side.users) / (side.users - 1)
        return (self.theta**2 * spread - 2 * self.theta * together) / side.users


def _variance(users: Real, total: Real, squares: Real) -> Real:
    return np.maximum((squares - total**2 / users) / (users - 1), 0.0)


def _weight(part: Difference) -> Real:
    champion, candidate = part.champion_users, part.candidate_users
    usable = np.minimum(champion, candidate) >= 2
    return np.where(usable, champion * candidate / np.maximum(champion + candidate, 1), 0.0)


def _weighted(shares: Sequence[Real], values: Sequence[Real]) -> Real:
    return sum((np.where(share > 0, share * value, 0.0) for share, value in zip(shares, values, strict=True)), 0.0)


def _side(arm: ArmEpoch, x_origin: int, y_origin: int) -> Side:
    y, yy = _centred(arm.outcome, y_origin)
    past = arm.tenured
    x = past.x * RESOLUTION - x_origin * past.trust
    trust_y = past.trust_y - y_origin * past.trust
    squares = RESOLUTION**2
    return Side(
        users=float(arm.users),
        y=y,
        yy=yy,
        trust=past.trust / RESOLUTION,
        trust_squares=past.trust_squares / squares,
        trust_y=trust_y / squares,
        trust_x=(past.trust_x * RESOLUTION - x_origin * past.trust_squares) / (squares * RESOLUTION),
        x=x / squares,
        xx=(past.xx * squares - 2 * x_origin * RESOLUTION * past.trust_x + x_origin**2 * past.trust_squares)
        / squares**2,
        xy=(past.xy * RESOLUTION - x_origin * past.trust_y - y_origin * x) / (squares * RESOLUTION),
    )


def _centred(moments: MeanMoments, origin: int) -> tuple[float, float]:
    squares = moments.squares - 2 * origin * moments.total + moments.count * origin**2
    return (moments.total - moments.count * origin) / RESOLUTION, squares / RESOLUTION**2
