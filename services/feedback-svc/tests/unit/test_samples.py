"""What an inference teaches."""

from datetime import UTC, datetime, timedelta

import pytest

from feedback_svc.domain.ratings import Criteria, Rating
from feedback_svc.domain.samples import (
    Change,
    Draft,
    Sample,
    SampleState,
    draft_sample,
    sample_id_of,
    settle,
)
from loopwright.contracts.datasets import SampleSource
from loopwright.contracts.tasks import MetricKind, SuccessMetric

CRITERIA = Criteria(success=SuccessMetric(name="stars", kind=MetricKind.STARS), min_stars=4)
NOON = datetime(2026, 11, 21, 12, tzinfo=UTC)


def said(
    rating_id: str, value: float | None = None, *, by: str = "u1", metric: str = "stars", right: str | None = None,
    minute: int = 0,
) -> Rating:  # fmt: skip
    return Rating(
        rating_id=rating_id, inference_id="i1", task_id="t1", experiment_id=None, variant_id="m:1", unit_hash="u1",
        rater_hash=by, metric=metric, value=value, comment=None, correction=right,
        rated_at=NOON + timedelta(minutes=minute),
    )  # fmt: skip


def draft(*ratings: Rating, answer: str | None = "A") -> Draft | None:
    return draft_sample(answer, ratings, CRITERIA)


class TestDraft:
    @pytest.mark.parametrize("rating", [said("r1", 4), said("r1", 5), said("r1", 1, metric="thumb")])
    def test_learns_an_endorsed_answer(self, rating: Rating) -> None:
        assert draft(rating) == Draft(answer="A", source=SampleSource.RATING, rating_ids=("r1",), weight_0_1=1.0)

    @pytest.mark.parametrize("rating", [said("r1", 3.5), said("r1", 0, metric="thumb"), said("r1", 5, metric="speed")])
    def test_learns_nothing_from_an_answer_that_nobody_endorsed(self, rating: Rating) -> None:
        assert draft(rating) is None

    def test_learns_nothing_from_stars_when_there_was_no_answer(self) -> None:
        assert draft(said("r1", 5), answer=None) is None

    def test_a_correction_is_learned_even_without_an_answer(self) -> None:
        learned = draft(said("r1", 1, right="B"), answer=None)
        assert learned == Draft(answer="B", source=SampleSource.CORRECTION, rating_ids=("r1",), weight_0_1=1.0)

    def test_a_correction_goes_before_the_stars_of_others(self) -> None:
        learned = draft(said("r1", 1, right="B"), said("r2", 5, by="u2"), said("r3", 5, by="u3"))
        assert learned is not None
        assert learned.answer == "B"

    def test_the_latest_correction_wins_and_names_all_who_agree(self) -> None:
        learned = draft(
            said("r1", 1, right="B", by="u1", minute=3), said("r2", 1, right="C", by="u2", minute=1),
            said("r3", 1, right="B", by="u3", minute=2),
        )  # fmt: skip
        assert learned is not None
        assert (learned.answer, learned.rating_ids) == ("B", ("r1", "r3"))

    def test_a_rater_who_endorses_later_takes_the_correction_back(self) -> None:
        learned = draft(said("r1", right="B"), said("r2", 5, minute=1))
        assert learned is not None
        assert learned.source is SampleSource.RATING

    def test_a_rater_who_objects_again_keeps_the_correction(self) -> None:
        learned = draft(said("r1", right="B"), said("r2", 1, minute=1))
        assert learned is not None
        assert learned.answer == "B"

    def test_a_correction_of_json_is_spelt_as_the_answer_was(self) -> None:
        loose, tight = '{ "status": "경보", "n": [1, 2] }', '{"status":"경보","n":[1,2]}'
        corrected = draft(
            said("r1", right=loose), said("r2", by="u2", right=tight, minute=1), answer='{"status":"normal"}'
        )
        assert corrected is not None
        assert (corrected.answer, corrected.rating_ids) == (tight, ("r1", "r2"))

    @pytest.mark.parametrize(
        ("answer", "right"),
        [
            ('{"a": 1}', '{"a": 2}'),
            ("A", '{"a": 2}'),
            (None, '{"a": 2}'),
            ('{"a":1}', "no { JSON"),
            ('{"a":1}', "[1, 2]"),
        ],
    )
    def test_other_corrections_stay_as_they_were_written(self, answer: str | None, right: str) -> None:
        corrected = draft(said("r1", right=right), answer=answer)
        assert corrected is not None
        assert corrected.answer == right

    def test_an_empty_correction_is_none(self) -> None:
        assert draft(said("r1", 1, right="  ")) is None

    def test_weighs_by_the_share_of_raters_who_endorse(self) -> None:
        learned = draft(said("r1", 5), said("r2", 5, by="u2"), said("r3", 1, by="u3"))
        assert learned is not None
        assert learned.weight_0_1 == pytest.approx(2 / 3)
        assert learned.rating_ids == ("r1", "r2")

    def test_does_not_learn_what_as_many_raters_refuse(self) -> None:
        assert draft(said("r1", 5), said("r2", 1, by="u2")) is None


def a_sample(answer: str, state: SampleState, *, rating_ids: tuple[str, ...] = ("r1",)) -> Sample:
    taught = Draft(answer=answer, source=SampleSource.RATING, rating_ids=rating_ids, weight_0_1=1.0)
    return Sample(sample_id=sample_id_of("i1", answer), inference_id="i1", state=state, draft=taught)


READY, GONE, SENT = SampleState.READY, SampleState.WITHDRAWN, SampleState.EXPORTED


class TestSettle:
    def test_saves_the_first_sample(self) -> None:
        wanted = a_sample("A", READY).draft
        assert settle(wanted, []) == Change(save=wanted)

    def test_leaves_an_equal_sample_alone(self) -> None:
        assert settle(a_sample("A", READY).draft, [a_sample("A", READY)]) == Change()

    def test_withdraws_what_is_no_longer_taught(self) -> None:
        assert settle(None, [a_sample("A", READY)]) == Change(withdraw=sample_id_of("i1", "A"))

    def test_brings_a_withdrawn_sample_back(self) -> None:
        wanted = a_sample("A", READY).draft
        assert settle(wanted, [a_sample("A", GONE)]) == Change(save=wanted)

    def test_a_new_answer_takes_the_place_of_a_ready_one(self) -> None:
        wanted = a_sample("B", READY).draft
        assert settle(wanted, [a_sample("A", READY)]) == Change(withdraw=sample_id_of("i1", "A"), save=wanted)

    def test_new_provenance_updates_the_sample_in_place(self) -> None:
        wanted = a_sample("A", READY, rating_ids=("r1", "r2")).draft
        assert settle(wanted, [a_sample("A", READY)]) == Change(save=wanted)

    @pytest.mark.parametrize("wanted", [None, a_sample("A", READY, rating_ids=("r9",)).draft])
    def test_never_touches_an_exported_sample(self, wanted: Draft | None) -> None:
        assert settle(wanted, [a_sample("A", SENT)]) == Change()

    def test_another_answer_after_the_export_is_a_sample_of_its_own(self) -> None:
        wanted = a_sample("B", READY).draft
        assert settle(wanted, [a_sample("A", SENT)]) == Change(save=wanted)

    def test_returning_to_the_exported_answer_withdraws_the_newer_one(self) -> None:
        samples = [a_sample("A", SENT), a_sample("B", READY)]
        assert settle(a_sample("A", READY).draft, samples) == Change(withdraw=sample_id_of("i1", "B"))
