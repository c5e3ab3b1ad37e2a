"""What the first requests after a promotion must not show: errors or slow answers beyond the task's limits."""

from collections.abc import Mapping
from dataclasses import dataclass
from math import sqrt

from loopwright.contracts.tasks import GuardrailPolicy

_Z_ONE_SIDED_95 = 1.6449
_SLOW_SHARE = 0.05  # the limit on the 95th percentile says: at most this share may be slower


@dataclass(frozen=True, kw_only=True)
class Figures:
    """Counts since some moment.

    Attributes:
        answered: Requests that the variant answered.
        failed: Requests that it did not, or not to the end; what a client asked wrongly is neither.
        within_s: Answers of the variant that took at most so many seconds, by that bound; the last bound is infinite.
    """

    answered: int
    failed: int
    within_s: Mapping[float, int]

    def since(self, earlier: "Figures") -> "Figures":
        """What came after an earlier look; counters that were set back count from zero."""
        if self.answered < earlier.answered or self.failed < earlier.failed:
            return self
        within = {bound: count - earlier.within_s.get(bound, 0) for bound, count in self.within_s.items()}
        return Figures(answered=self.answered - earlier.answered, failed=self.failed - earlier.failed, within_s=within)


def why_harmful(policy: GuardrailPolicy, figures: Figures) -> str | None:
    """Why a promotion should be taken back; None while nothing says so with 95% confidence."""
    asked = figures.answered + figures.failed
    if asked < policy.min_requests:
        return None
    if wilson_lower(figures.failed, asked) > policy.max_error_rate_0_1:
        return (
            f"{figures.failed} of {asked} requests failed, which is more than the share of "
            f"{policy.max_error_rate_0_1:g} that is allowed"
        )
    return None if policy.max_p95_s is None else _why_slow(policy.max_p95_s, figures)


def _why_slow(limit_s: float, figures: Figures) -> str | None:
    # between two bounds of the histogram nobody knows: the upper one gives the benefit of the doubt
    bounds = [bound for bound in sorted(figures.within_s) if bound >= limit_s]
    if len(bounds) < 2:
        return None
    total = figures.within_s[bounds[-1]]
    slow = total - figures.within_s[bounds[0]]
    if total == 0 or wilson_lower(slow, total) <= _SLOW_SHARE:
        return None
    return f"{slow} of {total} answers took longer than {bounds[0]:g} s; 95% should take at most {limit_s:g} s"


def wilson_lower(hits: int, trials: int) -> float:
    """Lower end of the one-sided 95% score interval of a share (Wilson 1927).

    Args:
        trials: At least 1.
    """
    share, z2 = hits / trials, _Z_ONE_SIDED_95**2
    centre = share + z2 / (2 * trials)
    margin = _Z_ONE_SIDED_95 * sqrt(share * (1 - share) / trials + z2 / (4 * trials**2))
    lower = (centre - margin) / (1 + z2 / trials)
    return min(share, max(0.0, lower))  # rounding may leave the range by an ulp
