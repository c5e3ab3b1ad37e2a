"""Reads the copy of an answer after its last byte went out: text, why it ended, tokens. Never raises."""

from collections.abc import Iterable, Iterator
from typing import Final

import msgspec

from router_svc.domain.shapes import Answer, AnswerBody, Choice, Usage

_UNREADABLE: Final = (msgspec.MsgspecError, UnicodeError, RecursionError)


_body: Final = msgspec.json.Decoder(AnswerBody)
_bodies: Final = msgspec.json.Decoder(list[AnswerBody])
_END: Final = b"\n\ndata: [DONE]\n\n"
_BETWEEN: Final = b"\n\ndata: "


def read_answer(content: bytes, *, streamed: bool) -> Answer:
    """Reads a JSON body, or the server-sent events of a stream that may have broken off."""
    if not streamed:
        return _read_whole(content)
    texts: list[str] = []
    finish_reason: str | None = None
    usage = Usage()
    for body in _stream_bodies(content):
        usage = body.usage or usage
        for choice in body.choices:
            if choice.index == 0:
                written = _written(choice)
                if written is not None:
                    texts.append(written)
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
    usage = body.usage or Usage()
    first = next((choice for choice in body.choices if choice.index == 0), None)
    return Answer(
        text=None if first is None else _written(first),
        finish_reason=None if first is None else first.finish_reason or None,
        prompt_tokens=usage.prompt_tokens,
        completion_tokens=usage.completion_tokens,
    )


def _written(choice: Choice) -> str | None:
    content = choice.message or choice.delta
    return content.content if content is not None else choice.text


def _stream_bodies(content: bytes) -> Iterable[AnswerBody]:
    """Those that can be read; of a stream as every server that we know writes it, all of them in one go."""
    if content.startswith(b"data: {") and content.endswith(_END):
        try:
            return _bodies.decode(b"[%b]" % content[6 : -len(_END)].replace(_BETWEEN, b","))
        except _UNREADABLE:
            pass  # one by one it is, then
    return _one_by_one(content)


def _one_by_one(content: bytes) -> Iterator[AnswerBody]:
    for line in content.split(b"\n"):
        if line.startswith(b"data:") and (payload := line[5:].strip()).startswith(b"{"):
            try:
                yield _body.decode(payload)
            except _UNREADABLE:
                continue
