"""Whether a difference wears off or grows as users get used to what they see.

Source: Sadeghi et al.: Novelty and primacy, a long-term estimator for online experiments. arXiv 2102.12893
(difference in differences over days since exposure).
"""

import math
from collections.abc import Sequence

from scipy import stats

from feedback_svc.domain.statistics.arms import ArmEpoch
from feedback_svc.domain.statistics.estimators import Difference, combined, plain_difference
from feedback_svc.domain.statistics.moments import MeanMoments
from feedback_svc.domain.statistics.results import NoveltyResult

EARLY_DAYS = 3  # since a user's exposure; whatever is later counts as late


def novelty(champion: Sequence[ArmEpoch], candidate: Sequence[ArmEpoch]) -> NoveltyResult | None:
    """Late difference minus early difference; None before both can be told.

    Both are taken as independent, though the same users may be in both: users who like one thing more often than
    another make the true spread smaller, so this errs on the quiet side.
    """
    early, late = (_difference(champion, candidate, part) for part in (slice(0, EARLY_DAYS), slice(EARLY_DAYS, None)))
    if early is None or late is None:
        return None
    change = float(late.effect) - float(early.effect)
    error = math.sqrt(float(early.variance) + float(late.variance))
    p = 2 * float(stats.norm.sf(abs(change) / error)) if error else 1.0
    return NoveltyResult(early=float(early.effect), late=float(late.effect), change=change, p=p)


def _difference(champion: Sequence[ArmEpoch], candidate: Sequence[ArmEpoch], days: slice) -> Difference | None:
    sides = [(_sum(one.by_day[days]), _sum(other.by_day[days])) for one, other in zip(champion, candidate, strict=True)]
    parts = [part for part in (plain_difference(*side) for side in sides) if part is not None]
    return combined(parts) if parts else None


def _sum(days: Sequence[MeanMoments]) -> MeanMoments:
    whole = MeanMoments()
    for day in days:
        whole = whole.plus(day)
    return whole
