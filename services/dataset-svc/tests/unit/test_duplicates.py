"""Which of several samples that say the same stays, and what the report says of the others."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from candidate_rows import all_rows, candidates, ids_of

from dataset_svc.domain.candidates import Candidates, Rows
from dataset_svc.domain.likeness.duplicates import Settled, drop_exact_copies, settle_conflicts
from dataset_svc.domain.report import Check, DroppedDuplicate
from dataset_svc.domain.samples import Sample
from loopwright.contracts.datasets import SampleSource

SampleBuilder = Callable[..., Sample]
Settle = Callable[[Candidates, Rows], Settled]
CORRECTION = SampleSource.CORRECTION


def outcome(settle: Settle, *samples: Sample) -> tuple[set[str], tuple[DroppedDuplicate, ...]]:
    """Ids of those that stay, and what goes."""
    table = candidates(*samples)
    settled = settle(table, all_rows(table))
    assert len(settled.kept) + len(settled.dropped) == len(samples)
    return set(ids_of(table, settled.kept)), settled.dropped


class TestSettleConflicts:
    def test_a_correction_beats_any_weight_of_ratings(self, a_sample: SampleBuilder) -> None:
        rated = [a_sample("q", "alert", sample_id=f"r{place}") for place in range(5)]
        corrected = a_sample("q", "normal", sample_id="c", source=CORRECTION, weight_0_1=0.1)
        kept, dropped = outcome(settle_conflicts, *rated, corrected)
        assert kept == {"c"}
        assert {(drop.dropped, drop.kept, drop.check, drop.why) for drop in dropped} == {
            (sample.sample_id, "c", Check.CONFLICTING_ANSWER, "the other answer is a correction") for sample in rated
        }

    def test_between_ratings_the_heavier_answer_wins(self, a_sample: SampleBuilder) -> None:
        light = a_sample("q", "alert", sample_id="a", weight_0_1=0.4)
        heavy = a_sample("q", "normal", sample_id="b", weight_0_1=0.6)
        kept, dropped = outcome(settle_conflicts, light, heavy)
        assert kept == {"b"}
        assert [drop.why for drop in dropped] == ["the other answer has more weight behind it"]

    def test_weights_of_the_same_answer_add_up(self, a_sample: SampleBuilder) -> None:
        alone = a_sample("q", "alert", sample_id="a", weight_0_1=0.9)
        many = [a_sample("q", "normal", sample_id=f"b{place}", weight_0_1=0.5) for place in range(2)]
        assert outcome(settle_conflicts, alone, *many)[0] == {"b0", "b1"}

    def test_spacing_is_no_other_question_and_case_is(self, a_sample: SampleBuilder) -> None:
        one = a_sample("is  X ok", "yes", sample_id="a")
        spaced = a_sample("is X ok\n", "no", sample_id="b", weight_0_1=0.5)
        cased = a_sample("is x ok", "no", sample_id="c")
        assert outcome(settle_conflicts, one, spaced, cased)[0] == {"a", "c"}


class TestDropExactCopies:
    def test_the_preferred_one_stays_and_the_report_names_it(self, a_sample: SampleBuilder) -> None:
        light = a_sample("q", "a", sample_id="1", weight_0_1=0.5)
        heavy = a_sample("q", " a ", sample_id="2")
        corrected = a_sample("q", "a", sample_id="3", source=CORRECTION, weight_0_1=0.5)
        kept, dropped = outcome(drop_exact_copies, light, heavy, corrected)
        assert kept == {"3"}
        assert [(drop.dropped, drop.kept, drop.check) for drop in dropped] == [
            ("2", "3", Check.EXACT_DUPLICATE),
            ("1", "3", Check.EXACT_DUPLICATE),
        ]

    def test_another_answer_or_question_is_no_copy(self, a_sample: SampleBuilder) -> None:
        samples = (a_sample("q", "a"), a_sample("q", "b"), a_sample("p", "a"))
        assert outcome(drop_exact_copies, *samples)[0] == {sample.sample_id for sample in samples}


def test_an_answer_to_avoid_stays_beside_the_one_to_imitate(a_sample: SampleBuilder) -> None:
    liked, avoided = a_sample("q", "yes", sample_id="a"), a_sample("q", "no", sample_id="b", thumb=False)
    doubted = a_sample("q", "yes", sample_id="c", thumb=False)
    table = candidates(liked, avoided, doubted)
    settled = settle_conflicts(table, all_rows(table))
    assert settled.dropped == ()
    assert sorted(ids_of(table, drop_exact_copies(table, settled.kept).kept)) == ["a", "b", "c"]


@pytest.mark.parametrize(("settle", "answers"), [(settle_conflicts, ("yes", "no")), (drop_exact_copies, ("yes", "yes"))])  # fmt: skip
class TestRows:
    def test_questions_whose_hashes_begin_alike_are_kept_apart(
        self, a_sample: SampleBuilder, settle: Settle, answers: tuple[str, str]
    ) -> None:
        table = candidates(*(a_sample(f"q{place}", answer) for place, answer in enumerate(answers)))
        hashes = table.question_hashes.copy()
        hashes[1, :8] = hashes[0, :8]
        settled = settle(replace(table, question_hashes=hashes), all_rows(table))
        assert (sorted(settled.kept.tolist()), settled.dropped) == ([0, 1], ())

    def test_what_is_not_among_the_rows_counts_for_nothing(
        self, a_sample: SampleBuilder, settle: Settle, answers: tuple[str, str]
    ) -> None:
        better = a_sample("q", answers[0], sample_id="better", source=CORRECTION)
        table = candidates(better, a_sample("p"), a_sample("q", answers[1], sample_id="worse"))
        settled = settle(table, np.array([2, 1]))
        assert (sorted(settled.kept.tolist()), settled.dropped) == ([1, 2], ())
        assert [drop.dropped for drop in settle(table, np.array([2, 0])).dropped] == ["worse"]

    def test_of_no_rows_none_stay(self, a_sample: SampleBuilder, settle: Settle, answers: tuple[str, str]) -> None:
        settled = settle(candidates(a_sample("q", answers[0])), np.zeros(0, dtype=np.int64))
        assert (settled.kept.tolist(), settled.dropped) == ([], ())
