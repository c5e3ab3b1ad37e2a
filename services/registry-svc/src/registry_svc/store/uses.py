"""The log of uses, which only grows."""

from collections.abc import Iterable

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession

from loopwright.pages import Window
from registry_svc.domain.models import ModelStatus, VariantId
from registry_svc.domain.uses import Use, UseKind
from registry_svc.store.pages import Paged, fetch_page
from registry_svc.store.tables import deployment_changes, model_uses


async def add_uses(session: AsyncSession, uses: Iterable[Use]) -> None:
    rows = [
        {
            "model_name": use.variant.model_name, "version": use.variant.version, "kind": use.kind,
            "task_id": use.task_id, "status": use.status, "reason": use.reason, "by": use.by, "at": use.at,
        }
        for use in uses
    ]  # fmt: skip
    if rows:
        await session.execute(sa.insert(model_uses), rows)


async def page_uses(session: AsyncSession, variant: VariantId, window: Window) -> Paged[Use]:
    """Uses of a version, newest first."""
    query = (
        sa.select(model_uses)
        .where(model_uses.c.model_name == variant.model_name, model_uses.c.version == variant.version)
        .order_by(model_uses.c.use_id.desc())
    )
    return await fetch_page(session, query, window, build=_use)


async def list_champions_so_far(session: AsyncSession, task_id: str) -> list[str]:
    """Variants that were in charge of a task at some time."""
    query = sa.select(deployment_changes.c.champion).where(deployment_changes.c.task_id == task_id).distinct()
    return list((await session.execute(query)).scalars())


def _use(row: sa.Row[tuple[object, ...]]) -> Use:
    return Use(
        variant=VariantId(row.model_name, row.version),
        kind=UseKind(row.kind),
        task_id=row.task_id,
        status=None if row.status is None else ModelStatus(row.status),
        reason=row.reason,
        by=row.by,
        at=row.at,
    )
