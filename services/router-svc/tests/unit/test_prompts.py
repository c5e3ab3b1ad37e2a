"""A task is put around a request; what the client chose itself, and every field that we do not know, stays."""

import json
from contextlib import nullcontext

import pytest
from pydantic import JsonValue

from loopwright.contracts.registry import DEPLOYMENT_CHANGED, TASK_DEFINED
from loopwright.errors import Invalid
from loopwright.testing.examples import an_event
from router_svc.adapters.board import Board
from router_svc.domain.asking import Prompt, Turn
from router_svc.domain.endpoints import apply_task
from router_svc.domain.questions import Endpoint, read_question, refuse_prompt_likelihoods
from router_svc.handlers.updating import take_in

SYSTEM = "You read one log line and answer with JSON."


def prompt_of(
    body: dict[str, JsonValue], *, endpoint: Endpoint = Endpoint.CHAT, **task: JsonValue
) -> tuple[Prompt, dict[str, JsonValue]]:
    """The prompt, and the body that the champion is asked with."""
    board = Board()
    prompt: JsonValue = {"system": SYSTEM, "user": 'Log line {"a": 1}:\n{input}'}
    take_in(board, an_event(TASK_DEFINED, **({"prompt": prompt} | task)))
    take_in(board, an_event(DEPLOYMENT_CHANGED))
    route = board.snapshot.route("log-anomaly", "ada", "0" * 32)
    applied = apply_task(route.task, read_question(endpoint, json.dumps(body).encode()))
    return applied, json.loads(b"".join(applied.body_for(route.targets[0])))


def chat(*messages: JsonValue, **fields: JsonValue) -> dict[str, JsonValue]:
    return {"model": "log-anomaly", "messages": list(messages), **fields}


def user(text: JsonValue) -> JsonValue:
    return {"role": "user", "content": text}


def test_system_message_and_template_go_around_the_last_user_message() -> None:
    prompt, body = prompt_of(chat(user("first"), {"role": "assistant", "content": "ok"}, user("disk failed")))
    assert body["messages"] == [
        {"role": "system", "content": SYSTEM},
        {"role": "user", "content": "first"},
        {"role": "assistant", "content": "ok"},
        {"role": "user", "content": 'Log line {"a": 1}:\ndisk failed'},
    ]
    assert prompt.user_input == "disk failed"
    assert prompt.turns[0] == Turn("system", SYSTEM)
    assert prompt.turns[-1] == Turn("user", 'Log line {"a": 1}:\ndisk failed')


def test_the_clients_own_system_message_follows_the_tasks() -> None:
    _, body = prompt_of(chat({"role": "system", "content": "Be brief."}, user("x")))
    assert isinstance(body["messages"], list)
    assert body["messages"][:2] == [
        {"role": "system", "content": SYSTEM},
        {"role": "system", "content": "Be brief."},
    ]


def test_a_task_without_system_message_adds_none() -> None:
    _, body = prompt_of(chat(user("x")), prompt={"system": "", "user": "{input}"})
    assert body["messages"] == [{"role": "user", "content": "x"}]


def test_text_that_looks_like_a_template_is_text() -> None:
    prompt, _ = prompt_of(chat(user("{input} {0} {x!r}")))
    assert prompt.turns[-1].text == 'Log line {"a": 1}:\n{input} {0} {x!r}'


def test_the_task_decides_model_schema_and_generation() -> None:
    _, body = prompt_of(chat(user("x")))
    assert body["model"] == "smollm2-135m-instruct"
    assert (body["temperature"], body["top_p"], body["max_tokens"]) == (0.0, 1.0, 24)
    response_format = body["response_format"]
    assert isinstance(response_format, dict)
    assert response_format["type"] == "json_schema"
    assert isinstance(response_format["json_schema"], dict)
    assert response_format["json_schema"]["name"] == "log-anomaly"


def test_what_the_client_sent_wins() -> None:
    own: dict[str, JsonValue] = {
        "temperature": 0.7,
        "top_p": None,
        "max_completion_tokens": 5,
        "response_format": {"type": "text"},
        "tools": [{"type": "function", "function": {"name": "f", "parameters": {}}}],
        "logit_bias": {"1": -100},
    }
    _, body = prompt_of(chat(user("x"), **own))
    assert {name: body[name] for name in own} == own | {"top_p": 1.0}  # a null is not sent
    assert "max_tokens" not in body


