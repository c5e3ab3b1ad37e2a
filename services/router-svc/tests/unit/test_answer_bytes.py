"""Our id goes in and every other byte stays; the copy says what was answered."""

import itertools
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from router_svc.domain.answers import read_answer
from router_svc.domain.shapes import Answer
from router_svc.domain.splicing import StreamSplicer, with_id

BODY = (
    b'{"id":"chatcmpl-1","object":"chat.completion","choices":[{"index":0,"message":{"role":"assistant",'
    b'"content":"\\"id\\":\\"x\\" {"},"finish_reason":"stop"}],"usage":{"prompt_tokens":7,"completion_tokens":3}}'
)


def event(content: str, **fields: object) -> bytes:
    choice = {"index": 0, "delta": {"content": content}, **fields}
    return b"data: " + json.dumps({"id": "chatcmpl-1", "choices": [choice]}).encode() + b"\n\n"


USAGE = b'data: {"id":"chatcmpl-1","choices":[],"usage":{"prompt_tokens":7,"completion_tokens":2}}\n\n'
STREAM = event("hel") + b": a comment\n\n" + event("lo", finish_reason="stop") + USAGE + b"data: [DONE]\n\n"


def test_a_body_changes_in_its_id_only() -> None:
    assert with_id(BODY, "inf_a") == BODY.replace(b'"chatcmpl-1"', b'"inf_a"')


def test_an_id_is_found_wherever_it_stands() -> None:
    body = b' {"object": "x", "choices": [{"id": "inner"}], "id": "outer"}'
    assert json.loads(with_id(body, "inf_a")) == {"object": "x", "choices": [{"id": "inner"}], "id": "inf_a"}


@pytest.mark.parametrize("body", [b'{"error": {"message": "no"}}', b"not json", b"", b"[1]", b'{"id": "cut'])
def test_a_body_without_an_id_stays_as_it_is(body: bytes) -> None:
    assert with_id(body, "inf_a") == body


def passed(stream: bytes, cuts: list[int], *, drop_usage: bool) -> bytes:
    splicer = StreamSplicer("inf_a", drop_usage=drop_usage)
    places = [0, *sorted(cut % (len(stream) + 1) for cut in cuts), len(stream)]
    pieces = [splicer.feed(stream[start:end]) for start, end in itertools.pairwise(places)]
    assert not any(b"[DONE]" in piece for piece in pieces)
    return b"".join(pieces) + splicer.finish()


@given(cuts=st.lists(st.integers(min_value=0)))
def test_a_stream_changes_in_its_ids_only_however_it_is_cut(cuts: list[int]) -> None:
    assert passed(STREAM, cuts, drop_usage=False) == STREAM.replace(b"chatcmpl-1", b"inf_a")


@given(cuts=st.lists(st.integers(min_value=0)))
def test_token_counts_that_only_we_asked_for_are_left_out(cuts: list[int]) -> None:
    expected = STREAM.replace(USAGE, b"").replace(b"chatcmpl-1", b"inf_a")
    # an empty line of the chunk that is left out may stay behind; it means nothing in server-sent events
    events = [part.strip() for part in passed(STREAM, cuts, drop_usage=True).split(b"\n\n") if part.strip()]
    assert events == [part for part in expected.split(b"\n\n") if part]


def test_windows_line_ends_and_tight_prefixes_stay() -> None:
    stream = b'data:{"id":"a"}\r\n\r\ndata: [DONE]\r\n\r\n'
    assert passed(stream, [], drop_usage=False) == b'data:{"id":"inf_a"}\r\n\r\ndata: [DONE]\r\n\r\n'


def test_the_copy_of_a_body_is_read() -> None:
    expected = Answer(text='"id":"x" {', finish_reason="stop", prompt_tokens=7, completion_tokens=3)
    assert read_answer(BODY, streamed=False) == expected


def test_the_copy_of_a_stream_is_read_also_if_it_broke_off() -> None:
    assert read_answer(STREAM, streamed=True) == Answer(
        text="hello", finish_reason="stop", prompt_tokens=7, completion_tokens=2
    )
    assert read_answer(STREAM[: STREAM.index(b"lo")], streamed=True) == Answer(text="hel")


def test_text_completions_and_first_choices_are_read() -> None:
    body = (
        b'{"choices":[{"index":1,"text":"b","finish_reason":"length"},{"index":0,"text":"a","finish_reason":"stop"}]}'
    )
    assert read_answer(body, streamed=False) == Answer(text="a", finish_reason="stop")


@given(st.binary())
def test_nothing_that_a_server_sends_makes_reading_fail(content: bytes) -> None:
    read_answer(content, streamed=True)
    read_answer(content, streamed=False)
    with_id(content, "inf_a")


@pytest.mark.parametrize(
    "body", [b'{"choices":null}', b'{"usage":{"prompt_tokens":-1}}', b'{"choices":[{"message":{"content":null}}]}']
)
def test_what_a_server_did_not_say_is_none(body: bytes) -> None:
    assert read_answer(body, streamed=False) == Answer()
