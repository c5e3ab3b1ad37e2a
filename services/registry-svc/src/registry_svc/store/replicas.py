"""vLLM servers as they were seen last, and adapters that must stay loaded although nothing names them yet."""

from collections.abc import Iterable, Sequence
from datetime import datetime

import sqlalchemy as sa
from pydantic import TypeAdapter
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from registry_svc.domain.models import VariantId
from registry_svc.domain.replicas import LoadedModel, Replica
from registry_svc.store.tables import adapter_holds, replicas

_models = TypeAdapter(tuple[LoadedModel, ...])


async def save_replicas(session: AsyncSession, seen: Sequence[Replica]) -> None:
    """Keeps what was seen, and forgets servers that nobody looks at any more."""
    await session.execute(sa.delete(replicas).where(replicas.c.url.not_in([one.url for one in seen])))
    for replica in sorted(seen, key=lambda one: one.url):
        values = {
            "url": replica.url,
            "problem": replica.problem,
            "models": _models.dump_python(replica.models, mode="json"),
            "capacity": replica.capacity,
            "capacity_source": replica.capacity_source,
            "seen_at": replica.seen_at,
        }
        statement = insert(replicas).values(values)
        await session.execute(statement.on_conflict_do_update(index_elements=["url"], set_=values))


async def list_replicas(session: AsyncSession) -> list[Replica]:
    rows = await session.execute(sa.select(replicas).order_by(replicas.c.url))
    return [
        Replica(
            url=row.url,
            problem=row.problem,
            models=_models.validate_python(row.models),
            capacity=row.capacity,
            capacity_source=row.capacity_source,
            seen_at=row.seen_at,
        )
        for row in rows
    ]


async def lock_adapter(session: AsyncSession, variant: VariantId) -> None:
    """Lets nobody hold or unload this adapter until the transaction ends."""
    await session.execute(sa.select(sa.func.pg_advisory_xact_lock(sa.func.hashtext(f"registry.adapter:{variant}"))))


async def hold(session: AsyncSession, variant: VariantId, *, until: datetime) -> None:
    """Has an adapter stay loaded; of two holds the longer one counts."""
    statement = insert(adapter_holds).values(variant_id=str(variant), held_until=until)
    longest = sa.func.greatest(adapter_holds.c.held_until, statement.excluded.held_until)
    await session.execute(statement.on_conflict_do_update(index_elements=["variant_id"], set_={"held_until": longest}))


async def let_go(session: AsyncSession, variants: Iterable[VariantId]) -> None:
    """Ends holds: from now on a deployment speaks for these adapters."""
    names = [str(variant) for variant in variants]
    await session.execute(sa.delete(adapter_holds).where(adapter_holds.c.variant_id.in_(names)))


async def list_held(session: AsyncSession, now: datetime) -> frozenset[VariantId]:
    """Adapters that are held now; forgets those that were."""
    await session.execute(sa.delete(adapter_holds).where(adapter_holds.c.held_until <= now))
    found = await session.scalars(sa.select(adapter_holds.c.variant_id))
    return frozenset(VariantId.parse(text) for text in found)
