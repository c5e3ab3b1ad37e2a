"""What is read of a request: a few fields; everything else stays the bytes that the client sent."""

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum

import msgspec

from loopwright.errors import Invalid

Fields = dict[str, msgspec.Raw]


class Endpoint(StrEnum):
    """The generating endpoints of the OpenAI API, by path below /v1/."""

    CHAT = "chat/completions"
    COMPLETION = "completions"


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """A request before the task's prompt is applied.

    Attributes:
        fields: Every field of the body, unparsed.
        user: The client's name for its user, if it gave one.
    """

    endpoint: Endpoint
    fields: Fields
    model: str
    user: str | None
    streamed: bool


class _Named(msgspec.Struct):
    """The fields that we read ourselves; a null means that the field was not sent."""

    model: str
    user: str | None = None
    stream: bool | None = None


class _Message(msgspec.Struct):
    role: str
    content: msgspec.Raw = msgspec.Raw(b"null")


class _Part(msgspec.Struct):
    type: str = ""
    text: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """One message of the client.

    Attributes:
        raw: The whole message as it came.
        text: Its text; parts of a composed message joined by line ends; empty if it has none.
    """

    raw: msgspec.Raw
    role: str
    text: str


_fields = msgspec.json.Decoder(Fields)
_named = msgspec.json.Decoder(_Named)
_messages = msgspec.json.Decoder(list[msgspec.Raw])
_message = msgspec.json.Decoder(_Message)
_content = msgspec.json.Decoder(str | list[_Part] | None)
_UNREADABLE = (msgspec.MsgspecError, UnicodeError, RecursionError)


def read_question(endpoint: Endpoint, body: bytes) -> Question:
    """Reads a request body.

    Raises:
        Invalid: it is not a JSON object, or a field that we need is missing or of a wrong type.
    """
    try:
        fields = _fields.decode(body)
        named = _named.decode(body)
    except _UNREADABLE as error:
        raise Invalid("router.malformed-request", f"The request body cannot be read: {error}"[:500]) from error
    return Question(
        endpoint=endpoint, fields=fields, model=named.model, user=named.user or None, streamed=bool(named.stream)
    )


def refuse_prompt_likelihoods(fields: Fields) -> None:
    """Keeps a question from the servers that asks what the model thinks of each token of the prompt.

    vLLM 0.32 on CPUs with adapters loaded dies of the first one, with everybody's answers.

    Raises:
        Invalid: it asks so, by vLLM's `prompt_logprobs`, or by `echo` with `logprobs`.
    """
    echoed = is_sent(fields, "echo") and bytes(fields["echo"]).strip() != b"false"
    if is_sent(fields, "prompt_logprobs") or (echoed and is_sent(fields, "logprobs")):
        raise Invalid("router.prompt-likelihoods-refused", "Likelihoods of the prompt are not given out here")


def read_messages(fields: Fields) -> tuple[Message, ...]:
    """The conversation of a chat request.

    Raises:
        Invalid: `messages` is missing, or is not what the OpenAI API takes.
    """
    try:
        return tuple(_read_messages(fields.get("messages", msgspec.Raw(b"null"))))
    except _UNREADABLE as error:
        raise Invalid("router.malformed-request", f"`messages` cannot be read: {error}"[:500]) from error


def _read_messages(messages: msgspec.Raw) -> Iterator[Message]:
    for raw in _messages.decode(messages):
        shape = _message.decode(raw)
        content = _content.decode(shape.content)
        if isinstance(content, list):
            content = "\n".join(part.text for part in content if part.type == "text")
        yield Message(raw=raw, role=shape.role, text=content or "")


def is_sent(fields: Fields, name: str) -> bool:
    """Whether the client sent a field; a null counts as not sent, as the OpenAI API reads it."""
    return name in fields and bytes(fields[name]).strip() != b"null"
