"""/v1/responses: the task around its `input`, our id in its answer and events, and what an event keeps of both.

Answers are kept by nobody but the event: requests that build on an earlier answer are refused, and servers told to keep none.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated

import msgspec

from loopwright.errors import Invalid
from router_svc.domain.shapes import Answer

Fields = dict[str, msgspec.Raw]

_UNREADABLE = (msgspec.MsgspecError, UnicodeError, RecursionError)
_STATEFUL = ("previous_response_id", "conversation", "background")
_TEXT_PARTS = frozenset({"input_text", "output_text", "text"})
_ROLE_CHARACTERS = 32  # what an event keeps of a role

_items = msgspec.json.Decoder(str | list[msgspec.Raw])
_any_fields = msgspec.json.Decoder(Fields)
_text = msgspec.json.Decoder(str)
_raws = msgspec.json.Decoder(list[msgspec.Raw])


class _Part(msgspec.Struct):
    type: str = ""
    text: str = ""


class _Item(msgspec.Struct):
    type: str = "message"
    role: str = ""
    content: str | list[_Part] | None = None

    def written(self) -> str:
        if isinstance(self.content, list):
            return "\n".join(part.text for part in self.content if part.type in _TEXT_PARTS)
        return self.content or ""


_item = msgspec.json.Decoder(_Item)


@dataclass(frozen=True, slots=True, kw_only=True)
class Surroundings:
    """What a task puts around a request.

    Attributes:
        system: System message; empty for none.
        template: Of the last user message; {input} is what the user sent.
        response_format: As /v1/chat/completions takes it; None for free text.
    """

    system: str
    template: str
    response_format: bytes | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Surrounded:
    """A request with its task around it.

    Attributes:
        user_input: What the user sent last, before the template.
        turns: Role and text of each turn as the model sees it.
    """

    fields: Fields
    user_input: str | None
    turns: tuple[tuple[str, str], ...]


def surround(fields: Fields, around: Surroundings) -> Surrounded:
    """Puts the task around a request.

    Raises:
        Invalid: `input` or `instructions` is not what the OpenAI API takes, or it builds on an earlier answer.
    """
    _refuse_stateful(fields)
    fields = dict(fields) | {"store": msgspec.Raw(b"false")}
    try:
        turns, user_input = _put_around_input(fields, around.template)
        told = _text.decode(fields["instructions"]) if _is_sent(fields, "instructions") else ""
        if around.response_format is not None:
            _put_format(fields, around.response_format)
    except _UNREADABLE as error:
        raise Invalid("router.malformed-request", f"the request cannot be read: {error}"[:500]) from error
    instructions = "\n\n".join(text for text in (around.system, told) if text)
    if instructions:
        fields["instructions"] = _raw(instructions)
        turns = [("system", instructions), *turns]
    return Surrounded(fields=fields, user_input=user_input, turns=tuple(turns))


def with_default(fields: Fields, name: str, value: bytes) -> None:
    """A generation parameter of the variant, under this API's name for it, unless the client sent its own."""
    name = "max_output_tokens" if name == "max_tokens" else name
    if not _is_sent(fields, name):
        fields[name] = msgspec.Raw(value)


def _refuse_stateful(fields: Fields) -> None:
    for name in _STATEFUL:
        if _is_sent(fields, name) and bytes(fields[name]).strip() != b"false":
            raise Invalid("router.no-stored-responses", f"`{name}` is not taken: answers are not kept here")


def _put_around_input(fields: Fields, template: str) -> tuple[list[tuple[str, str]], str | None]:
    sent = _items.decode(fields.get("input", msgspec.Raw(b"null")))
    if isinstance(sent, str):
        rendered = template.replace("{input}", sent)
        fields["input"] = _raw(rendered)
        return [("user", rendered)], sent
    items = [_item.decode(raw) if _is_message(raw) else _Item(type="other") for raw in sent]
    last = max((place for place, item in enumerate(items) if item.role == "user"), default=None)
    turns = [(item.role[:_ROLE_CHARACTERS], item.written()) for item in items]
    user_input = None
    if last is not None:
        user_input = turns[last][1]
        rendered = template.replace("{input}", user_input)
        sent[last] = _with_text(sent[last], rendered)
        turns[last] = ("user", rendered)
        fields["input"] = _raw(sent)
    return [turn for turn, item in zip(turns, items, strict=True) if item.type == "message"], user_input


def _is_message(raw: msgspec.Raw) -> bool:
    kind = _any_fields.decode(raw).get("type", msgspec.Raw(b'"message"'))
    return bytes(kind).strip() in {b'"message"', b"null"}


def _with_text(raw: msgspec.Raw, text: str) -> msgspec.Raw:
    """The message with its text replaced; pictures and files stay where they are."""
    fields = _any_fields.decode(raw)
    content = fields.get("content", msgspec.Raw(b"null"))
    if not bytes(content).lstrip().startswith(b"["):
        return _raw(fields | {"content": _raw(text)})
    parts = _raws.decode(content)
    texts = [msgspec.json.decode(part, type=_Part).type in _TEXT_PARTS for part in parts]
    first = texts.index(True) if any(texts) else 0
    kept = [part for part, is_text in zip(parts, texts, strict=True) if not is_text]
    return _raw(fields | {"content": _raw([*kept[:first], {"type": "input_text", "text": text}, *kept[first:]])})


