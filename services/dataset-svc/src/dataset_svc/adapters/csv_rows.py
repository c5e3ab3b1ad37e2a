"""Rows of a CSV file (RFC 4180, any delimiter), each read alone so that a damaged one costs itself only."""

import csv
import io
import sys
from collections.abc import Iterator, Sequence

from dataset_svc.domain.sources.lines import Line, LineCutter
from dataset_svc.domain.sources.records import Row

_OPEN_QUOTE = "a quote is never closed"
_NOT_TEXT = "not UTF-8"


class CsvRows:
    """Feeds on UTF-8 chunks and gives rows; the first row names the columns.

    Args:
        max_record_bytes: Longer rows are reported, not kept.
    """

    def __init__(self, *, delimiter: str, max_record_bytes: int) -> None:
        csv.field_size_limit(sys.maxsize)  # the library's own limit is global and small; rows are bounded here
        self.columns: tuple[str, ...] | None = None
        self._delimiter = delimiter
        self._max = max_record_bytes
        self._cutter = LineCutter(max_line_bytes=max_record_bytes, verbatim=True)
        self._held: list[Line] = []  # lines of a row whose quote is still open
        self._held_bytes = 0
        self._quotes = 0

    def feed(self, chunk: bytes) -> Iterator[Row]:
        for line in self._cutter.feed(chunk):
            yield from self._take(line)

    def finish(self) -> Iterator[Row]:
        for line in self._cutter.finish():
            yield from self._take(line)
        yield from self._give_up()

    def _take(self, line: Line) -> Iterator[Row]:
        if line.content is None:
            yield from self._give_up()
            yield Row(number=line.number, fields=None, raw=None)
            return
        if not self._held and not line.content.strip():
            return
        if self._held_bytes + len(line.content) > self._max:
            yield from self._give_up()
        self._held.append(line)
        self._held_bytes += len(line.content)
        self._quotes += line.content.count(b'"')
        if self._quotes % 2 == 0:
            held = self._released()
            yield from self._row(held)

    def _released(self) -> list[Line]:
        held = self._held
        self._held, self._held_bytes, self._quotes = [], 0, 0
        return held

    def _give_up(self) -> Iterator[Row]:
        """The quote that opened was a stray one: each held line is a row of its own, or is bad."""
        for line in self._released():
            yield from self._row([line])

    def _row(self, lines: Sequence[Line]) -> Iterator[Row]:
        raw = b"".join(line.content or b"" for line in lines)
        number = lines[0].number
        try:
            rows = self._parsed(raw)
        except UnicodeDecodeError:
            yield Row(number=number, fields=None, raw=raw, fault=_NOT_TEXT)
            return
        except csv.Error:
            rows = []
        if len(rows) == 1:
            yield from self._checked(rows[0], number, raw)
        elif len(lines) > 1:  # quotes inside of cells that are not quoted: their number says nothing
            for line in lines:
                yield from self._row([line])
        else:
            yield Row(number=number, fields=None, raw=raw, fault="not a row")

    def _checked(self, cells: list[str], number: int, raw: bytes) -> Iterator[Row]:
        if self.columns is None:
            self.columns = tuple(cell.strip() for cell in cells)
        elif len(cells) == len(self.columns):
            yield Row(number=number, fields=dict(zip(self.columns, cells, strict=True)), raw=raw)
        else:
            width = f"{len(cells)} cells where the header has {len(self.columns)}"
            yield Row(number=number, fields=None, raw=raw, fault=_OPEN_QUOTE if raw.count(b'"') % 2 else width)

    def _parsed(self, raw: bytes) -> list[list[str]]:
        text = raw.decode().removesuffix("\n").removesuffix("\r")
        return list(csv.reader(io.StringIO(text, newline=""), delimiter=self._delimiter))
