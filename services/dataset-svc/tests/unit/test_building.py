"""Whole builds: what goes in, what comes out, and what may never happen between versions."""

import hashlib
import json
import pickle
import random
from collections.abc import Callable, Iterable, Sequence
from itertools import product

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dataset_svc.domain import building
from dataset_svc.domain.building import Memory, Recipe, VersionBuilder
from dataset_svc.domain.built import Built, BuiltRow, BuiltSplit
from dataset_svc.domain.kept_lines import Lines, LinesInMemory
from dataset_svc.domain.likeness.clusters import RememberedQuestion
from dataset_svc.domain.preparing import PreparationRules, Preparer
from dataset_svc.domain.report import Check
from dataset_svc.domain.samples import SplitName
from dataset_svc.domain.sources.lines import LineCutter
from dataset_svc.domain.sources.reading import ReadingRules
from dataset_svc.domain.statistics.builder import StatisticsBuilder
from dataset_svc.domain.statistics.portions import Gather, Portion, measure_portion, measured_here
from loopwright.contracts.tasks import DataPolicy, MaskingMode

LineBuilder = Callable[..., bytes]
KEPT = LinesInMemory()
HELD_OUT, VALIDATION, TRAIN = SplitName.HELD_OUT, SplitName.VALIDATION, SplitName.TRAIN
MESSAGES = (
    "instruction cache parity error corrected",
    "data TLB error interrupt at {:#010x}",
    "ciod: failed to read message prefix on control stream (CioStream socket to node {})",
    "generating core.{}",
    "{} ddr error(s) detected and corrected on rank 0, symbol {}, bit 5",
)


def build(
    lines: Sequence[bytes], memory: Memory | None = None, *, gather: Gather = measured_here, **policy: object
) -> Built:
    recipe = Recipe(
        request_id="q1",
        dataset_name="log-anomaly",
        reading=ReadingRules(task_id="log-anomaly"),
        policy=DataPolicy(**({"min_samples": 1} | policy)),
        expected_lines=len(lines),
    )
    builder = VersionBuilder(recipe, memory or Memory(), KEPT, gather=gather)
    preparer = Preparer(PreparationRules(reading=recipe.reading, policy=recipe.policy))
    cutter = LineCutter(max_line_bytes=10_000)
    for line in lines:
        builder.add(preparer.prepare(list(cutter.feed(line)), KEPT))
    builder.add(preparer.prepare(list(cutter.finish()), KEPT))
    return builder.finish()


def content_of(split: BuiltSplit) -> bytes:
    return b"".join(split.lines(KEPT))


def contents_of(built: Built) -> dict[SplitName, bytes]:
    return {name: content_of(split) for name, split in built.splits.items()}


def rows_of(built: Built) -> dict[SplitName, list[BuiltRow]]:
    return {name: list(split.rows()) for name, split in built.splits.items()}


def memory_after(*builds: Built, erased: frozenset[str] = frozenset()) -> Memory:
    questions: dict[str, SplitName] = {}
    groups: dict[str, SplitName] = {}
    for built in builds:
        for name, split in built.splits.items():
            questions |= dict.fromkeys((row.question for row in split.rows()), name)
            groups |= dict.fromkeys((row.group_sha256 for row in split.rows() if row.group_sha256 is not None), name)
    remembered = tuple(RememberedQuestion(text=text, split=name) for text, name in questions.items())
    return Memory(erased_units=erased, questions=remembered, groups=groups)


def questions_in(built: Built, *names: SplitName) -> set[str]:
    return {row.question for name in names for row in built.splits[name].rows()}


def log_lines(a_line: LineBuilder, seed: int, count: int) -> list[bytes]:
    """Lines shaped like a supercomputer's log, in families that differ in node and numbers."""
    rng = random.Random(seed)
    lines = []
    for place in range(count):
        message = rng.choice(MESSAGES).format(rng.randrange(4000), rng.randrange(40))
        node = f"R{rng.randrange(4):02}-M{rng.randrange(2)}-N{rng.randrange(3):X}-C:J{rng.randrange(4):02}-U11"
        answer = rng.choice(["alert", "normal"]) if rng.random() < 0.1 else "normal"
        unit = f"u{rng.randrange(9)}"
        lines.append(a_line(f"{node} {message}", answer, sample_id=f"s{seed}-{place}", unit_hash=unit))
    return lines


