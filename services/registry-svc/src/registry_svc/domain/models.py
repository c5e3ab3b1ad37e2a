"""Model versions: what they are called, where they stand, and which MLflow aliases follow from that."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from loopwright.contracts.base import Artifact
from loopwright.errors import Conflict, Invalid
from registry_svc.domain.artefacts import ModelFormat
from registry_svc.domain.deprecations import DataDeprecation
from registry_svc.domain.proof import Proof
from registry_svc.domain.training_card import TrainingCard

BASE_VERSION = 1  # a base model never changes under its name


class ModelStatus(StrEnum):
    """Where a version stands; the same words are its MLflow aliases."""

    STAGING = "staging"
    PRODUCTION = "production"
    ARCHIVED = "archived"


_NEXT: dict[ModelStatus, frozenset[ModelStatus]] = {
    ModelStatus.STAGING: frozenset({ModelStatus.PRODUCTION, ModelStatus.ARCHIVED}),
    ModelStatus.PRODUCTION: frozenset({ModelStatus.ARCHIVED}),
    ModelStatus.ARCHIVED: frozenset({ModelStatus.PRODUCTION}),  # a rollback brings a version back
}


@dataclass(frozen=True, order=True)
class VariantId:
    """Name of a model version as variant: `<model>:<version>`."""

    model_name: str
    version: int

    def __str__(self) -> str:
        return f"{self.model_name}:{self.version}"

    @classmethod
    def parse(cls, text: str) -> "VariantId":
        """Reads `<model>:<version>`.

        Raises:
            Invalid: it is not written so.
        """
        name, colon, version = text.rpartition(":")
        if not (colon and name and version.isdecimal() and int(version) >= 1):
            raise Invalid("variant.malformed", f"{text!r} is not written <model>:<version>")
        return cls(name, int(version))


class DeploymentSettings(BaseModel):
    """How a version wants to be served; what is not said is the server's choice."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    max_model_len: int | None = Field(
        default=None, ge=16, le=2**24, description="most tokens of a request and its answer"
    )
    dtype: Literal["auto", "float16", "bfloat16", "float32"] | None = Field(default=None, description="of computation")
    tensor_parallel: int | None = Field(default=None, ge=1, le=64, description="devices that share the weights")
    gpu_memory_0_1: float | None = Field(default=None, gt=0, le=1, description="share of a device's memory to take")


NO_SETTINGS = DeploymentSettings()


@dataclass(frozen=True, kw_only=True)
class ModelVersion:
    """One version of a model.

    Attributes:
        subject: What it is to MLflow, once and for ever: `job:<id>`, `base:<name>` or `registration:<id>`.
        parent: Version that its files were made of; None for what was trained, and for base models.
        training_card: What trainer-svc wrote into the archive.
        proof: What signature and watermark said when it was registered; None where there are no files.
        status_changed_at: When it got its status; aliases follow the one that changed last.
        task_id: Task that it was trained for; None for a base model, which may serve several.
        artifact: Tar of its files; None for a base model, which vLLM serves from its own folder.
        training_data_deprecated: Why the dataset version that it learned from must not be learned from any more; None
            while it may.
        mlflow_version: Number of the version in MLflow; equal to `variant.version` unless MLflow lost its rows.
    """

    variant: VariantId
    task_id: str | None
    base_model: str
    format: ModelFormat
    artifact: Artifact | None
    status: ModelStatus
    job_id: str | None
    dataset_version_id: str | None
    mlflow_version: int
    mlflow_run_id: str
    description: str
    created_by: str
    created_at: datetime
    updated_at: datetime
    status_changed_at: datetime
    subject: str
    training_data_deprecated: DataDeprecation | None = None
    parent: VariantId | None = None
    tags: tuple[str, ...] = ()
    settings: DeploymentSettings = NO_SETTINGS
    training_card: TrainingCard | None = None
    proof: Proof | None = None

    @property
    def is_base(self) -> bool:
        return self.artifact is None

    @property
    def served_name(self) -> str:
        """Name under which vLLM knows it."""
        return self.base_model if self.is_base else f"{self.variant.model_name}-v{self.variant.version}"

    @property
    def mlflow_uri(self) -> str:
        return f"models:/{self.variant.model_name}/{self.mlflow_version}"


def check_status_change(variant: VariantId, current: ModelStatus, wanted: ModelStatus) -> None:
    """Checks a change of status; staying where one is changes nothing and is fine.

    Raises:
        Conflict: the status cannot follow from the current one.
    """
    if wanted != current and wanted not in _NEXT[current]:
        raise Conflict("model.status-refused", f"{variant} is {current} and cannot become {wanted}")


def wanted_aliases(versions: Iterable[ModelVersion]) -> dict[str, int]:
    """MLflow aliases of one model: each status points at the version that entered it last."""
    newest = sorted(versions, key=lambda version: (version.status_changed_at, version.variant))
    return {str(version.status): version.mlflow_version for version in newest}
