"""Exports that must go from storage; a row outlives its object, to say when that happened and why."""

from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from feedback_svc.store.tables import export_deletions


async def queue_deletion(
    session: AsyncSession, uri: str, *, reason: str, now: datetime, erasure_id: str | None = None
) -> None:
    """Queues an object; asking for one again is asking for it anew, for it may have been written again."""
    anew = {"erasure_id": erasure_id, "reason": reason, "due_at": now, "deleted_at": None}
    statement = insert(export_deletions).values(uri=uri, **anew)
    await session.execute(statement.on_conflict_do_update(index_elements=[export_deletions.c.uri], set_=anew))


async def find_due_deletion(session: AsyncSession, now: datetime) -> tuple[str, datetime] | None:
    """The object that has waited longest, and when it fell due."""
    columns = export_deletions.c
    query = sa.select(columns.uri, columns.due_at).where(columns.deleted_at.is_(None), columns.due_at <= now)
    row = (await session.execute(query.order_by(columns.due_at, columns.uri).limit(1))).one_or_none()
    return None if row is None else (row.uri, row.due_at)


async def mark_deleted(session: AsyncSession, uri: str, *, due_at: datetime, now: datetime) -> None:
    """Notes that an object is gone, unless it was queued anew meanwhile."""
    columns = export_deletions.c
    same = (columns.uri == uri, columns.due_at == due_at)
    await session.execute(sa.update(export_deletions).where(*same).values(deleted_at=now))


async def postpone_deletion(session: AsyncSession, uri: str, *, until: datetime) -> None:
    """Lets others go first."""
    await session.execute(sa.update(export_deletions).where(export_deletions.c.uri == uri).values(due_at=until))
