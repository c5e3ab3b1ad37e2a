"""Grades, and falls of quality."""

import random
import statistics

import pytest

from feedback_svc.domain.quality import Grade, find_drop, grade_of
from loopwright.contracts.tasks import QualityDropPolicy

POLICY = QualityDropPolicy(reference=50)


@pytest.mark.parametrize(
    ("mean", "grade"), [(4.5, "A"), (4.49, "B"), (3.5, "B"), (3.49, "C"), (2.5, "C"), (2.49, "D"), (1, "D")]
)
def test_grades_have_the_floors_that_users_know(mean: float, grade: str) -> None:
    assert grade_of(mean) is Grade(grade)


def stars(chance: random.Random, mean: float, count: int) -> list[float]:
    return [float(min(5, max(1, round(chance.gauss(mean, 1))))) for _ in range(count)]


class TestDrop:
    def test_the_chart_is_that_of_the_textbook(self) -> None:
        """S = max(0, S + z - k): falls of z = 2 add 1.5 each, and the fourth is above 5."""
        reference = [4.0, 5.0] * 25
        mean, deviation = statistics.mean(reference), statistics.stdev(reference)
        low = mean - 2 * deviation
        assert find_drop([*reference, *[low] * 3], POLICY) is None
        drop = find_drop([*reference, mean, mean, *[low] * 4], POLICY)
        assert drop is not None
        assert (drop.after, round(drop.sum, 9), round(drop.recent, 9)) == (4, 6.0, round(low, 9))
        assert (drop.usual, drop.deviation) == (mean, deviation)

    def test_good_ratings_in_between_take_the_sum_back(self) -> None:
        reference = [4.0, 5.0] * 25
        assert find_drop([*reference, *[3.5, 5.0] * 100], POLICY) is None

    def test_finds_a_fall_of_one_star_within_twenty_ratings(self) -> None:
        found = [
            find_drop([*stars(chance, 4, 50), *stars(chance, 3, 20)], POLICY) is not None
            for chance in map(random.Random, range(200))
        ]
        assert sum(found) / len(found) > 0.85

    def test_is_quiet_while_nothing_falls(self) -> None:
        policy = QualityDropPolicy(reference=500)
        found = [
            find_drop([*stars(chance, 4, 500), *stars(chance, 4, 50)], policy) is not None
            for chance in map(random.Random, range(200))
        ]
        assert sum(found) / len(found) < 0.12  # one false alarm in about 930 ratings (ARL of k = 0.5, h = 5)

    def test_one_rating_alone_is_never_a_drop(self) -> None:
        assert find_drop([*[4.0, 5.0] * 25, -1000.0], POLICY) is None

    def test_equal_ratings_have_no_deviation_and_do_no_harm(self) -> None:
        assert find_drop([5.0] * 100, POLICY) is None
        assert find_drop([*[5.0] * 50, *[1.0] * 10], POLICY) is not None
        assert find_drop([5.0] * 50, POLICY) is None
        assert find_drop([], POLICY) is None
