"""Differences within segments of users, pulled towards the common one: most extreme segments are extreme by chance.

Sources: DerSimonian and Laird: Meta-analysis in clinical trials, 1986 (spread between segments); Efron and Morris:
Data analysis using Stein's estimator. JASA 70, 1975 (shrinkage).
"""

from collections.abc import Mapping
from dataclasses import dataclass

from feedback_svc.domain.statistics.arms import ArmEpoch
from feedback_svc.domain.statistics.estimators import difference, sides_of


@dataclass(frozen=True, slots=True, kw_only=True)
class SegmentEffect:
    """One segment: the difference seen, its standard error, and both after shrinkage; informs, never decides."""

    name: str
    users: int
    seen: float
    seen_error: float
    effect: float
    std_error: float


def segment_effects(segments: Mapping[str, tuple[ArmEpoch, ArmEpoch]]) -> tuple[SegmentEffect, ...]:
    """Effects by segment; those with fewer than two users on a side, or without any spread, are left out.

    Args:
        segments: Champion and challenger of each segment, over one epoch or merged ones.
    """
    parts = {
        name: difference(*sides_of(*arms), adjusted=True)
        for name, arms in segments.items()
        if min(arms[0].users, arms[1].users) >= 2
    }
    known = {name: (float(part.effect), float(part.variance)) for name, part in parts.items() if part.variance > 0}
    if not known:
        return ()
    common, between = _between(list(known.values()))
    effects: list[SegmentEffect] = []
    for name, (seen, variance) in known.items():
        trust = between / (between + variance)
        effects.append(
            SegmentEffect(
                name=name,
                users=sum(arm.users for arm in segments[name]),
                seen=seen,
                seen_error=variance**0.5,
                effect=common + trust * (seen - common),
                std_error=(trust * variance) ** 0.5,
            )
        )
    return tuple(effects)


def _between(known: list[tuple[float, float]]) -> tuple[float, float]:
    """The common effect, and the variance of true effects between segments."""
    weights = [1 / variance for _, variance in known]
    common = sum(weight * seen for weight, (seen, _) in zip(weights, known, strict=True)) / sum(weights)
    spread = sum(weight * (seen - common) ** 2 for weight, (seen, _) in zip(weights, known, strict=True))
    scale = sum(weights) - sum(weight**2 for weight in weights) / sum(weights)
    if scale <= 0:
        return common, 0.0
    return common, max(0.0, (spread - (len(known) - 1)) / scale)
