"""Cuts a JSON array, or objects one after the other, into records while it arrives, each found by its brackets only."""

import re
from collections.abc import Iterator

from dataset_svc.domain.sources.lines import Line

# groups are not possessive: until Python 3.11.4 such a one loses its place when it fails half-way
_UP_TO_MARK = re.compile(rb'[^"{}\[\]]*+(?:"[^"\\\n]*+(?:\\[^\n][^"\\\n]*+)*"[^"{}\[\]]*+)*')
_IN_STRING = re.compile(rb'[^"\\\n]*+(?:\\[^\n][^"\\\n]*+)*')
_BETWEEN = b" \t\r\n,"
_TAIL_MATTERS = frozenset({b"{", b""})
_CLOSES = {b"}": b"{", b"]": b"["}
_TAIL = 256  # bytes before a bracket that tell whether it may stand there
_DEEPEST = 2000


class JsonRecordCutter:
    """Feeds on chunks of any size and gives objects as numbered records, which are decoded by others.

    One damaged record must not swallow the file. So a string ends where its line ends, for JSON has no line ends in
    strings; a bracket that cannot stand where it does ends its record; and so does one that begins a line just as the
    first record did, if that was indented or all on one line. What stands between records and is none counts as one.

    Args:
        around: Brackets around the records: `[` for an array, `{[` for an array in an object, nothing for bare objects.
        max_record_bytes: Longer records are reported, not kept.
    """

    def __init__(self, *, around: bytes, max_record_bytes: int) -> None:
        self._around = around
        self._max = max_record_bytes
        self._carry = b""
        self._open = b""  # brackets that are open around the records
        self._stack = bytearray()  # brackets that are open inside the record
        self._in_string = False
        self._record = bytearray()
        self._overlong = False
        self._tail = b""
        self._number = 0
        self._indent: bytes | None = None  # what stands before the first record in its line
        self._telling: bytes | None = None  # the same, if only records begin their lines so
        self._over = False

    def feed(self, chunk: bytes) -> Iterator[Line]:
        text, self._carry = self._carry + chunk, b""
        place = 0
        while place < len(text) and not self._over:
            if self._in_string:
                place = self._pass_string(text, place)
                continue
            found = _UP_TO_MARK.match(text, place)  # always: it may be empty
            end = found.end() if found else place
            mark = text[end : end + 1]
            self._keep(text[place:end])
            if mark in _TAIL_MATTERS:
                self._tail = (self._tail + text[max(place, end - _TAIL) : end])[-_TAIL:]
            line = self._meet(mark) if mark else None
            if line is not None:
                yield line
            place = end + 1

    def finish(self) -> Iterator[Line]:
        """What was never closed."""
        line = self._take()
        if line is not None:
            yield line

    def _pass_string(self, text: bytes, place: int) -> int:
        found = _IN_STRING.match(text, place)
        end = found.end() if found else place
        self._keep(text[place:end])
        mark = text[end : end + 1]
        if mark == b"\\" and end + 1 == len(text):
            self._carry = mark
            return len(text)
        if mark == b"\\":  # before a line end
            self._keep(mark)
        else:
            self._in_string = end == len(text)
            self._tail = b'"'  # what follows comes after a string, closed or broken off
            if mark == b"\n":
                return end
            self._keep(mark)
        return end + 1

    def _meet(self, mark: bytes) -> Line | None:
        """A quote or a bracket outside strings; gives the record that it ends."""
        if mark == b'"':
            self._keep(mark)
            self._in_string = True
            line = None
        else:
            line = self._close(mark) if mark in _CLOSES else self._begin(mark)
        self._tail = b""
        return line

    def _begin(self, mark: bytes) -> Line | None:
        if len(self._open) < len(self._around):
            if self._around.startswith(self._open + mark):
                self._open += mark
                self._drop()
            return None
        line = None
        if not self._stack or len(self._stack) > _DEEPEST or self._starts_anew(mark):
            line = self._take()
            if self._number == 0:
                self._indent = self._indentation()
        self._stack += mark
        self._keep(mark)
        return line

    def _starts_anew(self, mark: bytes) -> bool:
        """Whether a bracket inside a record can only be the next record's first."""
        if mark != b"{":
            return False
        before = self._tail.rstrip()[-1:]
        if self._stack.endswith(b"{") and before not in {b":", b""}:
            return True
        return self._telling is not None and self._indentation() == self._telling and before != b":"

    def _indentation(self) -> bytes | None:
        """White space between the line's start and here; None if there is anything else."""
        _, found, indent = self._tail.rpartition(b"\n")
        return indent if found and not indent.strip() else None

    def _close(self, mark: bytes) -> Line | None:
        if self._stack:
            if self._stack.endswith(_CLOSES[mark]):
                self._stack.pop()
            self._keep(mark)
            return None if self._stack else self._take()
        if self._open.endswith(_CLOSES[mark]) and len(self._open) == len(self._around):
            line = self._take()
            self._open = self._open[:-1]
            self._over = len(self._around) > 1
            return line
        self._keep(mark)
        return None

    def _keep(self, piece: bytes) -> None:
        if not self._stack and len(self._open) < len(self._around):
            return
        if self._overlong or len(self._record) + len(piece) > self._max + len(_BETWEEN):
            self._overlong = bool(self._stack) or self._overlong or bool(piece.strip(_BETWEEN))
            self._record.clear()
        else:
            self._record += piece

    def _drop(self) -> None:
        self._record.clear()
        self._stack.clear()
        self._overlong = False

    def _take(self) -> Line | None:
        content, overlong = bytes(self._record).strip(_BETWEEN), self._overlong
        self._drop()
        if not content and not overlong:
            return None
        self._number += 1
        if self._number == 1 and (self._indent or (self._indent is not None and b"\n" not in content)):
            self._telling = self._indent
        return Line(number=self._number, content=None if overlong or len(content) > self._max else content)
