"""Collecting runs: upstream records of one source become samples of one task, part by part."""

import uuid
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from feedback_svc.domain.collecting import Counts
from feedback_svc.store.tables import collections
from loopwright.contracts.base import JsonObject


class RunState(StrEnum):
    """Life of a run."""

    OPEN = "open"
    SUCCEEDED = "succeeded"
    FAILED = "failed"


@dataclass(frozen=True, kw_only=True)
class Run:
    """One run.

    Attributes:
        options: Of the source, as the task declared them when it was asked for.
        position: It has read the source's records up to here.
    """

    run_id: str
    task_id: str
    source: str
    state: RunState
    requested_at: datetime
    options: JsonObject
    position: int
    counts: Counts


async def add_run(
    session: AsyncSession, task_id: str, source: str, *, options: JsonObject, why: tuple[str, str], now: datetime
) -> str | None:
    """Asks for a run, unless one of the same task and source is open.

    It begins where the last one that succeeded ended, or anew if that one had other options.

    Args:
        why: Reason in words, and who asked.

    Returns:
        Its id; None if one was open.
    """
    last = await find_last_run(session, task_id, source)
    start = last.position if last is not None and last.options == options else 0
    reason, by = why
    run_id = f"run-{uuid.uuid4().hex}"
    statement = (
        insert(collections)
        .values(
            run_id=run_id, task_id=task_id, source=source, state=RunState.OPEN, reason=reason, requested_by=by,
            requested_at=now, options=options, from_position=start, position=start,
            counts=Counts().model_dump(mode="json"),
        )
        .on_conflict_do_nothing()
        .returning(collections.c.run_id)
    )  # fmt: skip
    return (await session.execute(statement)).scalar_one_or_none()


async def find_last_run(session: AsyncSession, task_id: str, source: str) -> Run | None:
    """The newest run that succeeded."""
    columns = collections.c
    query = (
        sa.select(collections)
        .where(columns.task_id == task_id, columns.source == source, columns.state == RunState.SUCCEEDED)
        .order_by(columns.requested_at.desc(), columns.run_id)
        .limit(1)
    )
    row = (await session.execute(query)).one_or_none()
    return None if row is None else _run(row)


async def last_asked_at(session: AsyncSession, task_id: str, source: str) -> datetime | None:
    """When the newest run was asked for, whatever became of it."""
    columns = collections.c
    query = sa.select(sa.func.max(columns.requested_at)).where(columns.task_id == task_id, columns.source == source)
    return (await session.execute(query)).scalar_one()


async def failed_lately(session: AsyncSession, task_id: str, source: str, *, since: datetime) -> bool:
    """Whether a run has failed since a moment."""
    columns = collections.c
    failed = (columns.state == RunState.FAILED, columns.finished_at >= since)
    query = sa.select(sa.exists().where(columns.task_id == task_id, columns.source == source, *failed))
    return bool((await session.execute(query)).scalar_one())


async def find_open_run(session: AsyncSession) -> Run | None:
    """The open run that was asked for first; nobody else works at it until the end of the transaction."""
    query = (
        sa.select(collections)
        .where(collections.c.finished_at.is_(None))
        .order_by(collections.c.requested_at, collections.c.run_id)
        .limit(1)
        .with_for_update(skip_locked=True)
    )
    row = (await session.execute(query)).one_or_none()
    return None if row is None else _run(row)


async def advance_run(session: AsyncSession, run: Run, *, position: int, counts: Counts) -> None:
    """Keeps how far a run is."""
    await _change(session, run.run_id, position=position, counts=counts.model_dump(mode="json"))


async def finish_run(
    session: AsyncSession, run_id: str, state: RunState, *, now: datetime, error: str | None = None
) -> None:
    await _change(session, run_id, state=state, finished_at=now, error=error)


async def _change(session: AsyncSession, run_id: str, **values: object) -> None:
    await session.execute(sa.update(collections).where(collections.c.run_id == run_id).values(values))


def _run(row: sa.Row[*tuple[object, ...]]) -> Run:
    return Run(
        run_id=row.run_id,
        task_id=row.task_id,
        source=row.source,
        state=RunState(row.state),
        requested_at=row.requested_at,
        options=row.options,
        position=row.position,
        counts=Counts.model_validate(row.counts),
    )
