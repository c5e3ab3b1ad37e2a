"""What is left out because it gives a held-out case away, and what a build says of it."""

import hashlib
import random
from collections.abc import Callable, Mapping, Sequence
from itertools import chain

import numpy as np
import pytest
from candidate_rows import all_rows, candidates
from hypothesis import given, settings
from hypothesis import strategies as st

from dataset_svc.domain.building import Memory, Recipe, VersionBuilder
from dataset_svc.domain.built import Built
from dataset_svc.domain.kept_lines import LinesInMemory
from dataset_svc.domain.likeness import held_out
from dataset_svc.domain.likeness.clusters import RememberedQuestion
from dataset_svc.domain.likeness.held_out import (
    Cases,
    CaseVersion,
    Cleaned,
    own_cases,
    versions_compared_with,
    without_giveaways,
)
from dataset_svc.domain.preparing import PreparationRules, Preparer
from dataset_svc.domain.report import Check
from dataset_svc.domain.samples import Sample, SplitName, Turn
from dataset_svc.domain.sources.lines import Line
from dataset_svc.domain.sources.reading import ReadingRules
from loopwright.contracts.tasks import DataPolicy

SampleBuilder = Callable[..., Sample]
Parts = Mapping[SplitName, Sequence[Sample]]
LineBuilder = Callable[..., bytes]
HELD_OUT, VALIDATION, TRAIN = SplitName.HELD_OUT, SplitName.VALIDATION, SplitName.TRAIN
CASE = "the node lost its link after three retries and the job was moved to another rack of the large machine"
OTHER = CaseVersion(dataset_name="field-reports", number=3, version_id="dsv-3")


def unlike(number: int, count: int = 12) -> str:
    """A question like no other."""
    return " ".join(hashlib.sha256(f"{number} {place}".encode()).hexdigest()[:8] for place in range(count))


def cases_of(*questions: str, version: CaseVersion = OTHER) -> Cases:
    return Cases(
        version=version,
        sample_ids=tuple(f"{version.dataset_name}-{n}" for n in range(len(questions))),
        questions=questions,
    )


def clean(parts: Parts, *others: Cases, earlier: Sequence[str] = (), threshold: float = 0.9) -> Cleaned:
    """Rows are the samples of the parts, one after the other."""
    table = candidates(*chain.from_iterable(parts.values()))
    borders = np.cumsum([len(samples) for samples in parts.values()])
    rows = dict.fromkeys(SplitName, all_rows(table)[:0]) | dict(
        zip(parts, np.split(all_rows(table), borders), strict=False)
    )
    sources = [own_cases(table, rows[HELD_OUT], earlier), *others]
    return without_giveaways(table, rows, sources, dataset_name="logs", threshold_0_1=threshold)


def ids_in(parts: Parts, cleaned: Cleaned, name: SplitName) -> list[str]:
    """Samples of a part that are left of those that were in the parts."""
    samples = [*chain.from_iterable(parts.values())]
    return [samples[row].sample_id for row in cleaned.parts[name].tolist()]


@pytest.fixture
def rows(a_sample: SampleBuilder) -> list[Sample]:
    """Enough samples that a passage which two of them hold is not what everybody says."""
    return [a_sample(unlike(number), sample_id=f"r{number:03}") for number in range(150)]


class TestOtherDatasets:
    @pytest.mark.parametrize(
        ("question", "why"),
        [
            (CASE.upper(), "same text"),
            (CASE + "!", "near duplicate"),
            (f"{unlike(500)} {' '.join(CASE.split()[2:15])} {unlike(501)}", "13 words in common"),
        ],
    )
    @pytest.mark.parametrize("part", [TRAIN, VALIDATION])
    def test_a_sample_that_gives_a_case_away_goes_and_the_report_says_why(
        self, a_sample: SampleBuilder, rows: list[Sample], part: SplitName, question: str, why: str
    ) -> None:
        leak = a_sample(question, sample_id="leak")
        parts = {part: [*rows, leak], HELD_OUT: [a_sample(unlike(900), sample_id="own")]}
        cleaned = clean(parts, cases_of(unlike(901), CASE))
        assert ids_in(parts, cleaned, part) == [row.sample_id for row in rows]
        assert ids_in(parts, cleaned, HELD_OUT) == ["own"]
        assert cleaned.reasons == {why: 1}
        [told] = cleaned.contamination.examples
        assert (told.dropped, told.why, told.case) == ("leak", why, "field-reports-1")
        assert (told.dataset_name, told.version, told.version_id) == ("field-reports", 3, "dsv-3")
        assert [(one.dataset_name, one.version, one.cases) for one in cleaned.contamination.sources] == [
            ("logs", None, 1),
            ("field-reports", 3, 2),
        ]

    def test_held_out_samples_of_this_version_stay(self, a_sample: SampleBuilder, rows: list[Sample]) -> None:
        parts = {TRAIN: rows, HELD_OUT: [a_sample(CASE, sample_id="own")]}
        cleaned = clean(parts, cases_of(CASE))
        assert ids_in(parts, cleaned, HELD_OUT) == ["own"]
        assert cleaned.contamination.samples == 0

    def test_the_threshold_is_that_of_the_policy(self, a_sample: SampleBuilder, rows: list[Sample]) -> None:
        short = "disk seven of rack nine is full"  # too short for a passage
        alike = a_sample(short + " now", sample_id="alike")
        assert clean({TRAIN: [*rows, alike]}, cases_of(short), threshold=0.95).reasons == {}
        assert clean({TRAIN: [*rows, alike]}, cases_of(short), threshold=0.7).reasons == {"near duplicate": 1}

    def test_the_system_prompt_and_the_answer_give_nothing_away(self, a_sample: SampleBuilder) -> None:
        turns = (Turn("system", CASE), Turn("user", "disk full"), Turn("assistant", CASE))
        said = a_sample("disk full", sample_id="said", messages=turns)
        assert clean({TRAIN: [said]}, cases_of(CASE)).reasons == {}

    def test_of_several_cases_the_one_that_is_given_away_most_plainly_is_named(
        self, a_sample: SampleBuilder, rows: list[Sample]
    ) -> None:
        third = CaseVersion(dataset_name="third", number=1, version_id="dsv-9")
        leak = a_sample(CASE, sample_id="leak")
        cleaned = clean({TRAIN: [*rows, leak]}, cases_of(CASE + "!"), cases_of(CASE, version=third))
        assert [(one.case, one.why) for one in cleaned.contamination.examples] == [("third-0", "same text")]
        assert cleaned.reasons.total() == cleaned.contamination.samples == 1

    def test_versions_that_gave_no_case_are_not_among_those_compared_with(self) -> None:
        empty = CaseVersion(dataset_name="empty", number=1, version_id="dsv-0")
        own = Cases(version=None, sample_ids=("a",), questions=("b",))
        assert versions_compared_with([own, cases_of("x"), cases_of(version=empty)]) == ("dsv-3",)


