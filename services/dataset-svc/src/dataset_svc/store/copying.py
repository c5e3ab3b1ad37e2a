"""Many rows at once: PostgreSQL's COPY, inside the transaction of the session."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Final

import asyncpg
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession


async def copy_rows(
    session: AsyncSession, table: str, columns: Sequence[str], rows: Iterable[tuple[object, ...]], *, schema: str | None
) -> None:
    """Copies rows into a table.

    Args:
        schema: None for a temporary table.
    """
    connection = await session.connection()
    await connection.exec_driver_sql(
        "SELECT 1"
    )  # the driver's connection is in the transaction from its first statement on
    raw = (await connection.get_raw_connection()).driver_connection
    assert isinstance(raw, asyncpg.Connection)
    await raw.copy_records_to_table(table, schema_name=schema, columns=columns, records=rows)


_MERGED_AT_ONCE: Final = 20_000


class Staging:
    """Rows for a table that may hold rows of the same keys: a temporary table takes some thousands, a statement merges them.

    Args:
        table: The temporary one, which goes with the transaction.
        columns: With their types.
        merge: Reads it; a key may be in it several times.
    """

    def __init__(self, session: AsyncSession, table: str, columns: Mapping[str, str], merge: sa.TextClause) -> None:
        self._session, self._table, self._columns, self._merge = session, table, columns, merge
        self._made = False
        self._rows = 0

    async def add(self, rows: Sequence[tuple[object, ...]]) -> None:
        if not rows:
            return
        if not self._made:
            columns = ", ".join(f"{name} {kind}" for name, kind in self._columns.items())
            await self._session.execute(sa.text(f"CREATE TEMPORARY TABLE {self._table} ({columns}) ON COMMIT DROP"))
            self._made = True
        await copy_rows(self._session, self._table, tuple(self._columns), rows, schema=None)
        self._rows += len(rows)
        if self._rows >= _MERGED_AT_ONCE:
            await self.merge()

    async def merge(self) -> None:
        """Merges what waits."""
        if self._rows:
            await self._session.execute(self._merge)
            await self._session.execute(sa.text(f"TRUNCATE {self._table}"))
            self._rows = 0
