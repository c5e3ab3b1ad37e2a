"""The lines of a version in formats that other tools read, batch by batch."""

import csv
import io
from collections.abc import Iterable
from enum import StrEnum

import msgspec
import pyarrow as pa
import pyarrow.parquet as pq

from dataset_svc.domain.samples import SplitName

COLUMNS = (
    "split", "sample_id", "task_id", "input", "messages", "source", "inference_id", "rating_ids", "unit_hash", "weight_0_1",
    "tools", "rejected", "thumb", "metadata", "category", "group",
)  # fmt: skip
_AS_JSON = frozenset({"messages", "rating_ids", "metadata"})
_SCHEMA = pa.schema([
    (name, pa.float64() if name == "weight_0_1" else pa.bool_() if name == "thumb" else pa.string()) for name in COLUMNS
])  # fmt: skip
_decoder = msgspec.json.Decoder(dict[str, msgspec.Raw])
Cell = str | float | bool | None


class ExportFormat(StrEnum):
    """Formats of a download."""

    JSONL = "jsonl"
    PARQUET = "parquet"
    CSV = "csv"


MEDIA_TYPES = {
    ExportFormat.JSONL: "application/jsonl",
    ExportFormat.PARQUET: "application/vnd.apache.parquet",
    ExportFormat.CSV: "text/csv; charset=utf-8",
}


class Exporter:
    """Feed it whole lines, part by part, then finish; what it gives, put together, is the file.

    Lists and objects are JSON text in Parquet and CSV.
    """

    def __init__(self, wanted: ExportFormat) -> None:
        self._format = wanted
        self._sink = _Sink()
        self._parquet: pq.ParquetWriter | None = None
        if wanted is ExportFormat.PARQUET:
            self._parquet = pq.ParquetWriter(pa.PythonFile(self._sink, mode="w"), _SCHEMA, compression="zstd")
        if wanted is ExportFormat.CSV:
            self._sink.write(_csv_rows([COLUMNS]))

    def feed(self, split: SplitName, lines: bytes) -> bytes:
        if self._format is ExportFormat.JSONL:
            opening = b'{"split":"' + split.encode() + b'",'
            return b"".join(opening + line[1:] for line in lines.splitlines(keepends=True))
        rows = [_cells(split, line) for line in lines.splitlines()]
        if self._parquet is None:
            self._sink.write(_csv_rows(rows))
        elif rows:
            columns = [
                pa.array(values, field.type) for values, field in zip(zip(*rows, strict=True), _SCHEMA, strict=True)
            ]
            self._parquet.write_batch(pa.record_batch(columns, schema=_SCHEMA))
        return self._sink.drain()

    def finish(self) -> bytes:
        if self._parquet is not None:
            self._parquet.close()
        return self._sink.drain()


class _Sink(io.RawIOBase):
    """Keeps what is written until it is fetched."""

    def __init__(self) -> None:
        super().__init__()
        self._written = bytearray()

    def writable(self) -> bool:
        return True

    def write(self, content: bytes, /) -> int:  # pyright: ignore[reportIncompatibleMethodOverride] - of all buffers bytes is what comes
        self._written += content
        return len(content)

    def drain(self) -> bytes:
        content = bytes(self._written)
        self._written.clear()
        return content


def _cells(split: SplitName, line: bytes) -> tuple[Cell, ...]:
    said = _decoder.decode(line)
    return (str(split), *(_cell(name, said.get(name)) for name in COLUMNS[1:]))


def _cell(name: str, said: msgspec.Raw | None) -> Cell:
    if said is None:
        return None
    if name in _AS_JSON:
        return bytes(said).decode()
    return msgspec.json.decode(said, type=str | float | bool | None)


def _csv_rows(rows: Iterable[Iterable[Cell]]) -> bytes:
    text = io.StringIO()
    csv.writer(text, lineterminator="\r\n").writerows(rows)
    return text.getvalue().encode()
