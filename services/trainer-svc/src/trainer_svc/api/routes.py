"""HTTP door: jobs are asked for, watched and stopped."""

import uuid
from collections import deque
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import anyio.to_thread
from fastapi import APIRouter, Depends, Query, Request, Response

from loopwright.auth import Engineer, Viewer
from loopwright.contracts.base import Identifier, RunState
from loopwright.contracts.jobs import JobRequested, TrainingData
from loopwright.errors import Invalid
from loopwright.pages import Page, Part
from loopwright.problems import ADMIN_PROBLEMS
from loopwright.unit_of_work import PostgresWork
from trainer_svc.api.schemas import AcceptedJob, LogLines, NewJob
from trainer_svc.domain.jobs import obstacle
from trainer_svc.handlers.requests import request_job, stop_job
from trainer_svc.queries import (
    CheckpointView,
    JobView,
    MetricView,
    read_checkpoints,
    read_job,
    read_jobs,
    read_metrics,
)

routes = APIRouter(prefix="/api/v1/admin/finetuning/jobs", tags=["jobs"], responses=ADMIN_PROBLEMS)


@dataclass(frozen=True, kw_only=True)
class Doorway:
    """What the routes use, put onto the app by `main.py`."""

    work: PostgresWork
    work_dir: Path
    base_models: dict[str, Path]


def _doorway(request: Request) -> Doorway:
    doorway = request.app.state.doorway
    assert isinstance(doorway, Doorway), "main.py sets it"
    return doorway


Door = Annotated[Doorway, Depends(_doorway)]


@routes.post("", status_code=202)
async def post_job(principal: Engineer, door: Door, body: NewJob, response: Response) -> AcceptedJob:
    def build(task_id: str, data: TrainingData) -> JobRequested:
        return JobRequested(
            job_id=f"job-{uuid.uuid4().hex[:12]}", job_name=body.job_name, task_id=task_id, base_model=body.base_model,
            training_data=data, method=body.method, objective=body.objective, hyperparameters=body.hyperparameters,
            requested_by=principal.subject, requested_at=datetime.now(UTC),
        )  # fmt: skip

    async with door.work() as unit:
        request = await request_job(unit, body.dataset_id, build)
        reason = obstacle(request, door.base_models)
        if reason is not None:
            raise Invalid("job.cannot-run", reason)
    response.headers["Location"] = f"{routes.prefix}/{request.job_id}"
    return AcceptedJob(job_id=request.job_id)


@routes.get("")
async def get_jobs(_: Viewer, door: Door, part: Part, state: RunState | None = None) -> Page[JobView]:
    async with door.work() as unit:
        return await read_jobs(unit.session, part, state=state)


@routes.get("/{job_id}")
async def get_job(_: Viewer, door: Door, job_id: Identifier) -> JobView:
    async with door.work() as unit:
        return await read_job(unit.session, job_id)


@routes.post("/{job_id}/stop", status_code=202)
async def post_stop(_: Engineer, door: Door, job_id: Identifier) -> JobView:
    async with door.work() as unit:
        await stop_job(unit, job_id)
        return await read_job(unit.session, job_id)


@routes.get("/{job_id}/metrics")
async def get_metrics(_: Viewer, door: Door, job_id: Identifier, part: Part) -> Page[MetricView]:
    async with door.work() as unit:
        return await read_metrics(unit.session, job_id, part)


@routes.get("/{job_id}/checkpoints")
async def get_checkpoints(_: Viewer, door: Door, job_id: Identifier, part: Part) -> Page[CheckpointView]:
    async with door.work() as unit:
        return await read_checkpoints(unit.session, job_id, part)


@routes.get("/{job_id}/logs")
async def get_logs(
    _: Viewer,
    door: Door,
    job_id: Identifier,
    lines: Annotated[int, Query(ge=1, le=10_000, description="from the end")] = 200,
) -> LogLines:
    """The end of the training process's log; empty before it began, or where another machine ran it."""
    async with door.work() as unit:
        job = await read_job(unit.session, job_id)
    path = door.work_dir / job.job_id / "log.txt"
    return LogLines(job_id=job.job_id, lines=await anyio.to_thread.run_sync(_tail, path, lines))


def _tail(path: Path, count: int) -> tuple[str, ...]:
    try:
        with path.open(encoding="utf-8", errors="replace") as file:
            return tuple(line.rstrip("\n") for line in deque(file, maxlen=count))
    except FileNotFoundError:
        return ()
