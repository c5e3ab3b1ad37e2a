"""Samples, from the rating that formed them to the export that takes them along."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import ARRAY, insert
from sqlalchemy.ext.asyncio import AsyncSession

from feedback_svc.domain.samples import Change, Draft, Sample, SampleState, sample_id_of
from feedback_svc.store.inferences import Content
from feedback_svc.store.tables import inferences, samples
from loopwright.contracts.base import Value
from loopwright.contracts.datasets import SampleSource


class _Lesson(Value):
    answer: str


@dataclass(frozen=True, kw_only=True)
class Origin:
    """Where a sample was learned from.

    Attributes:
        traceparent: Trace of the event that formed it.
    """

    task_id: str
    inference_id: str
    unit_hash: str
    traceparent: str | None
    formed_at: datetime


class DeletedSample(NamedTuple):
    """A sample that is no more, and the first request that had taken it along."""

    task_id: str
    request_number: int | None


@dataclass(frozen=True, kw_only=True)
class Lesson:
    """A sample together with the conversation that it answers."""

    sample: Sample
    task_id: str
    unit_hash: str
    content: Content


async def list_samples_of(session: AsyncSession, inference_id: str) -> list[Sample]:
    rows = await session.execute(sa.select(samples).where(samples.c.inference_id == inference_id))
    return [_sample(row) for row in rows]


async def apply_change(session: AsyncSession, change: Change, origin: Origin) -> None:
    if change.withdraw is not None:
        await session.execute(
            sa.update(samples)
            .where(samples.c.sample_id == change.withdraw, samples.c.state == SampleState.READY)
            .values(state=SampleState.WITHDRAWN, changed_at=origin.formed_at)
        )
    if change.save is not None:
        await _save(session, change.save, origin)


async def _save(session: AsyncSession, draft: Draft, origin: Origin) -> None:
    taught: dict[str, object] = {
        "state": SampleState.READY,
        "source": draft.source,
        "lesson": {"answer": draft.answer},
        "rating_ids": list(draft.rating_ids),
        "weight_0_1": draft.weight_0_1,
        "traceparent": origin.traceparent,
        "changed_at": origin.formed_at,
    }
    statement = insert(samples).values(
        sample_id=sample_id_of(origin.inference_id, draft.answer), task_id=origin.task_id,
        inference_id=origin.inference_id, unit_hash=origin.unit_hash, formed_at=origin.formed_at, **taught,
    )  # fmt: skip
    await session.execute(
        statement.on_conflict_do_update(
            index_elements=[samples.c.sample_id], set_=taught, where=samples.c.state != SampleState.EXPORTED
        )
    )


async def count_ready(session: AsyncSession, task_id: str, *, at_most: int) -> int:
    """Samples that no request has taken yet; stops counting at `at_most`."""
    ready = (
        sa.select(sa.literal(1))
        .where(samples.c.task_id == task_id, samples.c.state == SampleState.READY)
        .limit(at_most)
        .subquery()
    )
    return (await session.execute(sa.select(sa.func.count()).select_from(ready))).scalar_one()


async def newest_ready_traceparent(session: AsyncSession, task_id: str) -> str | None:
    """Trace of the event that formed or changed a ready sample last."""
    query = (
        sa.select(samples.c.traceparent)
        .where(samples.c.task_id == task_id, samples.c.state == SampleState.READY)
        .order_by(samples.c.changed_at.desc())
        .limit(1)
    )
    return (await session.execute(query)).scalar_one_or_none()


async def take_ready(session: AsyncSession, task_id: str, *, request_number: int, now: datetime) -> int:
    """Gives all ready samples of a task to a request, which freezes them; returns how many."""
    statement = (
        sa.update(samples)
        .where(samples.c.task_id == task_id, samples.c.state == SampleState.READY)
        .values(state=SampleState.EXPORTED, request_number=request_number, changed_at=now)
        .returning(samples.c.sample_id)
    )
    return len((await session.execute(statement)).all())


async def list_lessons(session: AsyncSession, task_id: str, *, up_to_request: int) -> list[Lesson]:
    """Everything that a task has taught up to and with a request, in one fixed order."""
    query = (
        sa.select(samples, inferences.c.content)
        .join(inferences, inferences.c.inference_id == samples.c.inference_id)
        .where(samples.c.task_id == task_id, samples.c.request_number <= up_to_request)
        .order_by(samples.c.sample_id)
    )
    return [
        Lesson(
            sample=_sample(row),
            task_id=row.task_id,
            unit_hash=row.unit_hash,
            content=Content.model_validate(row.content),
        )
        for row in await session.execute(query)
    ]


async def delete_samples(
    session: AsyncSession, unit_hash: str, *, rating_ids: Collection[str], inference_ids: Collection[str]
) -> list[DeletedSample]:
    """Deletes the samples of a person, and corrections by that person of what others were told.

    Args:
        rating_ids: Ratings that the person gave.
        inference_ids: Other persons' inferences that they are about.
    """
    columns = samples.c
    corrected = (
        (columns.inference_id == sa.any_(sa.literal(sorted(inference_ids), ARRAY(sa.Text))))
        & (columns.source == SampleSource.CORRECTION)
        & columns.rating_ids.overlap(sorted(rating_ids))
    )
    statement = (
        sa.delete(samples)
        .where((columns.unit_hash == unit_hash) | corrected)
        .returning(columns.task_id, columns.request_number)
    )
    return [DeletedSample(*row) for row in await session.execute(statement)]


def _sample(row: sa.Row[*tuple[object, ...]]) -> Sample:
    return Sample(
        sample_id=row.sample_id,
        inference_id=row.inference_id,
        state=SampleState(row.state),
        draft=Draft(
            answer=_Lesson.model_validate(row.lesson).answer,
            source=SampleSource(row.source),
            rating_ids=tuple(row.rating_ids),
            weight_0_1=row.weight_0_1,
        ),
    )
