"""Dataset versions that must not be learned from any more, kept for models that are still to come."""

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from loopwright.contracts.datasets import DeprecationReason
from registry_svc.domain.deprecations import DataDeprecation
from registry_svc.store.tables import deprecated_data


async def lock_deprecations(session: AsyncSession) -> None:
    """Orders deprecations and new models, so that neither misses the other; held until the transaction ends.

    Take it before any deployment or release.
    """
    await session.execute(sa.select(sa.func.pg_advisory_xact_lock(sa.func.hashtext("registry.deprecations"))))


async def find_deprecation(session: AsyncSession, dataset_version_id: str) -> DataDeprecation | None:
    query = sa.select(deprecated_data).where(deprecated_data.c.dataset_version_id == dataset_version_id)
    row = (await session.execute(query)).one_or_none()
    if row is None:
        return None
    return DataDeprecation(reason=DeprecationReason(row.reason), detail=row.detail, deprecated_at=row.deprecated_at)


async def keep_deprecation(session: AsyncSession, dataset_version_id: str, deprecation: DataDeprecation) -> None:
    """Stores the deprecation of a dataset version, in place of an earlier one."""
    values = {
        "reason": deprecation.reason, "detail": deprecation.detail, "deprecated_at": deprecation.deprecated_at,
    }  # fmt: skip
    statement = insert(deprecated_data).values(dataset_version_id=dataset_version_id, **values)
    await session.execute(statement.on_conflict_do_update(index_elements=["dataset_version_id"], set_=values))
