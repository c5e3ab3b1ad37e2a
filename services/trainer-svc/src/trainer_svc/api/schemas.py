"""Bodies of the HTTP door."""

from datetime import datetime
from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from loopwright.contracts.base import Identifier, Storable
from loopwright.contracts.jobs import JobKind
from loopwright.contracts.tasks import Hyperparameters, Method, Objective
from trainer_svc.domain.orders import JobOrder

Gpu = Annotated[int, Field(ge=0, le=9999)]
SlotName = Annotated[str, Field(pattern=r"^(cpu|cuda):\d{1,4}$")]


class NewJob(BaseModel):
    """A job that a person asks for."""

    model_config = ConfigDict(extra="forbid")

    job_name: Storable = Field(min_length=1, max_length=200, description="for people")
    kind: JobKind = Field(default=JobKind.TRAIN, description="training, or work on what a training job made")
    base_model: Identifier | None = Field(default=None, description="training: what to start from")
    dataset_id: Identifier | None = Field(
        default=None, description="training: a dataset version, or a dataset, whose newest version is taken"
    )
    source_job_id: Identifier | None = Field(
        default=None, description="other kinds: the training job whose adapter they work on"
    )
    method: Method = Field(default="lora", description="training: what is trained")
    objective: Objective = Field(default="sft", description="training: what for")
    hyperparameters: Hyperparameters = Field(default_factory=Hyperparameters, description="settings")
    gpu_ids: tuple[Gpu | SlotName, ...] = Field(
        default=(), max_length=64, description="slots to run on, all at once: 0 is cuda:0; empty: any"
    )
    device_count: int = Field(default=1, ge=1, le=64, description="slots to run on, if none are named")
    priority: int = Field(default=0, ge=-100, le=100, description="higher runs first")

    @model_validator(mode="after")
    def _says_what_to_work_on(self) -> Self:
        if self.kind is JobKind.TRAIN:
            if self.base_model is None or self.dataset_id is None or self.source_job_id is not None:
                raise ValueError("a training job names base_model and dataset_id, and no source_job_id")
        elif self.source_job_id is None or self.base_model is not None or self.dataset_id is not None:
            raise ValueError(f"a job of kind {self.kind} names source_job_id, and no base_model or dataset_id")
        return self

    def to_order(self, *, job_id: str, by: str, at: datetime) -> JobOrder:
        devices = tuple(f"cuda:{slot}" if isinstance(slot, int) else slot for slot in self.gpu_ids)
        return JobOrder(
            job_id=job_id, job_name=self.job_name, kind=self.kind, base_model=self.base_model,
            dataset_id=self.dataset_id, source_job_id=self.source_job_id, method=self.method,
            objective=self.objective, hyperparameters=self.hyperparameters, devices=devices,
            device_count=self.device_count, priority=self.priority, requested_by=by, requested_at=at,
        )  # fmt: skip


class AcceptedJob(BaseModel):
    """A job is in the queue."""

    job_id: str
    state: Literal["queued"] = "queued"
    estimated_s: float | None = Field(description="how long it will take once it runs; none if nothing tells")


class Resumption(BaseModel):
    """Where a job that was stopped or failed goes on."""

    model_config = ConfigDict(extra="forbid")

    checkpoint_step: int | None = Field(default=None, ge=0, le=(1 << 31) - 1, description="None: the newest checkpoint")


class Priority(BaseModel):
    """A place in the queue."""

    model_config = ConfigDict(extra="forbid")

    priority: int = Field(ge=-100, le=100, description="higher runs first")
