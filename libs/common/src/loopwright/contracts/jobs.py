"""One fine-tuning run, from request to result."""

from enum import StrEnum

from pydantic import Field

from loopwright.contracts.base import Artifact, Event, Identifier, Moment, RunState, Value
from loopwright.contracts.datasets import Split
from loopwright.contracts.tasks import Hyperparameters, Method, Objective

BY_POLICY = "policy"  # who asked for a job that nobody asked for


class TrainingData(Value):
    """The splits that a job uses, and where they come from."""

    dataset_id: Identifier = Field(description="dataset")
    version_id: Identifier = Field(description="its version")
    train: Split = Field(description="to learn from")
    validation: Split = Field(description="to watch by")
    held_out: Split = Field(description="passed on to evaluation; never read by training")
    request_id: Identifier | None = Field(default=None, description="request for a dataset that it answers")


class JobKind(StrEnum):
    """What a job makes."""

    TRAIN = "train"
    MERGE = "merge"
    GGUF = "gguf"
    GPTQ = "gptq"
    AWQ = "awq"
    PRUNE = "prune"


class JobRequested(Event):
    """Somebody, or the task's policy, asked for a fine-tuning run."""

    job_id: Identifier = Field(description="id of the job")
    job_name: str = Field(min_length=1, max_length=200, description="for people")
    task_id: Identifier = Field(description="task")
    base_model: Identifier = Field(description="what to start from")
    training_data: TrainingData = Field(description="what to learn")
    method: Method = Field(description="what is trained")
    objective: Objective = Field(description="what for")
    hyperparameters: Hyperparameters = Field(description="settings")
    kind: JobKind = Field(default=JobKind.TRAIN, description="training, or work on what a training job made")
    source_adapter: Artifact | None = Field(default=None, description="adapter that kinds other than training work on")
    priority: int = Field(default=0, ge=-100, le=100, description="higher runs first; equal ones in order of asking")
    devices: tuple[str, ...] = Field(default=(), max_length=64, description="slots asked for; empty: any")
    device_count: int = Field(default=1, ge=1, le=64, description="slots to run on, all at once")
    study_id: Identifier | None = Field(default=None, description="study that it is a trial of; never released itself")
    requested_by: str = Field(description="`policy`, or the subject")
    requested_at: Moment = Field(description="when")


class JobProgressed(Event):
    """A job moved: a new state, or new figures."""

    job_id: Identifier = Field(description="job")
    task_id: Identifier = Field(description="task")
    state: RunState = Field(description="where it stands")
    attempt: int = Field(ge=1, description="rises when a job resumes after a crash")
    step: int = Field(ge=0, description="optimizer steps done")
    total_steps: int = Field(ge=0, description="optimizer steps planned; 0 while unknown")
    loss: float | None = Field(default=None, description="training loss, nats per token")
    validation_loss: float | None = Field(default=None, description="on the validation split")
    learning_rate: float | None = Field(default=None, description="at this step")
    tokens_per_s: float | None = Field(default=None, description="training speed")
    eta_s: float | None = Field(default=None, description="estimated seconds left")
    at: Moment = Field(description="when")


class JobFinished(Event):
    """A job ended; said once for each end, for one that was stopped or failed may be resumed."""

    job_id: Identifier = Field(description="job")
    job_name: str = Field(description="for people")
    task_id: Identifier = Field(description="task")
    state: RunState = Field(description="succeeded, failed or stopped")
    base_model: Identifier = Field(description="what it started from")
    method: Method = Field(description="what was trained")
    training_data: TrainingData = Field(description="what it learned from, and the held-out cases to judge it by")
    kind: JobKind = Field(default=JobKind.TRAIN, description="what it made")
    adapter: Artifact | None = Field(default=None, description="tar of the adapter folder, when training succeeded")
    product: Artifact | None = Field(default=None, description="what a job of another kind made")
    study_id: Identifier | None = Field(default=None, description="study that it was a trial of; never released itself")
    final_loss: float | None = Field(default=None, description="last training loss")
    validation_loss: float | None = Field(default=None, description="best loss on the validation split")
    mlflow_run_id: str | None = Field(default=None, description="run in MLflow")
    attempts: int = Field(ge=1, description="times it was started")
    reason: str | None = Field(default=None, description="why it failed or stopped, for people")
    requested_by: str | None = Field(default=None, description="`policy`, or the subject")
    started_at: Moment | None = Field(default=None, description="first start")
    finished_at: Moment = Field(description="when")
