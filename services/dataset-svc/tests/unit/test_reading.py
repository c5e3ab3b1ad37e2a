"""A line becomes a sample, or a reason that names line and field and quotes nothing."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sample_reader import SampleReader

from dataset_svc.domain.samples import Sample
from dataset_svc.domain.sources.bad_records import BadLine
from dataset_svc.domain.sources.lines import Line
from dataset_svc.domain.sources.reading import ReadingRules
from loopwright.contracts.datasets import SampleSource

UNKNOWN_SHAPE = (
    "of no known shape: messages, conversations, instruction and output, prompt and completion, or chosen and rejected"
)
QUESTION, ANSWER = {"role": "user", "content": "disk full"}, {"role": "assistant", "content": "alert"}


def read(*lines: object, source: SampleSource | None = None) -> list[Sample | BadLine]:
    reader = SampleReader(ReadingRules(task_id="logs", source=source))
    contents = [line if isinstance(line, bytes) else json.dumps(line).encode() for line in lines]
    return [reader.read(Line(number=number, content=content)) for number, content in enumerate(contents, start=1)]


def an_export_line(**changes: object) -> dict[str, object]:
    line = {
        "sample_id": "s1", "task_id": "logs", "input": "disk full", "messages": [QUESTION, ANSWER], "source": "rating",
        "inference_id": "i1", "rating_ids": ["r1", "r2"], "unit_hash": "u1", "weight_0_1": 0.5,
    }  # fmt: skip
    return line | changes


def test_an_export_line_keeps_all_its_fields() -> None:
    [sample] = read(an_export_line())
    assert isinstance(sample, Sample)
    assert (sample.sample_id, sample.task_id, sample.input) == ("s1", "logs", "disk full")
    assert (sample.source, sample.inference_id, sample.rating_ids) == (SampleSource.RATING, "i1", ("r1", "r2"))
    assert (sample.unit_hash, sample.weight_0_1, sample.answer) == ("u1", 0.5, "alert")


def test_a_bare_chat_row_is_a_sample_named_by_its_content() -> None:
    first, again, other = read({"messages": [QUESTION, ANSWER]}, {"messages": [QUESTION, ANSWER]}, {"messages": [ANSWER, QUESTION, ANSWER]})  # fmt: skip
    assert isinstance(first, Sample)
    assert isinstance(again, Sample)
    assert isinstance(other, Sample)
    assert first.input == "disk full"
    assert again.sample_id == f"{first.sample_id}-2"
    assert other.sample_id not in {first.sample_id, again.sample_id}


def test_an_upload_says_that_it_is_one_whatever_its_lines_say() -> None:
    [sample] = read(an_export_line(), source=SampleSource.UPLOAD)
    assert isinstance(sample, Sample)
    assert sample.source is SampleSource.UPLOAD


@pytest.mark.parametrize(
    ("line", "field", "reason"),
    [
        (b"{", "line", "not JSON"),
        (b'{"messages": [] } x', "line", "not JSON"),
        (b'{"messages": [{"role": "user", "content": "\xff"}]}', "line", "not UTF-8"),
        (b'{"messages": [{"role": "user", "content": "\\ud800"}]}', "line", "not JSON"),
        (b'{"messages": [], "more": ' + b"[" * 100_000, "line", "nested too deeply"),
        (b"[]", "line", "not a JSON object"),
        ({}, "line", UNKNOWN_SHAPE),
        ({"messages": [{"role": "user"}]}, "messages[0].content", "missing"),
        ({"messages": [{"role": "user", "content": 5}]}, "messages[0].content", "not text"),
        (an_export_line(messages=[]), "messages", "the last turn is not the assistant's answer"),
        (an_export_line(messages=[QUESTION]), "messages", "the last turn is not the assistant's answer"),
        (an_export_line(messages=[ANSWER]), "messages", "no user turn before the answer"),
        (
            an_export_line(messages=[QUESTION, {"role": "assistant", "content": " "}]),
            "messages[1].content",
            "the answer is empty",
        ),
        (an_export_line(messages=[{"role": "user", "content": "\n"}, ANSWER]), "input", "the input is empty"),
        (an_export_line(input=""), "input", "the input is empty"),
        (
            an_export_line(messages=[{"role": "robot", "content": "x"}, QUESTION, ANSWER]),
            "messages[0].role",
            "not one of system, user, assistant and tool",
        ),
        (an_export_line(task_id="maths"), "task_id", "belongs to another task"),
        (an_export_line(source="010-1234-5678"), "source", "not one of the known values"),
        (an_export_line(weight_0_1=1.5), "weight_0_1", "Expected `float` <= 1.0"),
        (an_export_line(sample_id="s 1\0"), "sample_id", "not an identifier"),
        (an_export_line(rating_ids=["r1", ""]), "rating_ids[1]", "Expected `str` of length >= 1"),
    ],
)  # fmt: skip
def test_a_bad_line_is_reported_with_line_field_and_reason(line: object, field: str, reason: str) -> None:
    good = an_export_line(sample_id="good")
    bad, after = read(line, good)
    assert bad == BadLine(line=1, field=field, reason=reason)
    assert isinstance(after, Sample)


def test_a_line_that_was_too_long_to_keep_is_reported() -> None:
    reader = SampleReader(ReadingRules(task_id="logs"))
    bad = reader.read(Line(number=7, content=None))
    assert bad == BadLine(line=7, field="line", reason="longer than a line may be")


def test_an_id_that_comes_twice_is_reported_with_the_line_that_has_it() -> None:
    _, bad = read(an_export_line(), an_export_line(input="other"))
    assert bad == BadLine(line=2, field="sample_id", reason="already used in line 1")


@given(st.binary(max_size=200))
def test_no_bytes_at_all_stop_the_reader(content: bytes) -> None:
    bad, after = read(content, an_export_line())
    assert isinstance(bad, BadLine)
    assert isinstance(after, Sample)


def test_the_question_leaves_the_system_prompt_out_and_holds_the_turns_before() -> None:
    system = {"role": "system", "content": "be brief"}
    alone, rendered, longer = read(
        {"messages": [system, QUESTION, ANSWER]},
        {"messages": [system, {"role": "user", "content": "Line: disk full"}, ANSWER], "input": "disk full"},
        {"messages": [system, QUESTION, ANSWER, {"role": "user", "content": "why?"}, ANSWER]},
    )
    assert isinstance(alone, Sample)
    assert isinstance(rendered, Sample)
    assert isinstance(longer, Sample)
    assert alone.question == rendered.question == "disk full"
    assert longer.question == "user: disk full\nassistant: alert\nuser: why?"
