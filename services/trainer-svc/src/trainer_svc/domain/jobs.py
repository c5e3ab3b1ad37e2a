"""Jobs: which start by themselves, what runs them, what a process's end means, and who may be stopped or resumed."""

import re
from dataclasses import dataclass
from datetime import datetime

from loopwright.contracts.base import Artifact, RunState
from loopwright.contracts.datasets import DatasetValidated
from loopwright.contracts.jobs import BY_POLICY, JobKind, JobRequested, TrainingData
from loopwright.contracts.tasks import Hyperparameters, Method, Objective, Trainer, TrainingPolicy
from loopwright.errors import Conflict
from trainer_svc.domain.installed import Installed

_SLOT = re.compile(r"(cpu|cuda):\d{1,4}")
# beyond what any machine runs; larger numbers are slips, and would end as figures that no column holds
_MOST = {
    "batch_size": 1 << 20, "gradient_accumulation_steps": 1 << 20, "max_seq_length": 1 << 24, "num_epochs": 100_000,
}  # fmt: skip
OWN: Trainer = "loopwright"
_OBJECTIVES_OF_OTHERS: dict[str, tuple[Objective, ...]] = {
    "axolotl": ("sft", "dpo"), "llama_factory": ("sft", "dpo", "kto"),
}  # fmt: skip
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
    """A job as its runner sees it.

    Attributes:
        devices: Slots of the worker that it runs on.
        attempts_forgiven: Attempts before somebody had it resumed; they count no more.
        resume_from_step: Later checkpoints are not wanted; None resumes from the newest.
    """

    lease: Lease
    kind: JobKind
    job_name: str
    task_id: str
    base_model: str
    training_data: TrainingData
    method: Method
    objective: Objective
    hyperparameters: Hyperparameters
    source_adapter: Artifact | None
    devices: tuple[str, ...]
    mlflow_run_id: str | None
    traceparent: str | None
    requested_at: datetime
    attempts_forgiven: int = 0
    resume_from_step: int | None = None


@dataclass(frozen=True, kw_only=True)
class Ending:
    """How an attempt ended for its job.

    Attributes:
        state: The job's next state; QUEUED gives it back to the queue.
        adapter: What training made.
        product: What a job of another kind made.
        tokens: Read by its last attempt.
        train_s: Seconds that these took.
    """

    state: RunState
    reason: str | None = None
    adapter: Artifact | None = None
    product: Artifact | None = None
    final_loss: float | None = None
    validation_loss: float | None = None
    tokens: int | None = None
    train_s: float | None = None


def job_for(
    event: DatasetValidated, policy: Policy, *, job_id: str, now: datetime, champion: Hyperparameters | None = None
) -> JobRequested | None:
    """The job that the task's policy starts on a new dataset version; None if it starts none.

    Args:
        champion: Settings of the task's last training job that succeeded, for policies that inherit them.
    """
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
        hyperparameters=_settings(policy.training, champion),
        requested_by=BY_POLICY,
        requested_at=now,
    )


def _settings(training: TrainingPolicy, champion: Hyperparameters | None) -> Hyperparameters:
    """The policy's; where it inherits and says no more than the default, the champion's."""
    if not training.inherit or champion is None:
        return training.hyperparameters
    standard = Hyperparameters()
    said = {
        name: value for name, value in training.hyperparameters if value != getattr(standard, name)
    }  # what was set to its default cannot be told from what was not set
    return champion.model_copy(update=said)


def training_data_of(event: DatasetValidated) -> TrainingData:
    """What a job needs to know of a dataset version."""
    return TrainingData(
        dataset_id=event.dataset_id,
        version_id=event.version_id,
        train=event.train,
        validation=event.validation,
        held_out=event.held_out,
        request_id=event.request_id,
    )


def module_of(kind: JobKind, objective: Objective, trainer: Trainer) -> str:
    """The recipe that runs a job."""
    match kind:
        case JobKind.TRAIN:
            return f"trainer_svc.recipes.{objective if trainer == OWN else trainer}"
        case JobKind.GPTQ | JobKind.AWQ:
            return "trainer_svc.recipes.quantise"
        case _:
            return f"trainer_svc.recipes.{kind}"


