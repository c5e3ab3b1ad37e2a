"""Rows of a Parquet file, a few at a time, whatever the size of its row groups."""

from collections.abc import Iterator
from typing import IO, cast

import msgspec
import pyarrow as pa
import pyarrow.parquet as pq

from dataset_svc.adapters.texts import lent
from dataset_svc.domain.sources.columns import ColumnMapping, require_columns
from dataset_svc.domain.sources.records import Fields, Row
from loopwright.errors import Invalid

_ROWS_AT_ONCE = 64
_MOST_COLUMNS = 1000


def parquet_rows(
    file: IO[bytes], *, mapping: ColumnMapping | None, max_bytes: int, max_record_bytes: int
) -> Iterator[Row]:
    """Reads row group by row group; one that is damaged is one bad record, and the next is read.

    Raises:
        Invalid: the file cannot be opened, unpacks to more than is allowed, or lacks columns that the mapping names.
    """
    try:
        table = pq.ParquetFile(lent(file))
        columns = list(table.schema_arrow.names)
        groups = [table.metadata.row_group(place) for place in range(table.num_row_groups)]
    except (pa.ArrowException, OSError, ValueError) as error:
        raise Invalid("source.damaged", "the Parquet file is cut off or damaged") from error
    if sum(group.total_byte_size for group in groups) > max_bytes:
        raise Invalid("source.too-large-unpacked", f"the file unpacks to more than {max_bytes} bytes")
    if len(columns) > _MOST_COLUMNS:
        raise Invalid("source.too-many-columns", f"the file has more than {_MOST_COLUMNS} columns")
    if mapping is not None:
        require_columns(mapping, columns)
    first = 1
    for place, group in enumerate(groups):
        yield from _group_rows(table, place, first=first, max_record_bytes=max_record_bytes)
        first += group.num_rows


def _group_rows(table: pq.ParquetFile, place: int, *, first: int, max_record_bytes: int) -> Iterator[Row]:
    number = first
    try:
        for batch in table.iter_batches(_ROWS_AT_ONCE, row_groups=[place], use_threads=False):
            for offset in range(batch.num_rows):
                yield _row(batch.slice(offset, 1), number, max_record_bytes)
                number += 1
    except (pa.ArrowException, OSError, ValueError, MemoryError):
        yield Row(number=number, fields=None, raw=None, fault="its part of the Parquet file is damaged")


def _row(batch: pa.RecordBatch, number: int, max_record_bytes: int) -> Row:
    if batch.get_total_buffer_size() > max_record_bytes and batch.nbytes > max_record_bytes:
        return Row(number=number, fields=None, raw=None)
    try:
        [values] = batch.to_pylist()
        raw = msgspec.json.encode(values, enc_hook=str)
        fields = cast("object", msgspec.json.decode(raw))
    except (pa.ArrowException, msgspec.MsgspecError, ValueError, TypeError, OverflowError, RecursionError):
        return Row(number=number, fields=None, raw=None, fault="holds a value that is no text, number, list or object")
    if len(raw) > max_record_bytes or not isinstance(fields, dict):
        return Row(number=number, fields=None, raw=None)
    return Row(number=number, fields=cast("Fields", fields), raw=raw)
