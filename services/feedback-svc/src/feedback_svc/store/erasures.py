"""Persons whose words must go, and the lock that orders erasures and whatever could keep words of those persons."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import ARRAY, insert
from sqlalchemy.ext.asyncio import AsyncSession

from feedback_svc.store.copying import fetch
from feedback_svc.store.tables import erasures, inferences
from loopwright.contracts.datasets import UserErased

_LOCK = 0x6665_6564_6572  # any number that no other advisory lock of this database uses


@dataclass(frozen=True, kw_only=True)
class Erased:
    """How many rows lost words."""

    inferences: int
    ratings: int
    samples: int
    records: int


async def lock(session: AsyncSession) -> None:
    """Waits until nobody is about to keep words, and lets nobody begin to, until the end of the transaction."""
    await session.execute(sa.select(sa.func.pg_advisory_xact_lock(_LOCK)))


async def hold_off(session: AsyncSession) -> None:
    """Keeps erasures waiting until the end of the transaction: what it stores, they will see. Take it before any other lock."""
    await session.execute(sa.select(sa.func.pg_advisory_xact_lock_shared(_LOCK)))


async def find_erased(session: AsyncSession, units: Collection[str]) -> frozenset[str]:
    """Which of these persons were erased."""
    query = "SELECT unit_hash FROM feedback.erasures WHERE unit_hash = ANY ($1)"
    return frozenset(row[0] for row in await fetch(session, query, sorted(units)))


async def find_erased_subjects(session: AsyncSession, subjects: Collection[str]) -> frozenset[str]:
    """Which of these ids are erased persons, or inferences of theirs; there may be any number of ids."""
    named = sa.literal(sorted(subjects), ARRAY(sa.Text))
    theirs = (
        sa.select(inferences.c.inference_id)
        .join(erasures, erasures.c.unit_hash == inferences.c.unit_hash)
        .where(inferences.c.inference_id == sa.any_(named))
    )
    query = sa.union(sa.select(erasures.c.unit_hash).where(erasures.c.unit_hash == sa.any_(named)), theirs)
    return frozenset((await session.execute(query)).scalars()) if subjects else frozenset()


async def count_erasures(session: AsyncSession) -> int:
    """How many persons were erased so far; it only grows."""
    return (await session.execute(sa.select(sa.func.count()).select_from(erasures))).scalar_one()


async def add_erasure(session: AsyncSession, event: UserErased, erased: Erased, *, now: datetime) -> None:
    """Records an erasure; the first one of a person stands, with what all of them took."""
    counts = {name: getattr(erased, name) for name in ("inferences", "ratings", "samples", "records")}
    statement = insert(erasures).values(
        unit_hash=event.unit_hash, erasure_id=event.erasure_id, erased_at=event.erased_at, handled_at=now, **counts
    )
    more = {name: erasures.c[name] + statement.excluded[name] for name in counts}
    await session.execute(statement.on_conflict_do_update(index_elements=[erasures.c.unit_hash], set_=more))
