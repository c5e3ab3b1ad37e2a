"""Where the cases lie that the other datasets of a task hold out."""

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import distinct_on
from sqlalchemy.ext.asyncio import AsyncSession

from dataset_svc.domain.likeness.case_files import CaseFile
from dataset_svc.domain.likeness.held_out import CaseVersion
from dataset_svc.domain.versions.lifecycle import Status
from dataset_svc.store.tables import DatasetRow, VersionRow


async def list_case_files(session: AsyncSession, task_id: str, *, beside: str) -> tuple[CaseFile, ...]:
    """The newest version that was not erased of every active dataset of the task but one, the newest of them first.

    Deprecated versions count, for models that learned from them may still serve; archived ones do not.

    Args:
        beside: Name of the dataset that is left out.
    """
    statement = (
        sa.select(VersionRow, DatasetRow.name)
        .join(DatasetRow, DatasetRow.dataset_id == VersionRow.dataset_id)
        .where(
            DatasetRow.task_id == task_id,
            DatasetRow.name != beside,
            DatasetRow.status == Status.ACTIVE,
            VersionRow.status != Status.ARCHIVED,
            VersionRow.erased_at.is_(None),  # its files are gone
        )
        .ext(distinct_on(VersionRow.dataset_id))
        .order_by(VersionRow.dataset_id, VersionRow.number.desc())
    )
    found = [(version, name) for version, name in await session.execute(statement)]
    found.sort(key=lambda one: (one[0].created_at, one[0].version_id), reverse=True)
    return tuple(
        CaseFile(
            version=CaseVersion(dataset_name=name, number=version.number, version_id=version.version_id),
            held_out=version.held_out,
            manifest=version.manifest,
        )
        for version, name in found
    )
