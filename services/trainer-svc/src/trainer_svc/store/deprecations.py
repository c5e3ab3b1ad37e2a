"""Dataset versions that must not be learned from any more, and the marks that their jobs carry."""

from collections.abc import Sequence

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import JSONB, insert
from sqlalchemy.ext.asyncio import AsyncSession

from trainer_svc.domain.deprecations import DataDeprecation
from trainer_svc.store.tables import deprecated_versions, jobs


async def lock(session: AsyncSession) -> None:
    """Orders deprecations and new jobs, so that neither misses the other; held until the transaction ends.

    Take it before any job's row.
    """
    await session.execute(sa.select(sa.func.pg_advisory_xact_lock(sa.func.hashtext("trainer.deprecations"))))


async def find(session: AsyncSession, version_id: str) -> DataDeprecation | None:
    statement = sa.select(deprecated_versions).where(deprecated_versions.c.version_id == version_id)
    row = (await session.execute(statement)).mappings().one_or_none()
    return None if row is None else DataDeprecation.model_validate(row)


async def keep(session: AsyncSession, version_id: str, deprecation: DataDeprecation) -> None:
    """Stores the deprecation of a version, in place of an earlier one."""
    values = dict(deprecation)
    statement = insert(deprecated_versions).values(version_id=version_id, **values)
    await session.execute(
        statement.on_conflict_do_update(index_elements=[deprecated_versions.c.version_id], set_=values)
    )


async def mark_jobs(
    session: AsyncSession, version_id: str, deprecation: DataDeprecation
) -> Sequence[sa.Row[*tuple[object, ...]]]:
    """Marks every job on a version, whatever became of it; the rows stay locked."""
    learned_from = sa.type_coerce(jobs.c.training_data, JSONB)["version_id"].astext
    statement = (
        sa.update(jobs).where(learned_from == version_id).values(training_data_deprecated=deprecation).returning(jobs)
    )
    return (await session.execute(statement)).all()
