"""Statistics equal what a slow count says, in whatever order and however divided the samples come."""

import math
import random
from collections import Counter
from collections.abc import Callable, Sequence
from itertools import pairwise
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dataset_svc.domain.line_cuts import ROLES
from dataset_svc.domain.samples import Sample, SplitName, Turn, encode
from dataset_svc.domain.statistics.builder import StatisticsBuilder
from dataset_svc.domain.statistics.columns import SPLITS, Measured, SampleColumns, columns_of
from dataset_svc.domain.statistics.figures import (
    Distribution,
    LengthPart,
    LengthUnit,
    Statistics,
)
from dataset_svc.domain.statistics.labels import labels_of
from dataset_svc.domain.statistics.tallies import NameTally, Tally
from dataset_svc.domain.statistics.words import WordScanner, cut_words, hashes_of, words_of
from loopwright.contracts.datasets import SampleSource

SampleBuilder = Callable[..., Sample]
SHARED = Path(__file__).parents[4].parent / "shared/data"
ODD_TEXTS = [
    "",
    "...",
    "Hello, WORLD! don't",
    "안녕하세요 서버가 ㅋㅋ 멈춤",
    "É e\u0301 ÀÉ İ ß ΑΣ",
    "😀 𝔘𝔫𝔦 漢字 \U0002f800",
    "[이름]의 번호는 [전화번호]",
    "a\u3000b\u00a0c\x00d\u2028e",
    "१२३ हिन्दी ไทย",
]


def texts(values: Sequence[str | None]) -> pa.LargeStringArray:
    return pa.array(values, pa.large_string())


def batch(rows: Sequence[tuple[str, str, str | None, int]], *, first: int = 0) -> SampleColumns:
    """Rows of question, answer, category and part; everything else follows from these."""
    size = len(rows)
    lengths = np.array([len(question) for question, _, _, _ in rows], dtype=np.int32)
    return SampleColumns(
        sample_ids=texts([f"s{first + place}" for place in range(size)]),
        questions=texts([question for question, _, _, _ in rows]),
        answers=texts([answer for _, answer, _, _ in rows]),
        splits=np.array([part for _, _, _, part in rows], dtype=np.int8),
        sources=texts(["rating" if part else "upload" for _, _, _, part in rows]),
        weights=np.array([(len(answer) % 5) / 4 for _, answer, _, _ in rows], dtype=np.float64),
        categories=texts([category for _, _, category, _ in rows]),
        turns={"user": np.ones(size, dtype=np.int32), "assistant": (lengths % 3 + 1).astype(np.int32)},
        tokens={LengthPart.QUESTION: lengths * 7},
        scores={"length": np.where(lengths % 4 == 0, np.nan, lengths % 11 / 10)},
    )


def columns(*samples: Sample, measured: Measured | None = None) -> SampleColumns:
    """Of held out samples, with another line before each of theirs."""
    lines = [encode(sample) for sample in samples]
    content = b"".join(b"{}\n" + line for line in lines)
    firsts = np.cumsum([3 + len(line) for line in lines]) - [len(line) for line in lines]
    splits = np.full(len(samples), SPLITS.index(SplitName.HELD_OUT), dtype=np.int8)
    return columns_of(content, np.stack([firsts, [len(line) for line in lines]], axis=1), splits, measured)


def gathered(*batches: SampleColumns) -> StatisticsBuilder:
    builder = StatisticsBuilder()
    for one in batches:
        builder.add(one)
    return builder


def length_of(statistics: Statistics, part: LengthPart, unit: LengthUnit) -> Distribution:
    [found] = [length for length in statistics.lengths if (length.part, length.unit) == (part, unit)]
    return found.distribution


ROW = st.tuples(
    st.one_of(st.sampled_from(ODD_TEXTS), st.text(st.characters(exclude_categories=["Cs"]), max_size=60)),
    st.one_of(
        st.sampled_from(["alert", "normal", '{"status":"alert"}', '{"status":"normal"}']), st.text("ab 가", max_size=9)
    ),
    st.one_of(st.none(), st.sampled_from(["배송", "refund", "x"])),
    st.integers(0, 2),
)


