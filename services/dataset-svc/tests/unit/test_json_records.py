"""Records of a JSON array are found whatever the borders of the chunks, and one damaged record costs itself only."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dataset_svc.domain.sources.json_records import JsonRecordCutter

TEXTS = st.text(alphabet='ab"\\{}[],:\n 한', max_size=8)
VALUES = st.recursive(TEXTS | st.integers(), lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3), max_leaves=5)  # fmt: skip
RECORDS = st.lists(st.dictionaries(TEXTS, VALUES, min_size=1, max_size=4), max_size=6)


def cut(content: bytes, *sizes: int, around: bytes = b"[", longest: int = 10_000) -> list[bytes | None]:
    cutter = JsonRecordCutter(around=around, max_record_bytes=longest)
    found: list[bytes | None] = []
    start = 0
    for size in (*sizes, len(content)):
        found += [line.content for line in cutter.feed(content[start : start + size])]
        start += size
    return found + [line.content for line in cutter.finish()]


@given(RECORDS, st.lists(st.integers(0, 9), max_size=40), st.sampled_from([None, 0, 1, 2]))
def test_an_array_cut_anywhere_gives_the_same_records(records: list[object], sizes: list[int], indent: int | None) -> None:  # fmt: skip
    content = json.dumps(records, indent=indent, ensure_ascii=False).encode()
    assert [json.loads(one or b"") for one in cut(content, *sizes)] == records


@given(RECORDS, st.lists(st.integers(0, 9), max_size=40))
def test_a_wrapped_array_and_bare_objects_give_the_same_records(records: list[object], sizes: list[int]) -> None:
    wrapped = json.dumps({"version": "1", "data": records, "more": [{"a": 1}]}).encode()
    bare = "\n".join(json.dumps(record, indent=2) for record in records).encode()
    assert [json.loads(one or b"") for one in cut(wrapped, *sizes, around=b"{[")] == records
    assert [json.loads(one or b"") for one in cut(bare, *sizes, around=b"")] == records


@given(st.text(alphabet='{}[]",:\\\n a1', max_size=60), st.lists(st.integers(0, 9), max_size=40))
def test_damage_of_any_kind_is_cut_the_same_way_whatever_the_chunks(text: str, sizes: list[int]) -> None:
    for around in (b"[", b"{[", b""):
        assert cut(text.encode(), *sizes, around=around) == cut(text.encode(), around=around)


@pytest.mark.parametrize(
    ("content", "good"),
    [
        (b'[\n{"a": "broken off,\n{"b": 1},\n{"c": 2}\n]', [{"b": 1}, {"c": 2}]),
        (b'[{"a": {"b": 1}, {"c": 2}, {"d": 3}]', [{"c": 2}, {"d": 3}]),
        (b'[{"a": 1}}, {"b": 2}]', [{"a": 1}, {"b": 2}]),
        (b'[\n  {"first": 0},\n  {"a": [1, 2,\n  {"b": 1},\n  {"c": 2}\n]', [{"first": 0}, {"b": 1}, {"c": 2}]),
        (b'[{"a": 1}, 5, null, {"b": 2}]', [{"a": 1}, {"b": 2}]),
        (b'[{"a": 1}, {"b": 2', [{"a": 1}]),
    ],
)
def test_a_damaged_record_costs_itself_only(content: bytes, good: list[object]) -> None:
    found: list[object] = []
    for one in cut(content):
        try:
            value = json.loads(one or b"")
        except json.JSONDecodeError:
            continue
        if isinstance(value, dict):
            found.append(value)
    assert found == good


def test_a_record_that_is_too_long_is_not_kept_and_the_next_one_is_read() -> None:
    content = b'[{"a": "' + b"x" * 500 + b'"}, {"b": 1}]'
    assert cut(content, *[7] * 100, longest=50) == [None, b'{"b": 1}']


@pytest.mark.parametrize("endless", [b'[{"a": "' + b"x" * 100_000, b'[{"' + b"\\\\" * 50_000, b"[" * 100_000, b"x" * 100_000])  # fmt: skip
def test_what_never_ends_is_never_held(endless: bytes) -> None:
    cutter = JsonRecordCutter(around=b"[", max_record_bytes=1000)
    for start in range(0, len(endless), 5000):
        list(cutter.feed(endless[start : start + 5000]))
        assert len(cutter._record) + len(cutter._carry) + len(cutter._tail) + len(cutter._stack) < 5000
