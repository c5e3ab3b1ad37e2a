"""Inferences, ratings, upstream records and what was erased of them over HTTP, for reading."""

from typing import Annotated

from fastapi import APIRouter, Query

from feedback_svc.api.door import IdFilter, InPath, Opener
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
from loopwright.auth import Viewer
from loopwright.pages import Page, Part
from loopwright.problems import ADMIN_PROBLEMS

routes = APIRouter(prefix="/api/v1/feedback", tags=["feedback"], responses=ADMIN_PROBLEMS)


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
