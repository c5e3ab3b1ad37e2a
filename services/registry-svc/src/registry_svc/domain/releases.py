"""The way of a trained adapter into charge, as a state machine."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from loopwright.contracts.base import Artifact, RunState
from loopwright.contracts.jobs import TrainingData
from loopwright.errors import Conflict
from registry_svc.domain.models import VariantId

_FIRST_DELAY_S = 0.5
_LONGEST_DELAY_S = 15.0


class ReleaseState(StrEnum):
    """received → registered → loaded → on_trial → promoted, or out of it at any point."""

    RECEIVED = "received"
    REGISTERED = "registered"
    LOADED = "loaded"
    ON_TRIAL = "on_trial"
    PROMOTED = "promoted"
    REJECTED = "rejected"  # the gate said no
    RETIRED = "retired"  # live traffic said no, or nothing
    FAILED = "failed"  # the job failed, or its adapter cannot be served


WORKED_ON = (ReleaseState.RECEIVED, ReleaseState.REGISTERED, ReleaseState.LOADED)
"""States in which the next step is ours; in the others we wait for an event, or are done."""

_NEXT: dict[ReleaseState, frozenset[ReleaseState]] = {
    ReleaseState.RECEIVED: frozenset({ReleaseState.REGISTERED, ReleaseState.FAILED}),
    ReleaseState.REGISTERED: frozenset({ReleaseState.LOADED, ReleaseState.PROMOTED, ReleaseState.FAILED}),
    ReleaseState.LOADED: frozenset(
        {ReleaseState.ON_TRIAL, ReleaseState.REJECTED, ReleaseState.PROMOTED, ReleaseState.FAILED}
    ),
    ReleaseState.ON_TRIAL: frozenset({ReleaseState.PROMOTED, ReleaseState.RETIRED}),
    ReleaseState.PROMOTED: frozenset(),
    # a person may put in charge what a gate or an experiment turned away
    ReleaseState.REJECTED: frozenset({ReleaseState.PROMOTED}),
    ReleaseState.RETIRED: frozenset({ReleaseState.PROMOTED}),
    ReleaseState.FAILED: frozenset(),
}


@dataclass(frozen=True, kw_only=True)
class Release:
    """One finished job on its way.

    Attributes:
        variant: Model version that it became; None before it is registered.
        attempts: Tries of the current step that came to nothing.
        traceparent: W3C trace context of `job.finished`, continued by every later step.
    """

    job_id: str
    job_name: str
    task_id: str
    state: ReleaseState
    base_model: str
    training_data: TrainingData
    adapter: Artifact | None
    mlflow_run_id: str | None
    variant: VariantId | None
    reason: str | None
    attempts: int
    due_at: datetime
    traceparent: str | None
    created_at: datetime
    updated_at: datetime


def check_transition(current: ReleaseState, following: ReleaseState) -> None:
    """Checks one step of the state machine.

    Raises:
        Conflict: the step does not exist.
    """
    if following not in _NEXT[current]:
        raise Conflict("release.step-refused", f"a release that is {current} cannot become {following}")


def why_not_released(
    job_state: RunState, *, adapter: Artifact | None, base_model: str, task_base_model: str | None
) -> str | None:
    """Why a finished job cannot become a model version; None if it can.

    Args:
        task_base_model: Base model of the job's task; None if there is no such task.
    """
    if job_state is not RunState.SUCCEEDED:
        return f"the job ended as {job_state}"
    if adapter is None:
        return "the job succeeded without an adapter"
    if task_base_model is None:
        return "the job's task is not defined here"
    if base_model != task_base_model:
        return f"the job started from {base_model}, the task's base model is {task_base_model}"
    return None


def retry_delay(attempts: int) -> timedelta:
    """How long to wait after so many fruitless tries: doubles from half a second up to 15 s."""
    return timedelta(seconds=min(_FIRST_DELAY_S * 2 ** min(attempts, 10), _LONGEST_DELAY_S))
