"""Calls for training that no request has answered yet: at most one of a kind at a time."""

import uuid
from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from feedback_svc.domain.retraining import Signal, SignalKind
from feedback_svc.store.tables import retraining_signals


async def raise_signal(session: AsyncSession, task_id: str, signal: Signal, *, by: str, now: datetime) -> str | None:
    """Keeps a call for training; None if one of its kind waits already."""
    statement = (
        insert(retraining_signals)
        .values(
            signal_id=f"sig-{uuid.uuid4().hex}", task_id=task_id, kind=signal.kind, detail=signal.detail, raised_by=by,
            raised_at=now,
        )
        .on_conflict_do_nothing()
        .returning(retraining_signals.c.signal_id)
    )  # fmt: skip
    return (await session.execute(statement)).scalar_one_or_none()


async def list_open_signals(session: AsyncSession, task_id: str) -> list[Signal]:
    columns = retraining_signals.c
    query = sa.select(columns.kind, columns.detail).where(columns.task_id == task_id, columns.request_id.is_(None))
    rows = await session.execute(query.order_by(columns.raised_at))
    return [Signal(kind=SignalKind(row.kind), detail=row.detail) for row in rows]


async def answer_signals(session: AsyncSession, task_id: str, *, request_id: str) -> None:
    """Notes the request that answers all calls of a task."""
    columns = retraining_signals.c
    await session.execute(
        sa.update(retraining_signals)
        .where(columns.task_id == task_id, columns.request_id.is_(None))
        .values(request_id=request_id)
    )


async def last_raised_at(session: AsyncSession, task_id: str, kind: SignalKind) -> datetime | None:
    columns = retraining_signals.c
    query = sa.select(sa.func.max(columns.raised_at)).where(columns.task_id == task_id, columns.kind == kind)
    return (await session.execute(query)).scalar_one()
