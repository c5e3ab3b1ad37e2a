"""Reads the copy of an answer after its last byte went out: text, why it ended, tokens. Never raises."""

from collections.abc import Iterable, Iterator
from typing import Annotated

import msgspec

_UNREADABLE = (msgspec.MsgspecError, UnicodeError, RecursionError)


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """The first choice of an answer; None is what the server did not say."""

    text: str | None = None
    finish_reason: str | None = None
    prompt_tokens: int | None = None
    completion_tokens: int | None = None


_Count = Annotated[int, msgspec.Meta(ge=0)]


class _Usage(msgspec.Struct, gc=False):
    prompt_tokens: _Count | None = None
    completion_tokens: _Count | None = None


class _Content(msgspec.Struct, gc=False):
    content: str | None = None


class _Choice(msgspec.Struct, gc=False):
    index: int = 0
    message: _Content | None = None
    delta: _Content | None = None
    text: str | None = None
    finish_reason: str | None = None

    def written(self) -> str | None:
        content = self.message or self.delta
        return content.content if content is not None else self.text


class _Body(msgspec.Struct, gc=False):
    choices: list[_Choice] = []
    usage: _Usage | None = None


_body = msgspec.json.Decoder(_Body)
_bodies = msgspec.json.Decoder(list[_Body])
_END = b"\n\ndata: [DONE]\n\n"
_BETWEEN = b"\n\ndata: "


def read_answer(content: bytes, *, streamed: bool) -> Answer:
    """Reads a JSON body, or the server-sent events of a stream that may have broken off."""
    if not streamed:
        return _read_whole(content)
    texts: list[str] = []
    finish_reason: str | None = None
    usage = _Usage()
    for body in _stream_bodies(content):
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


def _read_whole(content: bytes) -> Answer:
    try:
        body = _body.decode(content)
    except _UNREADABLE:
        return Answer()
    usage = body.usage or _Usage()
    first = next((choice for choice in body.choices if choice.index == 0), None)
    return Answer(
        text=None if first is None else first.written(),
        finish_reason=None if first is None else first.finish_reason or None,
        prompt_tokens=usage.prompt_tokens,
        completion_tokens=usage.completion_tokens,
    )


def _stream_bodies(content: bytes) -> Iterable[_Body]:
    """Those that can be read; of a stream as every server that we know writes it, all of them in one go."""
    if content.startswith(b"data: {") and content.endswith(_END):
        try:
            return _bodies.decode(b"[%b]" % content[6 : -len(_END)].replace(_BETWEEN, b","))
        except _UNREADABLE:
            pass  # one by one it is, then
    return _one_by_one(content)


def _one_by_one(content: bytes) -> Iterator[_Body]:
    for line in content.split(b"\n"):
        if line.startswith(b"data:") and (payload := line[5:].strip()).startswith(b"{"):
            try:
                yield _body.decode(payload)
            except _UNREADABLE:
                continue