def plain_jaccard(one: str, other: str) -> float:
    first, second = (
        {text[place : place + 5] for place in range(max(1, len(text) - 4))} for text in (one.lower(), other.lower())
    )
    return len(first & second) / len(first | second)


def test_lines_of_a_part_hold_everything_that_the_export_said_and_say_it_masked(a_line: LineBuilder) -> None:
    built = build(
        [a_line("call 010-1234-5678 about node R02", sample_id="s1")], held_out_share_0_1=0, validation_share_0_1=0
    )
    assert json.loads(content_of(built.splits[TRAIN])) == {
        "sample_id": "s1",
        "task_id": "log-anomaly",
        "input": "call [전화번호] about node R02",
        "messages": [
            {"role": "system", "content": "Say whether this line is an alert."},
            {"role": "user", "content": "Line: call [전화번호] about node R02"},
            {"role": "assistant", "content": "alert"},
        ],
        "source": "rating",
        "inference_id": "i1",
        "rating_ids": ["r1"],
        "unit_hash": "u1",
        "weight_0_1": 1.0,
    }
    assert built.report.personal_data_found == {"phone": 1}
    assert built.report.samples_with_personal_data == 1


def test_provenance_names_the_line_and_its_hash(a_line: LineBuilder) -> None:
    built = build(log_lines(a_line, 1, 50))
    for split in built.splits.values():
        lines = list(split.lines(KEPT))
        rows = list(split.rows())
        assert [row.position for row in rows] == list(range(len(lines)))
        assert [row.content_sha256 for row in rows] == [hashlib.sha256(line).hexdigest() for line in lines]
        assert [row.sample_id for row in rows] == [json.loads(line)["sample_id"] for line in lines]


def test_origins_name_the_lines_and_the_kinds_that_were_masked_whatever_the_batch(a_line: LineBuilder) -> None:
    asked = ("disk full", "mail kim@example.com", "boot done", "call 010-1234-5678 or mail lee@example.com")
    built = build([a_line(text, sample_id=f"s{number}") for number, text in enumerate(asked)])
    told = sorted((one.sample_id, one.source_line, one.masked_kinds) for one in built.origins)
    assert told == [("s0", 1, ()), ("s1", 2, ("email",)), ("s2", 3, ()), ("s3", 4, ("email", "phone"))]


@pytest.mark.parametrize(
    ("mode", "kept", "shown"),
    [(MaskingMode.DROP, 1, False), (MaskingMode.REPORT, 2, True), (MaskingMode.MASK, 2, False)],
)
def test_the_policy_says_what_becomes_of_personal_data(
    a_line: LineBuilder, mode: MaskingMode, kept: int, *, shown: bool
) -> None:
    lines = [a_line("mail kim@example.com", sample_id="s1"), a_line("disk full", sample_id="s2")]
    built = build(lines, masking=mode, held_out_share_0_1=0, validation_share_0_1=0)
    content = content_of(built.splits[TRAIN])
    assert content.count(b"\n") == kept
    assert (b"kim@example.com" in content) is shown
    assert built.report.personal_data_found == {"email": 1}
    [check] = [one for one in built.report.checks if one.check is Check.PERSONAL_DATA]
    assert (check.passed, check.dropped) == (kept, 2 - kept)
    assert check.reasons == ({} if kept == 2 else {"holds email": 1})


def test_bad_lines_are_reported_and_stop_nothing(a_line: LineBuilder) -> None:
    lines = [
        b"not json\n",
        a_line("disk full", sample_id="s1"),
        b"\n",
        b'{"messages": 5}\n',
        a_line("boot done", sample_id="s2"),
    ]
    built = build(lines, held_out_share_0_1=0, validation_share_0_1=0)
    assert [(bad.line, bad.field) for bad in built.report.bad_lines] == [(1, "line"), (4, "messages")]
    assert (built.report.lines, built.report.kept, built.report.quality_score_0_1) == (4, 2, 0.5)
    assert built.report.rejected_because == ()


