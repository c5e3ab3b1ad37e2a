"""What is read of a request: a few fields; everything else stays the bytes that the client sent."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

import msgspec

from loopwright.errors import Invalid
from router_svc.domain.escapes import has_escape
from router_svc.domain.shapes import AskedChat, AskedMessage, Named, Part

Fields = dict[str, msgspec.Raw]


class Endpoint(StrEnum):
    """Endpoints of the OpenAI API that models answer, by path below /v1/."""

    CHAT = "chat/completions"
    COMPLETION = "completions"
    EMBEDDINGS = "embeddings"
    RESPONSES = "responses"

    __hash__ = str.__hash__  # an enumeration's own is no built-in, and each request looks up some tables


class Question:
    """A request before the task's prompt is applied.

    Args:
        named: Of a chat request, its `AskedChat`.

    Attributes:
        model: What the client asks: a task, or a variant of one.
        user: The client's name for its user, if it gave one.
        chat: What was read of a chat request; None for other endpoints.
    """

    __slots__ = ("_fields", "body", "chat", "endpoint", "model", "streamed", "user")

    def __init__(self, endpoint: Endpoint, body: bytes, named: Named) -> None:
        self.endpoint = endpoint
        self.body = body
        self.model = named.model
        self.user = named.user or None
        self.streamed = bool(named.stream)
        self.chat = named if isinstance(named, AskedChat) else None
        self._fields: Fields | None = None

    @property
    def fields(self) -> Fields:
        """Every field of the body, unparsed."""
        if self._fields is None:
            self._fields = _fields.decode(self.body)
        return self._fields


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
_named: Final = msgspec.json.Decoder(Named)
_chat: Final = msgspec.json.Decoder(AskedChat)
_UNSET: Final = msgspec.UNSET
_messages = msgspec.json.Decoder(list[msgspec.Raw])
_message = msgspec.json.Decoder(AskedMessage)
_content = msgspec.json.Decoder(str | list[Part] | None)
_UNREADABLE: Final = (msgspec.MsgspecError, UnicodeError, RecursionError)
_SURROGATE = re.compile(rb"\\u[dD][89a-fA-F]")


def read_question(endpoint: Endpoint, body: bytes) -> Question:
    """Reads a request body.

    Raises:
        Invalid: it is not a JSON object, or a field that we need is missing or of a wrong type.
    """
    try:
        named = _chat.decode(body) if endpoint is Endpoint.CHAT else _named.decode(body)
        str(body, "utf-8")  # what stays unparsed goes into events: it must at least be text
        if has_escape(body):
            _refuse_half_characters(body)
    except _UNREADABLE as error:
        raise Invalid("router.malformed-request", f"The request body cannot be read: {error}"[:500]) from error
    return Question(endpoint, body, named)


def _refuse_half_characters(body: bytes) -> None:
    """Half of a surrogate pair is no character: no server and no database takes it. Decoding finds it."""
    if _SURROGATE.search(body):
        msgspec.json.decode(body)


def refuse_prompt_likelihoods(question: Question) -> None:
    """Keeps a question from the servers that asks what the model thinks of each token of the prompt.

    vLLM 0.32 on CPUs with adapters loaded dies of the first one, with everybody's answers.

    Raises:
        Invalid: it asks so, by vLLM's `prompt_logprobs`, or by `echo` with `logprobs`.
    """
    chat = question.chat
    if chat is not None and chat.prompt_logprobs is _UNSET and chat.echo is _UNSET:
        return
    fields = question.fields
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
