"""Which ratings count, whatever the order they come in."""

import itertools
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from feedback_svc.domain.ratings import Criteria, Opinion, Rating, admit, is_on_scale, opinion_of
from loopwright.contracts.tasks import MetricKind, SuccessMetric

STARS = SuccessMetric(name="stars", kind=MetricKind.STARS)
NOON = datetime(2026, 11, 21, 12, tzinfo=UTC)


def a_rating(rating_id: str = "r1", *, value: float | None = 5, minute: int = 0, **changes: object) -> Rating:
    rating = Rating(
        rating_id=rating_id, inference_id="i1", task_id="t1", experiment_id=None, variant_id="m:1", unit_hash="u1",
        rater_hash="u1", metric="stars", value=value, comment=None, correction=None,
        rated_at=NOON + timedelta(minutes=minute),
    )  # fmt: skip
    return replace(rating, **changes)


def take_all(ratings: list[Rating]) -> list[Rating]:
    standing: list[Rating] = []
    for rating in ratings:
        admission = admit(rating, standing, success=STARS)
        if admission.counts:
            standing = [other for other in standing if other != admission.unseats] + [rating]
    return standing


class TestAdmit:
    def test_counts_the_first_rating(self) -> None:
        admission = admit(a_rating(), [], success=STARS)
        assert (admission.counts, admission.unseats) == (True, None)

    def test_a_later_rating_of_the_same_rater_and_metric_unseats_the_earlier(self) -> None:
        first, second = a_rating("r1", value=5), a_rating("r2", value=1, minute=1)
        admission = admit(second, [first], success=STARS)
        assert (admission.counts, admission.unseats) == (True, first)

    def test_an_earlier_rating_that_comes_late_does_not_count(self) -> None:
        assert not admit(a_rating("r1"), [a_rating("r2", minute=1)], success=STARS).counts

    def test_the_same_rating_again_does_not_count(self) -> None:
        assert not admit(a_rating(), [a_rating()], success=STARS).counts

    @pytest.mark.parametrize("changes", [{"rater_hash": "u2"}, {"metric": "thumb", "value": 1}])
    def test_other_raters_and_metrics_keep_their_own_seat(self, changes: dict[str, object]) -> None:
        admission = admit(a_rating("r2", minute=1, **changes), [a_rating("r1")], success=STARS)
        assert (admission.counts, admission.unseats) == (True, None)

    def test_a_correction_without_a_value_leaves_the_stars_standing(self) -> None:
        correction = a_rating("r2", value=None, correction="right", minute=1)
        assert admit(correction, [a_rating("r1", value=1)], success=STARS).unseats is None

    @pytest.mark.parametrize("value", [0, 5.5, float("nan"), float("inf"), -1])
    def test_a_value_off_the_scale_never_counts(self, value: float) -> None:
        assert not admit(a_rating(value=value), [], success=STARS).counts

    def test_the_standing_set_is_the_same_in_any_order_of_arrival(self) -> None:
        ratings = [
            a_rating("r1", value=1), a_rating("r2", value=5, minute=1), a_rating("r3", value=3, minute=1),
            a_rating("r4", value=None, correction="x", minute=2), a_rating("r5", value=2, rater_hash="u2"),
        ]  # fmt: skip
        outcomes = {frozenset(r.rating_id for r in take_all(list(order))) for order in itertools.permutations(ratings)}
        assert outcomes == {frozenset({"r3", "r4", "r5"})}

    @given(st.permutations([a_rating(f"r{n}", value=1 + n % 5, minute=n // 2) for n in range(6)]), st.data())
    def test_duplicates_change_nothing(self, ratings: list[Rating], data: st.DataObject) -> None:
        again = data.draw(st.lists(st.sampled_from(ratings), max_size=5))
        assert {r.rating_id for r in take_all([*ratings, *again])} == {"r5"}


class TestOpinion:
    @pytest.mark.parametrize(
        ("metric", "value", "opinion"),
        [
            ("stars", 4, Opinion.ENDORSES), ("stars", 3.9, Opinion.OBJECTS), ("thumb", 1, Opinion.ENDORSES),
            ("thumb", 0, Opinion.OBJECTS), ("stars", None, Opinion.SILENT), ("speed", 5, Opinion.SILENT),
        ],
    )  # fmt: skip
    def test_says_what_a_value_means(self, metric: str, value: float | None, opinion: Opinion) -> None:
        assert opinion_of(a_rating(metric=metric, value=value), Criteria(success=STARS, min_stars=4)) is opinion

    def test_a_boolean_success_metric_that_is_better_low_endorses_at_zero(self) -> None:
        wrong = SuccessMetric(name="wrong", kind=MetricKind.BOOLEAN, higher_is_better=False)
        criteria = Criteria(success=wrong, min_stars=4)
        assert opinion_of(a_rating(metric="wrong", value=0), criteria) is Opinion.ENDORSES
        assert opinion_of(a_rating(metric="wrong", value=1), criteria) is Opinion.OBJECTS


@pytest.mark.parametrize(
    ("kind", "good", "bad"),
    [
        (MetricKind.STARS, 4.5, 0.5), (MetricKind.THUMB, 1, 0.5), (MetricKind.BOOLEAN, 0, 2),
        (MetricKind.FLOAT, -17.5, float("nan")), (MetricKind.FLOAT, -1e12, 1e300), (MetricKind.FLOAT, 1e12, -1e13),
    ],
)  # fmt: skip
def test_scales_have_ends(kind: MetricKind, good: float, bad: float) -> None:
    assert is_on_scale(good, kind)
    assert not is_on_scale(bad, kind)
