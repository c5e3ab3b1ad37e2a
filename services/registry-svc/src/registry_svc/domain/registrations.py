"""Files on their way to become a version: asked for through the API, or made by a job of another kind than training."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from loopwright.contracts.base import Artifact
from registry_svc.domain.artefacts import ModelFormat
from registry_svc.domain.models import DeploymentSettings, VariantId


class RegistrationState(StrEnum):
    """waiting → registered, or refused."""

    WAITING = "waiting"
    REGISTERED = "registered"
    REFUSED = "refused"


@dataclass(frozen=True, kw_only=True)
class Origin:
    """What a version is made of, before it has a number.

    Attributes:
        subject: Names it in MLflow, once and for ever.
        mlflow_run_id: Run that made it; None for one of our own.
    """

    name: str
    subject: str
    task_id: str | None
    base_model: str
    format: ModelFormat
    artifact: Artifact | None
    job_id: str | None
    dataset_version_id: str | None
    mlflow_run_id: str | None
    description: str


@dataclass(frozen=True, kw_only=True)
class Registration:
    """One request to register files.

    Attributes:
        job_id: Job that made the files; None for files that came through the API.
        variant: Version that it became; None while it is not registered.
        attempts: Tries that came to nothing.
    """

    registration_id: str
    state: RegistrationState
    model_name: str
    task_id: str
    base_model: str
    format: ModelFormat
    artifact: Artifact
    job_id: str | None
    dataset_version_id: str | None
    mlflow_run_id: str | None
    settings: DeploymentSettings
    description: str
    tags: tuple[str, ...]
    requested_by: str
    due_at: datetime
    created_at: datetime
    updated_at: datetime
    variant: VariantId | None = None
    reason: str | None = None
    attempts: int = 0

    @property
    def subject(self) -> str:
        return f"registration:{self.registration_id}" if self.job_id is None else f"job:{self.job_id}"

    @property
    def origin(self) -> Origin:
        return Origin(
            name=self.model_name, subject=self.subject, task_id=self.task_id, base_model=self.base_model,
            format=self.format, artifact=self.artifact, job_id=self.job_id,
            dataset_version_id=self.dataset_version_id, mlflow_run_id=self.mlflow_run_id,
            description=self.description,
        )  # fmt: skip
