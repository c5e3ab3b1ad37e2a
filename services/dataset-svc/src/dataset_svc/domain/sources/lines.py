"""Cuts a stream of bytes into numbered lines without ever holding more than one line that is too long."""

from collections.abc import Iterator
from dataclasses import dataclass

_BYTE_ORDER_MARK = b"\xef\xbb\xbf"


@dataclass(frozen=True, kw_only=True)
class Line:
    """One line of a file.

    Attributes:
        number: Counted from 1, blank lines included, as an editor shows it.
        content: Its bytes; None if it was longer than allowed.
    """

    number: int
    content: bytes | None


class LineCutter:
    """Feeds on chunks of any size and gives whole lines; blank ones are passed over.

    Args:
        max_line_bytes: Longer lines are reported, not kept.
        verbatim: Whether line ends and blank lines are kept, for they may lie inside a quoted cell.
    """

    def __init__(self, *, max_line_bytes: int, verbatim: bool = False) -> None:
        self._max = max_line_bytes
        self._verbatim = verbatim
        self._rest = bytearray()
        self._number = 0
        self._overlong = False

    def feed(self, chunk: bytes) -> Iterator[Line]:
        start = 0
        while (end := chunk.find(b"\n", start)) >= 0:
            self._keep(chunk[start:end])
            yield from self._take(end=b"\n")
            start = end + 1
        self._keep(chunk[start:])

    def finish(self) -> Iterator[Line]:
        """The last line, if the file does not end with a line end."""
        if self._rest or self._overlong:
            yield from self._take(end=b"")

    def _keep(self, piece: bytes) -> None:
        # one byte more for the carriage return that does not count
        if self._overlong or len(self._rest) + len(piece) > self._max + 1:
            self._overlong = True
            self._rest.clear()
        else:
            self._rest += piece

    def _take(self, *, end: bytes) -> Iterator[Line]:
        content, overlong = bytes(self._rest), self._overlong
        self._rest.clear()
        self._overlong = False
        self._number += 1
        if self._number == 1:
            content = content.removeprefix(_BYTE_ORDER_MARK)
        kept = content + end
        content = content.removesuffix(b"\r")
        if overlong or len(content) > self._max:
            yield Line(number=self._number, content=None)
        elif self._verbatim:
            yield Line(number=self._number, content=kept)
        elif content.strip():
            yield Line(number=self._number, content=content)
