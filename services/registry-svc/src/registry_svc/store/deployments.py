"""Deployments as they stand, and every change that led there."""

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from loopwright.errors import NotFound
from loopwright.pages import Window
from registry_svc.domain.deployments import Deployment
from registry_svc.domain.models import VariantId
from registry_svc.store.pages import Paged, fetch_page
from registry_svc.store.tables import deployment_changes, deployments


def _deployment(row: sa.Row[tuple[object, ...]]) -> Deployment:
    return Deployment(
        task_id=row.task_id,
        revision=row.revision,
        champion=VariantId.parse(row.champion),
        candidates=tuple(VariantId.parse(text) for text in row.candidates),
        backend_urls=tuple(row.backend_urls),
        reason=row.reason,
        changed_at=row.changed_at,
        changed_by=row.changed_by,
    )


async def find_deployment(session: AsyncSession, task_id: str, *, lock: bool = False) -> Deployment | None:
    """The deployment of a task.

    Args:
        lock: Lets nobody else change it until the transaction ends.
    """
    query = sa.select(deployments).where(deployments.c.task_id == task_id)
    row = (await session.execute(query.with_for_update() if lock else query)).one_or_none()
    return None if row is None else _deployment(row)


async def get_deployment(session: AsyncSession, task_id: str, *, lock: bool = False) -> Deployment:
    """As `find_deployment`.

    Raises:
        NotFound: nothing serves the task yet.
    """
    deployment = await find_deployment(session, task_id, lock=lock)
    if deployment is None:
        raise NotFound("deployment.not-found", f"nothing serves the task {task_id}", task_id=task_id)
    return deployment


async def list_deployments(session: AsyncSession) -> list[Deployment]:
    rows = await session.execute(sa.select(deployments).order_by(deployments.c.task_id))
    return [_deployment(row) for row in rows]


async def list_changes(session: AsyncSession, task_id: str) -> list[Deployment]:
    """Every state that a task's deployment has had, newest first."""
    return [_deployment(row) for row in await session.execute(_changes_of(task_id))]


async def page_changes(session: AsyncSession, task_id: str, window: Window) -> Paged[Deployment]:
    """As `list_changes`, a part at a time."""
    return await fetch_page(session, _changes_of(task_id), window, build=_deployment)


async def page_deployments(session: AsyncSession, window: Window) -> Paged[Deployment]:
    """The deployments of all tasks, by task."""
    query = sa.select(deployments).order_by(deployments.c.task_id)
    return await fetch_page(session, query, window, build=_deployment)


async def list_changes_with(session: AsyncSession, variant: VariantId) -> list[Deployment]:
    """Every state in which a variant was deployed, newest first."""
    name = str(variant)
    query = (
        sa.select(deployment_changes)
        .where((deployment_changes.c.champion == name) | deployment_changes.c.candidates.contains([name]))
        .order_by(deployment_changes.c.changed_at.desc())
    )
    return [_deployment(row) for row in await session.execute(query)]


def _changes_of(task_id: str) -> sa.Select[tuple[object, ...]]:
    return (
        sa.select(deployment_changes)
        .where(deployment_changes.c.task_id == task_id)
        .order_by(deployment_changes.c.revision.desc())
    )


async def save_deployment(session: AsyncSession, deployment: Deployment) -> None:
    """Makes this the deployment of its task, and adds it to the history."""
    values = {
        "task_id": deployment.task_id,
        "revision": deployment.revision,
        "champion": str(deployment.champion),
        "candidates": [str(variant) for variant in deployment.candidates],
        "backend_urls": list(deployment.backend_urls),
        "reason": deployment.reason,
        "changed_at": deployment.changed_at,
        "changed_by": deployment.changed_by,
    }
    statement = insert(deployments).values(values)
    await session.execute(statement.on_conflict_do_update(index_elements=["task_id"], set_=values))
    await session.execute(sa.insert(deployment_changes).values(values))
