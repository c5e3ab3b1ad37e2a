"""Watches over champions that were just put in charge: one per task, the latest."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

import sqlalchemy as sa
from pydantic import TypeAdapter
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from registry_svc.domain.guardrails import Figures
from registry_svc.domain.models import VariantId
from registry_svc.store.tables import promotion_watches

_figures = TypeAdapter(Figures)
_columns = promotion_watches.c


class WatchState(StrEnum):
    """Open while it watches or has a champion to take away."""

    WATCHING = "watching"
    HARMFUL = "harmful"  # to be rolled back, as soon as the servers let us
    ENDED = "ended"


@dataclass(frozen=True, kw_only=True)
class Watch:
    """One watch.

    Attributes:
        revision: Of the deployment that it began with.
        baseline: What the router had counted at the first look; None before that.
    """

    task_id: str
    revision: int
    champion: VariantId
    state: WatchState
    reason: str
    baseline: Figures | None
    started_at: datetime
    ends_at: datetime


async def save_watch(session: AsyncSession, watch: Watch) -> None:
    """Makes this the watch of its task."""
    values = {
        "task_id": watch.task_id,
        "revision": watch.revision,
        "champion": str(watch.champion),
        "state": watch.state,
        "reason": watch.reason,
        "baseline": None if watch.baseline is None else _figures.dump_python(watch.baseline, mode="json"),
        "started_at": watch.started_at,
        "ends_at": watch.ends_at,
    }
    statement = insert(promotion_watches).values(values)
    await session.execute(statement.on_conflict_do_update(index_elements=["task_id"], set_=values))


async def find_watch(session: AsyncSession, task_id: str) -> Watch | None:
    row = (await session.execute(sa.select(promotion_watches).where(_columns.task_id == task_id))).one_or_none()
    return None if row is None else _watch(row)


async def list_open_watches(session: AsyncSession) -> list[Watch]:
    query = sa.select(promotion_watches).where(_columns.state != WatchState.ENDED).order_by(_columns.task_id)
    return [_watch(row) for row in await session.execute(query)]


def _watch(row: sa.Row[tuple[object, ...]]) -> Watch:
    return Watch(
        task_id=row.task_id,
        revision=row.revision,
        champion=VariantId.parse(row.champion),
        state=WatchState(row.state),
        reason=row.reason,
        baseline=None if row.baseline is None else _figures.validate_python(row.baseline),
        started_at=row.started_at,
        ends_at=row.ends_at,
    )
