"""Histories from which a person's rows must go, as a queue."""

from collections.abc import Mapping

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession

from dataset_svc.domain.deletions import Rows, patience
from dataset_svc.store.tables import CleaningRow, RowsDocument, VersionRow
from loopwright.contracts.base import Artifact

_GIVEN_UP_AFTER = 12  # tries; about six hours. Others must not wait for a history that cannot be read


def add(
    session: AsyncSession,
    dataset_id: str,
    rows: Rows,
    *,
    version_id: str | None = None,
    manifest: Artifact | None = None,
) -> None:
    """Queues the history of a version, or one that became no version and that its manifest names."""
    session.add(
        CleaningRow(
            dataset_id=dataset_id,
            version_id=version_id,
            manifest=manifest,
            rows=RowsDocument(rows),
            attempts=0,
            due_at=sa.func.now(),
        )
    )


async def find_due(session: AsyncSession) -> CleaningRow | None:
    """Locks the cleaning that has waited longest; passes over those that another process holds."""
    statement = (
        sa.select(CleaningRow)
        .where(CleaningRow.cleaned_at.is_(None), CleaningRow.due_at <= sa.func.now())
        .order_by(CleaningRow.due_at, CleaningRow.cleaning_id)
        .limit(1)
        .with_for_update(skip_locked=True)
    )
    return (await session.execute(statement)).scalar_one_or_none()


async def begin(session: AsyncSession, row: CleaningRow) -> None:
    """Counts a try. Should the process die, another one comes when patience ends."""
    now = (await session.execute(sa.select(sa.func.now()))).scalar_one()
    row.due_at = now + patience(row.attempts)
    row.attempts += 1


async def set_due(session: AsyncSession, cleaning_id: int) -> None:
    """Lets it be tried again at once."""
    await session.execute(
        sa.update(CleaningRow).where(CleaningRow.cleaning_id == cleaning_id).values(due_at=sa.func.now())
    )


async def finish(session: AsyncSession, cleaning_id: int) -> None:
    await session.execute(
        sa.update(CleaningRow).where(CleaningRow.cleaning_id == cleaning_id).values(cleaned_at=sa.func.now())
    )


async def any_waiting(session: AsyncSession) -> bool:
    waiting = sa.exists().where(CleaningRow.cleaned_at.is_(None), CleaningRow.attempts < _GIVEN_UP_AFTER)
    return bool((await session.execute(sa.select(waiting))).scalar_one())


async def list_manifests(session: AsyncSession, dataset_id: str) -> dict[str, Artifact]:
    """Manifests of a dataset's versions, by version."""
    statement = sa.select(VersionRow.version_id, VersionRow.manifest).where(
        VersionRow.dataset_id == dataset_id, VersionRow.manifest.is_not(None)
    )
    return {version_id: manifest for version_id, manifest in await session.execute(statement) if manifest is not None}


async def set_manifests(session: AsyncSession, manifests: Mapping[str, Artifact]) -> None:
    """Gives versions other manifests, which must read the same rows."""
    for version_id, manifest in manifests.items():
        await session.execute(
            sa.update(VersionRow).where(VersionRow.version_id == version_id).values(manifest=manifest)
        )
