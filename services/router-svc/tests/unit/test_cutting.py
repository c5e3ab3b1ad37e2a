"""A request that is changed in place says what one that is written anew says, or is not changed in place."""

import json
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loopwright.contracts.inferences import Conversation
from router_svc.domain.asking import Prompt
from router_svc.domain.cutting import cut_chat
from router_svc.domain.prompts import apply_to_chat
from router_svc.domain.questions import Endpoint, Question, read_question
from router_svc.domain.shapes import Named
from router_svc.domain.snapshot import Target, Task

TARGET = Target(
    variant_id="m:1", served_name='a "b"', backend_urls=("http://a",),
    defaults={"temperature": b"0.7", "top_p": b"1.0", "max_tokens": b"64"},
)  # fmt: skip


def a_task(
    *, system: str = "Be brief.", template: str = "Q: {input}\n", schema: bytes | None = b'{"type":"x"}'
) -> Task:
    return Task(
        task_id="t", version=1, title="T", system=system, user_template=template, response_format=schema,
        store_content=True, defined_at=datetime(2026, 1, 1, tzinfo=UTC),
    )  # fmt: skip


def sent(prompt: Prompt) -> object:
    return json.loads(b"".join(prompt.body_for(TARGET)))


def rebuilt(task: Task, question: Question) -> Prompt:
    """What comes out where nothing can be cut."""
    named = Named(model=question.model, user=question.user, stream=question.streamed)
    whole = Question(question.endpoint, question.body, named)
    return apply_to_chat(task, whole)


texts = st.text(st.characters(exclude_categories=("Cs",)), max_size=30) | st.sampled_from(
    ['"model"', '"messages":[', '{"model":"x"}', "{input}", "\\", "\0", "한국어"]
)
messages = st.lists(
    st.fixed_dictionaries(
        {"role": st.sampled_from(["user", "assistant", "system", "tool"]), "content": texts},
        optional={"name": texts, "tool_call_id": texts},
    ),
    max_size=4,
)
bodies = st.fixed_dictionaries(
    {"model": st.just("t"), "messages": messages},
    optional={
        "temperature": st.none() | st.floats(0, 2), "max_tokens": st.integers(1, 9), "max_completion_tokens": st.just(4),
        "response_format": st.just({"type": "text"}), "structured_outputs": st.none() | st.just({"regex": "a"}),
        "stream": st.booleans(), "stream_options": st.none() | st.just({"include_usage": False}),
        "metadata": st.dictionaries(texts, texts, max_size=2), "user": st.just("model"), "n": st.just(2),
        "tools": st.just([{"type": "function", "function": {"name": "model", "parameters": {"messages": []}}}]),
    },
)  # fmt: skip
tasks = st.builds(
    a_task, system=st.sampled_from(["", 'Say "yes".']), template=st.sampled_from(["{input}", "Q: {input}", "a{input}\n{input}b", "x"]),
    schema=st.sampled_from([None, b'{"type":"json_schema"}']),
)  # fmt: skip


@given(task=tasks, body=bodies, ascii_only=st.booleans(), order=st.randoms())
def test_both_ways_ask_the_same(*, task: Task, body: dict[str, object], ascii_only: bool, order) -> None:
    names = list(body)
    order.shuffle(names)
    text = json.dumps({name: body[name] for name in names}, ensure_ascii=ascii_only)
    question = read_question(Endpoint.CHAT, text.encode())
    cut, whole = apply_to_chat(task, question), rebuilt(task, question)
    assert sent(cut) == sent(whole)
    assert (cut.user_input, cut.turns, cut.adds_usage) == (whole.user_input, whole.turns, whole.adds_usage)
    assert json.loads(b"".join(cut.written.messages())) == json.loads(b"".join(whole.written.messages()))
    for prompt in (cut, whole):
        written = prompt.written
        event = {"input": json.loads(written.input_apart()), "messages": json.loads(b"".join(written.messages()))}
        asked = prompt.user_input and prompt.user_input.replace("\0", "\ufffd")
        assert Conversation.model_validate(event).input == asked


@pytest.mark.parametrize(("template", "apart"), [("{input}", b"null"), ("Q: {input}", b'"disk failed"')])
def test_what_was_asked_stands_in_an_event_once(template: str, apart: bytes) -> None:
    body = b'{"model":"t","messages":[{"role":"user","content":"disk failed"},{"role":"assistant","content":"so?"}]}'
    for prompt in (apply_to_chat(a_task(template=template), read_question(Endpoint.CHAT, body)),
                   rebuilt(a_task(template=template), read_question(Endpoint.CHAT, body))):  # fmt: skip
        assert prompt.written.input_apart() == apart


def test_a_plain_request_is_cut() -> None:
    body = b'{"model": "t", "messages": [{"role": "user", "content": "disk failed"}], "seed": 1e3}'
    prompt = cut_chat(a_task(), read_question(Endpoint.CHAT, body))
    assert prompt is not None
    assert b"".join(prompt.body_for(TARGET)).endswith(b'"seed": 1e3}')


@pytest.mark.parametrize("before", [b'"model":"t",', b""])
@pytest.mark.parametrize("content", [b"disk " * 1000, b'say \\"model\\": ' * 300])
def test_a_long_text_is_passed_over_and_the_model_found_on_either_side(content: bytes, before: bytes) -> None:
    after = b"" if before else b',"model":"t"'
    body = b'{%b"messages":[{"role":"user","content":"%b"}]%b}' % (before, content, after)
    question = read_question(Endpoint.CHAT, body)
    prompt = cut_chat(a_task(template="{input}"), question)
    assert prompt is not None
    assert sent(prompt) == sent(rebuilt(a_task(template="{input}"), question))


def test_a_text_that_looks_like_what_follows_a_key_hides_no_key() -> None:
    blank = b" " * 2000 + b":" + b" " * 2000
    body = b'{"model"%b"t","messages":[{"role":"user","content":"%b"}]}' % (blank, blank)
    question = read_question(Endpoint.CHAT, body)
    prompt = cut_chat(a_task(template="{input}"), question)
    assert prompt is not None
    assert sent(prompt) == sent(rebuilt(a_task(template="{input}"), question))


@pytest.mark.parametrize(
    "body",
    [
        b'{"model":"t","messages":[],"model":"t"}',
        b'{"model":"t","model":"t","messages":[{"role":"user","content":"%b"}]}' % (b"a" * 5000),
        b'{"model":"t","messages":[{"role":"user","content":"%b"}],"model":"t"}' % (b"a" * 5000),
        b'{"mod\\u0065l":"t","metadata":{"model":"t"},"messages":[]}',
        b'{"model":"t","messages":[],"metadata":{"messages":[]}}',
        b'{"model":"t","messages":[],"temperature":null}',
        b'{"model":"t","messages":[{"role":"user","content":null}]}',
        b'{"model":"t","messages":[{"role":"user","content":"a"},{"role":"user","content":"a"}]}',
    ],
)
def test_where_a_place_is_not_certain_nothing_is_cut(body: bytes) -> None:
    assert cut_chat(a_task(), read_question(Endpoint.CHAT, body)) is None
