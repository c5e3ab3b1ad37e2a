"""A request with its task around it: what a variant's server is sent, and what an event keeps of it."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from hashlib import blake2b
from typing import Final, Protocol

import msgspec

from router_svc.domain.escapes import storable
from router_svc.domain.questions import Endpoint, Fields
from router_svc.domain.shapes import NOTHING, Texts
from router_svc.domain.snapshot import Target

_BEGINNING: Final = 256  # bytes of each of the first two turns: with the system message they tell conversations apart

_USER: Final = b'"user"'
_NOTHING: Final = NOTHING

json_of: Final = msgspec.json.Encoder().encode
_text = msgspec.json.Decoder(str)


@dataclass(frozen=True, slots=True)
class Turn:
    """One turn of the conversation as the model sees it."""

    role: str
    text: str


class Written:
    """A conversation as JSON: most of it is never read by us.

    Attributes:
        user_input: What the user sent last, before the template: a JSON string.
        turns: Role and text of each turn as the model sees it, JSON strings.
    """

    __slots__ = ("turns", "user_input")

    def __init__(self, user_input: bytes | None, turns: list[tuple[bytes, bytes]]) -> None:
        self.user_input = user_input
        self.turns = turns

    @classmethod
    def of(cls, user_input: str | None, turns: Iterable[tuple[str, str]]) -> "Written":
        return cls(
            None if user_input is None else json_of(user_input),
            [(json_of(role), json_of(text)) for role, text in turns],
        )

    def input_apart(self) -> bytes:
        """What the user sent last, if the turns do not say it: as the event has it, which holds no words twice."""
        user_input, turns = self.user_input, self.turns
        if user_input is None:
            return _NOTHING
        last = len(turns) - 1
        while last >= 0 and turns[last][0] != _USER:
            last -= 1
        return _NOTHING if last >= 0 and turns[last][1] == user_input else storable(user_input)

    def messages(self) -> list[bytes]:
        """The turns as an event has them: a JSON list, in pieces."""
        pieces: list[bytes] = []
        for role, text in self.turns:
            begin = b',{"role":' if pieces else b'[{"role":'
            pieces += (begin, storable(role), b',"content":', storable(text), b"}")
        pieces.append(b"]" if pieces else b"[]")
        return pieces


def members(texts: Texts) -> tuple[bytes, ...]:
    """What an event says of a conversation, as members of a JSON object, in pieces."""
    return (b'"input":', texts.input, b',"messages":', *texts.messages, b',"answer":', texts.answer)


class Body(Protocol):
    """What becomes the body of an upstream request."""

    def for_target(self, target: Target) -> list[bytes]: ...


@dataclass(frozen=True, slots=True)
class Rebuilt:
    """A body that is written anew from its fields.

    Attributes:
        put_default: Puts a generation parameter of the variant among the fields, under the endpoint's name for it.
    """

    fields: Fields
    put_default: Callable[[Fields, str, bytes], None] | None

    def for_target(self, target: Target) -> list[bytes]:
        fields = dict(self.fields)
        fields["model"] = msgspec.Raw(json_of(target.served_name))
        if self.put_default is not None:
            for name, value in target.defaults.items():
                self.put_default(fields, name, value)
        return [json_of(fields)]


class Prompt:
    """A request with its task around it.

    Attributes:
        adds_usage: We asked the server to report tokens at the end of the stream; the client did not.
    """

    __slots__ = ("adds_usage", "body", "endpoint", "streamed", "written")

    def __init__(self, endpoint: Endpoint, written: Written, body: Body, *, streamed: bool, adds_usage: bool) -> None:
        self.endpoint = endpoint
        self.streamed = streamed
        self.adds_usage = adds_usage
        self.written = written
        self.body = body

    @property
    def user_input(self) -> str | None:
        """What the user sent last, before the template."""
        return None if self.written.user_input is None else _text.decode(self.written.user_input)

    @property
    def turns(self) -> tuple[Turn, ...]:
        """The conversation as the model sees it."""
        return tuple(Turn(_text.decode(role), _text.decode(text)) for role, text in self.written.turns)

    def body_for(self, target: Target) -> list[bytes]:
        """Pieces of the JSON that one variant is asked with."""
        return self.body.for_target(target)

    def conversation(self) -> bytes | None:
        """What this conversation has in common with its own later requests, and with few others."""
        beginning = b"".join([text[:_BEGINNING] for _, text in self.written.turns[:2]])
        return blake2b(beginning, digest_size=16).digest() if beginning else None
