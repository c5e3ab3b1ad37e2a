"""Puts our inference id into the bytes of an answer and leaves every other byte as the server sent it."""

import re
from typing import Final

import msgspec

from router_svc.domain.escapes import has_escape

_FIRST_ID = re.compile(rb'\s*\{\s*"id"\s*:\s*("[^"\\]*")')  # where every server we know has it
_ID_BEGINS: Final = b'{"id":"'  # as all of them write it now
_DATA_LINE = re.compile(rb"^(data:[ ]?)(\{[^\r\n]*)(\r?\n(?:\r?\n)?)", re.MULTILINE)
_NO_CHOICES = re.compile(rb'"choices"\s*:\s*\[\s*\]')
_DONE = re.compile(rb"^data:[ ]?\[DONE\]", re.MULTILINE)
_DATA: Final = b"data:"
_USAGE: Final = b'"usage"'
_fields = msgspec.json.Decoder(dict[str, msgspec.Raw])


def with_id(body: bytes, inference_id: str) -> bytes:
    """A JSON answer with our id in place of its own; anything else as it is."""
    if body.startswith(_ID_BEGINS):
        end = body.find(b'"', len(_ID_BEGINS))
        if end > 0 and not has_escape(body[:end]):
            return b'{"id":"%b%b' % (inference_id.encode(), body[end:])
    first = _FIRST_ID.match(body)
    if first is not None:
        start, end = first.span(1)
        return b'%b"%b"%b' % (body[:start], inference_id.encode(), body[end:])
    try:
        fields = _fields.decode(body)
    except (msgspec.MsgspecError, UnicodeError, RecursionError):
        return body
    if "id" not in fields:
        return body
    fields["id"] = msgspec.Raw(b'"' + inference_id.encode() + b'"')
    return msgspec.json.encode(fields)


class StreamSplicer:
    """Passes server-sent events through with our id in each.

    The closing `[DONE]` is kept until `finish`, so that whoever has seen it has an answer that is on record.

    Args:
        drop_usage: Leave out the closing chunk of token counts, which the client did not ask for.
    """

    def __init__(self, inference_id: str, *, drop_usage: bool) -> None:
        self._id = inference_id
        self._drop_usage = drop_usage
        self._rest = b""  # a line whose end has not come
        self._done = b""
        self._theirs = b""  # how each event of this server begins, with its id
        self._ours = b""

    def feed(self, chunk: bytes) -> bytes:
        """What can go to the client now."""
        if self._theirs and not (self._rest or self._done) and chunk.endswith(b"\n"):
            # whole events of a server that we know: nothing is looked at but how they begin
            if self._drop_usage and chunk.find(_USAGE) >= 0:  # `in` raises and catches an error first
                return self._feed_unknown(chunk)
            if chunk.count(_DATA) == 1 and chunk.startswith(self._theirs):
                return self._ours + chunk[len(self._theirs) :]
            alike = chunk.count(self._theirs)
            if alike and alike == chunk.count(_DATA):
                return chunk.replace(self._theirs, self._ours)
        return self._feed_unknown(chunk)

    def _feed_unknown(self, chunk: bytes) -> bytes:
        text = self._rest + chunk
        end = text.rfind(b"\n") + 1
        lines, self._rest = self._done + text[:end], text[end:]
        done = _DONE.search(lines)
        self._done = lines[done.start() :] if done else b""
        return self._splice(lines[: done.start()] if done else lines)

    def finish(self) -> bytes:
        """What was kept back."""
        return self._done + self._splice(self._rest)

    def _splice(self, lines: bytes) -> bytes:
        return _DATA_LINE.sub(self._spliced_line, lines)

    def _spliced_line(self, line: re.Match[bytes]) -> bytes:
        prefix, payload, ending = line.groups()
        if self._drop_usage and b'"usage"' in payload and _NO_CHOICES.search(payload):
            return b""
        spliced = with_id(payload, self._id)
        first = _FIRST_ID.match(payload)
        if first is not None and prefix == b"data: ":
            self._theirs = prefix + payload[: first.end(1)]
            self._ours = prefix + payload[: first.start(1)] + b'"' + self._id.encode() + b'"'
        return prefix + spliced + ending
