"""Every shape in which people keep training data becomes the same sample, or is refused with field and reason."""

import json

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sample_reader import SampleReader

from dataset_svc.domain.samples import Sample, encode
from dataset_svc.domain.sources.bad_records import BadLine
from dataset_svc.domain.sources.lines import Line
from dataset_svc.domain.sources.reading import ReadingRules

ASK, TELL = {"role": "user", "content": "disk full"}, {"role": "assistant", "content": "alert"}
SYSTEM = {"role": "system", "content": "be brief"}
CALL = {"type": "function", "function": {"name": "look", "arguments": '{"at":"disk"}'}}
JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)
NAMES = st.sampled_from(
    ["messages", "conversations", "instruction", "input", "output", "prompt", "completion", "chosen", "rejected", "label",
     "kto_tag", "tools", "metadata", "category", "group", "system", "history", "role", "content", "from", "value",
     "tool_calls", "images", "weight_0_1", "rating_ids", "sample_id"]
)  # fmt: skip


def read(record: object) -> Sample | BadLine:
    return SampleReader(ReadingRules(task_id="logs")).read(Line(number=1, content=json.dumps(record).encode()))


def a_sample_of(record: object) -> Sample:
    sample = read(record)
    assert isinstance(sample, Sample), sample
    return sample


def said(sample: Sample) -> list[dict[str, str]]:
    return [{"role": turn.role, "content": turn.content} for turn in sample.messages]


@pytest.mark.parametrize(
    ("record", "turns"),
    [
        ({"messages": [ASK, TELL]}, [ASK, TELL]),
        ({"messages": json.dumps([ASK, TELL])}, [ASK, TELL]),
        ({"messages": [{"role": "user", "content": [{"type": "text", "text": "disk "}, "full"]}, TELL]}, [ASK, TELL]),
        ({"conversations": [{"from": "human", "value": "disk full"}, {"from": "gpt", "value": "alert"}]}, [ASK, TELL]),
        ({"conversations": [{"from": "human", "value": "disk full"}, {"from": "gpt", "value": "alert"}], "system": "be brief"}, [SYSTEM, ASK, TELL]),
        ({"messages": [SYSTEM, ASK, TELL], "system": "another"}, [SYSTEM, ASK, TELL]),
        ({"instruction": "disk full", "input": "", "output": "alert"}, [ASK, TELL]),
        ({"instruction": "disk", "input": "full", "output": "alert"}, [{"role": "user", "content": "disk\nfull"}, TELL]),
        ({"instruction": "disk", "context": "full", "response": "alert"}, [{"role": "user", "content": "disk\nfull"}, TELL]),
        ({"instruction": "why", "output": "old", "history": [["disk full", "alert"]]}, [ASK, TELL, {"role": "user", "content": "why"}, {"role": "assistant", "content": "old"}]),
        ({"prompt": "disk full", "completion": "alert"}, [ASK, TELL]),
        ({"prompt": [SYSTEM, ASK], "completion": [TELL]}, [SYSTEM, ASK, TELL]),
        ({"question": "disk full", "answer": "alert"}, [ASK, TELL]),
        ({"question": "1+1", "answer": 2}, [{"role": "user", "content": "1+1"}, {"role": "assistant", "content": "2"}]),
        ({"query": "disk full", "response": "alert", "system": "be brief"}, [SYSTEM, ASK, TELL]),
    ],
)  # fmt: skip
def test_a_known_shape_becomes_a_conversation(record: object, turns: list[dict[str, str]]) -> None:
    sample = a_sample_of(record)
    assert said(sample) == turns
    assert sample.input == [turn for turn in turns if turn["role"] == "user"][-1]["content"]
    assert (sample.rejected, sample.thumb, sample.tools) == (None, None, None)


@pytest.mark.parametrize(
    "record",
    [
        {"prompt": "disk full", "chosen": "alert", "rejected": "fine"},
        {"instruction": "disk full", "input": "", "chosen": "alert", "rejected": "fine"},
        {"messages": [ASK], "chosen": TELL, "rejected": {"role": "assistant", "content": "fine"}},
        {"conversations": [{"from": "human", "value": "disk full"}], "chosen": {"from": "gpt", "value": "alert"}, "rejected": {"from": "gpt", "value": "fine"}},
        {"chosen": [ASK, TELL], "rejected": [ASK, {"role": "assistant", "content": "fine"}]},
        {"prompt": "disk full", "chosen": [ASK, TELL], "rejected": [ASK, {"role": "assistant", "content": "fine"}]},
        {"prompt": [ASK], "chosen": [TELL], "rejected": [{"role": "assistant", "content": "fine"}]},
    ],
)  # fmt: skip
def test_a_preference_pair_keeps_both_answers(record: object) -> None:
    sample = a_sample_of(record)
    assert (said(sample), sample.rejected) == ([ASK, TELL], "fine")


@pytest.mark.parametrize(
    ("fields", "thumb"),
    [({"label": True}, True), ({"kto_tag": False}, False), ({"thumb": "False"}, False), ({"kto_tag": 1}, True),
     ({"label": "true"}, True), ({"label": "sports"}, None), ({"label": 1}, None)],
)  # fmt: skip
def test_a_thumb_is_kept_and_a_class_label_is_none(fields: dict[str, object], *, thumb: bool | None) -> None:
    for shape in ({"messages": [ASK, TELL]}, {"prompt": "disk full", "completion": "alert"}):
        assert a_sample_of(shape | fields).thumb is thumb


