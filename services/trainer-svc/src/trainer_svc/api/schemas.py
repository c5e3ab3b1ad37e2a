"""Bodies of the HTTP door."""

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from loopwright.contracts.base import Identifier, Storable
from loopwright.contracts.tasks import Hyperparameters, Method, Objective


class NewJob(BaseModel):
    """A job that a person asks for."""

    model_config = ConfigDict(extra="forbid")

    job_name: Storable = Field(min_length=1, max_length=200, description="for people")
    base_model: Identifier = Field(description="what to start from")
    dataset_id: Identifier = Field(description="a dataset version, or a dataset, whose newest version is taken")
    method: Method = Field(default="lora", description="what is trained")
    objective: Objective = Field(default="sft", description="what for")
    hyperparameters: Hyperparameters = Field(default_factory=Hyperparameters, description="settings")


class AcceptedJob(BaseModel):
    """A job is in the queue."""

    job_id: str
    state: Literal["queued"] = "queued"


class LogLines(BaseModel):
    """The end of a job's log."""

    job_id: str
    lines: tuple[str, ...]
