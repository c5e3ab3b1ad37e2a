"""What a task learns, over HTTP: how much there is, what would be collected, training, quality, and taking back."""

from datetime import UTC, datetime
from http import HTTPStatus
from typing import Annotated, Literal

import structlog
from fastapi import APIRouter, Query, Request
from pydantic import BaseModel, ConfigDict, Field

from feedback_svc.adapters.registry import Registry
from feedback_svc.api.door import IdFilter, InPath, Opener
from feedback_svc.domain.collecting import Counts
from feedback_svc.handlers.asking import Preview, collect_task, preview_task
from feedback_svc.handlers.learning import call_for_training
from feedback_svc.handlers.rollbacks import take_back_trials
from feedback_svc.queries.collecting import CollectionView, get_collection, list_collections
from feedback_svc.queries.learning import (
    ExportView,
    LearnStatus,
    TrainingRun,
    get_export,
    learn_status,
    list_training_runs,
)
from feedback_svc.queries.quality import QualityView, read_quality
from loopwright.auth import Admin, Engineer, Viewer
from loopwright.contracts.base import Identifier, Storable
from loopwright.pages import Page, Part
from loopwright.problems import ADMIN_PROBLEMS

routes = APIRouter(prefix="/api/v1/learn", tags=["learning"], responses=ADMIN_PROBLEMS)
_log = structlog.get_logger()
_TaskId = Annotated[Identifier, Query(description="task")]


class CollectRequest(BaseModel):
    """What to collect, or only to look at."""

    model_config = ConfigDict(extra="forbid")

    task_id: Identifier = Field(description="task that declares the sources")
    source: Identifier | None = Field(default=None, description="one of them; none for all")
    preview: bool = Field(default=True, description="true: say what the newest records would teach, and keep nothing")


class SampleExcerpt(BaseModel):
    """One sample as it would be formed."""

    source: str
    input: str
    answer: str
    weight_0_1: float
    metadata: dict[str, str]


class CollectAnswer(BaseModel):
    """What the newest records would teach, or which runs were asked for."""

    counts: dict[str, Counts] = Field(description="by source; empty unless it is a preview")
    samples: tuple[SampleExcerpt, ...] = Field(description="up to three examples of a preview")
    runs: tuple[CollectionView, ...] = Field(description="runs that were asked for; a source with an open one has none")


class TrainRequest(BaseModel):
    """Training that a person asks for."""

    model_config = ConfigDict(extra="forbid")

    task_id: Identifier = Field(description="task to be trained for")


class TrainAnswer(BaseModel):
    """What became of it."""

    state: Literal["requested", "waiting"] = Field(
        description="waiting: an earlier request is under way; this one follows by itself"
    )
    run: ExportView | None = Field(description="the request for a dataset; none while it waits")


class RollbackRequest(BaseModel):
    """What is to be taken back, and why."""

    model_config = ConfigDict(extra="forbid")

    task_id: Identifier = Field(description="task")
    reason: Annotated[Storable, Field(min_length=1, max_length=2000)] = Field(description="why, for the record")


class RollbackAnswer(BaseModel):
    """What was taken back."""

    undone: Literal["trial", "promotion"] = Field(
        description="trial: running experiments ended with the champion as winner; promotion: registry-svc put the "
        "champion before the current one back in charge"
    )
    experiment_ids: tuple[str, ...] = Field(description="experiments that were ended")
    champion_before: str | None = Field(description="variant in charge before; none after a trial")
    champion: str | None = Field(description="variant in charge now; none after a trial, which changes nothing in it")


@routes.get("/status")
async def status(_: Viewer, opener: Opener, task_id: _TaskId) -> LearnStatus:
    async with opener() as work:
        return await learn_status(work.session, task_id, now=datetime.now(UTC))


@routes.post("/collect")
async def collect(principal: Engineer, opener: Opener, body: CollectRequest) -> CollectAnswer:
    async with opener() as work:
        now = datetime.now(UTC)
        if body.preview:
            return _previewed(await preview_task(body.task_id, body.source, work, now=now))
        run_ids = await collect_task(body.task_id, body.source, work, by=principal.subject, now=now)
        runs = [await get_collection(work.session, run_id) for run_id in run_ids]
        return CollectAnswer(counts={}, samples=(), runs=tuple(runs))


def _previewed(preview: Preview) -> CollectAnswer:
    samples = tuple(
        SampleExcerpt(
            source=source, input=one.input, answer=one.answer, weight_0_1=one.weight_0_1, metadata=dict(one.metadata)
        )
        for source, one in preview.examples
    )
    return CollectAnswer(counts=dict(preview.counts), samples=samples, runs=())


@routes.get("/collections")
async def collected(
    _: Viewer, opener: Opener, window: Part, task_id: IdFilter = None, source: IdFilter = None
) -> Page[CollectionView]:
    async with opener() as work:
        return await list_collections(work.session, window, task_id=task_id, source=source)


@routes.get("/collections/{run_id}")
async def collection(_: Viewer, opener: Opener, run_id: InPath) -> CollectionView:
    async with opener() as work:
        return await get_collection(work.session, run_id)


@routes.post("/train", status_code=HTTPStatus.ACCEPTED)
async def train(principal: Admin, opener: Opener, body: TrainRequest) -> TrainAnswer:
    async with opener() as work:
        request_id = await call_for_training(body.task_id, work, by=principal.subject, now=datetime.now(UTC))
        if request_id is None:
            return TrainAnswer(state="waiting", run=None)
        return TrainAnswer(state="requested", run=await get_export(work.session, request_id))


@routes.get("/history")
async def history(_: Viewer, opener: Opener, window: Part, task_id: IdFilter = None) -> Page[TrainingRun]:
    async with opener() as work:
        return await list_training_runs(work.session, window, task_id=task_id)


@routes.get("/quality")
async def quality(
    _: Viewer, opener: Opener, task_id: IdFilter = None,
    days: Annotated[int, Query(ge=1, le=365, description="days that are looked at")] = 30,
) -> QualityView:  # fmt: skip
    async with opener() as work:
        return await read_quality(work.session, task_id=task_id, days=days, now=datetime.now(UTC))


@routes.post("/rollback")
async def rollback(principal: Admin, opener: Opener, request: Request, body: RollbackRequest) -> RollbackAnswer:
    """Ends what is on trial; if nothing is, has registry-svc take back the last promotion, in the caller's name."""
    async with opener() as work:
        ended = await take_back_trials(body.task_id, work, by=principal.subject, now=datetime.now(UTC))
    _log.info("learn.rollback", task_id=body.task_id, by=principal.subject, reason=body.reason, experiments=len(ended))
    if ended:
        return RollbackAnswer(undone="trial", experiment_ids=ended, champion_before=None, champion=None)
    registry: Registry = request.app.state.registry
    before, after = await registry.roll_back(
        body.task_id, reason=body.reason, authorization=request.headers["Authorization"]
    )
    return RollbackAnswer(
        undone="promotion", experiment_ids=(), champion_before=before.champion, champion=after.champion
    )
