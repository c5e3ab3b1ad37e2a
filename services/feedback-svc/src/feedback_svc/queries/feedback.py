"""Read models of inferences, ratings and upstream records."""

from collections.abc import Sequence
from datetime import datetime
from functools import partial

import sqlalchemy as sa
from pydantic import Field, JsonValue
from sqlalchemy.ext.asyncio import AsyncSession

from feedback_svc.store.inferences import open_contents
from feedback_svc.store.ratings import open_remarks
from feedback_svc.store.records import open_records
from feedback_svc.store.samples import open_lessons
from feedback_svc.store.tables import inferences, ratings, samples, upstream_records
from loopwright.contracts.base import ChatMessage, Value
from loopwright.errors import NotFound
from loopwright.pages import Page, Window, read_opened_page


class RatingView(Value):
    """One rating as it came."""

    rating_id: str
    inference_id: str
    task_id: str
    experiment_id: str | None
    variant_id: str
    unit_hash: str
    rater_hash: str
    metric: str
    value: float | None
    comment: str | None
    correction: str | None
    counts: bool = Field(description="no later rating of the same rater and metric has taken its place")
    rated_at: datetime


class SampleView(Value):
    """One training example."""

    sample_id: str
    state: str = Field(description="ready, quarantined, rejected, withdrawn or exported")
    source: str = Field(description="rating or correction")
    answer: str = Field(description="what the model should have said")
    rating_ids: tuple[str, ...]
    weight_0_1: float
    formed_at: datetime


class InferenceView(Value):
    """One answered request."""

    inference_id: str
    task_id: str
    task_version: int
    experiment_id: str | None
    variant_id: str = Field(description="assigned variant")
    served_variant_id: str = Field(description="variant that answered")
    pinned: bool
    fallback: bool
    unit_hash: str
    input: str | None
    answer: str | None
    http_status: int
    latency_ms: float
    completed_at: datetime


class InferenceDetail(InferenceView):
    """One answered request with everything that was said and learned of it."""

    messages: tuple[ChatMessage, ...] | None
    finish_reason: str | None
    prompt_tokens: int | None
    completion_tokens: int | None
    first_byte_ms: float | None
    ratings: tuple[RatingView, ...]
    samples: tuple[SampleView, ...]


class RecordView(Value):
    """A record, or a batch of log records, from an upstream app."""

    origin: str = Field(description="log or feedback")
    kind: str
    record_id: str
    records: int = Field(description="how many records it holds")
    deliveries: int = Field(description="how often it came")
    published_at: datetime
    received_at: datetime
    content: JsonValue


class RecordCount(Value):
    """Upstream records of one kind."""

    origin: str
    kind: str
    items: int = Field(description="distinct records or batches")
    records: int = Field(description="records in them")


class InferenceFilter(Value):
    """Which inferences are wanted; all of None."""

    task_id: str | None = None
    variant_id: str | None = None
    experiment_id: str | None = None
    rated: bool | None = Field(default=None, description="only with ratings, or only without")


async def list_inferences(session: AsyncSession, wanted: InferenceFilter, window: Window) -> Page[InferenceView]:
    """Newest first."""
    query = sa.select(inferences).order_by(inferences.c.completed_at.desc(), inferences.c.inference_id)
    for name in ("task_id", "variant_id", "experiment_id"):
        value = getattr(wanted, name)
        if value is not None:
            query = query.where(inferences.c[name] == value)
    if wanted.rated is not None:
        has_rating = sa.exists().where(ratings.c.inference_id == inferences.c.inference_id)
        query = query.where(has_rating if wanted.rated else ~has_rating)
    return await read_opened_page(session, query, window, partial(_inferences, session))


