"""Opens a file of training data, whatever it is, and gives its records one by one; never the whole file in memory."""

import re
import tempfile
from collections.abc import Generator, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import chain
from typing import IO, Protocol, TypeVar

from dataset_svc.adapters.csv_rows import CsvRows
from dataset_svc.adapters.parquet_rows import parquet_rows
from dataset_svc.adapters.texts import as_utf_8, unpacked
from dataset_svc.domain.sources.columns import ColumnMapping, field_names, require_columns
from dataset_svc.domain.sources.formats import (
    Compression,
    Encoding,
    EncodingVote,
    Format,
    SourceKind,
    compression_of,
    format_of,
    marked_encoding,
)
from dataset_svc.domain.sources.json_records import JsonRecordCutter
from dataset_svc.domain.sources.lines import Block, Line, LineCutter
from dataset_svc.domain.sources.records import Row

_HEAD_BYTES = 1 << 20
_VOTED_BYTES = 64 << 20
_PARQUET_MARK = b"PAR1"
_PIECES = re.compile(rb'[\n"]')
_MOST_HELD = 100
_PORTION_RECORDS = 2_000
_PORTION_BYTES = 1 << 20
T_co = TypeVar("T_co", covariant=True)
SourcePortion = Block | list[Line | Row]
_AROUND = {Format.JSON_ARRAY: b"[", Format.JSON_WRAPPED: b"{[", Format.JSON_OBJECTS: b""}


@dataclass(frozen=True, kw_only=True)
class SourceLimits:
    """What one file may cost.

    Attributes:
        max_unpacked_bytes: A file that unpacks to more is refused.
        max_record_bytes: Longer records are reported as bad.
    """

    max_unpacked_bytes: int
    max_record_bytes: int


@dataclass(frozen=True, kw_only=True)
class SourceFile:
    """A file that is open at any place, and what it was found to be.

    Attributes:
        file: Seekable; read from its start whenever records are asked for.
    """

    file: IO[bytes]
    kind: SourceKind
    limits: SourceLimits
    mapping: ColumnMapping | None = None

    def records(self) -> Iterator[Line | Row]:
        """All records in order.

        Raises:
            Invalid: the file is damaged, unpacks to too much, or lacks columns that the mapping names.
        """
        if self.kind.format is Format.PARQUET:
            return self._parquet()
        if self.kind.format is Format.CSV:
            return self._csv()
        return self._json()

    def portions(self) -> Iterator[SourcePortion]:
        """All records in order, about a megabyte at a time; lines are left to be cut by whoever reads them.

        Raises:
            Invalid: as `records`.
        """
        if self.kind.format is Format.JSON_LINES and self.mapping is None:
            cutter = LineCutter(max_line_bytes=self.limits.max_record_bytes)
            for text in _gathered(self.text()):
                yield from cutter.feed_blocks(text)
            yield from cutter.finish_blocks()
        else:
            yield from _portions(self.records())

    def text(self) -> Iterator[bytes]:
        """The file in UTF-8, unpacked, chunk by chunk; not for Parquet."""
        packed = unpacked(self.file, self.kind.compression, max_bytes=self.limits.max_unpacked_bytes)
        return as_utf_8(packed, self.kind.encoding)

    def _json(self) -> Iterator[Line]:
        longest = self.limits.max_record_bytes
        around = _AROUND.get(self.kind.format)
        if around is None:
            lines = _fed(LineCutter(max_line_bytes=longest), self.text())
        else:
            lines = _fed(JsonRecordCutter(around=around, max_record_bytes=longest), self.text())
        return lines if self.mapping is None else _with_known_columns(lines, self.mapping)

    def _csv(self) -> Iterator[Row]:
        rows = CsvRows(delimiter=self.kind.delimiter, max_record_bytes=self.limits.max_record_bytes)
        checked = self.mapping is None
        for row in _fed(rows, self.text()):
            if not checked and self.mapping is not None and rows.columns is not None:
                require_columns(self.mapping, rows.columns)
                checked = True
            yield row

    def _parquet(self) -> Iterator[Row]:
        with _seekable(self.file, self.kind.compression, self.limits) as plain:
            yield from parquet_rows(
                plain,
                mapping=self.mapping,
                max_bytes=self.limits.max_unpacked_bytes,
                max_record_bytes=self.limits.max_record_bytes,
            )


