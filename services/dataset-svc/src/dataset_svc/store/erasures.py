"""Persons whose data must not enter any later version."""

from collections.abc import Collection
from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from dataset_svc.store.tables import ErasedUnitRow

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


async def any_erased(session: AsyncSession, unit_hashes: Collection[str]) -> bool:
    statement = sa.select(sa.exists().where(ErasedUnitRow.unit_hash.in_(unit_hashes)))
    return bool(unit_hashes) and (await session.execute(statement)).scalar_one()
