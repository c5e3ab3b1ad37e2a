"""Finished jobs on their way into charge."""

from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from loopwright.contracts.base import Artifact
from loopwright.contracts.jobs import TrainingData
from loopwright.errors import NotFound
from loopwright.pages import Window
from registry_svc.domain.models import VariantId
from registry_svc.domain.releases import WORKED_ON, Release, ReleaseState
from registry_svc.store.pages import Paged, fetch_page
from registry_svc.store.tables import releases


def _release(row: sa.Row[tuple[object, ...]]) -> Release:
    return Release(
        job_id=row.job_id,
        job_name=row.job_name,
        task_id=row.task_id,
        state=ReleaseState(row.state),
        base_model=row.base_model,
        training_data=TrainingData.model_validate(row.training_data),
        adapter=None if row.adapter is None else Artifact.model_validate(row.adapter),
        mlflow_run_id=row.mlflow_run_id,
        variant=None if row.model_name is None else VariantId(row.model_name, row.model_version),
        reason=row.reason,
        attempts=row.attempts,
        due_at=row.due_at,
        traceparent=row.traceparent,
        created_at=row.created_at,
        updated_at=row.updated_at,
    )


def _progress(release: Release) -> dict[str, object]:
    return {
        "state": release.state,
        "model_name": release.variant and release.variant.model_name,
        "model_version": release.variant and release.variant.version,
        "reason": release.reason,
        "attempts": release.attempts,
        "due_at": release.due_at,
        "updated_at": release.updated_at,
    }


async def add_release(session: AsyncSession, release: Release) -> bool:
    """Records a finished job; one that ended without an adapter, was resumed and now has one begins anew.

    Returns:
        False if this job was recorded before; nothing changes then.
    """
    statement = insert(releases).values(
        job_id=release.job_id,
        job_name=release.job_name,
        task_id=release.task_id,
        base_model=release.base_model,
        training_data=release.training_data.model_dump(mode="json"),
        adapter=None if release.adapter is None else release.adapter.model_dump(mode="json"),
        mlflow_run_id=release.mlflow_run_id,
        traceparent=release.traceparent,
        created_at=release.created_at,
        **_progress(release),
    )
    said = statement.excluded
    statement = statement.on_conflict_do_update(
        index_elements=[releases.c.job_id],
        set_={
            "adapter": said.adapter,
            "mlflow_run_id": said.mlflow_run_id,
            "traceparent": said.traceparent,
            **{name: said[name] for name in _progress(release)},
        },
        where=releases.c.adapter.is_(None) & said.adapter.is_not(None),
    )
    added = await session.execute(statement.returning(releases.c.job_id))
    return added.scalar_one_or_none() is not None


async def save_release(session: AsyncSession, release: Release) -> None:
    await session.execute(sa.update(releases).where(releases.c.job_id == release.job_id).values(**_progress(release)))


async def get_release(session: AsyncSession, job_id: str, *, lock: bool = False) -> Release:
    """One release.

    Raises:
        NotFound: no job of that id has finished.
    """
    query = sa.select(releases).where(releases.c.job_id == job_id)
    row = (await session.execute(query.with_for_update() if lock else query)).one_or_none()
    if row is None:
        raise NotFound("release.not-found", f"no finished job {job_id} is known", job_id=job_id)
    return _release(row)


async def find_release_of(session: AsyncSession, variant: VariantId, *, lock: bool = False) -> Release | None:
    """The release that became a model version; None for a base model."""
    query = sa.select(releases).where(
        releases.c.model_name == variant.model_name, releases.c.model_version == variant.version
    )
    row = (await session.execute(query.with_for_update() if lock else query)).one_or_none()
    return None if row is None else _release(row)


async def find_newest_release(session: AsyncSession, task_id: str) -> Release | None:
    """The release of the task's last job that made a model version."""
    query = (
        sa.select(releases)
        .where(releases.c.task_id == task_id, releases.c.model_name.is_not(None))
        .order_by(releases.c.created_at.desc())
        .limit(1)
    )
    row = (await session.execute(query)).one_or_none()
    return None if row is None else _release(row)


async def find_due_release(session: AsyncSession, now: datetime) -> Release | None:
    """The release whose next step has waited longest, if one is due."""
    query = (
        sa.select(releases)
        .where(releases.c.state.in_([str(state) for state in WORKED_ON]), releases.c.due_at <= now)
        .order_by(releases.c.due_at)
        .limit(1)
    )
    row = (await session.execute(query)).one_or_none()
    return None if row is None else _release(row)


async def page_releases(session: AsyncSession, window: Window) -> Paged[Release]:
    """Every release, newest first."""
    return await fetch_page(session, sa.select(releases).order_by(releases.c.created_at.desc()), window, build=_release)


async def list_received(session: AsyncSession) -> list[Release]:
    """Releases that are not registered yet, so that MLflow may know them before our rows do."""
    query = sa.select(releases).where(releases.c.state == ReleaseState.RECEIVED)
    return [_release(row) for row in await session.execute(query)]
