"""Jobs: who may be started where, what a process's end means, and the states that a job goes through."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from loopwright.contracts.base import Artifact, RunState
from loopwright.contracts.datasets import DatasetValidated
from loopwright.contracts.jobs import JobRequested, TrainingData
from loopwright.contracts.tasks import Hyperparameters, Method, Objective, TrainingPolicy
from loopwright.errors import Conflict

ENDED = (RunState.SUCCEEDED, RunState.FAILED, RunState.STOPPED)


@dataclass(frozen=True, kw_only=True)
class Policy:
    """What a task's training policy says, and the base model that it starts from."""

    task_id: str
    base_model: str
    training: TrainingPolicy


@dataclass(frozen=True, kw_only=True)
class Lease:
    """The right to run one attempt of a job; everything that an attempt writes names it.

    Attributes:
        attempt: Rises whenever the job changes hands, so that an outdated holder is recognised.
    """

    job_id: str
    owner: str
    attempt: int


@dataclass(frozen=True, kw_only=True)
class Job:
    """A job as its runner sees it."""

    lease: Lease
    job_name: str
    task_id: str
    base_model: str
    training_data: TrainingData
    method: Method
    objective: Objective
    hyperparameters: Hyperparameters
    device: str
    mlflow_run_id: str | None
    traceparent: str | None
    requested_at: datetime


@dataclass(frozen=True, kw_only=True)
class Ending:
    """How an attempt ended for its job.

    Attributes:
        state: The job's next state; QUEUED gives it back to the queue.
    """

    state: RunState
    reason: str | None = None
    adapter: Artifact | None = None
    final_loss: float | None = None
    validation_loss: float | None = None


def job_for(event: DatasetValidated, policy: Policy, *, job_id: str, now: datetime) -> JobRequested | None:
    """The job that the task's policy starts on a new dataset version; None if it starts none."""
    if not policy.training.auto:
        return None
    return JobRequested(
        job_id=job_id,
        job_name=f"{event.task_id} on {event.dataset_name} version {event.version}",
        task_id=event.task_id,
        base_model=policy.base_model,
        training_data=training_data_of(event),
        method=policy.training.method,
        objective=policy.training.objective,
        hyperparameters=policy.training.hyperparameters,
        requested_by="policy",
        requested_at=now,
    )


def training_data_of(event: DatasetValidated) -> TrainingData:
    """What a job needs to know of a dataset version."""
    return TrainingData(
        dataset_id=event.dataset_id,
        version_id=event.version_id,
        train=event.train,
        validation=event.validation,
        held_out=event.held_out,
    )


def obstacle(request: JobRequested, base_models: dict[str, Path]) -> str | None:
    """Why this worker can never run such a job; None if it can."""
    if request.base_model not in base_models:
        known = ", ".join(sorted(base_models)) or "none"
        return f"base model {request.base_model} is not installed here (installed: {known})"
    if request.objective != "sft":
        return f"objective {request.objective} has no recipe yet; supervised fine-tuning (sft) has"
    return None


def free_slot(slots: Sequence[str], taken: Sequence[str], *, most: int) -> str | None:
    """The device that a further job could have; None if there is none or enough jobs run."""
    if len(taken) >= most:
        return None
    return next((slot for slot in slots if slot not in taken), None)


def ending_of_dead_process(*, status: int, attempt: int, max_attempts: int) -> Ending:
    """What becomes of a job whose process went without a word.

    Args:
        status: Exit status; negative is the signal that ended it.
    """
    how = f"signal {-status}" if status < 0 else f"exit status {status}"
    if attempt < max_attempts:
        return Ending(
            state=RunState.QUEUED, reason=f"attempt {attempt} ended by {how}; resumes from its last checkpoint"
        )
    advice = " (signal 9 is mostly the kernel, out of memory: use a smaller batch)" if status == -9 else ""
    return Ending(state=RunState.FAILED, reason=f"the training process ended by {how} in {attempt} attempts{advice}")


def ending_of_silent_worker(*, attempt: int, max_attempts: int, stop_requested: bool) -> Ending:
    """What becomes of a job whose worker died, or could not say that it lives."""
    if stop_requested:
        return Ending(state=RunState.STOPPED, reason="stopped on request; its last checkpoint is kept")
    if attempt < max_attempts:
        return Ending(
            state=RunState.QUEUED, reason=f"the worker of attempt {attempt} fell silent; resumes from its checkpoint"
        )
    return Ending(state=RunState.FAILED, reason=f"its worker fell silent in each of {attempt} attempts")


def check_can_stop(state: RunState) -> None:
    """Refuses to stop what has ended.

    Raises:
        Conflict: it has.
    """
    if state in ENDED:
        raise Conflict("job.ended", f"the job has ended already ({state})", state=state)
