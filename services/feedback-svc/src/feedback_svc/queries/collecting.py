"""Read models of sources: runs that collected, records that were refused, and files of evidence."""

from collections.abc import Sequence
from datetime import datetime
from functools import partial

import sqlalchemy as sa
from pydantic import Field, JsonValue
from sqlalchemy.dialects.postgresql import distinct_on
from sqlalchemy.ext.asyncio import AsyncSession

from feedback_svc.domain.collecting import Counts
from feedback_svc.domain.sources.catalogue import SOURCES
from feedback_svc.store.records import open_records
from feedback_svc.store.tables import collections, evidence_exports, source_records, upstream_records
from feedback_svc.store.tasks import Task
from loopwright.contracts.base import Artifact, Value
from loopwright.contracts.schedules import CronSchedule
from loopwright.errors import NotFound
from loopwright.pages import Page, Window, read_opened_page, read_page


class CollectionView(Value):
    """One run: upstream records of a source become samples of a task."""

    run_id: str
    task_id: str
    source: str
    state: str = Field(description="open, succeeded or failed")
    reason: str
    requested_by: str
    requested_at: datetime
    finished_at: datetime | None
    from_position: int = Field(description="records of the source that were read before")
    position: int = Field(description="records of the source are read up to here; the next run begins after it")
    counts: Counts
    error: str | None


class SourceStatus(Value):
    """A source that a task declares."""

    source: str
    title: str = Field(description="for people; empty if there is no such source")
    enabled: bool
    collect: CronSchedule | None = Field(description="when it is collected; none: as records come")
    export: CronSchedule | None = Field(description="when it is written to a file; none: never")
    last_run: CollectionView | None


class FeedbackView(Value):
    """A feedback record, and what a check found of it."""

    kind: str
    record_id: str
    source: str | None = Field(description="source that reads it; none if nobody does, or it was not checked yet")
    state: str = Field(description="fits, refused, unknown-kind, erased, or unchecked")
    reason: str | None = Field(description="why it teaches nothing")
    group_key: str | None = Field(description="what it is about")
    published_at: datetime
    received_at: datetime
    deliveries: int
    content: JsonValue


class EvidenceExportView(Value):
    """One file of evidence; it is never written again."""

    export_id: str
    task_id: str
    source: str
    state: str = Field(description="written, empty when there was nothing, or failed until the next attempt")
    count: int = Field(description="samples in it")
    source_ids: tuple[str, ...] = Field(description="records that they were made of, as kind and id")
    artifact: Artifact | None = Field(description="where it is, its size and SHA-256")
    error: str | None
    due_at: datetime = Field(description="time of the schedule that it was made for")
    made_at: datetime
    erased_at: datetime | None = Field(description="when it had to go from storage; none if it may stay")


async def list_source_status(session: AsyncSession, task: Task) -> tuple[SourceStatus, ...]:
    """Sources that a task declares, each with its newest run."""
    columns = collections.c
    newest = (
        sa.select(collections)
        .where(columns.task_id == task.task_id)
        .order_by(columns.source, columns.requested_at.desc(), columns.run_id)
        .ext(distinct_on(columns.source))
    )
    rows = (await session.execute(newest)).mappings()
    runs = {row["source"]: CollectionView.model_validate(dict(row)) for row in rows}
    return tuple(
        SourceStatus(
            source=policy.source,
            title=source.title if (source := SOURCES.get(policy.source)) else "",
            enabled=policy.enabled,
            collect=policy.collect or (source.collect if source else None),
            export=policy.export,
            last_run=runs.get(policy.source),
        )
        for policy in task.policies.sources
    )


async def list_collections(
    session: AsyncSession, window: Window, *, task_id: str | None, source: str | None
) -> Page[CollectionView]:
    """Newest first."""
    query = sa.select(collections).order_by(collections.c.requested_at.desc(), collections.c.run_id)
    if task_id is not None:
        query = query.where(collections.c.task_id == task_id)
    if source is not None:
        query = query.where(collections.c.source == source)
    return await read_page(session, query, window, lambda row: CollectionView.model_validate(dict(row)))


async def get_collection(session: AsyncSession, run_id: str) -> CollectionView:
    """One run.

    Raises:
        NotFound: there is no such run.
    """
    row = (await session.execute(sa.select(collections).where(collections.c.run_id == run_id))).mappings().one_or_none()
    if row is None:
        raise NotFound("learn.run-not-found", "there is no such run", run_id=run_id)
    return CollectionView.model_validate(dict(row))


async def list_feedback(
    session: AsyncSession, window: Window, *, kind: str | None, source: str | None, state: str | None
) -> Page[FeedbackView]:
    """Feedback records, newest first."""
    kept, found = upstream_records.c, source_records.c
    known_state = sa.func.coalesce(found.state, "unchecked")
    same = (found.origin == kept.origin) & (found.kind == kept.kind) & (found.record_id == kept.record_id)
    query = (
        sa.select(
            kept.kind, kept.record_id, kept.published_at, kept.received_at, kept.deliveries, kept.content, found.source,
            known_state.label("state"), found.reason, found.group_key,
        )
        .select_from(upstream_records.outerjoin(source_records, same))
        .where(kept.origin == "feedback")
        .order_by(kept.received_at.desc(), kept.kind, kept.record_id)
    )  # fmt: skip
    for column, wanted in ((kept.kind, kind), (found.source, source), (known_state, state)):
        if wanted is not None:
            query = query.where(column == wanted)
    return await read_opened_page(session, query, window, partial(_feedback, session))


async def _feedback(session: AsyncSession, rows: Sequence[sa.RowMapping]) -> tuple[FeedbackView, ...]:
    contents = await open_records(session, [row["content"] for row in rows])
    return tuple(
        FeedbackView.model_validate({**row, "content": said}) for row, said in zip(rows, contents, strict=True)
    )


async def list_evidence_exports(
    session: AsyncSession, window: Window, *, task_id: str | None
) -> Page[EvidenceExportView]:
    """Newest first."""
    query = sa.select(evidence_exports).order_by(evidence_exports.c.due_at.desc(), evidence_exports.c.export_id)
    if task_id is not None:
        query = query.where(evidence_exports.c.task_id == task_id)
    return await read_page(session, query, window, lambda row: EvidenceExportView.model_validate(dict(row)))


async def get_evidence_export(session: AsyncSession, export_id: str) -> EvidenceExportView:
    """One file of evidence.

    Raises:
        NotFound: there is no such export.
    """
    query = sa.select(evidence_exports).where(evidence_exports.c.export_id == export_id)
    row = (await session.execute(query)).mappings().one_or_none()
    if row is None:
        raise NotFound("export.not-found", "there is no such export", export_id=export_id)
    return EvidenceExportView.model_validate(dict(row))
