"""Answers as HTTP/1.1 sends them: heads, and the chunks of a stream."""

from typing import Final

_CLOSING: Final = b"connection: close\r\n"
_CHUNKED: Final = b"transfer-encoding: chunked\r\n"
_WHOLE_HEAD: Final = b"%b%b%b%bcontent-length: %d\r\n\r\n"
_STATUS_LINES: Final = {status: b"HTTP/1.1 %d \r\n" % status for status in range(200, 600)}
_SIZE_LINES: Final = [b"%x\r\n" % size for size in range(1024)]  # of chunks
_LINE_END: Final = b"\r\n"
_STATUS_LINES[200] = b"HTTP/1.1 200 OK\r\n"


def whole_head(status: int, common: bytes, headers: bytes, size: int, *, kept: bool) -> bytes:
    """The head of an answer whose body has `size` bytes; `common` and `headers` are lines, each with its end."""
    return _WHOLE_HEAD % (_STATUS_LINES[status], common, headers, b"" if kept else _CLOSING, size)


def stream_head(status: int, common: bytes, headers: bytes, *, kept: bool, chunked: bool) -> bytes:
    closing, framing = b"" if kept else _CLOSING, _CHUNKED if chunked else b""
    return b"%b%b%b%b%b\r\n" % (_STATUS_LINES[status], common, headers, closing, framing)


def framed(chunk: bytes) -> bytes:
    """A chunk as HTTP/1.1 sends it (RFC 9112, 7.1)."""
    size = len(chunk)
    return b"".join((_SIZE_LINES[size] if size < len(_SIZE_LINES) else b"%x\r\n" % size, chunk, _LINE_END))