@settings(max_examples=30, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.lists(ROW, max_size=40), st.integers(0, 40), st.sampled_from([1, -1]))
def test_any_division_merged_in_any_order_gives_the_statistics_of_the_whole(
    rows: list[tuple[str, str, str | None, int]], cut: int, order: int
) -> None:
    whole = gathered(batch(rows)).finish()
    parts = [gathered(batch(rows[:cut])), gathered(batch(rows[cut:], first=len(rows[:cut])))]
    one, other = parts[::order]
    one.merge(other)
    assert one.finish() == whole
    assert one.finish().model_dump_json() == whole.model_dump_json()


@settings(max_examples=60, deadline=None)
@given(st.lists(st.integers(0, 3_000_000), min_size=1, max_size=200))
def test_distributions_are_exact_below_2048_and_within_a_thousandth_above(values: list[int]) -> None:
    tally = Tally()
    tally.add(np.array(values, dtype=np.int64))
    found = tally.distribution()
    assert found is not None
    ordered = sorted(values)
    assert (found.samples, found.minimum, found.maximum) == (len(values), ordered[0], ordered[-1])
    assert found.total == sum(values)
    assert found.mean == pytest.approx(sum(values) / len(values))
    for percent, told in ((5, found.p5), (50, found.p50), (95, found.p95)):
        true = ordered[math.ceil(percent * len(values) / 100) - 1]
        assert true * 0.999 <= told <= true if true >= 2_048 else told == true


@settings(max_examples=60, deadline=None)
@given(st.lists(st.integers(0, 2_000), min_size=1, max_size=200))
def test_bins_hold_every_sample_once_lie_side_by_side_and_are_few(values: list[int]) -> None:
    tally = Tally()
    tally.add(np.array(values, dtype=np.int64))
    found = tally.distribution()
    assert found is not None
    assert [one.samples for one in found.bins] == [
        sum(one.first <= value <= one.last for value in values) for one in found.bins
    ]
    assert sum(one.samples for one in found.bins) == len(values)
    assert all(before.last + 1 == after.first for before, after in pairwise(found.bins))
    assert len(found.bins) <= 23


def test_scores_are_in_twenty_bins_and_what_is_no_number_was_not_measured() -> None:
    tally = Tally(scale=1_000)
    tally.add_shares(np.array([0.0, 0.05, 0.999, 1.0, math.nan, 0.3333]))
    found = tally.distribution()
    assert found is not None
    assert found.samples == 5
    assert [one.samples for one in found.bins] == [1, 1, 0, 0, 0, 0, 1, *[0] * 12, 2]
    assert (found.bins[0].first, found.bins[-1].last) == (0, 1)
    assert found.p50 == 0.333


@pytest.mark.parametrize("text", ODD_TEXTS)
def test_characters_and_words_are_those_that_python_counts(text: str) -> None:
    sizes = WordScanner().scan(texts([text, text + " x"]))
    assert sizes.characters.tolist() == [len(text), len(text) + 2]
    (words,) = words_of([text])
    assert sizes.words.tolist() == [len(words), len(words) + 1]


@given(st.lists(st.text(st.characters(exclude_categories=["Cs"])) | st.sampled_from(ODD_TEXTS), min_size=1, max_size=5))
def test_words_are_cut_with_equal_hashes_where_they_are_equal_in_lower_case(rows: list[str]) -> None:
    cuts = cut_words(texts(["left out", *rows])[1:])
    said = [bytes(cuts.content[first:last]).decode() for first, last in cuts.places.tolist()]
    folded = ["".join(next(words_of([word]))) for word in said]
    assert folded == [word for words in words_of(rows) for word in (*words, "")]
    assert (
        len(set(zip(folded, cuts.hashes.tolist(), strict=True))) == len(set(folded)) == len(set(cuts.hashes.tolist()))
    )


def test_words_are_letters_digits_and_marks_in_lower_case() -> None:
    assert list(words_of(["Don't STOP: node-7,\n서버가 É!", "", "[이름]의 हिन्दी", "\U00020000\u4e00 𝔘"])) == [
        ["don", "t", "stop", "node", "7", "서버가", "é"],
        [],
        ["이름", "의", "हिन्दी"],
        ["\U00020000\u4e00", "𝔘"],
    ]


