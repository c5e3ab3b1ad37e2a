"""What a person asks for, and the job that it becomes."""

from dataclasses import dataclass
from datetime import datetime

from loopwright.contracts.base import Artifact, RunState
from loopwright.contracts.jobs import JobKind, JobRequested, TrainingData
from loopwright.contracts.tasks import Hyperparameters, Method, Objective
from loopwright.errors import Conflict


@dataclass(frozen=True, kw_only=True)
class JobOrder:
    """A job as a person describes it.

    Attributes:
        base_model: What to train; other kinds take it from their source.
        dataset_id: Dataset version, or dataset whose newest version is meant; other kinds take it from their source.
        source_job_id: For kinds other than training: the training job whose adapter they work on.
        devices: Slots by name; empty: any.
    """

    job_id: str
    job_name: str
    kind: JobKind
    base_model: str | None
    dataset_id: str | None
    source_job_id: str | None
    method: Method
    objective: Objective
    hyperparameters: Hyperparameters
    devices: tuple[str, ...]
    device_count: int
    priority: int
    requested_by: str
    requested_at: datetime


@dataclass(frozen=True, kw_only=True)
class Material:
    """What an order's job works on, as the rows have it."""

    task_id: str
    base_model: str
    training_data: TrainingData
    method: Method
    objective: Objective
    source_adapter: Artifact | None = None


def job_of(order: JobOrder, material: Material) -> JobRequested:
    return JobRequested(
        job_id=order.job_id,
        job_name=order.job_name,
        task_id=material.task_id,
        base_model=material.base_model,
        training_data=material.training_data,
        method=material.method,
        objective=material.objective,
        hyperparameters=order.hyperparameters,
        kind=order.kind,
        source_adapter=material.source_adapter,
        priority=order.priority,
        devices=order.devices,
        device_count=order.device_count,
        requested_by=order.requested_by,
        requested_at=order.requested_at,
    )


def check_is_source(state: RunState, kind: JobKind, adapter: Artifact | None) -> Artifact:
    """The adapter of a job, if it made one that other kinds of jobs can work on.

    Raises:
        Conflict: it did not train, has not succeeded, or left none.
    """
    if kind is not JobKind.TRAIN or state is not RunState.SUCCEEDED or adapter is None:
        detail = f"the source must be a training job that succeeded; this one is of kind {kind} and {state}"
        raise Conflict("job.source-without-adapter", detail, state=state, kind=kind)
    return adapter
