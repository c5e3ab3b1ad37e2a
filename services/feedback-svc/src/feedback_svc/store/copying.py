"""Many rows at once: by COPY, the fastest way into PostgreSQL, and by queries that spare SQLAlchemy's share."""

from collections.abc import Sequence
from typing import cast

import asyncpg
import sqlalchemy as sa
from sqlalchemy.dialects import postgresql
from sqlalchemy.ext.asyncio import AsyncSession

_DIALECT = postgresql.dialect()
Incoming = sa.Select[*tuple[object, ...]]


async def fetch(session: AsyncSession, query: str, *arguments: object) -> list[asyncpg.Record]:
    """Asks without SQLAlchemy, whose statements cost ten times as much; only within a transaction that it has begun."""
    return await (await _connection_of(session)).fetch(query, *arguments)


async def _connection_of(session: AsyncSession) -> asyncpg.Connection:
    connection = await (await session.connection()).get_raw_connection()
    return cast("asyncpg.Connection", connection.driver_connection)


async def copy_rows(
    session: AsyncSession, table: sa.Table, columns: Sequence[str], rows: Sequence[tuple[object, ...]]
) -> None:
    """Adds rows, none of which may be there.

    Args:
        columns: Columns of `table`.
        rows: Values in the order of `columns`; JSON as text.
    """
    connection = await _connection_of(session)
    await connection.copy_records_to_table(
        table.name, schema_name=str(table.schema), records=rows, columns=list(columns)
    )


async def bring_rows(
    session: AsyncSession, table: sa.Table, columns: Sequence[str], rows: Sequence[tuple[object, ...]]
) -> Incoming:
    """Copies rows into a table of the session that holds them until the transaction ends, for COPY knows no conflicts.

    Returns:
        Those rows, in the order of `columns`, to insert from.
    """
    name = f"incoming_{table.name}"
    typed = ", ".join(f"{column} {table.c[column].type.compile(_DIALECT)}" for column in columns)
    await session.execute(sa.text(f"CREATE TEMPORARY TABLE IF NOT EXISTS {name} ({typed}) ON COMMIT DELETE ROWS"))
    connection = await _connection_of(session)
    await connection.copy_records_to_table(name, records=rows, columns=list(columns))
    return sa.select(sa.table(name, *(sa.column(column, table.c[column].type) for column in columns)))