def _put_format(fields: Fields, response_format: bytes) -> None:
    """The schema of the answer, which this API has flat inside `text.format`; the client's own wins."""
    text = _any_fields.decode(fields["text"]) if _is_sent(fields, "text") else {}
    if _is_sent(text, "format") or _is_sent(fields, "structured_outputs"):
        return
    inside = _any_fields.decode(_any_fields.decode(response_format)["json_schema"])
    fields["text"] = _raw(text | {"format": _raw({"type": _raw("json_schema"), **inside})})


def _is_sent(fields: Fields, name: str) -> bool:
    return name in fields and bytes(fields[name]).strip() != b"null"


def _raw(value: object) -> msgspec.Raw:
    return msgspec.Raw(msgspec.json.encode(value))


_WHOLE_ID = re.compile(rb'\s*\{\s*"id"\s*:\s*("(?:[^"\\]|\\.)*")')
_INNER_ID = re.compile(rb'"response"\s*:\s*\{\s*"id"\s*:\s*("(?:[^"\\]|\\.)*")')
_END = re.compile(
    rb"^(?:event:[ ]?|data:[ ]?\{\"type\":[ ]?\")response\.(?:completed|failed|incomplete)\b", re.MULTILINE
)


def with_response_id(body: bytes, inference_id: str) -> bytes:
    """A whole answer with our id in place of its own; anything else as it is."""
    return _spliced(_WHOLE_ID, body, inference_id)


def _spliced(shape: re.Pattern[bytes], body: bytes, inference_id: str) -> bytes:
    found = shape.match(body) if shape is _WHOLE_ID else shape.search(body)
    if found is None:
        return body
    return body[: found.start(1)] + b'"' + inference_id.encode() + b'"' + body[found.end(1) :]


class ResponseSplicer:
    """Passes the events of a streamed answer through, with our id in those that name it.

    The last event is kept until `finish`, so that whoever has seen it has an answer that is on record.
    """

    def __init__(self, inference_id: str) -> None:
        self._id = inference_id
        self._rest = b""  # an event whose end has not come, or the last

    def feed(self, chunk: bytes) -> bytes:
        """What can go to the client now."""
        text = self._rest + chunk
        end = text.rfind(b"\n\n") + 2
        if end == 1:
            self._rest = text
            return b""
        last = _END.search(text, 0, end)
        end = last.start() if last else end
        self._rest = text[end:]
        return self._splice(text[:end])

    def finish(self) -> bytes:
        """What was kept back."""
        rest, self._rest = self._rest, b""
        return self._splice(rest)

    def _splice(self, text: bytes) -> bytes:
        if b'"response"' not in text:
            return text
        return b"\n".join(
            _spliced(_INNER_ID, line, self._id) if line.startswith(b"data:") else line for line in text.split(b"\n")
        )


_Count = Annotated[int, msgspec.Meta(ge=0)]


class _Usage(msgspec.Struct):
    input_tokens: _Count | None = None
    output_tokens: _Count | None = None


class _Why(msgspec.Struct):
    reason: str | None = None


class _Response(msgspec.Struct):
    status: str | None = None
    output: list[_Item] = []
    usage: _Usage | None = None
    incomplete_details: _Why | None = None


class _StreamEvent(msgspec.Struct):
    type: str = ""
    delta: str = ""
    response: _Response | None = None


_response = msgspec.json.Decoder(_Response)
_stream_event = msgspec.json.Decoder(_StreamEvent)


def read_response(content: bytes, *, streamed: bool) -> Answer:
    """Reads the copy of an answer, or of the events of one that may have broken off. Never raises."""
    if not streamed:
        try:
            return _answer(_response.decode(content), None)
        except _UNREADABLE:
            return Answer()
    texts: list[str] = []
    last: _Response | None = None
    for event in _events(content):
        if event.type == "response.output_text.delta":
            texts.append(event.delta)
        last = event.response or last
    return _answer(last or _Response(), "".join(texts) or None)


def _events(content: bytes) -> Iterator[_StreamEvent]:
    for line in content.split(b"\n"):
        if not line.startswith(b"data:"):
            continue
        try:
            yield _stream_event.decode(line[5:])
        except _UNREADABLE:
            continue


def _answer(response: _Response, streamed_text: str | None) -> Answer:
    texts = [item.written() for item in response.output if item.type == "message"]
    usage = response.usage or _Usage()
    return Answer(
        text=streamed_text or ("".join(texts) if texts else None),
        finish_reason=_finish_reason(response),
        prompt_tokens=usage.input_tokens,
        completion_tokens=usage.output_tokens,
    )


def _finish_reason(response: _Response) -> str | None:
    """In the words of the other endpoints, so that events can be compared."""
    match response.status:
        case "completed":
            return "stop"
        case "incomplete":
            why = response.incomplete_details.reason if response.incomplete_details else None
            return "length" if why == "max_output_tokens" else why
        case _:
            return None
