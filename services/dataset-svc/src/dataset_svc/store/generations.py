"""Generations, which are also the queue of that work; a lease says until when somebody works on one."""

from collections import Counter
from collections.abc import Sequence
from datetime import datetime

import msgspec
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession

from dataset_svc.domain.texts.generations import GenerationState, ScoredPair
from dataset_svc.store.knowledge_tables import GenerationChunkRow, GenerationRow
from loopwright.sealed_columns import ColumnOpener, sealer_for

_OPEN = (GenerationState.QUEUED, GenerationState.RUNNING)


async def find_due(session: AsyncSession, now: datetime) -> GenerationRow | None:
    """Locks the generation that has waited longest: queued, or left by a worker whose lease ran out."""
    statement = (
        sa.select(GenerationRow)
        .where(GenerationRow.state.in_(_OPEN), GenerationRow.next_attempt_at <= now)
        .order_by(GenerationRow.next_attempt_at, GenerationRow.generation_id)
        .limit(1)
        .with_for_update(skip_locked=True)
    )
    return (await session.execute(statement)).scalar_one_or_none()


async def find_held(session: AsyncSession, generation_id: str, *, attempt: int) -> GenerationRow | None:
    """Locks a generation if this attempt is still the one that works on it."""
    statement = (
        sa.select(GenerationRow)
        .where(
            GenerationRow.generation_id == generation_id,
            GenerationRow.state == GenerationState.RUNNING,
            GenerationRow.attempts == attempt,
        )
        .with_for_update()
    )
    return (await session.execute(statement)).scalar_one_or_none()


async def list_chunks(session: AsyncSession, generation_id: str) -> Sequence[GenerationChunkRow]:
    """In the order of the document."""
    statement = (
        sa.select(GenerationChunkRow)
        .where(GenerationChunkRow.generation_id == generation_id)
        .order_by(GenerationChunkRow.number)
    )
    return (await session.execute(statement)).scalars().all()


async def get_chunk(session: AsyncSession, generation_id: str, number: int) -> GenerationChunkRow:
    return await session.get_one(GenerationChunkRow, (generation_id, number))


async def seal_pairs(session: AsyncSession, pairs: Sequence[ScoredPair]) -> bytes:
    sealer = await sealer_for(session, GenerationChunkRow.__tablename__)
    return sealer.seal(msgspec.json.encode(pairs))


async def list_pairs(session: AsyncSession, chunks: Sequence[GenerationChunkRow]) -> list[tuple[ScoredPair, ...]]:
    """What each chunk was answered with; nothing where it was not."""
    opener = ColumnOpener(session, GenerationChunkRow.__tablename__)
    contents = await opener.open_known([chunk.pairs for chunk in chunks])
    return [
        () if content is None else msgspec.json.decode(content, type=tuple[ScoredPair, ...]) for content in contents
    ]


async def list_headings(session: AsyncSession, chunks: Sequence[GenerationChunkRow]) -> list[tuple[str, ...]]:
    """The path of headings of each chunk."""
    opener = ColumnOpener(session, GenerationChunkRow.__tablename__)
    contents = await opener.open_all([chunk.headings for chunk in chunks])
    return [msgspec.json.decode(content, type=tuple[str, ...]) for content in contents]


def add_refusals(known: dict[str, int], more: Counter[str]) -> dict[str, int]:
    """A new mapping: SQLAlchemy does not see changes inside the old one."""
    return dict(Counter(known) + more)
