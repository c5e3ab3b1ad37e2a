"""A long series in few points that look the same: largest triangle, three buckets (Steinarsson 2013)."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import pairwise

FEWEST_POINTS = 3  # both ends and one bucket between them


@dataclass(frozen=True, kw_only=True)
class Point:
    """One figure of a run.

    Attributes:
        step: Optimizer steps done.
        at: When it was recorded.
    """

    step: int
    value: float
    at: datetime


def downsample(points: Sequence[Point], most: int) -> tuple[Point, ...]:
    """At most so many of the points, in their order, both ends among them.

    Of each bucket stays the point that spans the largest triangle with the point kept before it and the mean of the
    next bucket: peaks stay. Steinarsson, S. (2013): Downsampling Time Series for Visual Representation, section 4.2.

    Args:
        points: Finite values in the order of their steps.
        most: At least `FEWEST_POINTS`.
    """
    if len(points) <= most:
        return tuple(points)
    buckets = [points[:1], *_buckets(points[1:-1], most - 2), points[-1:]]
    kept = [points[0]]
    for bucket, following in pairwise(buckets[1:]):
        kept.append(_farthest(bucket, before=kept[-1], following=following))
    return (*kept, points[-1])


def _buckets(points: Sequence[Point], count: int) -> list[Sequence[Point]]:
    """Parts of nearly equal length; none is empty as long as there are `count` points."""
    edges = [len(points) * number // count for number in range(count + 1)]
    return [points[low:high] for low, high in pairwise(edges)]


def _farthest(bucket: Sequence[Point], *, before: Point, following: Sequence[Point]) -> Point:
    """The point of a bucket that spans the largest triangle; the earliest of equal ones."""
    mean_step = sum(point.step for point in following) / len(following)
    mean_value = sum(point.value for point in following) / len(following)
    run, rise = mean_step - before.step, mean_value - before.value
    return max(bucket, key=lambda point: abs(run * (point.value - before.value) - rise * (point.step - before.step)))
