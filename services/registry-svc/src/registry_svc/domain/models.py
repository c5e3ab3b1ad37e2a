"""Model versions: what they are called, where they stand, and which MLflow aliases follow from that."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from loopwright.contracts.base import Artifact
from loopwright.errors import Conflict, Invalid
from registry_svc.domain.deprecations import DataDeprecation

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


@dataclass(frozen=True, kw_only=True)
class ModelVersion:
    """One version of a model.

    Attributes:
        task_id: Task that it was trained for; None for a base model, which may serve several.
        artifact: Tar of the LoRA adapter; None for a base model, which vLLM serves from its own folder.
        training_data_deprecated: Why the dataset version that it learned from must not be learned from any more; None
            while it may.
        mlflow_version: Number of the version in MLflow; equal to `variant.version` unless MLflow lost its rows.
    """

    variant: VariantId
    task_id: str | None
    base_model: str
    format: str
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
    training_data_deprecated: DataDeprecation | None = None

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
    newest = sorted(versions, key=lambda version: (version.updated_at, version.variant))
    return {str(version.status): version.mlflow_version for version in newest}
