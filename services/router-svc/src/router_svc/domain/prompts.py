"""Puts a task around a request: system message, template of the last user message, answer schema, generation defaults."""

from collections.abc import Callable
from dataclasses import dataclass

import msgspec

from loopwright.errors import Invalid
from router_svc.domain.questions import Endpoint, Fields, Message, Question, is_sent, read_messages
from router_svc.domain.snapshot import Target, Task

# vLLM's own way to constrain an answer; a client that uses it has said what it wants
_FORMAT_FIELDS = ("response_format", "structured_outputs")
_USAGE_WANTED = msgspec.Raw(b'{"include_usage":true}')

_ROLE_CHARACTERS = 32  # what an event keeps of a role

_any_fields = msgspec.json.Decoder(Fields)
_text_or_texts = msgspec.json.Decoder(str | list[str])
_parts = msgspec.json.Decoder(list[dict[str, msgspec.Raw]])


@dataclass(frozen=True, slots=True)
class Turn:
    """One turn of the conversation as the model sees it."""

    role: str
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Prompt:
    """A request with its task around it.

    Attributes:
        fields: Body of the upstream request, but for what depends on the variant.
        user_input: What the user sent last, before the template.
        adds_usage: We asked the server to report tokens at the end of the stream; the client did not.
    """

    endpoint: Endpoint
    fields: Fields
    user_input: str | None
    turns: tuple[Turn, ...]
    streamed: bool
    adds_usage: bool

    def body_for(self, target: Target) -> bytes:
        """JSON of the upstream request for one variant."""
        body = dict(self.fields)
        body["model"] = _raw(target.served_name)
        for name, value in target.defaults.items():
            wanted = is_sent(body, name) or (name == "max_tokens" and is_sent(body, "max_completion_tokens"))
            if not wanted:
                body[name] = msgspec.Raw(value)
        return msgspec.json.encode(body)


def apply_task(task: Task, question: Question) -> Prompt:
    """Puts the task around the request.

    Raises:
        Invalid: the conversation is not what the OpenAI API takes.
    """
    fields = dict(question.fields)
    apply = _apply_to_chat if question.endpoint is Endpoint.CHAT else _apply_to_completion
    user_input, turns = apply(task, fields)
    if task.response_format is not None and not any(is_sent(fields, name) for name in _FORMAT_FIELDS):
        fields["response_format"] = msgspec.Raw(task.response_format)
    return Prompt(
        endpoint=question.endpoint,
        fields=fields,
        user_input=user_input,
        turns=turns,
        streamed=question.streamed,
        adds_usage=question.streamed and _ask_for_usage(fields),
    )


def render(template: str, user_input: str) -> str:
    """Only {input} is special: a template may show braces of JSON."""
    return template.replace("{input}", user_input)


def _apply_to_chat(task: Task, fields: Fields) -> tuple[str | None, tuple[Turn, ...]]:
    messages = read_messages(fields)
    last = max((place for place, message in enumerate(messages) if message.role == "user"), default=None)
    raws = [message.raw for message in messages]
    turns = [Turn(message.role[:_ROLE_CHARACTERS], message.text) for message in messages]
    if last is not None:
        rendered = render(task.user_template, messages[last].text)
        raws[last] = _with_text(messages[last], rendered)
        turns[last] = Turn("user", rendered)
    if task.system:
        raws.insert(0, _raw({"role": "system", "content": task.system}))
        turns.insert(0, Turn("system", task.system))
    fields["messages"] = _raw(raws)
    return (messages[last].text if last is not None else None), tuple(turns)


def _with_text(message: Message, text: str) -> msgspec.Raw:
    """The message with its text replaced; pictures and other parts stay where they are."""
    fields = _any_fields.decode(message.raw)
    content = fields.get("content", msgspec.Raw(b"null"))
    if not bytes(content).lstrip().startswith(b"["):
        fields["content"] = _raw(text)
        return _raw(fields)
    parts = _parts.decode(content)
    places = [place for place, part in enumerate(parts) if bytes(part.get("type", b"")) == b'"text"']
    first = places[0] if places else 0
    kept = [part for place, part in enumerate(parts) if place not in places]
    fields["content"] = _raw([*kept[:first], {"type": "text", "text": text}, *kept[first:]])
    return _raw(fields)


def _apply_to_completion(task: Task, fields: Fields) -> tuple[str | None, tuple[Turn, ...]]:
    """A bare prompt has no roles: the system message stands before it. Prompts of token ids stay as they are."""

    def around(text: str) -> str:
        rendered = render(task.user_template, text)
        return f"{task.system}\n\n{rendered}" if task.system else rendered

    try:
        prompt = _text_or_texts.decode(fields.get("prompt", msgspec.Raw(b'""')))
    except msgspec.ValidationError:
        return None, ()
    except (msgspec.MsgspecError, UnicodeError, RecursionError) as error:
        raise Invalid("router.malformed-request", f"`prompt` cannot be read: {error}"[:500]) from error
    fields["prompt"] = _raw(_map_text(around, prompt))
    text = prompt if isinstance(prompt, str) else "\n".join(prompt)
    turns = tuple(Turn("user", around(one)) for one in ([prompt] if isinstance(prompt, str) else prompt))
    return text, turns


def _map_text(change: Callable[[str], str], prompt: str | list[str]) -> str | list[str]:
    return change(prompt) if isinstance(prompt, str) else [change(text) for text in prompt]


def _ask_for_usage(fields: Fields) -> bool:
    """Makes a stream end with its token counts. Returns False if the client asked for them itself."""
    if not is_sent(fields, "stream_options"):
        fields["stream_options"] = _USAGE_WANTED
        return True
    try:
        options = _any_fields.decode(fields["stream_options"])
    except msgspec.MsgspecError:
        return False  # the server will say what is wrong with it
    if bytes(options.get("include_usage", b"false")).strip() == b"true":
        return False
    fields["stream_options"] = _raw({**options, "include_usage": True})
    return True


def _raw(value: object) -> msgspec.Raw:
    return msgspec.Raw(msgspec.json.encode(value))