def test_erased_people_are_left_out(a_line: LineBuilder) -> None:
    lines = [
        a_line("disk full", sample_id="s1", unit_hash="gone"),
        a_line("boot done", sample_id="s2", unit_hash="here"),
    ]
    built = build(lines, Memory(erased_units=frozenset({"gone"})))
    assert questions_in(built, *SplitName) == {"boot done"}
    assert built.report.checks[1].reasons == {"the person's data was erased": 1}


def test_the_checks_of_the_report_add_up(a_line: LineBuilder) -> None:
    lines = [*log_lines(a_line, 3, 200), b"x\n", a_line("mail kim@example.com", sample_id="e", unit_hash="gone")]
    report = build(lines, Memory(erased_units=frozenset({"gone"})), near_duplicate_threshold_0_1=0.7).report
    assert [outcome.check for outcome in report.checks] == list(Check)
    left = report.lines
    for outcome in report.checks:
        assert outcome.dropped == sum(outcome.reasons.values())
        left -= outcome.dropped
        assert outcome.passed == left
    assert left == report.kept == sum(report.splits.samples.values())
    dropped_for_others = sum(outcome.dropped for outcome in report.checks[3:])
    assert len(report.duplicates) == dropped_for_others > 20


def test_too_few_training_samples_are_a_reason_with_figures(a_line: LineBuilder) -> None:
    built = build([a_line("disk full", sample_id="s1")], min_samples=2, held_out_share_0_1=0, validation_share_0_1=0)
    assert built.report.rejected_because == ("1 clean training samples, and the task's policy wants at least 2",)


@pytest.mark.parametrize(("lines", "count"), [([b"x\n", b"{}\n"], 2), ([], 0), ([b"\n \n"], 0)])
def test_nothing_readable_is_a_reason(lines: list[bytes], count: int) -> None:
    built = build(lines)
    assert built.report.rejected_because == (f"none of the {count} lines could be read as a sample",)


@given(st.integers(0, 1000), st.randoms(use_true_random=False))
@settings(max_examples=8, deadline=None)
def test_the_same_samples_give_the_same_bytes_in_any_order(a_line: LineBuilder, seed: int, rng: random.Random) -> None:
    lines = log_lines(a_line, seed, 60)
    shuffled = lines[:]
    rng.shuffle(shuffled)
    one, again, other = build(lines), build(lines), build(shuffled)
    assert one.report.model_dump_json() == again.report.model_dump_json()
    assert rows_of(one) == rows_of(again) == rows_of(other)
    assert contents_of(one) == contents_of(again) == contents_of(other)


@given(st.lists(st.integers(0, 10_000), min_size=2, max_size=4, unique=True), st.sampled_from([0.6, 0.8, 0.9]))
@settings(max_examples=8, deadline=None)
def test_what_was_held_out_once_never_trains_again_nor_does_its_like(
    a_line: LineBuilder, seeds: list[int], threshold: float
) -> None:
    builds: list[Built] = []
    lines: list[bytes] = []
    for seed in seeds:  # every version sees the samples of those before, and more
        lines += log_lines(a_line, seed, 40)
        builds.append(build(lines, memory_after(*builds), near_duplicate_threshold_0_1=threshold))
    held_out = set[str]().union(*(questions_in(built, HELD_OUT) for built in builds))
    for built in builds:
        kept_out = questions_in(built, HELD_OUT, VALIDATION)
        for trained, other in product(questions_in(built, TRAIN), kept_out):
            assert plain_jaccard(trained, other) < threshold
    newest = builds[-1]
    for trained, other in product(questions_in(newest, TRAIN), held_out):
        assert plain_jaccard(trained, other) < threshold
    assert questions_in(builds[0], HELD_OUT) & questions_in(newest, *SplitName) <= questions_in(newest, HELD_OUT)


def test_a_new_version_leaves_questions_where_they_were(a_line: LineBuilder) -> None:
    first = build(log_lines(a_line, 1, 150))
    second = build(log_lines(a_line, 1, 150) + log_lines(a_line, 2, 150), memory_after(first))
    for name in SplitName:
        assert questions_in(first, name) & questions_in(second, *SplitName) <= questions_in(second, name)
    assert second.report.splits.remembered_samples >= 100


