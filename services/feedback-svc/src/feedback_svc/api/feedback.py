"""Inferences, ratings, upstream records and what was erased of them over HTTP; records may also be sent in."""

from datetime import UTC, datetime
from http import HTTPStatus
from typing import Annotated, Literal

from fastapi import APIRouter, Query
from pydantic import BaseModel, ConfigDict, Field

from feedback_svc.api.door import IdFilter, InPath, Opener
from feedback_svc.domain.sources.catalogue import KINDS
from feedback_svc.handlers.submissions import Submission, submit
from feedback_svc.queries.collecting import FeedbackView, list_feedback
from feedback_svc.queries.erasures import ErasureView, get_erasure
from feedback_svc.queries.feedback import (
    InferenceDetail,
    InferenceFilter,
    InferenceView,
    RatingView,
    RecordCount,
    RecordView,
    count_records,
    get_inference,
    get_rating,
    list_inferences,
    list_ratings,
    list_records,
)
from loopwright.auth import Engineer, Viewer
from loopwright.contracts.base import Identifier, JsonObject
from loopwright.pages import Page, Part
from loopwright.problems import ADMIN_PROBLEMS

routes = APIRouter(prefix="/api/v1/feedback", tags=["feedback"], responses=ADMIN_PROBLEMS)


_MOST_AT_ONCE = 500
_RecordState = Literal["fits", "refused", "unknown-kind", "erased", "unchecked"]


class NewRecord(BaseModel):
    """A feedback record; its kind says what it must hold."""

    model_config = ConfigDict(extra="forbid")

    kind: Identifier = Field(description=f"one of {', '.join(KINDS)}", examples=list(KINDS))
    record: JsonObject = Field(description="the record, as the schema of its kind has it")
    record_id: Identifier | None = Field(
        default=None, description="id in its source; none names it by its content, so that sending it again is harmless"
    )
    unit_hash: Identifier | None = Field(default=None, description="keyed hash of the person whom it is of")


class NewRecords(BaseModel):
    """Several records; all are taken, or none."""

    model_config = ConfigDict(extra="forbid")

    records: tuple[NewRecord, ...] = Field(min_length=1, max_length=_MOST_AT_ONCE)


class Submitted(BaseModel):
    """Records that were taken; samples follow when their source is collected."""

    record_ids: tuple[str, ...]


@routes.get("")
async def feedback(
    _: Viewer, opener: Opener, window: Part, kind: IdFilter = None, source: IdFilter = None,
    state: Annotated[_RecordState | None, Query(description="what a check found of it")] = None,
) -> Page[FeedbackView]:  # fmt: skip
    async with opener() as work:
        return await list_feedback(work.session, window, kind=kind, source=source, state=state)


@routes.post("", status_code=HTTPStatus.ACCEPTED)
async def send(_: Engineer, opener: Opener, body: NewRecord | NewRecords) -> Submitted:
    records = body.records if isinstance(body, NewRecords) else (body,)
    submissions = [
        Submission(kind=one.kind, record=one.record, record_id=one.record_id, unit_hash=one.unit_hash)
        for one in records
    ]
    async with opener() as work:
        return Submitted(record_ids=await submit(submissions, work, now=datetime.now(UTC)))


@routes.get("/inferences")
async def inferences(
    _: Viewer, opener: Opener, window: Part, task_id: IdFilter = None, variant_id: IdFilter = None,
    experiment_id: IdFilter = None, rated: Annotated[bool | None, Query()] = None,
) -> Page[InferenceView]:  # fmt: skip
    wanted = InferenceFilter(task_id=task_id, variant_id=variant_id, experiment_id=experiment_id, rated=rated)
    async with opener() as work:
        return await list_inferences(work.session, wanted, window)


@routes.get("/inferences/{inference_id}")
async def inference(_: Viewer, opener: Opener, inference_id: InPath) -> InferenceDetail:
    async with opener() as work:
        return await get_inference(work.session, inference_id)


@routes.get("/ratings")
async def ratings(
    _: Viewer, opener: Opener, window: Part, task_id: IdFilter = None, inference_id: IdFilter = None
) -> Page[RatingView]:
    async with opener() as work:
        return await list_ratings(work.session, window, task_id=task_id, inference_id=inference_id)


@routes.get("/ratings/{rating_id}")
async def rating(_: Viewer, opener: Opener, rating_id: InPath) -> RatingView:
    async with opener() as work:
        return await get_rating(work.session, rating_id)


@routes.get("/records")
async def records(
    _: Viewer, opener: Opener, window: Part, origin: IdFilter = None, kind: IdFilter = None
) -> Page[RecordView]:
    async with opener() as work:
        return await list_records(work.session, window, origin=origin, kind=kind)


@routes.get("/records/counts")
async def record_counts(_: Viewer, opener: Opener) -> tuple[RecordCount, ...]:
    async with opener() as work:
        return await count_records(work.session)


@routes.get("/erasures/{unit_hash}")
async def erasure(_: Viewer, opener: Opener, unit_hash: InPath) -> ErasureView:
    async with opener() as work:
        return await get_erasure(work.session, unit_hash)
