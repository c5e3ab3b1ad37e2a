"""Samples, from the rating that formed them to the export that takes them along."""

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple

import msgspec
import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import ARRAY, insert
from sqlalchemy.ext.asyncio import AsyncSession

from feedback_svc.domain.samples import Change, Draft, Sample, SampleState, sample_id_of
from feedback_svc.store.copying import bring_rows, fetch
from feedback_svc.store.curation_tables import consents
from feedback_svc.store.inferences import Content, open_contents
from feedback_svc.store.tables import inferences, samples
from loopwright.contracts.base import ChatMessage, Value
from loopwright.contracts.datasets import SampleSource
from loopwright.sealed_columns import ColumnOpener, ColumnSealer, standing_sealer


class Taught(Value):
    """What a sample says; beside the answer only what no inference says."""

    answer: str
    input: str | None = None
    messages: tuple[ChatMessage, ...] | None = None
    metadata: dict[str, str] | None = None


_encode = msgspec.json.Encoder().encode
FIXED_STATES = (SampleState.EXPORTED, SampleState.REJECTED)
WAITING_STATES = (SampleState.READY, SampleState.QUARANTINED)


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
    """A sample together with the conversation that it answers.

    Attributes:
        metadata: What its source says of it.
        trust_0_1: How far those who stand behind it are believed.
    """

    sample: Sample
    task_id: str
    unit_hash: str | None
    content: Content
    metadata: Mapping[str, str]
    trust_0_1: float


async def list_samples_of(session: AsyncSession, inference_ids: Collection[str]) -> dict[str, list[Sample]]:
    """Samples of inferences, by inference; without those that have none."""
    ids = sa.literal(sorted(inference_ids), ARRAY(sa.Text))
    found: dict[str, list[Sample]] = defaultdict(list)
    rows = (await session.execute(sa.select(samples).where(samples.c.inference_id == sa.any_(ids)))).all()
    for row, said in zip(rows, await open_lessons(session, [row.lesson for row in rows]), strict=True):
        found[row.inference_id].append(sample_of(row, said))
    return found


async def apply_changes(session: AsyncSession, changes: Sequence[tuple[Change, Origin]]) -> None:
    """Withdraws and saves; of one inference at most one sample is ready at any moment."""
    withdrawn = [(change.withdraw, origin.formed_at) for change, origin in changes if change.withdraw is not None]
    if withdrawn:
        await fetch(session, _WITHDRAW, *map(list, zip(*withdrawn, strict=True)), list(WAITING_STATES))
    drafts = [(change.save, origin) for change, origin in changes if change.save is not None]
    if drafts:
        sealer = await standing_sealer(session, samples.name)
        saved = [_row_of(draft, origin, sealer) for draft, origin in drafts]
        statement = insert(samples).from_select(list(_SAVED), await bring_rows(session, samples, _SAVED, saved))
        taught = {name: statement.excluded[name] for name in _TAUGHT}
        await session.execute(
            statement.on_conflict_do_update(
                index_elements=[samples.c.sample_id], set_=taught, where=samples.c.state.not_in(FIXED_STATES)
            )
        )


_WITHDRAW = """
UPDATE feedback.samples SET state = 'withdrawn', changed_at = moment
FROM unnest($1::text[], $2::timestamptz[]) AS gone (gone_id, moment) WHERE sample_id = gone_id AND state = ANY ($3)
"""
_TAUGHT = ("state", "source", "lesson", "rating_ids", "weight_0_1", "traceparent", "changed_at")
_SAVED = (*_TAUGHT, "sample_id", "task_id", "inference_id", "unit_hash", "formed_at")