def unlike_lines(a_line: LineBuilder, numbers: range, **changes: str) -> list[bytes]:
    return [
        a_line(f"why {hashlib.sha256(str(number).encode()).hexdigest()}", sample_id=f"n{number}", **changes)
        for number in numbers
    ]


def side_of(built: Built, group: str) -> set[SplitName]:
    return {name for name, split in built.splits.items() if group in split.of(split.candidates.groups)}


def test_a_user_or_document_stays_on_its_side_with_questions_that_nobody_asked_before(a_line: LineBuilder) -> None:
    groups = [f"user {number}" for number in range(30)]

    def lines(first: int) -> list[bytes]:
        return [
            line
            for place, group in enumerate(groups)
            for line in unlike_lines(a_line, range(first + 3 * place, first + 3 * place + 3), group=group)
        ]

    first = build(lines(0))
    later = build(lines(1000), memory_after(first))
    forgetful = build(lines(1000))
    before = [side_of(first, group) for group in groups]
    assert {name for sides in before for name in sides} == set(SplitName)
    assert [side_of(later, group) for group in groups] == before
    assert [side_of(forgetful, group) for group in groups] != before
    assert later.report.splits.remembered_samples == 90


def test_every_category_is_held_out_at_its_share(a_line: LineBuilder) -> None:
    lines = [
        *unlike_lines(a_line, range(80), category="common"),
        *unlike_lines(a_line, range(80, 90), category="rare"),
        *unlike_lines(a_line, range(90, 100)),
    ]
    built = build(lines)
    part = built.splits[HELD_OUT]
    held_out = part.of(part.candidates.categories)
    assert [held_out.count(name) for name in ("common", "rare", None)] == [16, 2, 2]
    assert built.report.splits.strata == 3


def test_a_new_split_holds_out_more_and_never_less(a_line: LineBuilder) -> None:
    lines = unlike_lines(a_line, range(100))
    first = build(lines)
    remembered = memory_after(first)
    for share, held_out in ((0.4, 40), (0.1, 20)):
        memory = Memory(questions=remembered.questions, binding=frozenset({HELD_OUT}))
        anew = build(lines, memory, held_out_share_0_1=share, validation_share_0_1=0.3)
        assert questions_in(first, HELD_OUT) <= questions_in(anew, HELD_OUT)
        assert [len(questions_in(anew, name)) for name in (HELD_OUT, VALIDATION)] == [held_out, 30]
        assert questions_in(anew, *SplitName) == questions_in(first, *SplitName)


@pytest.mark.parametrize("seed", range(5))
def test_250_log_lines_starve_no_part(a_line: LineBuilder, seed: int) -> None:
    report = build(log_lines(a_line, seed, 250)).report
    sizes = report.splits.samples
    assert sizes[HELD_OUT] >= 0.1 * report.kept
    assert sizes[VALIDATION] >= 0.05 * report.kept
    assert sizes[TRAIN] >= 0.5 * report.kept


def test_what_lowers_scores_is_counted_in_the_samples_that_stay(a_line: LineBuilder) -> None:
    lines = [
        a_line("why did it stop", "the same words the same words the same words the same words", sample_id="a"),
        a_line("why did it stop", "the same words the same words the same words the same words", sample_id="copy"),
        a_line("what is wrong here", "The disk is full and holds no more.", sample_id="b"),
    ]
    assert build(lines).report.flaws["diversity.repeated-phrases"] == 1


def test_statistics_do_not_depend_on_who_measures_which_portion(
    a_line: LineBuilder, monkeypatch: pytest.MonkeyPatch
) -> None:
    def elsewhere(portions: Iterable[Portion], kept: Lines) -> Iterable[StatisticsBuilder]:
        measured = [measure_portion(pickle.loads(pickle.dumps(portion)), kept) for portion in portions]
        assert len(measured) > 10
        return [pickle.loads(pickle.dumps(one)) for one in reversed(measured)]

    lines = log_lines(a_line, 3, 120)
    whole = build(lines).statistics
    monkeypatch.setattr(building, "_STRETCH_BYTES", 2_000)
    assert build(lines, gather=elsewhere).statistics == whole
