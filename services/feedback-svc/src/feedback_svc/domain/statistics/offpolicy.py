"""What a variant would be worth, from traffic that was shared out otherwise: shadows, and adaptive splits.

Each logged user carries the chance with which its variant was drawn; what was drawn rarely counts the more.

Sources: Horvitz, Thompson 1952 (inverse propensity); Swaminathan, Joachims: The self-normalized estimator for
counterfactual learning. NeurIPS 2015; Dudik, Langford, Li: Doubly robust policy evaluation and learning. ICML 2011.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from scipy import stats


@dataclass(frozen=True, slots=True, kw_only=True)
class LoggedUser:
    """One user of the log.

    Attributes:
        value: Mean rating of what the user was given.
        propensity_0_1: Chance with which that variant was drawn.
        chosen_0_1: Chance with which the policy in question would have drawn it: 1 or 0 for "always this variant".
        expected: What a model expects the user to rate the variant drawn, for the doubly robust estimate.
        expected_of_policy: What it expects under the policy in question.
    """

    value: float
    propensity_0_1: float
    chosen_0_1: float
    expected: float = 0.0
    expected_of_policy: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class PolicyValue:
    """An estimate with its interval; `effective_users` is how many equally weighted users would say as much."""

    value: float
    lower: float
    upper: float
    effective_users: float


def inverse_propensity(users: Sequence[LoggedUser], *, alpha: float = 0.05) -> PolicyValue | None:
    """Unbiased, and wide where chances were small; None below two users."""
    return _mean([_weight(user) * user.value for user in users], users, alpha=alpha)


def self_normalised(users: Sequence[LoggedUser], *, alpha: float = 0.05) -> PolicyValue | None:
    """Weights made to sum to one: a little bias for much less spread; None below two users that count."""
    weights = [_weight(user) for user in users]
    total = sum(weights)
    if len(users) < 2 or total <= 0:
        return None
    value = sum(weight * user.value for weight, user in zip(weights, users, strict=True)) / total
    # delta method for the ratio of two means
    error = math.sqrt(sum((weight * (user.value - value)) ** 2 for weight, user in zip(weights, users, strict=True)))
    return _around(value, error / total, users, alpha=alpha)


def doubly_robust(users: Sequence[LoggedUser], *, alpha: float = 0.05) -> PolicyValue | None:
    """A model's expectation, corrected by what was seen: right if either model or chances are; None below two."""
    corrected = [user.expected_of_policy + _weight(user) * (user.value - user.expected) for user in users]
    return _mean(corrected, users, alpha=alpha)


def _weight(user: LoggedUser) -> float:
    return user.chosen_0_1 / user.propensity_0_1


def _mean(values: Sequence[float], users: Sequence[LoggedUser], *, alpha: float) -> PolicyValue | None:
    number = len(values)
    if number < 2:
        return None
    mean = math.fsum(values) / number
    variance = math.fsum((value - mean) ** 2 for value in values) / (number - 1)
    return _around(mean, math.sqrt(variance / number), users, alpha=alpha)


def _around(value: float, error: float, users: Sequence[LoggedUser], *, alpha: float) -> PolicyValue:
    width = float(stats.norm.isf(alpha / 2)) * error
    weights = [_weight(user) for user in users]
    squares = sum(weight**2 for weight in weights)
    effective = sum(weights) ** 2 / squares if squares else 0.0
    return PolicyValue(value=value, lower=value - width, upper=value + width, effective_users=effective)
