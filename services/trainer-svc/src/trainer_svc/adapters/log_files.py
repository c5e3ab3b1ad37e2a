"""Logs of jobs, read in parts: whatever was written there, a read costs bounded time and memory."""

import os
import stat
from dataclasses import dataclass
from pathlib import Path

LONGEST_LINE_BYTES = 16 << 10  # longer ones are given in pieces of this length
BLOCK_BYTES = 64 << 10  # most of what one read of a follower gives
PAGE_BYTES = 1 << 20  # most of what one page gives


@dataclass(frozen=True, kw_only=True)
class LogPart:
    """Some lines that stand one after the other.

    Attributes:
        lines: Without their ends; what is no UTF-8 reads as U+FFFD.
        start: Byte at which the first of them begins.
        end: Byte after the last of them.
        size_bytes: Length of the whole log.
        unfinished: Beginning of a line at the end of the log that is still being written, and is not among `lines`.
    """

    lines: tuple[str, ...] = ()
    start: int = 0
    end: int = 0
    size_bytes: int = 0
    unfinished: str = ""


@dataclass(frozen=True, kw_only=True)
class News:
    """What a follower has not seen yet.

    Attributes:
        end: Byte after the last line: where to go on.
        restarted: The log was cut or another one took its place; its lines count from its beginning.
    """

    lines: tuple[str, ...] = ()
    end: int = 0
    restarted: bool = False


def read_from(path: Path, offset: int, *, lines: int, whole: bool) -> LogPart:
    """A page from a byte on.

    Args:
        whole: Nobody writes to the log any more: what stands at its end is a line, whether or not it was ended.
    """
    file = _open(path)
    if file is None:
        return LogPart()
    try:
        size = os.fstat(file).st_size
        start = min(offset, size)
        block = os.pread(file, min(PAGE_BYTES, size - start), start)
        pieces = _pieces(block, whole=whole and start + len(block) == size)
        return _part(block, pieces[:lines], start=start, size=size)
    finally:
        os.close(file)


def read_last(path: Path, lines: int, *, before: int | None = None, whole: bool) -> LogPart:
    """The last lines, or the last ones before a byte; read from the end backwards, as far as needed.

    Args:
        before: Start of an earlier part.
        whole: As in `read_from`.
    """
    file = _open(path)
    if file is None:
        return LogPart()
    try:
        return _last(file, lines, before=before, whole=whole)
    finally:
        os.close(file)


class LogTail:
    """Follows one log by its name, as `tail -F` does, with one open file and no more memory than a block.

    What is not seen: a log that is cut and grows past its former length within one interval of looking.

    Args:
        position: Byte to begin at; None begins so many lines before the end.

    Attributes:
        position: Byte to go on at.
    """

    def __init__(self, path: Path, *, position: int | None, last_lines: int) -> None:
        self._path = path
        self._last_lines = last_lines
        self._begun = position is not None
        self.position = position or 0
        self._file: int | None = None

    def read(self, *, whole: bool) -> News:
        """What came since the last time, up to a block; nothing if nothing did.

        Args:
            whole: Nobody writes to the log any more.

        Raises:
            OSError: the log cannot be read.
        """
        restarted = False
        if self._file is None:
            self._file = _open(self._path)
            if self._file is not None and not self._begun:
                self.position = _last(self._file, self._last_lines, before=None, whole=False).start
            self._begun = True  # of a log that appears later, nothing is passed over
        if self._file is None:
            return News(end=self.position)
        if os.fstat(self._file).st_size < self.position:
            self.position, restarted = 0, True
        lines = self._take(self._file, whole=whole)
        if not lines and self._is_replaced(self._file):
            lines = self._take(self._file, whole=True)
            if not lines:
                self.close()
                self.position, restarted = 0, True
                self._file = _open(self._path)
                lines = self._take(self._file, whole=whole) if self._file is not None else ()
        return News(lines=lines, end=self.position, restarted=restarted)

    def close(self) -> None:
        if self._file is not None:
            os.close(self._file)
            self._file = None

    def _take(self, file: int, *, whole: bool) -> tuple[str, ...]:
        block = os.pread(file, BLOCK_BYTES, self.position)
        at_end = len(block) < BLOCK_BYTES
        pieces = _pieces(block, whole=whole and at_end)
        if pieces:
            self.position += pieces[-1][1]
        return tuple(text for text, _ in pieces)

    def _is_replaced(self, file: int) -> bool:
        """Whether another file bears the name; while none does, the old one is what there is."""
        try:
            now, ours = self._path.stat(), os.fstat(file)
        except OSError:
            return False
        return (now.st_dev, now.st_ino) != (ours.st_dev, ours.st_ino)


def _open(path: Path) -> int | None:
    """A descriptor of a plain file; None if there is none (a pipe of that name would wait for its writer)."""
    try:
        file = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except FileNotFoundError:
        return None
    if stat.S_ISREG(os.fstat(file).st_mode):
        return file
    os.close(file)
    return None


def _last(file: int, lines: int, *, before: int | None, whole: bool) -> LogPart:
    size = os.fstat(file).st_size
    end = size if before is None else min(before, size)
    start, block = _block_before(file, end, lines=lines)
    pieces = _pieces(block, whole=whole or end < size)
    first = 0
    if start > 0 and len(pieces) > 1:  # the beginning of the first one may have been left out
        first, pieces = pieces[0][1], pieces[1:]
    if len(pieces) > lines:
        left_out = len(pieces) - lines
        first, pieces = pieces[left_out - 1][1], pieces[left_out:]
    return _part(block, pieces, start=start, size=size, first=first)


def _block_before(file: int, end: int, *, lines: int) -> tuple[int, bytes]:
    """Enough bytes before a place to hold so many lines, or `PAGE_BYTES`; and where they begin."""
    start, blocks, ends = end, list[bytes](), 0
    while start > 0 and ends <= lines and end - start < PAGE_BYTES:
        length = min(BLOCK_BYTES, start, PAGE_BYTES - (end - start))
        start -= length
        blocks.append(os.pread(file, length, start))
        ends += blocks[-1].count(b"\n")
    return start, b"".join(reversed(blocks))


def _pieces(block: bytes, *, whole: bool) -> list[tuple[str, int]]:
    """Each line of a block, and where the next one begins."""
    pieces: list[tuple[str, int]] = []
    at = 0
    while at < len(block):
        end = block.find(b"\n", at, at + LONGEST_LINE_BYTES + 1)
        if end >= 0:
            text, after = block[at:end], end + 1
        elif len(block) - at > LONGEST_LINE_BYTES:
            after = _before_character(block, at + LONGEST_LINE_BYTES)
            text = block[at:after]
        elif whole:
            text, after = block[at:], len(block)
        else:
            break
        pieces.append((_text(text), after))
        at = after
    return pieces


def _before_character(block: bytes, place: int) -> int:
    """The nearest place before which no UTF-8 character is cut; a character has at most three bytes after its first."""
    for back in range(4):
        if block[place - back] & 0xC0 != 0x80:
            return place - back
    return place


def _part(block: bytes, pieces: list[tuple[str, int]], *, start: int, size: int, first: int = 0) -> LogPart:
    end = pieces[-1][1] if pieces else first
    rest = block[end:]
    is_unfinished = start + len(block) == size and len(rest) <= LONGEST_LINE_BYTES and b"\n" not in rest
    return LogPart(
        lines=tuple(text for text, _ in pieces), start=start + first, end=start + end, size_bytes=size,
        unfinished=_text(rest) if is_unfinished else "",
    )  # fmt: skip


def _text(line: bytes) -> str:
    return line.decode("utf-8", "replace").removesuffix("\r")