async def get_inference(session: AsyncSession, inference_id: str) -> InferenceDetail:
    """One inference.

    Raises:
        NotFound: it has not arrived, or never was.
    """
    found = await session.execute(sa.select(inferences).where(inferences.c.inference_id == inference_id))
    row = found.mappings().one_or_none()
    if row is None:
        raise NotFound("inference.not-found", "there is no such inference", inference_id=inference_id)
    rated = await session.execute(
        sa.select(ratings).where(ratings.c.inference_id == inference_id).order_by(ratings.c.rated_at)
    )
    taught = await session.execute(
        sa.select(samples).where(samples.c.inference_id == inference_id).order_by(samples.c.formed_at)
    )
    [content] = await open_contents(session, [row["content"]])
    return InferenceDetail.model_validate(
        {**row, **dict(content)}
        | {
            "ratings": await _ratings(session, rated.mappings().all()),
            "samples": await _samples(session, taught.mappings().all()),
        }
    )


async def list_ratings(
    session: AsyncSession, window: Window, *, task_id: str | None, inference_id: str | None
) -> Page[RatingView]:
    """Newest first."""
    query = sa.select(ratings).order_by(ratings.c.rated_at.desc(), ratings.c.rating_id)
    if task_id is not None:
        query = query.where(ratings.c.task_id == task_id)
    if inference_id is not None:
        query = query.where(ratings.c.inference_id == inference_id)
    return await read_opened_page(session, query, window, partial(_ratings, session))


async def get_rating(session: AsyncSession, rating_id: str) -> RatingView:
    """One rating.

    Raises:
        NotFound: there is no such rating.
    """
    found = await session.execute(sa.select(ratings).where(ratings.c.rating_id == rating_id))
    row = found.mappings().one_or_none()
    if row is None:
        raise NotFound("rating.not-found", "there is no such rating", rating_id=rating_id)
    [rating] = await _ratings(session, [row])
    return rating


async def list_records(
    session: AsyncSession, window: Window, *, origin: str | None, kind: str | None
) -> Page[RecordView]:
    """Newest first."""
    query = sa.select(upstream_records).order_by(
        upstream_records.c.received_at.desc(), upstream_records.c.kind, upstream_records.c.record_id
    )
    if origin is not None:
        query = query.where(upstream_records.c.origin == origin)
    if kind is not None:
        query = query.where(upstream_records.c.kind == kind)
    return await read_opened_page(session, query, window, partial(_records, session))


async def count_records(session: AsyncSession) -> tuple[RecordCount, ...]:
    columns = upstream_records.c
    query = (
        sa.select(
            columns.origin, columns.kind, sa.func.count().label("items"), sa.func.sum(columns.records).label("records")
        )
        .group_by(columns.origin, columns.kind)
        .order_by(columns.origin, columns.kind)
    )
    return tuple(RecordCount.model_validate(dict(row)) for row in (await session.execute(query)).mappings())


async def _inferences(session: AsyncSession, rows: Sequence[sa.RowMapping]) -> tuple[InferenceView, ...]:
    contents = await open_contents(session, [row["content"] for row in rows])
    return tuple(
        InferenceView.model_validate({**row, "input": content.input, "answer": content.answer})
        for row, content in zip(rows, contents, strict=True)
    )


async def _records(session: AsyncSession, rows: Sequence[sa.RowMapping]) -> tuple[RecordView, ...]:
    contents = await open_records(session, [row["content"] for row in rows])
    return tuple(RecordView.model_validate({**row, "content": said}) for row, said in zip(rows, contents, strict=True))


async def _ratings(session: AsyncSession, rows: Sequence[sa.RowMapping]) -> tuple[RatingView, ...]:
    remarks = await open_remarks(session, [row["remarks"] for row in rows])
    return tuple(
        RatingView.model_validate({**row, "comment": said.comment, "correction": said.correction})
        for row, said in zip(rows, remarks, strict=True)
    )


async def _samples(session: AsyncSession, rows: Sequence[sa.RowMapping]) -> tuple[SampleView, ...]:
    lessons = await open_lessons(session, [row["lesson"] for row in rows])
    return tuple(
        SampleView.model_validate({**row, "answer": said.answer}) for row, said in zip(rows, lessons, strict=True)
    )