def open_source(
    file: IO[bytes], *, name: str, limits: SourceLimits, mapping: ColumnMapping | None = None
) -> SourceFile:
    """Looks at a file's first bytes, and at its text until its encoding is clear.

    Args:
        file: Open for reading bytes, seekable.
        name: What it was called where it came from, as a hint; may be empty.

    Raises:
        Invalid: it is damaged, or unpacks to too much.
    """
    file.seek(0)
    compression = compression_of(file.read(8))
    chunks = unpacked(file, compression, max_bytes=limits.max_unpacked_bytes)
    head = b""
    for chunk in chunks:
        head += chunk
        if len(head) >= _HEAD_BYTES:
            break
    if head.startswith(_PARQUET_MARK):
        kind = SourceKind(compression=compression, encoding=Encoding.UTF_8, format=Format.PARQUET)
    else:
        encoding = marked_encoding(head) or _voted(head, chunks)
        text = b"".join(as_utf_8(iter([head]), encoding))
        layout, delimiter = format_of(text, name)
        kind = SourceKind(compression=compression, encoding=encoding, format=layout, delimiter=delimiter)
    return SourceFile(file=file, kind=kind, limits=limits, mapping=mapping)


def _voted(head: bytes, chunks: Iterator[bytes]) -> Encoding:
    """Asks pieces between line ends and quotes: neither is ever half of a character in UTF-8 or CP949."""
    vote = EncodingVote()
    looked_at, rest = 0, b""
    for chunk in chain((head,), chunks):
        looked_at += len(chunk)
        if chunk.isascii() and rest.isascii():
            rest = b""
        else:
            *pieces, rest = _PIECES.split(rest + chunk)
            if vote.hear(pieces):
                return vote.winner
            rest = rest if len(rest) < _HEAD_BYTES else b""
        if looked_at >= _VOTED_BYTES:
            return vote.winner
    vote.hear((rest,))
    return vote.winner


def _gathered(chunks: Iterable[bytes]) -> Iterator[bytes]:
    held: list[bytes] = []
    size = 0
    for chunk in chunks:
        held.append(chunk)
        size += len(chunk)
        if size >= _PORTION_BYTES:
            yield b"".join(held)
            held, size = [], 0
    yield b"".join(held)


def _portions(records: Iterable[Line | Row]) -> Iterator[list[Line | Row]]:
    portion: list[Line | Row] = []
    size = 0
    for one in records:
        content = one.content if isinstance(one, Line) else one.raw
        portion.append(one)
        size += len(content or b"")
        if len(portion) >= _PORTION_RECORDS or size >= _PORTION_BYTES:
            yield portion
            portion, size = [], 0
    if portion:
        yield portion


class _Cutter(Protocol[T_co]):
    def feed(self, chunk: bytes) -> Iterator[T_co]: ...
    def finish(self) -> Iterator[T_co]: ...


def _fed(cutter: _Cutter[T_co], chunks: Iterable[bytes]) -> Iterator[T_co]:
    for chunk in chunks:
        yield from cutter.feed(chunk)
    yield from cutter.finish()


def _with_known_columns(lines: Iterator[Line], mapping: ColumnMapping) -> Iterator[Line]:
    """Looks at the first records for the mapped columns, for JSON has no header.

    Raises:
        Invalid: there are records, and none of them has one of the columns.
    """
    held: list[Line] = []
    size = 0
    names: dict[str, None] = {}
    for line in lines:
        held.append(line)
        size += len(line.content or b"")
        names.update(dict.fromkeys(field_names(line.content or b"")))
        if set(mapping.values()) <= set(names) or len(held) >= _MOST_HELD or size >= _HEAD_BYTES:
            break
    if names:
        require_columns(mapping, names)
    yield from held
    yield from lines


@contextmanager
def _seekable(file: IO[bytes], compression: Compression, limits: SourceLimits) -> Generator[IO[bytes]]:
    """The unpacked file; what had to be unpacked for it has no name on disk, and is gone when it is closed."""
    if compression is Compression.NONE:
        file.seek(0)
        yield file
        return
    with tempfile.TemporaryFile(prefix="dataset-source-") as plain:
        for chunk in unpacked(file, compression, max_bytes=limits.max_unpacked_bytes):
            plain.write(chunk)
        plain.seek(0)
        yield plain