def test_tool_calls_and_results_are_kept_whoever_wrote_them() -> None:
    result = {"role": "tool", "content": "98 %"}
    openai = a_sample_of({"messages": [ASK, {"role": "assistant", "content": None, "tool_calls": [CALL]}, result, TELL], "tools": [{"name": "look"}]})  # fmt: skip
    sharegpt = a_sample_of({"conversations": [{"from": "human", "value": "disk full"}, {"from": "function_call", "value": '{"name": "look", "arguments": {"at": "disk"}}'}, {"from": "observation", "value": "98 %"}, {"from": "gpt", "value": "alert"}], "tools": '[{"name": "look"}]'})  # fmt: skip
    for sample in (openai, sharegpt):
        assert [turn.role for turn in sample.messages] == ["user", "assistant", "tool", "assistant"]
        assert json.loads(sample.messages[1].tool_calls or "") == [CALL]
        assert sample.tools == '[{"name":"look"}]'
    assert openai.messages[1].content == openai.messages[1].tool_calls


def test_metadata_is_flat_and_small_and_gives_category_and_group() -> None:
    metadata = {"category": "disk", "group": 7, "nested": {"a": [1]}, "long": "x" * 5000, "big": 2**70, "ok": True}
    for extra in ({}, {"tools": []}):  # the short and the long way of reading
        sample = a_sample_of({"messages": [ASK, TELL], "metadata": metadata | {f"k{n}": n for n in range(100)}} | extra)
        assert (sample.category, sample.group) == ("disk", "7")
        assert sample.metadata is not None
        assert len(sample.metadata) == 50
        assert (sample.metadata["nested"], sample.metadata["long"], sample.metadata["big"], sample.metadata["ok"]) == ('{"a":[1]}', "x" * 1000, str(2**70), True)  # fmt: skip


def test_what_is_not_set_is_not_written() -> None:
    sample = a_sample_of({"sample_id": "s1", "messages": [ASK, TELL]})
    assert encode(sample) == (
        b'{"sample_id":"s1","task_id":"logs","input":"disk full","messages":[{"role":"user","content":"disk full"},'
        b'{"role":"assistant","content":"alert"}],"source":"upload","inference_id":null,"rating_ids":[],'
        b'"unit_hash":null,"weight_0_1":1.0}\n'
    )


def test_the_name_of_a_nameless_row_has_not_changed() -> None:
    row = {"messages": [{"role": "user", "content": "disk full"}, {"role": "assistant", "content": "alert"}]}
    assert a_sample_of(row).sample_id == "row-370a81d2649058fcd0167a473c45e611"


@pytest.mark.parametrize(
    ("record", "field", "reason"),
    [
        ({"text": "only text"}, "line", None),
        ({"instruction": "why", "output": ""}, "output", "the answer is empty"),
        ({"prompt": "why", "completion": {"no": 1}}, "completion.role", "missing"),
        ({"messages": "no json"}, "messages", "not JSON"),
        ({"messages": [ASK, "alert"]}, "messages[1]", "not a message"),
        ({"messages": [{"content": "x"}, TELL]}, "messages[0].role", "missing"),
        ({"messages": [{"role": "user", "content": [{"type": "image_url"}]}, TELL]}, "messages[0].content[0]", "only text can be learned"),
        ({"messages": [ASK, TELL], "images": ["a.png"]}, "images", "only text can be learned"),
        ({"messages": [ASK, TELL], "tools": "look"}, "tools", "not JSON"),
        ({"messages": [ASK, TELL], "kto_tag": "maybe"}, "kto_tag", "neither true nor false"),
        ({"messages": [ASK, TELL], "metadata": [1]}, "metadata", "not an object"),
        ({"messages": [ASK, TELL], "group": {"a": 1}}, "group", "neither text nor a whole number"),
        ({"prompt": "why", "chosen": "a"}, "rejected", "missing"),
        ({"prompt": "why", "chosen": "a", "rejected": "a"}, "rejected", "the same as chosen"),
        ({"messages": [ASK, TELL], "chosen": "a", "rejected": "b"}, "messages", "an answer stands before the chosen one"),
        ({"conversations": [{"from": "human", "value": "x"}, {"from": "function_call", "value": "{}"}, {"from": "gpt", "value": "x"}]}, "conversations[1].value", "not the call of a tool"),
        ({"instruction": "x", "output": "y", "history": [["a"]]}, "history[0]", "not a pair of question and answer"),
    ],
)  # fmt: skip
def test_a_record_that_does_not_fit_its_shape_is_refused_where_it_is_wrong(record: object, field: str, reason: str | None) -> None:  # fmt: skip
    bad = read(record)
    assert isinstance(bad, BadLine)
    assert bad.field == field
    assert reason in {None, bad.reason}


@given(st.dictionaries(NAMES, JSON_VALUES | st.lists(st.dictionaries(NAMES, JSON_VALUES, max_size=3), max_size=3)))
def test_any_json_under_any_known_name_is_a_sample_or_a_reason(record: dict[str, object]) -> None:
    outcome = read(record)
    if isinstance(outcome, Sample):
        assert msgspec.json.decode(encode(outcome), type=Sample) == outcome
    else:
        assert outcome.field
        assert outcome.reason
