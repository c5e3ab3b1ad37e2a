"""Many rows at once: PostgreSQL's COPY, inside the transaction of the session."""

from collections.abc import Iterable, Sequence

import asyncpg
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
