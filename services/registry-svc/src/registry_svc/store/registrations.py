"""Files on their way to become a version."""

from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from loopwright.errors import NotFound
from loopwright.pages import Window
from registry_svc.domain.artefacts import ModelFormat
from registry_svc.domain.models import VariantId
from registry_svc.domain.registrations import Registration, RegistrationState
from registry_svc.store.pages import Paged, fetch_page
from registry_svc.store.tables import registrations

_columns = registrations.c


def _registration(row: sa.Row[tuple[object, ...]]) -> Registration:
    return Registration(
        registration_id=row.registration_id,
        state=RegistrationState(row.state),
        model_name=row.model_name,
        task_id=row.task_id,
        base_model=row.base_model,
        format=ModelFormat(row.format),
        artifact=row.artifact,
        job_id=row.job_id,
        dataset_version_id=row.dataset_version_id,
        mlflow_run_id=row.mlflow_run_id,
        settings=row.settings,
        description=row.description,
        tags=tuple(row.tags),
        requested_by=row.requested_by,
        due_at=row.due_at,
        created_at=row.created_at,
        updated_at=row.updated_at,
        variant=None if row.model_version is None else VariantId(row.model_name, row.model_version),
        reason=row.reason,
        attempts=row.attempts,
    )


def _progress(registration: Registration) -> dict[str, object]:
    return {
        "state": registration.state,
        "model_version": None if registration.variant is None else registration.variant.version,
        "reason": registration.reason,
        "attempts": registration.attempts,
        "due_at": registration.due_at,
        "updated_at": registration.updated_at,
    }


async def add_registration(session: AsyncSession, registration: Registration) -> None:
    """Records a request; one that was recorded before stays as it is."""
    values = {
        "registration_id": registration.registration_id,
        "model_name": registration.model_name,
        "task_id": registration.task_id,
        "base_model": registration.base_model,
        "format": registration.format,
        "artifact": registration.artifact,
        "job_id": registration.job_id,
        "dataset_version_id": registration.dataset_version_id,
        "mlflow_run_id": registration.mlflow_run_id,
        "settings": registration.settings,
        "description": registration.description,
        "tags": list(registration.tags),
        "requested_by": registration.requested_by,
        "created_at": registration.created_at,
    }
    await session.execute(insert(registrations).values(**values, **_progress(registration)).on_conflict_do_nothing())


async def save_registration(session: AsyncSession, registration: Registration) -> None:
    which = _columns.registration_id == registration.registration_id
    await session.execute(sa.update(registrations).where(which).values(**_progress(registration)))


async def get_registration(session: AsyncSession, registration_id: str, *, lock: bool = False) -> Registration:
    """One request.

    Raises:
        NotFound: there is none of that id.
    """
    query = sa.select(registrations).where(_columns.registration_id == registration_id)
    row = (await session.execute(query.with_for_update() if lock else query)).one_or_none()
    if row is None:
        raise NotFound("registration.not-found", f"there is no registration {registration_id}")
    return _registration(row)


async def find_due_registration(session: AsyncSession, now: datetime) -> Registration | None:
    """The request that has waited longest, if one is due."""
    query = (
        sa.select(registrations)
        .where(_columns.state == RegistrationState.WAITING, _columns.due_at <= now)
        .order_by(_columns.due_at)
        .limit(1)
    )
    row = (await session.execute(query)).one_or_none()
    return None if row is None else _registration(row)


async def list_waiting(session: AsyncSession) -> list[Registration]:
    query = sa.select(registrations).where(_columns.state == RegistrationState.WAITING)
    return [_registration(row) for row in await session.execute(query)]


async def page_registrations(session: AsyncSession, window: Window) -> Paged[Registration]:
    """Every request, newest first."""
    query = sa.select(registrations).order_by(_columns.created_at.desc(), _columns.registration_id)
    return await fetch_page(session, query, window, build=_registration)
