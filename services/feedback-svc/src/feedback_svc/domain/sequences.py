"""Intervals and tests that stay valid however often one looks, from sufficient statistics alone.

Sources:
    Waudby-Smith, Arbour, Sinha, Kennedy, Ramdas: Time-uniform central limit theory and asymptotic confidence
    sequences. Annals of Statistics 52(6), 2024; equations 9 and 161 of its preprint arXiv 2103.06476v7.
    Lindon, Malek: Anytime-valid inference for multinomial count data. NeurIPS 2022.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from feedback_svc.domain.statistics import ArmStatistics

_CONCENTRATION = 100.0  # of the Dirichlet prior: finds 48:52 at a median of 7,500 units, 0.3 % false alarms at 0.01


@dataclass(frozen=True, slots=True, kw_only=True)
class Interval:
    """Candidate minus champion, with the interval that holds the truth at all times at once."""

    effect: float
    lower: float
    upper: float


def half_width(std_error: float, users: int, *, planned_users: int, alpha: float) -> float:
    """Half width of the asymptotic confidence sequence of a difference of means.

    Args:
        std_error: Standard error of the difference.
        users: Users in both arms.
        planned_users: Users in both arms at which the sequence is to be tightest (N*).
        alpha: Chance that the sequence ever misses the truth.
    """
    level = -2 * math.log(alpha)
    variance = (level + math.log(level + 1)) / planned_users  # rho squared
    scaled = users * variance + 1
    return std_error * math.sqrt(2 * scaled / (users * variance) * math.log(math.sqrt(scaled) / alpha))


def effect_interval(
    champion: ArmStatistics, candidate: ArmStatistics, *, planned_users: int, alpha: float
) -> Interval | None:
    """The effect and its always-valid interval; None before each arm has two users."""
    if champion.mean is None or candidate.mean is None or champion.variance is None or candidate.variance is None:
        return None
    effect = candidate.mean - champion.mean
    std_error = math.sqrt(champion.variance / champion.users + candidate.variance / candidate.users)
    width = half_width(std_error, champion.users + candidate.users, planned_users=planned_users, alpha=alpha)
    return Interval(effect=effect, lower=effect - width, upper=effect + width)


def sample_ratio_log_evidence(counts: Sequence[int], shares_0_1: Sequence[float]) -> float:
    """Natural logarithm of the evidence that units are not split as planned (a Bayes factor, Dirichlet-multinomial).

    Under the planned split the chance that it ever exceeds -ln(alpha) is at most alpha, at any number of looks.

    Args:
        counts: Units seen in each arm.
        shares_0_1: Planned share of each arm; they sum to 1.
    """
    if any(count and not share for count, share in zip(counts, shares_0_1, strict=True)):
        return math.inf
    evidence = math.lgamma(_CONCENTRATION) - math.lgamma(_CONCENTRATION + sum(counts))
    for count, share in zip(counts, shares_0_1, strict=True):
        if share:
            prior = _CONCENTRATION * share
            evidence += math.lgamma(prior + count) - math.lgamma(prior) - count * math.log(share)
    return evidence
