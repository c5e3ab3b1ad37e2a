"""/v1/responses: the task goes around the input, our id into every event that names one, and the event gets the text."""

import json
from collections.abc import Iterator
from itertools import pairwise

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from loopwright.errors import Invalid
from router_svc.domain.responses_api import (
    ResponseSplicer,
    Surroundings,
    read_response,
    surround,
    with_default,
    with_response_id,
)

FORMAT = b'{"type":"json_schema","json_schema":{"name":"mood","schema":{"type":"object"},"strict":true}}'
TASK = Surroundings(system="Be brief.", template="Log: {input}", response_format=FORMAT)
OURS = "inf_abc"


def fields(**sent: object) -> dict[str, msgspec.Raw]:
    return {name: msgspec.Raw(json.dumps(value).encode()) for name, value in sent.items()}


def plain(asked: dict[str, msgspec.Raw]) -> dict:
    return json.loads(msgspec.json.encode(asked))


class TestTask:
    def test_goes_around_a_bare_text(self) -> None:
        asked = surround(fields(model="mood", input="disk failed"), TASK)
        sent = plain(asked.fields)
        assert (sent["input"], sent["instructions"], sent["store"]) == ("Log: disk failed", "Be brief.", False)
        assert sent["text"]["format"] == {
            "type": "json_schema",
            "name": "mood",
            "schema": {"type": "object"},
            "strict": True,
        }
        assert asked.user_input == "disk failed"
        assert asked.turns == (("system", "Be brief."), ("user", "Log: disk failed"))

    def test_goes_around_the_last_message_of_the_user_and_leaves_pictures_and_calls_alone(self) -> None:
        picture = {"type": "input_image", "image_url": "data:"}
        call = {"type": "function_call_output", "call_id": "1", "output": "7"}
        items = [
            {"role": "user", "content": "first"},
            {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "well"}]},
            call,
            {"role": "user", "content": [picture, {"type": "input_text", "text": "second"}]},
        ]
        asked = surround(fields(input=items, instructions="In Korean."), TASK)
        sent = plain(asked.fields)["input"]
        assert sent[:3] == items[:3]
        assert sent[3]["content"] == [picture, {"type": "input_text", "text": "Log: second"}]
        assert asked.turns == (
            ("system", "Be brief.\n\nIn Korean."), ("user", "first"), ("assistant", "well"), ("user", "Log: second"),
        )  # fmt: skip

    def test_the_clients_own_format_wins(self) -> None:
        own = {"format": {"type": "text"}, "verbosity": "low"}
        assert plain(surround(fields(input="x", text=own), TASK).fields)["text"] == own

    def test_defaults_have_this_apis_names_and_yield_to_the_clients(self) -> None:
        sent = fields(temperature=1)
        for name, value in {"temperature": b"0", "max_tokens": b"64"}.items():
            with_default(sent, name, value)
        assert plain(sent) == {"temperature": 1, "max_output_tokens": 64}

    @pytest.mark.parametrize(
        "sent",
        [
            {},
            {"input": 3},
            {"input": [3]},
            {"input": [{"role": 3}]},
            {"input": "x", "instructions": 7},
            {"input": "x", "text": 7},
            {"input": "x", "previous_response_id": "resp_1"},
            {"input": "x", "conversation": "conv_1"},
            {"input": "x", "background": True},
        ],
    )
    def test_what_cannot_be_asked_is_refused(self, sent: dict[str, object]) -> None:
        with pytest.raises(Invalid):
            surround(fields(**sent), TASK)


def stream(*, ended: str = "completed") -> bytes:
    def events() -> Iterator[dict]:
        response = {"id": "resp_1", "object": "response", "status": "in_progress", "output": []}
        yield {"type": "response.created", "response": response}
        yield {"type": "response.output_text.delta", "item_id": "msg_1", "delta": "hel"}
        yield {"type": "response.output_text.delta", "item_id": "msg_1", "delta": 'lo "response"'}
        usage = {"input_tokens": 7, "output_tokens": 2, "total_tokens": 9}
        done = response | {"status": ended, "usage": usage}
        if ended == "incomplete":
            done["incomplete_details"] = {"reason": "max_output_tokens"}
        yield {"sequence_number": 3, "type": f"response.{ended}", "response": done}

    return b"".join(
        b"event: " + event["type"].encode() + b"\ndata: " + json.dumps(event).encode() + b"\n\n" for event in events()
    )


class TestStream:
    @given(cuts=st.lists(st.integers(0, len(stream())), max_size=20))
    def test_however_it_is_cut_our_id_replaces_the_servers_and_nothing_else_changes(self, cuts: list[int]) -> None:
        whole, splicer = stream(), ResponseSplicer(OURS)
        edges = sorted({0, *cuts, len(whole)})
        sent = b"".join(splicer.feed(whole[start:end]) for start, end in pairwise(edges))
        assert b"response.completed" not in sent
        assert sent + splicer.finish() == whole.replace(b"resp_1", OURS.encode())

    @pytest.mark.parametrize(("ended", "reason"), [("completed", "stop"), ("incomplete", "length"), ("failed", None)])
    def test_text_tokens_and_reason_are_read(self, ended: str, reason: str | None) -> None:
        answer = read_response(stream(ended=ended), streamed=True)
        assert (answer.text, answer.prompt_tokens, answer.completion_tokens) == ('hello "response"', 7, 2)
        assert answer.finish_reason == reason

    def test_one_that_broke_off_keeps_what_came(self) -> None:
        broken = stream()[: stream().index(b"lo ")]
        assert read_response(broken, streamed=True).text == "hel"


class TestWhole:
    BODY = json.dumps({
        "id": "resp_1", "status": "completed", "usage": {"input_tokens": 7, "output_tokens": 2},
        "output": [{"type": "reasoning", "content": []},
                   {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "hello"}]}],
    }).encode()  # fmt: skip

    def test_gets_our_id(self) -> None:
        assert json.loads(with_response_id(self.BODY, OURS)) == json.loads(self.BODY) | {"id": OURS}

    def test_text_and_tokens_are_read(self) -> None:
        answer = read_response(self.BODY, streamed=False)
        assert (answer.text, answer.finish_reason, answer.prompt_tokens) == ("hello", "stop", 7)

    @given(st.binary())
    def test_what_is_none_is_read_as_nothing(self, body: bytes) -> None:
        assert read_response(body, streamed=True).text is None
        assert with_response_id(b"?" + body, OURS) == b"?" + body
