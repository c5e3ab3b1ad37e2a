"""Persons whose data must not enter any later version, and the versions that held it."""

from collections import defaultdict
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from dataset_svc.domain.deletions import Rows
from dataset_svc.domain.requests import RequestState
from dataset_svc.domain.samples import SplitName
from dataset_svc.store.tables import DatasetRow, ErasedUnitRow, RequestRow, SampleRow, VersionErasureRow, VersionRow


@dataclass(frozen=True, kw_only=True)
class Holding:
    """A version that holds samples of a person.

    Attributes:
        rows: Where that person's samples are.
    """

    version: VersionRow
    dataset: DatasetRow
    request: RequestRow
    rows: Rows


_LOCK = 0x6572_6173_6572  # any number that no other advisory lock of this database uses


async def lock(session: AsyncSession) -> None:
    """Orders erasures and the commits of versions: none may happen between another's look and its commit."""
    await session.execute(sa.select(sa.func.pg_advisory_xact_lock(_LOCK)))


async def add(session: AsyncSession, *, unit_hash: str, erasure_id: str, erased_at: datetime) -> None:
    """Records an erasure; the first one of a person stands."""
    values = {"unit_hash": unit_hash, "erasure_id": erasure_id, "erased_at": erased_at}
    await session.execute(insert(ErasedUnitRow).values(values).on_conflict_do_nothing())


async def list_units(session: AsyncSession) -> frozenset[str]:
    return frozenset((await session.execute(sa.select(ErasedUnitRow.unit_hash))).scalars())


async def mark_versions(
    session: AsyncSession, *, unit_hash: str, erasure_id: str, erased_at: datetime
) -> tuple[Holding, ...]:
    """Marks every version that holds samples of a person, whatever its status.

    Returns:
        Those that were not marked for this person before, oldest first.
    """
    rows: defaultdict[str, Rows] = defaultdict(dict)
    where = sa.select(SampleRow.version_id, SampleRow.split, SampleRow.position).where(SampleRow.unit_hash == unit_hash)
    for version_id, split, position in await session.execute(where.order_by(SampleRow.position)):
        rows[version_id].setdefault(SplitName(split), []).append(position)
    new = await _add_erasures(session, list(rows), unit_hash=unit_hash, erasure_id=erasure_id, erased_at=erased_at)
    found = (
        sa.select(VersionRow, DatasetRow, RequestRow)
        .join(DatasetRow, DatasetRow.dataset_id == VersionRow.dataset_id)
        .join(RequestRow, RequestRow.request_id == VersionRow.request_id)
        .where(VersionRow.version_id.in_(new))
        .order_by(VersionRow.created_at, VersionRow.version_id)
        .with_for_update(of=VersionRow)
    )
    holdings = [
        Holding(version=version, dataset=dataset, request=request, rows=rows[version.version_id])
        for version, dataset, request in await session.execute(found)
    ]
    for holding in holdings:
        holding.version.erased_at = holding.version.erased_at or erased_at
    return tuple(holdings)


async def _add_erasures(
    session: AsyncSession, version_ids: Sequence[str], *, unit_hash: str, erasure_id: str, erased_at: datetime
) -> Sequence[str]:
    if not version_ids:
        return ()
    facts = {"unit_hash": unit_hash, "erasure_id": erasure_id, "erased_at": erased_at}
    statement = insert(VersionErasureRow).values([{"version_id": version_id, **facts} for version_id in version_ids])
    added = await session.execute(statement.on_conflict_do_nothing().returning(VersionErasureRow.version_id))
    return added.scalars().all()


async def list_pending_sources(session: AsyncSession, dataset_ids: Collection[str]) -> Sequence[str]:
    """URIs of the sources of requests that are still to be built for these datasets, and may hold what they hold."""
    statement = (
        sa.select(RequestRow.source)
        .join(DatasetRow, DatasetRow.name == RequestRow.dataset_name)
        .where(DatasetRow.dataset_id.in_(dataset_ids), RequestRow.state == RequestState.PENDING)
    )
    return [source.uri for source in (await session.execute(statement)).scalars()]
