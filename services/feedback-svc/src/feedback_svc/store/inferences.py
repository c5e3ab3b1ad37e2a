"""Inferences, and the lock under which one inference and its ratings meet."""

import json
from datetime import datetime
from http import HTTPStatus

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from feedback_svc.store.tables import inferences
from loopwright.contracts.base import ChatMessage, Value
from loopwright.contracts.inferences import InferenceCompleted


class Content(Value):
    """What was said; everything is None where the task's privacy keeps conversations in the router."""

    input: str | None = None
    messages: tuple[ChatMessage, ...] | None = None
    answer: str | None = None


_NOTHING = Content().model_dump(mode="json")


async def lock_inference(session: AsyncSession, inference_id: str) -> None:
    """Lets nobody else handle this inference or a rating of it until the end of the transaction.

    An inference and its rating come by different topics. Without the lock two consumers could each miss what the
    other has not committed yet, and the sample would never be formed. Only the lock of erasures comes before it.
    """
    await session.execute(sa.select(sa.func.pg_advisory_xact_lock(sa.func.hashtextextended(inference_id, 0))))


async def add_inference(session: AsyncSession, event: InferenceCompleted, *, received_at: datetime) -> bool:
    """Stores an inference once; says whether it was new."""
    content = Content(input=event.input, messages=event.messages, answer=event.answer)
    statement = (
        insert(inferences)
        .values(
            inference_id=event.inference_id, task_id=event.task_id, task_version=event.task_version,
            experiment_id=event.experiment_id, variant_id=event.variant_id,
            served_variant_id=event.served_variant_id, pinned=event.pinned, fallback=event.fallback,
            unit_hash=event.unit_hash, content=content.model_dump(mode="json"), http_status=event.http_status,
            finish_reason=event.finish_reason, prompt_tokens=event.prompt_tokens,
            completion_tokens=event.completion_tokens, first_byte_ms=event.first_byte_ms,
            latency_ms=event.latency_ms, completed_at=event.completed_at, received_at=received_at,
        )
        .on_conflict_do_nothing()
        .returning(inferences.c.inference_id)
    )  # fmt: skip
    return (await session.execute(statement)).scalar_one_or_none() is not None


async def erase_inferences(session: AsyncSession, unit_hash: str) -> int:
    """Forgets what was said to and by a person; figures stay. Returns how many rows changed."""
    content = inferences.c.content
    statement = (
        sa.update(inferences)
        .where(inferences.c.unit_hash == unit_hash, sa.cast(content, sa.Text) != json.dumps(_NOTHING))
        .values(content=_NOTHING)
        .returning(inferences.c.inference_id)
    )
    return len((await session.execute(statement)).all())


async def list_inferences_of(session: AsyncSession, unit_hash: str) -> list[str]:
    """Ids of a person's inferences."""
    query = sa.select(inferences.c.inference_id).where(inferences.c.unit_hash == unit_hash)
    return list((await session.execute(query)).scalars())


async def find_content(session: AsyncSession, inference_id: str) -> Content | None:
    """What was said; None if the inference has not arrived yet. An answer that broke off counts as none."""
    query = sa.select(inferences.c.content, inferences.c.http_status).where(inferences.c.inference_id == inference_id)
    row = (await session.execute(query)).one_or_none()
    if row is None:
        return None
    content = Content.model_validate(row.content)
    return content if row.http_status == HTTPStatus.OK else content.model_copy(update={"answer": None})