@settings(max_examples=40, deadline=None)
@given(
    st.lists(st.text(st.characters(exclude_categories=["Cs"]), max_size=80), min_size=6, max_size=30), st.integers(0, 5)
)
def test_the_kernel_cuts_words_as_python_does(rows: list[str], skipped: int) -> None:
    scanner = WordScanner()
    sizes = scanner.scan(texts(rows)[skipped:])
    cut = list(words_of(rows[skipped:]))
    assert sizes.words.tolist() == [len(words) for words in cut]
    assert scanner.distinct() == (len(set().union(*cut)), 0.0)


def test_many_words_are_estimated_within_three_standard_errors_and_alike_in_any_order() -> None:
    words = [f"w{number}" for number in range(30_000)]
    rows = [" ".join(words[start : start + 100]) for start in range(0, 30_000, 50)]
    one, other, third = (WordScanner(limit=1_000) for _ in range(3))
    one.scan(texts(rows))
    other.scan(texts(rows[300:]))
    third.scan(texts(rows[:300]))
    other.merge(third)
    distinct, error = one.distinct()
    assert error == pytest.approx(1_000**-0.5, abs=1e-6)
    assert abs(distinct - 30_000) < 3 * error * 30_000
    assert other.distinct() == (distinct, error)


def test_many_names_are_sampled_alike_in_any_order_and_their_counts_stay_exact() -> None:
    names = [f"category {number % 500}" for number in range(2_000)]
    random.Random(5).shuffle(names)
    splits = np.zeros(2_000, dtype=np.int8)
    whole, one, other = (NameTally(limit=100) for _ in range(3))
    whole.add(texts(names), splits)
    one.add(texts(names[1_200:]), splits[1_200:])
    other.add(texts(names[:1_200]), splits[:1_200])
    one.merge(other)
    found = whole.breakdown()
    assert one.breakdown() == found
    assert not found.all_followed
    assert {named.samples for named in found.shown} == {4}
    assert found.other_samples + sum(named.samples for named in found.shown) == 2_000
    assert found.distinct == pytest.approx(500, rel=0.3)


def test_breakdowns_count_by_part_and_know_the_unnamed() -> None:
    rows = [
        ("q", "a", "배송", 0),
        ("q", "a", "배송", 2),
        ("q", "a", None, 0),
        ("q", "a", "x", 1),
        ("q", "a", "y" * 500, 1),
    ]
    found = gathered(batch(rows)).finish().categories
    assert [(named.name, named.samples) for named in found.shown] == [("배송", 2), ("x", 1), ("y" * 200, 1)]
    assert found.shown[0].by_split == {SplitName.TRAIN: 1, SplitName.VALIDATION: 0, SplitName.HELD_OUT: 1}
    assert (found.unnamed_samples, found.distinct, found.other_samples, found.all_followed) == (1, 3, 0, True)


class TestLabels:
    def test_short_answers_and_fields_of_json_are_labels(self) -> None:
        assert labels_of(" alert\n") == [("answer", "alert")]
        answer = '{"status": "alert", "sure": true, "level": 3, "why": null, "p": 0.5, "parts": ["x"]}'
        assert labels_of(answer) == [("status", "alert"), ("sure", "true"), ("level", "3")]
        assert labels_of("two\nlines") == []
        assert labels_of("x" * 41) == []
        assert labels_of("") == []
        assert labels_of("{no json") == [("answer", "{no json")]
        assert labels_of('{"a":' * 900) == []

    def test_class_balance_is_told_by_field_and_part(self) -> None:
        rows = [("q", '{"status":"alert"}', None, 0)] * 2 + [("q", '{ "status" : "normal" }', None, 2)] * 6
        [field] = gathered(batch(rows)).finish().labels
        assert (field.field, field.labels.distinct) == ("status", 2)
        assert [(named.name, named.samples) for named in field.labels.shown] == [("normal", 6), ("alert", 2)]
        assert field.labels.shown[0].by_split[SplitName.HELD_OUT] == 6
        assert field.balance_0_1 == pytest.approx(0.811278, abs=1e-6)  # entropy of 1/4 in bits

    def test_answers_that_are_all_different_are_no_classes(self) -> None:
        rows = [("q", f"answer {place}", None, 0) for place in range(30)]
        assert gathered(batch(rows)).finish().labels == ()


