"""What people asked: of named inferences, and of a task now and then."""

from collections.abc import Collection
from datetime import datetime
from typing import NamedTuple

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.ext.asyncio import AsyncSession

from feedback_svc.store.inferences import open_contents
from feedback_svc.store.tables import inferences


class Asked(NamedTuple):
    """What was asked, if it was kept, and by whom."""

    input: str | None
    unit_hash: str


async def find_asked(session: AsyncSession, inference_ids: Collection[str]) -> dict[str, Asked]:
    """Of those that have arrived."""
    columns = inferences.c
    query = sa.select(columns.inference_id, columns.unit_hash, columns.content).where(
        columns.inference_id == sa.any_(sa.literal(sorted(inference_ids), ARRAY(sa.Text)))
    )
    rows = (await session.execute(query)).all()
    contents = await open_contents(session, [row.content for row in rows])
    return {row.inference_id: Asked(content.input, row.unit_hash) for row, content in zip(rows, contents, strict=True)}


async def list_inputs(
    session: AsyncSession, task_id: str, *, before: datetime, at_most: int
) -> tuple[list[str], datetime | None]:
    """The newest inputs of a task before a moment, and when the oldest of them was answered."""
    columns = inferences.c
    query = (
        sa.select(columns.content, columns.completed_at)
        .where(columns.task_id == task_id, columns.completed_at < before)
        .order_by(columns.completed_at.desc())
        .limit(at_most)
    )
    rows = (await session.execute(query)).all()
    contents = await open_contents(session, [row.content for row in rows])
    return [content.input for content in contents if content.input], rows[-1].completed_at if rows else None
