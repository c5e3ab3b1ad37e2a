"""What readers of the API see of jobs."""

from datetime import datetime

import sqlalchemy as sa
from pydantic import BaseModel, ConfigDict, Field
from sqlalchemy.ext.asyncio import AsyncSession

from loopwright.contracts.base import Artifact, RunState
from loopwright.contracts.jobs import TrainingData
from loopwright.contracts.tasks import Hyperparameters
from loopwright.errors import NotFound
from loopwright.pages import Page, Window, read_page
from trainer_svc.domain.deprecations import DataDeprecation
from trainer_svc.store.tables import checkpoints, jobs, metrics


class View(BaseModel):
    """A row as readers see it."""

    model_config = ConfigDict(frozen=True, extra="ignore")


class JobView(View):
    """A job, where it stands and what it came to."""

    job_id: str
    job_name: str
    task_id: str
    base_model: str
    training_data: TrainingData
    training_data_deprecated: DataDeprecation | None = Field(
        description="why its dataset version must not be learned from any more; none while it may"
    )
    method: str
    objective: str
    hyperparameters: Hyperparameters
    requested_by: str
    requested_at: datetime
    state: RunState
    reason: str | None = Field(description="why it ended so, or went back to the queue")
    attempt: int = Field(description="times it was started")
    device: str | None
    step: int
    total_steps: int
    loss: float | None
    validation_loss: float | None
    tokens_per_s: float | None
    eta_s: float | None
    adapter: Artifact | None
    mlflow_run_id: str | None
    started_at: datetime | None
    finished_at: datetime | None


class MetricView(View):
    """Figures of one step."""

    attempt: int
    step: int
    epoch: float
    loss: float | None
    validation_loss: float | None
    learning_rate: float | None
    grad_norm: float | None
    tokens_per_s: float | None
    device_memory_bytes: int | None
    at: datetime


class CheckpointView(View):
    """A complete checkpoint."""

    step: int
    attempt: int
    epoch: float
    path: str
    size_bytes: int
    at: datetime


async def read_jobs(session: AsyncSession, window: Window, *, state: RunState | None) -> Page[JobView]:
    """Jobs, newest first."""
    statement = sa.select(jobs).order_by(jobs.c.requested_at.desc(), jobs.c.job_id)
    if state is not None:
        statement = statement.where(jobs.c.state == state)
    return await read_page(session, statement, window, JobView.model_validate)


async def read_job(session: AsyncSession, job_id: str) -> JobView:
    """One job.

    Raises:
        NotFound: there is none with this id.
    """
    row = (await session.execute(sa.select(jobs).where(jobs.c.job_id == job_id))).mappings().one_or_none()
    if row is None:
        raise NotFound("job.not-found", f"there is no job {job_id}", job_id=job_id)
    return JobView.model_validate(row)


async def read_metrics(session: AsyncSession, job_id: str, window: Window) -> Page[MetricView]:
    """Figures of a job, in the order in which they came."""
    await read_job(session, job_id)
    statement = sa.select(metrics).where(metrics.c.job_id == job_id).order_by(metrics.c.id)
    return await read_page(session, statement, window, MetricView.model_validate)


async def read_checkpoints(session: AsyncSession, job_id: str, window: Window) -> Page[CheckpointView]:
    """Checkpoints of a job, newest first."""
    await read_job(session, job_id)
    statement = sa.select(checkpoints).where(checkpoints.c.job_id == job_id).order_by(checkpoints.c.step.desc())
    return await read_page(session, statement, window, CheckpointView.model_validate)
