"""Which of several samples that say the same stays, and what the report says of the others."""

from collections.abc import Callable

from dataset_svc.domain.candidates import Candidate
from dataset_svc.domain.likeness.duplicates import drop_exact_copies, settle_conflicts
from dataset_svc.domain.report import Check
from loopwright.contracts.datasets import SampleSource

CandidateBuilder = Callable[..., Candidate]
CORRECTION = SampleSource.CORRECTION


class TestSettleConflicts:
    def test_a_correction_beats_any_weight_of_ratings(self, a_candidate: CandidateBuilder) -> None:
        rated = [a_candidate("q", "alert", sample_id=f"r{place}") for place in range(5)]
        corrected = a_candidate("q", "normal", sample_id="c", source=CORRECTION, weight_0_1=0.1)
        settled = settle_conflicts([*rated, corrected])
        assert settled.kept == (corrected,)
        assert {(drop.dropped, drop.kept, drop.check, drop.why) for drop in settled.dropped} == {
            (sample.sample_id, "c", Check.CONFLICTING_ANSWER, "the other answer is a correction") for sample in rated
        }

    def test_between_ratings_the_heavier_answer_wins(self, a_candidate: CandidateBuilder) -> None:
        light = a_candidate("q", "alert", sample_id="a", weight_0_1=0.4)
        heavy = a_candidate("q", "normal", sample_id="b", weight_0_1=0.6)
        settled = settle_conflicts([light, heavy])
        assert settled.kept == (heavy,)
        assert [drop.why for drop in settled.dropped] == ["the other answer has more weight behind it"]

    def test_weights_of_the_same_answer_add_up(self, a_candidate: CandidateBuilder) -> None:
        alone = a_candidate("q", "alert", sample_id="a", weight_0_1=0.9)
        many = [a_candidate("q", "normal", sample_id=f"b{place}", weight_0_1=0.5) for place in range(2)]
        assert settle_conflicts([alone, *many]).kept == tuple(many)

    def test_spacing_is_no_other_question_and_case_is(self, a_candidate: CandidateBuilder) -> None:
        one = a_candidate("is  X ok", "yes", sample_id="a")
        spaced = a_candidate("is X ok\n", "no", sample_id="b", weight_0_1=0.5)
        cased = a_candidate("is x ok", "no", sample_id="c")
        assert set(settle_conflicts([one, spaced, cased]).kept) == {one, cased}


class TestDropExactCopies:
    def test_the_preferred_one_stays_and_the_report_names_it(self, a_candidate: CandidateBuilder) -> None:
        light = a_candidate("q", "a", sample_id="1", weight_0_1=0.5)
        heavy = a_candidate("q", " a ", sample_id="2")
        corrected = a_candidate("q", "a", sample_id="3", source=CORRECTION, weight_0_1=0.5)
        settled = drop_exact_copies([light, heavy, corrected])
        assert settled.kept == (corrected,)
        assert [(drop.dropped, drop.kept, drop.check) for drop in settled.dropped] == [
            ("2", "3", Check.EXACT_DUPLICATE),
            ("1", "3", Check.EXACT_DUPLICATE),
        ]

    def test_another_answer_or_question_is_no_copy(self, a_candidate: CandidateBuilder) -> None:
        samples = (a_candidate("q", "a"), a_candidate("q", "b"), a_candidate("p", "a"))
        assert set(drop_exact_copies(samples).kept) == set(samples)


def test_an_answer_to_avoid_stays_beside_the_one_to_imitate(a_candidate: CandidateBuilder) -> None:
    liked, avoided = a_candidate("q", "yes", sample_id="a"), a_candidate("q", "no", sample_id="b", thumb=False)
    doubted = a_candidate("q", "yes", sample_id="c", thumb=False)
    settled = settle_conflicts([liked, avoided, doubted])
    assert settled.dropped == ()
    assert set(drop_exact_copies(settled.kept).kept) == {liked, avoided, doubted}
