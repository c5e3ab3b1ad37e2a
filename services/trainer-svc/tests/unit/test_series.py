"""Downsampling for charts, against its definition."""

from datetime import UTC, datetime, timedelta
from itertools import pairwise

import hypothesis.strategies as st
import pytest
from hypothesis import given

from trainer_svc.domain.series import Point, downsample

NOON = datetime(2026, 11, 21, 12, tzinfo=UTC)
VALUES = st.lists(st.floats(-1e6, 1e6), max_size=200)
MOST = st.integers(3, 60)


def a_series(values: list[float], *, every: int = 1) -> list[Point]:
    return [
        Point(step=every * number, value=value, at=NOON + timedelta(seconds=number))
        for number, value in enumerate(values)
    ]


def area(first: tuple[float, float], second: tuple[float, float], third: tuple[float, float]) -> float:
    """Of a triangle, by the shoelace formula."""
    (ax, ay), (bx, by), (cx, cy) = first, second, third
    return abs(ax * (by - cy) + bx * (cy - ay) + cx * (ay - by)) / 2


def corner(point: Point) -> tuple[float, float]:
    return point.step, point.value


@given(values=VALUES, most=MOST)
def test_gives_as_many_points_as_wanted_or_all_there_are(values: list[float], most: int) -> None:
    assert len(downsample(a_series(values), most)) == min(len(values), most)


@given(values=VALUES, most=MOST)
def test_invents_nothing_and_keeps_the_order(values: list[float], most: int) -> None:
    series = a_series(values)
    kept = downsample(series, most)
    assert set(kept) <= set(series)
    assert all(first.step < second.step for first, second in pairwise(kept))


@given(values=st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=200), most=MOST)
def test_keeps_both_ends(values: list[float], most: int) -> None:
    series = a_series(values)
    kept = downsample(series, most)
    assert (kept[0], kept[-1]) == (series[0], series[-1])


@given(length=st.integers(20, 400), most=st.integers(3, 15), data=st.data())
def test_keeps_a_single_peak_wherever_it_stands(length: int, most: int, data: st.DataObject) -> None:
    values = [0.0] * length
    peak = data.draw(st.integers(1, length - 2))
    values[peak] = 5.0
    assert 5.0 in [point.value for point in downsample(a_series(values), most)]


@given(values=st.lists(st.floats(-100, 100), min_size=12, max_size=120), buckets=st.integers(1, 10))
def test_each_bucket_gives_the_point_of_its_largest_triangle(values: list[float], buckets: int) -> None:
    series = a_series(values, every=10)
    inner = series[1:-1]
    edges = [len(inner) * number // buckets for number in range(buckets + 1)]
    parts = [*[inner[low:high] for low, high in pairwise(edges)], series[-1:]]

    kept = downsample(series, buckets + 2)

    for place, (bucket, following) in enumerate(pairwise(parts), start=1):
        mean = (
            sum(point.step for point in following) / len(following),
            sum(point.value for point in following) / len(following),
        )
        largest = max(area(corner(kept[place - 1]), corner(point), mean) for point in bucket)
        mine = area(corner(kept[place - 1]), corner(kept[place]), mean)
        assert kept[place] in bucket
        assert mine == pytest.approx(largest, rel=1e-6, abs=1e-6)
