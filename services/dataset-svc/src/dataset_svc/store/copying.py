"""Many rows at once: PostgreSQL's COPY, inside the transaction of the session."""

import asyncio
from collections.abc import AsyncIterator, Iterable, Iterator, Sequence
from typing import Final

import asyncpg
from sqlalchemy.ext.asyncio import AsyncSession

from dataset_svc.store.tables import Base

Rows = Sequence[tuple[object, ...]]
_COPIED_AT_ONCE: Final = 20_000  # by one statement, which has a minute


async def copy_rows(session: AsyncSession, table: type[Base], columns: Sequence[str], portions: Iterable[Rows]) -> None:
    """Copies rows into a table; the next portion is made while the database takes the last one.

    Args:
        portions: Some milliseconds of work each.
    """
    connection = await session.connection()
    # the driver's connection is in the transaction from its first statement on
    await connection.exec_driver_sql("SELECT 1")
    raw = (await connection.get_raw_connection()).driver_connection
    assert isinstance(raw, asyncpg.Connection)
    waiting = iter(portions)
    while (first := next(waiting, None)) is not None:
        records = _statement(first, waiting)
        await raw.copy_records_to_table(
            table.__tablename__, schema_name=table.metadata.schema, columns=columns, records=records
        )


async def _statement(first: Rows, waiting: Iterator[Rows]) -> AsyncIterator[tuple[object, ...]]:
    """The rows of one statement; others have their turn between two portions."""
    rows: Rows | None = first
    copied = 0
    while rows is not None:
        for row in rows:
            yield row
        copied += len(rows)
        if copied >= _COPIED_AT_ONCE:
            return
        await asyncio.sleep(0)
        rows = next(waiting, None)
