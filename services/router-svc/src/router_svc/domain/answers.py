"""Reads the copy of an answer after its last byte went out: text, why it ended, tokens. Never raises."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated

import msgspec

_UNREADABLE = (msgspec.MsgspecError, UnicodeError, RecursionError)


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """The first choice of an answer; None is what the server did not say."""

    text: str | None = None
    finish_reason: str | None = None
    prompt_tokens: int | None = None
    completion_tokens: int | None = None


_Count = Annotated[int, msgspec.Meta(ge=0)]


class _Usage(msgspec.Struct):
    prompt_tokens: _Count | None = None
    completion_tokens: _Count | None = None


class _Content(msgspec.Struct):
    content: str | None = None


class _Choice(msgspec.Struct):
    index: int = 0
    message: _Content | None = None
    delta: _Content | None = None
    text: str | None = None
    finish_reason: str | None = None

    def written(self) -> str | None:
        content = self.message or self.delta
        return content.content if content is not None else self.text


class _Body(msgspec.Struct):
    choices: list[_Choice] = []
    usage: _Usage | None = None


_body = msgspec.json.Decoder(_Body)


def read_answer(content: bytes, *, streamed: bool) -> Answer:
    """Reads a JSON body, or the server-sent events of a stream that may have broken off."""
    bodies = _stream_bodies(content) if streamed else iter([content])
    texts: list[str] = []
    finish_reason: str | None = None
    usage = _Usage()
    for text in bodies:
        try:
            body = _body.decode(text)
        except _UNREADABLE:
            continue
        usage = body.usage or usage
        for choice in body.choices:
            if choice.index == 0:
                written = choice.written()
                texts += [] if written is None else [written]
                finish_reason = choice.finish_reason or finish_reason
    return Answer(
        text="".join(texts) if texts else None,
        finish_reason=finish_reason,
        prompt_tokens=usage.prompt_tokens,
        completion_tokens=usage.completion_tokens,
    )


def _stream_bodies(content: bytes) -> Iterator[bytes]:
    for line in content.split(b"\n"):
        if line.startswith(b"data:") and (payload := line[5:].strip()).startswith(b"{"):
            yield payload