def test_terms_are_counted_within_texts_without_numbers() -> None:
    rows = [("서버 다운 42", "Restart the 서버", None, 0), ("서버 다운", "서버", None, 1)]
    vocabulary = gathered(batch(rows)).finish().vocabulary
    assert [(term.text, term.count) for term in vocabulary.frequent_words] == [
        ("서버", 4), ("다운", 2), ("restart", 1), ("the", 1),
    ]  # fmt: skip
    assert {term.text: term.count for term in vocabulary.frequent_pairs} == {
        "서버 다운": 2, "restart the": 1, "the 서버": 1,
    }  # fmt: skip
    assert (vocabulary.words, vocabulary.distinct_words, vocabulary.counted_samples) == (9, 5, 2)


def test_terms_of_many_samples_come_from_a_sample_of_them() -> None:
    rows = [("alpha beta", "gamma" if place % 2 else "delta", None, 0) for place in range(6_000)]
    whole = gathered(batch(rows)).finish()
    parts = gathered(batch(rows[4_500:], first=4_500), batch(rows[:4_500])).finish()
    assert parts.vocabulary == whole.vocabulary
    assert whole.vocabulary.counted_samples == 5_000
    counts = {term.text: term.count for term in whole.vocabulary.frequent_words}
    assert counts["alpha"] == 5_000
    assert counts["gamma"] == pytest.approx(2_500, abs=150)


def test_only_the_beginning_of_a_long_text_is_searched_for_terms() -> None:
    rows = [("가" * 999 + " end " + "x " * 5_000, "a", None, 0)]
    statistics = gathered(batch(rows)).finish()
    assert "end" not in {term.text for term in statistics.vocabulary.frequent_words}
    assert statistics.vocabulary.words == 5_003


@pytest.mark.parametrize(
    "said", [*ODD_TEXTS, 'a "quoted" \\ word', "two\nlines\tand \x7f \x01", "\\u0041", "</script>"]
)
@pytest.mark.parametrize("before", [(), ("system",), ("user", "assistant"), ("tool",)])
def test_columns_hold_the_texts_of_lines_as_samples_say_them(
    a_sample: SampleBuilder, said: str, before: tuple[str, ...]
) -> None:
    turns = (*(Turn(role, f"{said}!") for role in before), Turn("user", said), Turn("assistant", f"{said}?"))
    sample = a_sample(said, f"{said}?", messages=turns)
    assert_columns_say(sample, a_sample("next", "one"))


def assert_columns_say(*samples: Sample) -> None:
    told = columns(*samples)
    assert told.questions.to_pylist() == [sample.question for sample in samples]
    assert told.answers.to_pylist() == [sample.answer for sample in samples]
    assert told.sample_ids.to_pylist() == [sample.sample_id for sample in samples]
    assert told.sources.to_pylist() == [sample.source.value for sample in samples]
    assert told.weights.tolist() == [sample.weight_0_1 for sample in samples]
    roles = sorted({turn.role for sample in samples for turn in sample.messages})
    assert {role: turns.tolist() for role, turns in told.turns.items()} == {
        role: [sum(turn.role == role for turn in sample.messages) for sample in samples] for role in roles
    }


_said = st.text(st.characters(exclude_categories=["Cs"]), max_size=80)
_samples = st.builds(
    Sample,
    sample_id=_said,
    task_id=_said,
    input=_said,
    messages=st.builds(
        lambda turns, answer: (*turns, Turn("assistant", answer)),
        st.lists(st.builds(Turn, st.sampled_from(ROLES), _said, st.none() | _said), max_size=5),
        _said,
    ),
    source=st.sampled_from(SampleSource),
    inference_id=st.none() | _said,
    rating_ids=st.lists(_said, max_size=3).map(tuple),
    unit_hash=st.none() | _said,
    weight_0_1=st.floats(0, 1),
    tools=st.none() | _said,
    rejected=st.none() | _said,
    metadata=st.none() | st.dictionaries(_said, _said | st.integers() | st.none(), max_size=2),
    category=st.none() | _said,
)


