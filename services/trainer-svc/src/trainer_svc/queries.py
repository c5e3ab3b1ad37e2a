"""What readers of the API see of jobs."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import sqlalchemy as sa
from pydantic import BaseModel, ConfigDict, Field
from sqlalchemy.ext.asyncio import AsyncSession

from loopwright.contracts.base import Artifact, RunState
from loopwright.contracts.jobs import JobKind, TrainingData
from loopwright.contracts.tasks import Hyperparameters
from loopwright.errors import NotFound
from loopwright.pages import Page, Window, read_page
from trainer_svc.domain.deprecations import DataDeprecation
from trainer_svc.domain.memory import ModelShape
from trainer_svc.domain.queue import in_turn
from trainer_svc.domain.waiting import waiting_for
from trainer_svc.store import queue
from trainer_svc.store.tables import checkpoints, jobs


class View(BaseModel):
    """A row as readers see it."""

    model_config = ConfigDict(frozen=True, extra="ignore")


class JobView(View):
    """A job, where it stands and what it came to."""

    job_id: str
    job_name: str
    kind: JobKind
    task_id: str
    base_model: str
    training_data: TrainingData
    training_data_deprecated: DataDeprecation | None = Field(
        description="why its dataset version must not be learned from any more; none while it may"
    )
    method: str
    objective: str
    hyperparameters: Hyperparameters
    source_adapter: Artifact | None = Field(description="what a job of another kind than training works on")
    study_id: str | None = Field(description="study that it is a trial of")
    priority: int
    devices_wanted: tuple[str, ...] = Field(description="slots that were asked for; empty: any")
    device_count: int
    requested_by: str
    requested_at: datetime
    queued_at: datetime = Field(description="since when it waits, or did")
    state: RunState
    waiting_for: str | None = Field(default=None, description="what must happen before it starts, while it waits")
    reason: str | None = Field(description="why it ended so, or went back to the queue")
    estimated_s: float | None = Field(description="seconds that it was thought to take when it was asked for")
    attempt: int = Field(description="times it was started")
    device: str | None = Field(description="the first slot that it holds")
    devices: tuple[str, ...] = Field(description="slots of its present or last attempt: worker/slot")
    progress_0_1: float = Field(description="share of its steps that are done")
    step: int
    total_steps: int
    loss: float | None
    validation_loss: float | None
    tokens_per_s: float | None
    eta_s: float | None
    memory_bytes: int | None = Field(description="peak that it was thought to need on each device")
    checkpoint_count: int
    adapter: Artifact | None
    product: Artifact | None = Field(description="what a job of another kind than training made")
    folder: str = Field(default="", description="output, log and checkpoints lie in it, on the machine of its worker")
    output_location: str | None = Field(default=None, description="where its result is, once there is one")
    log_location: str = ""
    checkpoint_location: str = ""
    mlflow_run_id: str | None
    started_at: datetime | None
    finished_at: datetime | None


class CheckpointView(View):
    """A complete checkpoint."""

    step: int
    attempt: int
    epoch: float
    loss: float | None = Field(description="training loss at that step")
    validation_loss: float | None = Field(description="newest validation loss at that step")
    path: str
    size_bytes: int
    at: datetime
    is_kept: bool = Field(default=False, description="whether its folder is still there: old ones are removed")


@dataclass(frozen=True, kw_only=True)
class JobFilter:
    """Which jobs are listed; None lists all."""

    state: RunState | None = None
    task_id: str | None = None
    kind: JobKind | None = None


_COUNT = (
    sa.select(sa.func.count()).select_from(checkpoints).where(checkpoints.c.job_id == jobs.c.job_id).scalar_subquery()
)
_DONE = sa.case(
    (jobs.c.state == RunState.SUCCEEDED, 1.0),
    (jobs.c.total_steps > 0, sa.func.least(jobs.c.step / sa.cast(jobs.c.total_steps, sa.Float), 1.0)),
    else_=0.0,
)
_JOBS = sa.select(
    *(column for column in jobs.c if column.name not in ("devices", "ran_on")),
    jobs.c.devices.label("devices_wanted"),
    jobs.c.ran_on.label("devices"),
    _COUNT.label("checkpoint_count"),
    _DONE.label("progress_0_1"),
)


@dataclass(frozen=True, kw_only=True)
class Reader:
    """Reads jobs as people see them.

    Attributes:
        work_dir: Where jobs have their folders.
        shapes: Of base models, for what jobs need in memory.
    """

    work_dir: Path
    shapes: Mapping[str, ModelShape]

    async def read_jobs(self, session: AsyncSession, window: Window, chosen: JobFilter) -> Page[JobView]:
        """Jobs, newest first."""
        statement = _JOBS.order_by(jobs.c.requested_at.desc(), jobs.c.job_id)
        wanted = {"state": chosen.state, "task_id": chosen.task_id, "kind": chosen.kind}
        for name, value in wanted.items():
            if value is not None:
                statement = statement.where(jobs.c[name] == value)
        page = await read_page(session, statement, window, JobView.model_validate)
        return page.model_copy(update={"items": await self._told(session, page.items)})

    async def read_job(self, session: AsyncSession, job_id: str) -> JobView:
        """One job.

        Raises:
            NotFound: there is none with this id.
        """
        row = (await session.execute(_JOBS.where(jobs.c.job_id == job_id))).mappings().one_or_none()
        if row is None:
            raise NotFound("job.not-found", f"there is no job {job_id}", job_id=job_id)
        (view,) = await self._told(session, (JobView.model_validate(row),))
        return view

    async def _told(self, session: AsyncSession, views: tuple[JobView, ...]) -> tuple[JobView, ...]:
        """Adds where things are, and what waiting jobs wait for."""
        waits: Mapping[str, str] = {}
        if any(view.state is RunState.QUEUED for view in views):
            waits = await read_waits(session, self.shapes)
        return tuple(
            view.model_copy(update={**self._places(view), "waiting_for": waits.get(view.job_id)}) for view in views
        )

    def _places(self, view: JobView) -> dict[str, str | None]:
        folder = self.work_dir / view.job_id
        result = view.adapter or view.product
        return {
            "folder": str(folder),
            "output_location": None if result is None else result.uri,
            "log_location": str(folder / "log.txt"),
            "checkpoint_location": str(folder / "checkpoints"),
        }


async def read_waits(session: AsyncSession, shapes: Mapping[str, ModelShape]) -> dict[str, str]:
    """What each job of the queue waits for, in words."""
    workers = await queue.list_workers(session)
    ordered = in_turn(await queue.list_waiting(session, shapes), await queue.list_turns(session))
    return {demand.job_id: waiting_for(demand, workers, ahead=ahead) for ahead, demand in enumerate(ordered)}


async def read_checkpoints(session: AsyncSession, job_id: str, window: Window) -> Page[CheckpointView]:
    """Checkpoints of a job, newest first.

    Raises:
        NotFound: there is no such job.
    """
    if (await session.execute(sa.select(jobs.c.job_id).where(jobs.c.job_id == job_id))).one_or_none() is None:
        raise NotFound("job.not-found", f"there is no job {job_id}", job_id=job_id)
    statement = sa.select(checkpoints).where(checkpoints.c.job_id == job_id).order_by(checkpoints.c.step.desc())
    page = await read_page(session, statement, window, CheckpointView.model_validate)
    return page.model_copy(update={"items": await asyncio.to_thread(_with_kept, page.items)})


def _with_kept(views: tuple[CheckpointView, ...]) -> tuple[CheckpointView, ...]:
    return tuple(view.model_copy(update={"is_kept": Path(view.path).is_dir()}) for view in views)
