"""Bodies of requests about model versions."""

from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from loopwright.contracts.base import Artifact, Identifier, Storable, storable
from registry_svc.domain.artefacts import ModelFormat
from registry_svc.domain.models import NO_SETTINGS, DeploymentSettings

# as an identifier, without what MLflow keeps for itself
ModelName = Annotated[str, Field(min_length=1, max_length=200, pattern=r"^[A-Za-z0-9][A-Za-z0-9._\-]*$")]
Description = Annotated[Storable, Field(max_length=2000)]
Tag = Annotated[str, Field(min_length=1, max_length=60, pattern=r"^[\w.:/@\-]+$")]
Tags = Annotated[tuple[Tag, ...], Field(max_length=50)]


def _storable_artifact(artifact: Artifact) -> Artifact:
    storable(artifact.uri)
    storable(artifact.media_type)
    return artifact


class _Request(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class RegistrationRequest(_Request):
    """Files in storage that are to be the next version of a model."""

    name: ModelName | None = Field(default=None, description="of the model; none: the task's own")
    task_id: Identifier = Field(description="task that it is for")
    base_model: Identifier = Field(description="what it was made from, as vLLM calls it")
    format: ModelFormat = Field(description="how its files are written")
    artifact: Annotated[Artifact, AfterValidator(_storable_artifact)] = Field(
        description="tar of its files, as `POST /model-files` answers"
    )
    settings: DeploymentSettings = Field(default=NO_SETTINGS, description="how it wants to be served")
    description: Description = Field(default="", description="for people")
    tags: Tags = Field(default=(), description="to find it by")


class DescriptionRequest(_Request):
    """New words for a version; what is not there stays."""

    description: Description | None = None
    tags: Tags | None = None
    settings: DeploymentSettings | None = None


class ArchiveRequest(_Request):
    """Takes a version out of use."""

    reason: Storable = Field(min_length=1, max_length=2000, description="why, for the record")
