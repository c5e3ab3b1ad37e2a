"""HTTP door: jobs are asked for, estimated, listed, stopped, resumed, moved in the queue and deleted."""

import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

from fastapi import APIRouter, Body, Depends, Query, Request, Response

from loopwright.auth import Engineer, Viewer
from loopwright.contracts.base import Identifier, RunState
from loopwright.contracts.jobs import JobKind
from loopwright.pages import Page, Part
from loopwright.problems import ADMIN_PROBLEMS
from loopwright.unit_of_work import PostgresWork
from trainer_svc.api.schemas import AcceptedJob, NewJob, Priority, Resumption
from trainer_svc.domain.estimates import Estimate
from trainer_svc.domain.installed import Installed
from trainer_svc.handlers.requests import estimate_order, request_job, stop_job
from trainer_svc.handlers.steering import change_priority, delete_job, resume_job
from trainer_svc.queries import CheckpointView, JobFilter, JobView, Reader, read_checkpoints

routes = APIRouter(prefix="/api/v1/admin/finetuning/jobs", tags=["jobs"], responses=ADMIN_PROBLEMS)


@dataclass(frozen=True, kw_only=True)
class Doorway:
    """What the routes use, put onto the app by `main.py`.

    Attributes:
        prices: Of a device and hour, by kind.
    """

    work: PostgresWork
    work_dir: Path
    installed: Installed
    prices: Mapping[str, float]

    @property
    def base_models(self) -> Mapping[str, Path]:
        return self.installed.folders

    @property
    def reader(self) -> Reader:
        return Reader(work_dir=self.work_dir, shapes=self.installed.shapes)


def _doorway(request: Request) -> Doorway:
    doorway = request.app.state.doorway
    assert isinstance(doorway, Doorway), "main.py sets it"
    return doorway


Door = Annotated[Doorway, Depends(_doorway)]


@routes.post("", status_code=202)
async def post_job(principal: Engineer, door: Door, body: NewJob, response: Response) -> AcceptedJob:
    order = body.to_order(job_id=f"job-{uuid.uuid4().hex[:12]}", by=principal.subject, at=datetime.now(UTC))
    async with door.work() as unit:
        request, estimate = await request_job(unit, order, door.installed)
    response.headers["Location"] = f"{routes.prefix}/{request.job_id}"
    return AcceptedJob(job_id=request.job_id, estimated_s=estimate.seconds)


@routes.post("/estimate")
async def post_estimate(principal: Engineer, door: Door, body: NewJob) -> Estimate:
    """What such a job would take; nothing is queued."""
    order = body.to_order(job_id="estimate", by=principal.subject, at=datetime.now(UTC))
    async with door.work() as unit:
        return await estimate_order(unit, order, door.installed, prices=door.prices)


@routes.get("")
async def get_jobs(
    _: Viewer,
    door: Door,
    part: Part,
    state: RunState | None = None,
    task_id: Annotated[Identifier | None, Query(description="only jobs of this task")] = None,
    kind: JobKind | None = None,
) -> Page[JobView]:
    async with door.work() as unit:
        return await door.reader.read_jobs(unit.session, part, JobFilter(state=state, task_id=task_id, kind=kind))


@routes.get("/{job_id}")
async def get_job(_: Viewer, door: Door, job_id: Identifier) -> JobView:
    async with door.work() as unit:
        return await door.reader.read_job(unit.session, job_id)


@routes.post("/{job_id}/stop", status_code=202)
async def post_stop(_: Engineer, door: Door, job_id: Identifier) -> JobView:
    async with door.work() as unit:
        await stop_job(unit, job_id)
        return await door.reader.read_job(unit.session, job_id)


@routes.post("/{job_id}/resume", status_code=202)
async def post_resume(
    principal: Engineer, door: Door, job_id: Identifier, body: Annotated[Resumption, Body(default_factory=Resumption)]
) -> JobView:
    """Puts a job that was stopped or failed back into the queue, to go on from a checkpoint."""
    async with door.work() as unit:
        await resume_job(unit, job_id, step=body.checkpoint_step, by=principal.subject)
        return await door.reader.read_job(unit.session, job_id)


@routes.post("/{job_id}/priority")
async def post_priority(_: Engineer, door: Door, job_id: Identifier, body: Priority) -> JobView:
    async with door.work() as unit:
        await change_priority(unit, job_id, body.priority)
        return await door.reader.read_job(unit.session, job_id)


@routes.delete("/{job_id}", status_code=204)
async def remove_job(principal: Engineer, door: Door, job_id: Identifier) -> None:
    """Removes a job that has ended, with its figures, log and checkpoints; what it made stays."""
    async with door.work() as unit:
        await delete_job(unit, job_id, work_dir=door.work_dir, by=principal.subject)


@routes.get("/{job_id}/checkpoints")
async def get_checkpoints(_: Viewer, door: Door, job_id: Identifier, part: Part) -> Page[CheckpointView]:
    async with door.work() as unit:
        return await read_checkpoints(unit.session, job_id, part)
