"""Puts a task around a request: system message, template of the last user message, answer schema, generation defaults."""

from collections.abc import Callable, Mapping

import msgspec

from loopwright.errors import Invalid
from router_svc.domain.asking import Prompt, Rebuilt, Written, json_of
from router_svc.domain.cutting import cut_chat
from router_svc.domain.questions import Fields, Message, Question, is_sent, read_messages
from router_svc.domain.snapshot import Task

# vLLM's own way to constrain an answer; a client that uses it has said what it wants
_FORMAT_FIELDS = ("response_format", "structured_outputs")
_USAGE_WANTED = msgspec.Raw(b'{"include_usage":true}')

_ROLE_CHARACTERS = 32  # what an event keeps of a role

_any_fields = msgspec.json.Decoder(Fields)
_text_or_texts = msgspec.json.Decoder(str | list[str])
_parts = msgspec.json.Decoder(list[dict[str, msgspec.Raw]])


def apply_to_chat(task: Task, question: Question) -> Prompt:
    """Puts the task around a conversation.

    Raises:
        Invalid: the conversation is not what the OpenAI API takes.
    """
    cut = cut_chat(task, question)
    if cut is not None:
        return cut
    fields = dict(question.fields)
    written = _change_messages(task, fields)
    return _rebuilt(task, question, fields, written)


def apply_to_completion(task: Task, question: Question) -> Prompt:
    """A bare prompt has no roles: the system message stands before it. Prompts of token ids stay as they are.

    Raises:
        Invalid: the prompt is not what the OpenAI API takes.
    """
    fields = dict(question.fields)
    written = _change_prompt(task, fields)
    return _rebuilt(task, question, fields, written)


def _rebuilt(task: Task, question: Question, fields: Fields, written: Written) -> Prompt:
    if task.response_format is not None and not any(is_sent(fields, name) for name in _FORMAT_FIELDS):
        fields["response_format"] = msgspec.Raw(task.response_format)
    adds_usage = question.streamed and _ask_for_usage(fields)
    return Prompt(
        endpoint=question.endpoint,
        streamed=question.streamed,
        adds_usage=adds_usage,
        written=written,
        body=Rebuilt(fields, put_default),
    )


def put_default(fields: Fields, name: str, value: bytes) -> None:
    """A generation parameter of the variant, unless the client sent its own."""
    if not (is_sent(fields, name) or (name == "max_tokens" and is_sent(fields, "max_completion_tokens"))):
        fields[name] = msgspec.Raw(value)


def render(template: str, user_input: str) -> str:
    """Only {input} is special: a template may show braces of JSON."""
    return template.replace("{input}", user_input)


def _change_messages(task: Task, fields: Fields) -> Written:
    messages = read_messages(fields)
    last = max((place for place, message in enumerate(messages) if message.role == "user"), default=None)
    raws = [message.raw for message in messages]
    turns = [(message.role[:_ROLE_CHARACTERS], message.text) for message in messages]
    if last is not None:
        rendered = render(task.user_template, messages[last].text)
        raws[last] = _with_text(messages[last], rendered)
        turns[last] = ("user", rendered)
    if task.system:
        raws.insert(0, _raw({"role": "system", "content": task.system}))
        turns.insert(0, ("system", task.system))
    fields["messages"] = _raw(raws)
    return Written.of(messages[last].text if last is not None else None, turns)


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


def _change_prompt(task: Task, fields: Fields) -> Written:
    def around(text: str) -> str:
        rendered = render(task.user_template, text)
        return f"{task.system}\n\n{rendered}" if task.system else rendered

    try:
        prompt = _text_or_texts.decode(fields.get("prompt", msgspec.Raw(b'""')))
    except msgspec.ValidationError:
        return Written.of(None, ())
    except (msgspec.MsgspecError, UnicodeError, RecursionError) as error:
        raise Invalid("router.malformed-request", f"`prompt` cannot be read: {error}"[:500]) from error
    fields["prompt"] = _raw(_map_text(around, prompt))
    text = prompt if isinstance(prompt, str) else "\n".join(prompt)
    return Written.of(text, [("user", around(one)) for one in ([prompt] if isinstance(prompt, str) else prompt)])


def _map_text(change: Callable[[str], str], prompt: str | list[str]) -> str | list[str]:
    return change(prompt) if isinstance(prompt, str) else [change(text) for text in prompt]


def _ask_for_usage(fields: Fields) -> bool:
    """Makes a stream end with its token counts. Returns False if the client asked for them itself."""
    if not is_sent(fields, "stream_options"):
        fields["stream_options"] = _USAGE_WANTED
        return True
    try:
        options: Mapping[str, msgspec.Raw] = _any_fields.decode(fields["stream_options"])
    except msgspec.MsgspecError:
        return False  # the server will say what is wrong with it
    if bytes(options.get("include_usage", b"false")).strip() == b"true":
        return False
    fields["stream_options"] = _raw({**options, "include_usage": True})
    return True


def _raw(value: object) -> msgspec.Raw:
    return msgspec.Raw(json_of(value))
