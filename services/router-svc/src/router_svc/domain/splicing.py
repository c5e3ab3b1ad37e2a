"""Puts our inference id into the bytes of an answer and leaves every other byte as the server sent it."""

import re

import msgspec

_FIRST_ID = re.compile(rb'\s*\{\s*"id"\s*:\s*("(?:[^"\\]|\\.)*")')  # where every server we know has it
_DATA_LINE = re.compile(rb"^(data:[ ]?)(\{[^\r\n]*)(\r?\n(?:\r?\n)?)", re.MULTILINE)
_NO_CHOICES = re.compile(rb'"choices"\s*:\s*\[\s*\]')
_DONE = re.compile(rb"^data:[ ]?\[DONE\]", re.MULTILINE)
_fields = msgspec.json.Decoder(dict[str, msgspec.Raw])


def with_id(body: bytes, inference_id: str) -> bytes:
    """A JSON answer with our id in place of its own; anything else as it is."""
    quoted = b'"' + inference_id.encode() + b'"'
    first = _FIRST_ID.match(body)
    if first is not None:
        return body[: first.start(1)] + quoted + body[first.end(1) :]
    try:
        fields = _fields.decode(body)
    except (msgspec.MsgspecError, UnicodeError, RecursionError):
        return body
    if "id" not in fields:
        return body
    fields["id"] = msgspec.Raw(quoted)
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

    def feed(self, chunk: bytes) -> bytes:
        """What can go to the client now."""
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
        return prefix + with_id(payload, self._id) + ending