def models_of(base_model: str, hyperparameters: Hyperparameters, *, objective: Objective) -> tuple[str, ...]:
    """Base models that must be installed where a job runs."""
    if objective == "distill" and hyperparameters.teacher is not None:
        return (base_model, hyperparameters.teacher)
    return (base_model,)


def other_trainer_of(kind: JobKind, hyperparameters: Hyperparameters) -> str | None:
    """Other project's trainer that must be installed where a job runs; None: no other's."""
    own = kind is not JobKind.TRAIN or hyperparameters.trainer == OWN
    return None if own else hyperparameters.trainer


def obstacle(request: JobRequested, installed: Installed) -> str | None:
    """Why such a job can never run; None if it can."""
    chosen = request.hyperparameters
    if request.kind is JobKind.TRAIN and request.objective == "distill" and chosen.teacher is None:
        return "distillation needs a teacher: name an installed base model in hyperparameters.teacher"
    for name in models_of(request.base_model, chosen, objective=request.objective):
        if name not in installed.folders:
            role = "base model" if name == request.base_model else "teacher"
            known = ", ".join(sorted(installed.folders)) or "none"
            return f"{role} {name} is not installed here (installed: {known})"
    if request.kind is not JobKind.TRAIN and request.source_adapter is None:
        return f"a job of kind {request.kind} needs the adapter of a training job that succeeded"
    return _wrong_trainer(request, installed) or _wrong_slots(request) or _wrong_size(chosen)


def _wrong_trainer(request: JobRequested, installed: Installed) -> str | None:
    trainer = other_trainer_of(request.kind, request.hyperparameters)
    if trainer is None:
        return None
    objectives = _OBJECTIVES_OF_OTHERS[trainer]
    if request.objective not in objectives:
        return f"trainer {trainer} does not learn objective {request.objective}: it learns {' and '.join(objectives)}"
    if slots_of(request) > 1 or request.hyperparameters.sharding != "none":
        return f"trainer {trainer} is run on one device only; {OWN} shares a job among several"
    if trainer not in installed.programs:
        known = ", ".join((OWN, *sorted(installed.programs)))
        return f"trainer {trainer} is not installed here (installed: {known})"
    return None


def _wrong_slots(request: JobRequested) -> str | None:
    strange = next((slot for slot in request.devices if not _SLOT.fullmatch(slot)), None)
    if strange is not None:
        return f"{strange[:40]!r} is no slot; slots are named like cuda:0"
    if len(set(request.devices)) < len(request.devices):
        return f"a slot is named twice in {', '.join(request.devices)}"
    if request.devices and request.device_count not in (1, len(request.devices)):
        return f"{request.device_count} devices are asked for, and {len(request.devices)} are named"
    return None


def _wrong_size(chosen: Hyperparameters) -> str | None:
    for name, most in _MOST.items():
        if getattr(chosen, name) > most:
            return f"{name} is beyond what any device can do (at most {most})"
    return None


def slots_of(request: JobRequested) -> int:
    """On how many slots a job runs."""
    return max(request.device_count, len(request.devices))


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


def check_can_resume(state: RunState) -> None:
    """Lets go on only what was stopped or failed.

    Raises:
        Conflict: it waits, runs or succeeded.
    """
    if state is RunState.SUCCEEDED:
        raise Conflict("job.succeeded", "the job has succeeded: there is nothing left to do", state=state)
    if state not in ENDED:
        raise Conflict("job.not-ended", f"the job has not ended ({state})", state=state)


def check_can_delete(state: RunState) -> None:
    """Keeps what waits or runs.

    Raises:
        Conflict: it does; it must be stopped first.
    """
    if state not in ENDED:
        raise Conflict("job.not-ended", f"the job has not ended ({state}): stop it first", state=state)


def check_waits(state: RunState) -> None:
    """Refuses to change the place in the queue of what is not in it.

    Raises:
        Conflict: it runs or has ended.
    """
    if state is not RunState.QUEUED:
        raise Conflict("job.not-waiting", f"the job does not wait ({state})", state=state)