@given(st.lists(_samples, min_size=1, max_size=3))
def test_columns_hold_what_samples_say_whatever_it_is(samples: list[Sample]) -> None:
    assert_columns_say(*samples)


def test_a_role_that_no_record_may_have_is_a_mistake(a_sample: SampleBuilder) -> None:
    with pytest.raises(ValueError, match="role"):
        columns(a_sample("q", "a", messages=(Turn("user", "q"), Turn("users", "a"))))


def test_samples_become_columns_with_their_roles_and_measures(a_sample: SampleBuilder) -> None:
    turns = (Turn("system", "s"), Turn("user", "a"), Turn("assistant", "b"), Turn("user", "c"), Turn("assistant", "d"))
    samples = [a_sample("disk", "alert"), a_sample("c", "d", messages=turns, weight_0_1=0.25)]
    measured = Measured(languages=texts(["en", None]), tokens={LengthPart.ANSWER: np.array([2, 3], dtype=np.int32)})
    builder = gathered(columns(*samples, measured=measured))
    builder.note(duplicates={"near": 2}, personal_data={"email": 1})
    builder.note(duplicates={"near": 1, "exact": 4})
    statistics = builder.finish()
    assert statistics.splits == {SplitName.TRAIN: 0, SplitName.VALIDATION: 0, SplitName.HELD_OUT: 2}
    assert {role.role: (role.turns, role.samples) for role in statistics.roles} == {
        "assistant": (3, 2), "system": (1, 1), "user": (3, 2),
    }  # fmt: skip
    turns_found = length_of(statistics, LengthPart.CONVERSATION, LengthUnit.TURNS)
    assert (turns_found.minimum, turns_found.maximum, turns_found.total) == (2, 5, 7)
    assert length_of(statistics, LengthPart.ANSWER, LengthUnit.TOKENS).total == 5
    assert statistics.languages.unnamed_samples == 1
    assert statistics.categories.unnamed_samples == 2
    assert statistics.weights is not None
    assert statistics.weights.mean == 0.625
    assert (statistics.duplicates, statistics.personal_data) == ({"exact": 4, "near": 3}, {"email": 1})


def test_columns_that_are_not_equally_long_are_a_mistake() -> None:
    with pytest.raises(ValueError, match="equally long"):
        SampleColumns(
            sample_ids=texts(["a"]),
            questions=texts(["q", "q"]),
            answers=texts(["a"]),
            splits=np.zeros(1, dtype=np.int8),
            sources=texts(["upload"]),
            weights=np.ones(1),
        )


def test_no_samples_have_statistics_too() -> None:
    statistics = gathered(batch([])).finish()
    assert statistics == StatisticsBuilder().finish()
    assert (statistics.samples, statistics.lengths, statistics.weights) == (0, (), None)


def test_hashes_depend_on_every_byte_and_on_nothing_else() -> None:
    rows = ["s1", "s2", "1s", "", "s1"]
    hashes = hashes_of(texts(["left out", *rows])[1:])
    assert hashes.tolist() == hashes_of(texts(rows)).tolist()
    assert len(set(hashes.tolist())) == 4


def test_real_log_lines_are_counted_as_a_slow_count_says() -> None:
    path = SHARED / "loghub/BGL_2k.log"
    if not path.is_file():
        pytest.skip("the shared logs are not beside the project")
    lines = path.read_text(errors="replace").splitlines()
    statistics = gathered(batch([(line, "normal", None, 0) for line in lines])).finish()
    found = length_of(statistics, LengthPart.QUESTION, LengthUnit.CHARACTERS)
    assert found.total == sum(map(len, lines))
    assert found.p50 == sorted(map(len, lines))[len(lines) // 2 - 1]
    words = Counter(word for cut in words_of(lines) for word in cut)
    assert statistics.vocabulary.distinct_words == len(words) + 1  # and "normal"
    told = {term.text: term.count for term in statistics.vocabulary.frequent_words}
    assert {word: words[word] for word in told if word != "normal"} == {
        word: number for word, number in told.items() if word != "normal"
    }