def test_vllms_own_constraint_counts_as_a_response_format() -> None:
    _, body = prompt_of(chat(user("x"), structured_outputs={"choice": ["a", "b"]}))
    assert "response_format" not in body


def test_a_free_text_task_asks_for_no_format() -> None:
    _, body = prompt_of(chat(user("x")), answer_schema=None)
    assert "response_format" not in body


def test_composed_messages_keep_their_other_parts() -> None:
    picture: JsonValue = {"type": "image_url", "image_url": {"url": "data:,"}}
    parts: JsonValue = [picture, {"type": "text", "text": "one"}, {"type": "text", "text": "two"}]
    prompt, body = prompt_of(chat({"role": "user", "content": parts, "name": "ada"}))
    assert prompt.user_input == "one\ntwo"
    assert isinstance(body["messages"], list)
    assert body["messages"][-1] == {
        "role": "user",
        "content": [picture, {"type": "text", "text": 'Log line {"a": 1}:\none\ntwo'}],
        "name": "ada",
    }


def test_a_conversation_without_user_message_gets_the_system_message_only() -> None:
    prompt, body = prompt_of(chat({"role": "assistant", "content": None, "tool_calls": []}))
    assert prompt.user_input is None
    assert isinstance(body["messages"], list)
    assert [message["role"] for message in body["messages"] if isinstance(message, dict)] == ["system", "assistant"]


def test_a_stream_is_made_to_end_with_its_token_counts() -> None:
    prompt, body = prompt_of(chat(user("x"), stream=True, stream_options={"chunk_size": 3}))
    assert body["stream_options"] == {"chunk_size": 3, "include_usage": True}
    assert prompt.adds_usage
    prompt, body = prompt_of(chat(user("x"), stream=True, stream_options={"include_usage": True}))
    assert not prompt.adds_usage
    prompt, body = prompt_of(chat(user("x")))
    assert not prompt.adds_usage
    assert "stream_options" not in body


@pytest.mark.parametrize(
    ("sent", "asked", "user_input"),
    [
        ("disk", f'{SYSTEM}\n\nLog line {{"a": 1}}:\ndisk', "disk"),
        (["a", "b"], [f'{SYSTEM}\n\nLog line {{"a": 1}}:\n{text}' for text in "ab"], "a\nb"),
        ([1, 2, 3], [1, 2, 3], None),
    ],
)
def test_a_bare_prompt_gets_the_task_around_it(sent: JsonValue, asked: JsonValue, user_input: str | None) -> None:
    prompt, body = prompt_of({"model": "log-anomaly", "prompt": sent}, endpoint=Endpoint.COMPLETION)
    assert body["prompt"] == asked
    assert prompt.user_input == user_input


@pytest.mark.parametrize(
    "body",
    [b"", b"[]", b"{", b"nul", b'{"messages": []}', b'{"model": 1}', b'{"model": "a", "stream": "yes"}', b"\xff\xfe",
     b'{"model": "\\ud800"}', b'{"a":' * 100_000],
)  # fmt: skip
def test_a_body_that_cannot_be_read_is_refused(body: bytes) -> None:
    with pytest.raises(Invalid):
        read_question(Endpoint.CHAT, body)


@pytest.mark.parametrize(
    ("body", "refused"),
    [
        ({"prompt_logprobs": 0}, True), ({"prompt_logprobs": 5}, True), ({"echo": True, "logprobs": 1}, True),
        ({"prompt_logprobs": None}, False), ({"echo": True}, False), ({"echo": False, "logprobs": 1}, False),
        ({"echo": None, "logprobs": 1}, False), ({"logprobs": True}, False), ({}, False),
    ],
)  # fmt: skip
@pytest.mark.parametrize("endpoint", [Endpoint.CHAT, Endpoint.COMPLETION])
def test_what_kills_a_model_server_is_kept_from_it(
    *, body: dict[str, JsonValue], refused: bool, endpoint: Endpoint
) -> None:
    question = read_question(endpoint, json.dumps({"model": "a", **body}).encode())
    with pytest.raises(Invalid) if refused else nullcontext():
        refuse_prompt_likelihoods(question)


@pytest.mark.parametrize(
    "messages", ["none", None, [1], [{}], [{"role": 1}], [{"role": "user", "content": 1}], ["\ud800"]]
)
def test_messages_that_cannot_be_read_are_refused(messages: JsonValue) -> None:
    with pytest.raises(Invalid):
        prompt_of({"model": "log-anomaly", "messages": messages})