class TestOwnCases:
    def test_a_long_passage_of_a_case_of_this_version_is_found(
        self, a_sample: SampleBuilder, rows: list[Sample]
    ) -> None:
        text = " ".join(unlike(number) for number in range(700, 710))
        held = a_sample(f"{text} what is the third number of it", sample_id="held")
        leak = a_sample(f"{text} name the last word and explain at length why it matters so much", sample_id="leak")
        cleaned = clean({TRAIN: [*rows, leak], HELD_OUT: [held]})
        [told] = cleaned.contamination.examples
        assert (told.dropped, told.case, told.why) == ("leak", "held", "13 words in common")
        assert (told.dataset_name, told.version, told.version_id, told.likeness_0_1) == ("logs", None, None, None)

    def test_what_only_earlier_versions_held_out_counts_too(self, a_sample: SampleBuilder, rows: list[Sample]) -> None:
        leak = a_sample(f"{CASE} {unlike(800)}", sample_id="leak")
        held = a_sample("still here", sample_id="held")
        cleaned = clean({TRAIN: [*rows, leak], HELD_OUT: [held]}, earlier=[CASE, "still here"])
        [told] = cleaned.contamination.examples
        assert (told.dropped, told.case, told.dataset_name) == ("leak", None, "logs")
        assert cleaned.contamination.sources[0].cases == 2

    def test_they_come_in_order_of_ids_and_remembered_questions_behind_them(self, a_sample: SampleBuilder) -> None:
        table = candidates(*(a_sample(f"q{name}", sample_id=name) for name in "cab"))
        own = own_cases(table, np.array([0, 2]), ["qz", "qb", "qa"])
        assert (own.sample_ids, own.questions) == (("b", "c", None, None), ("qb", "qc", "qa", "qz"))
        assert (own.version, own.left_out, own.why_left_out) == (None, 0, "")

    @pytest.mark.parametrize("size", [20, 100, 1000])
    def test_words_of_a_template_give_nothing_away(self, a_sample: SampleBuilder, size: int) -> None:
        template = "please read this line of the log and tell me whether somebody must get up tonight: {}"
        filled = [a_sample(template.format(unlike(number, 4)), sample_id=f"t{number}") for number in range(size)]
        cut = size // 5
        assert clean({HELD_OUT: filled[:cut], TRAIN: filled[cut:]}).reasons == {}

    @pytest.mark.parametrize(("holding", "went"), [(3, 3), (4, 0)])
    def test_a_passage_of_more_than_two_in_a_hundred_rows_is_a_template(
        self, a_sample: SampleBuilder, rows: list[Sample], holding: int, went: int
    ) -> None:
        filled = [a_sample(f"{CASE} {unlike(number, 4)}", sample_id=f"t{number}") for number in range(holding)]
        held = a_sample(f"{CASE} {unlike(99, 4)}", sample_id="held")
        assert clean({TRAIN: [*rows, *filled], HELD_OUT: [held]}).reasons.total() == went

    def test_cases_beyond_the_limit_are_counted_with_a_reason(
        self, a_sample: SampleBuilder, rows: list[Sample], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        own = [a_sample(unlike(number), sample_id=f"h{number}") for number in range(500, 510)]
        for limit, value, compared in (("_MOST_CASES", 4, 4), ("_MOST_CHARACTERS", 3 * len(unlike(1)), 3)):
            with monkeypatch.context() as patch:
                patch.setattr(held_out, limit, value)
                [source] = clean({TRAIN: rows, HELD_OUT: own}).contamination.sources
            assert (source.cases, source.left_out_cases) == (compared, 10 - compared)
            assert source.why_left_out


def test_the_report_names_a_thousand_and_counts_all(a_sample: SampleBuilder) -> None:
    leaks = [a_sample(CASE, sample_id=f"s{number:04}") for number in range(1010, 0, -1)]
    found = clean({TRAIN: leaks}, cases_of(CASE)).contamination
    assert (found.samples, len(found.examples), found.examples[0].dropped) == (1010, 1000, "s0001")


def test_the_rest_of_a_part_stays_in_its_order(a_sample: SampleBuilder) -> None:
    parts = {
        TRAIN: [a_sample(text, sample_id=name) for name, text in (("z", "boot"), ("leak", CASE), ("a", "link down"))],
        VALIDATION: [a_sample(CASE, sample_id="other leak"), a_sample("fan", sample_id="b")],
    }
    cleaned = clean(parts, cases_of(CASE))
    assert [ids_in(parts, cleaned, name) for name in (TRAIN, VALIDATION, HELD_OUT)] == [["z", "a"], ["b"], []]
    assert [one.dropped for one in cleaned.contamination.examples] == ["leak", "other leak"]


def build(lines: Sequence[bytes], memory: Memory, **policy: object) -> Built:
    recipe = Recipe(
        request_id="q1",
        dataset_name="log-anomaly",
        reading=ReadingRules(task_id="log-anomaly"),
        policy=DataPolicy(**({"min_samples": 1} | policy)),
        expected_lines=None,
    )
    kept = LinesInMemory()
    builder = VersionBuilder(recipe, memory, kept)
    preparer = Preparer(PreparationRules(reading=recipe.reading, policy=recipe.policy))
    builder.add(
        preparer.prepare([Line(number=at, content=line.strip()) for at, line in enumerate(lines, start=1)], kept)
    )
    return builder.finish()


class TestBuilds:
    @pytest.fixture
    def lines(self, a_line: LineBuilder) -> list[bytes]:
        return [
            *(a_line(unlike(number), sample_id=f"s{number}") for number in range(60)),
            *(a_line(f"{CASE} {number}", f"alert {number}", sample_id=f"leak-{number}") for number in range(3)),
        ]

    def test_what_gives_a_case_away_is_in_no_part_to_learn_from_and_counted_as_a_check(
        self, lines: list[bytes]
    ) -> None:
        policy = {"held_out_share_0_1": 0, "validation_share_0_1": 0}
        before = build(lines, Memory(), **policy)
        built = build(lines, Memory(cases=(cases_of(CASE),)), **policy)
        part = built.splits[TRAIN]
        trained = set(part.of(part.candidates.sample_ids))
        assert trained == {f"s{number}" for number in range(60)}
        *_, check = built.report.checks
        assert (check.check, check.dropped, check.passed) == (
            Check.CONTAMINATION,
            built.report.contamination.samples,
            60,
        )
        assert check.dropped == before.report.kept - 60 > 0
        assert check.reasons == {"near duplicate": check.dropped}
        assert built.report.kept == 60
        assert {one.sample_id for one in built.origins} == trained
        assert built.statistics.samples == 60

    def test_too_little_is_left_where_all_of_it_gives_cases_away(self, lines: list[bytes]) -> None:
        cases = cases_of(*(unlike(number) for number in range(60)), CASE)
        built = build(lines, Memory(cases=(cases,)), held_out_share_0_1=0.1, min_samples=2)
        assert built.report.splits.samples[TRAIN] == 0
        assert built.report.rejected_because == ("0 clean training samples, and the task's policy wants at least 2",)

    def test_held_out_questions_that_are_remembered_are_cases(self, lines: list[bytes]) -> None:
        long = f"{CASE} {unlike(400)}"
        told = [
            build(lines, Memory(questions=(RememberedQuestion(text=long, split=side),))).report.contamination
            for side in (HELD_OUT, TRAIN)
        ]
        assert told[0].sources[0].cases == told[1].sources[0].cases + 1

    @given(st.randoms(use_true_random=False))
    @settings(max_examples=5, deadline=None)
    def test_the_order_of_lines_changes_nothing(self, a_line: LineBuilder, rng: random.Random) -> None:
        texts = [unlike(number, 16) for number in range(60)]
        lines = [a_line(text, sample_id=f"s{number}") for number, text in enumerate(texts[:40])]
        lines += [a_line(f"{one} {unlike(99)}", sample_id=f"p{number}") for number, one in enumerate(texts)]
        shuffled = lines[:]
        rng.shuffle(shuffled)
        one, other = (build(some, Memory(cases=(cases_of(CASE, texts[50]),))) for some in (lines, shuffled))
        assert one.report.contamination == other.report.contamination
        assert one.report.contamination.samples > 3
        rows, others = ([list(split.rows()) for split in built.splits.values()] for built in (one, other))
        assert rows == others