def _row_of(draft: Draft, origin: Origin, sealer: ColumnSealer) -> tuple[object, ...]:
    """Values of `_SAVED`."""
    return (
        SampleState.READY, draft.source, sealer.seal(_encode({"answer": draft.answer})), draft.rating_ids,
        draft.weight_0_1, origin.traceparent, origin.formed_at, sample_id_of(origin.inference_id, draft.answer),
        origin.task_id, origin.inference_id, origin.unit_hash, origin.formed_at,
    )  # fmt: skip


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
    """Gives all ready samples of a task to a request, which freezes them; returns how many.

    What was exported of the same key of a source leaves with this request: it says something else now.
    """
    statement = (
        sa.update(samples)
        .where(samples.c.task_id == task_id, samples.c.state == SampleState.READY)
        .values(state=SampleState.EXPORTED, request_number=request_number, changed_at=now)
        .returning(samples.c.sample_id)
    )
    taken = len((await session.execute(statement)).all())
    newer = samples.alias("newer")
    await session.execute(
        sa.update(samples)
        .where(
            samples.c.task_id == task_id, samples.c.request_number < request_number,
            samples.c.left_at_request.is_(None), newer.c.task_id == task_id,
            newer.c.request_number == request_number, newer.c.collected_from == samples.c.collected_from,
            newer.c.source_key == samples.c.source_key,
        )
        .values(left_at_request=request_number)
    )  # fmt: skip
    return taken


async def list_lessons(session: AsyncSession, task_id: str, *, up_to_request: int) -> list[Lesson]:
    """Everything that a task has taught up to and with a request, in one fixed order, of whom lets it be trained on."""
    columns = samples.c
    query = (
        sa.select(samples, inferences.c.content)
        .outerjoin(inferences, inferences.c.inference_id == columns.inference_id)
        .outerjoin(consents, consents.c.unit_hash == columns.unit_hash)
        .where(
            columns.task_id == task_id,
            columns.request_number <= up_to_request,
            columns.left_at_request.is_(None) | (columns.left_at_request > up_to_request),
            consents.c.training.is_not(sa.false()),
        )
        .order_by(columns.sample_id)
    )
    rows = (await session.execute(query)).all()
    taught = await open_lessons(session, [row.lesson for row in rows])
    contents = await open_contents(session, [row.content for row in rows])
    return [_lesson(*one) for one in zip(rows, taught, contents, strict=True)]


def _lesson(row: sa.Row[*tuple[object, ...]], said: Taught, content: Content) -> Lesson:
    told = Content(input=said.input, messages=said.messages)
    return Lesson(
        sample=sample_of(row, said),
        task_id=row.task_id,
        unit_hash=row.unit_hash,
        content=told if row.inference_id is None else content,
        metadata=said.metadata or {},
        trust_0_1=row.trust_0_1,
    )


async def delete_samples(
    session: AsyncSession, unit_hash: str, *, rating_ids: Collection[str], inference_ids: Collection[str],
    subjects: Collection[str],
) -> list[DeletedSample]:  # fmt: skip
    """Deletes the samples of a person, and corrections by that person of what others were told.

    Args:
        rating_ids: Ratings that the person gave.
        inference_ids: Other persons' inferences that they are about.
        subjects: By what upstream records name the person: the unit, and its inferences.
    """
    columns = samples.c
    corrected = (
        (columns.inference_id == sa.any_(sa.literal(sorted(inference_ids), ARRAY(sa.Text))))
        & (columns.source == SampleSource.CORRECTION)
        & columns.rating_ids.overlap(sorted(rating_ids))
    )
    statement = (
        sa.delete(samples)
        .where((columns.unit_hash == unit_hash) | corrected | columns.subjects.overlap(sorted(subjects)))
        .returning(columns.task_id, columns.request_number)
    )
    return [DeletedSample(*row) for row in await session.execute(statement)]


async def open_lessons(session: AsyncSession, values: Sequence[bytes]) -> list[Taught]:
    """What samples say, out of values of the column, in order."""
    found = await ColumnOpener(session, samples.name).open_all(values)
    return [Taught.model_validate_json(said) for said in found]


def sample_of(row: sa.Row[*tuple[object, ...]], said: Taught) -> Sample:
    """A row of the table with its lesson."""
    return Sample(
        sample_id=row.sample_id,
        inference_id=row.inference_id,
        state=SampleState(row.state),
        draft=Draft(
            answer=said.answer,
            source=SampleSource(row.source),
            rating_ids=tuple(row.rating_ids),
            weight_0_1=row.weight_0_1,
            input=said.input,
        ),
    )
