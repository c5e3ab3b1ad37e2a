"""Bodies of requests, and answers that are not read models."""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from dataset_svc.domain.sources.columns import Part
from loopwright.contracts.base import Identifier, Sha256, Storable
from loopwright.contracts.tasks import DataPolicy

Text = Annotated[Storable, Field(max_length=2000)]


class StatusChange(BaseModel):
    """Why a dataset or version is deprecated or archived."""

    model_config = ConfigDict(extra="forbid")

    reason: Annotated[Text, Field(min_length=1, description="for people")]


class NewUpload(BaseModel):
    """A file that will arrive in pieces."""

    model_config = ConfigDict(extra="forbid")

    filename: Annotated[Text, Field(max_length=255, description="a hint of the format, no more")] = ""
    size_bytes: int = Field(ge=1, le=2**53, description="of the whole file")
    sha256: Sha256 = Field(description="hash that the whole file must have, hexadecimal")
    task_id: Identifier = Field(description="task that the samples teach")
    dataset_name: Identifier | None = Field(default=None, description="the task's id if left out")
    description: Annotated[Text, Field(description="of the dataset, if this makes it")] = ""
    policy: DataPolicy = Field(default_factory=DataPolicy, description="what it leaves out has its default")
    mapping: dict[Part, Storable] | None = Field(default=None, description="which columns hold what")


class Accepted(BaseModel):
    """An upload that is being built, or tried; its state is at `requests/<request_id>`."""

    request_id: str
    dataset_name: str
    task_id: str
    size_bytes: int
