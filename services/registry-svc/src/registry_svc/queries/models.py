"""Model versions for readers."""

from datetime import datetime

from pydantic import Field

from loopwright.contracts.base import Artifact
from loopwright.contracts.datasets import DeprecationReason
from loopwright.pages import Page, Window
from loopwright.unit_of_work import Work
from registry_svc.domain.artefacts import ModelFormat
from registry_svc.domain.deprecations import DataDeprecation
from registry_svc.domain.listing import ModelFilter
from registry_svc.domain.models import DeploymentSettings, ModelStatus, ModelVersion, VariantId
from registry_svc.domain.proof import Proof
from registry_svc.queries.pages import View, page_of
from registry_svc.store.model_lists import EvaluationSummary, ListedModel, page_models
from registry_svc.store.models import get_model


class DataDeprecationView(View):
    """Why a dataset version must not be learned from any more."""

    reason: DeprecationReason = Field(description="an erasure also keeps the model from being deployed or promoted")
    detail: str
    deprecated_at: datetime


class ModelView(View):
    """One version of a model."""

    name: str
    version: int
    variant_id: str = Field(description="`<name>:<version>`")
    status: ModelStatus
    status_changed_at: datetime
    task_id: str | None = Field(description="task that it was made for; none for a base model")
    base_model: str
    format: ModelFormat
    artifact: Artifact | None = Field(description="tar of its files: location and size; none for a base model")
    parent: str | None = Field(description="version that its files were made of, as merged or quantised ones are")
    served_name: str = Field(description="name under which vLLM knows it")
    settings: DeploymentSettings = Field(description="how it wants to be served")
    job_id: str | None
    dataset_version_id: str | None
    training_data_deprecated: DataDeprecationView | None = Field(
        description="why what it learned from must not be learned from any more; none while it may"
    )
    proof: Proof | None = Field(description="what signature and watermark said at registration; none without files")
    mlflow_uri: str
    description: str
    tags: tuple[str, ...]
    created_by: str
    created_at: datetime
    updated_at: datetime


class ListedModelView(ModelView):
    """One version in a list."""

    evaluations: tuple[EvaluationSummary, ...] = Field(description="of it as candidate, the newest ten, newest first")


def view_model(model: ModelVersion) -> ModelView:
    return ModelView.model_validate(_fields(model))


def _fields(model: ModelVersion) -> dict[str, object]:
    return {
        "name": model.variant.model_name,
        "version": model.variant.version,
        "variant_id": str(model.variant),
        "status": model.status,
        "status_changed_at": model.status_changed_at,
        "task_id": model.task_id,
        "base_model": model.base_model,
        "format": model.format,
        "artifact": model.artifact,
        "parent": None if model.parent is None else str(model.parent),
        "served_name": model.served_name,
        "settings": model.settings,
        "job_id": model.job_id,
        "dataset_version_id": model.dataset_version_id,
        "training_data_deprecated": _view_mark(model.training_data_deprecated),
        "proof": model.proof,
        "mlflow_uri": model.mlflow_uri,
        "description": model.description,
        "tags": model.tags,
        "created_by": model.created_by,
        "created_at": model.created_at,
        "updated_at": model.updated_at,
    }


def _view_mark(mark: DataDeprecation | None) -> DataDeprecationView | None:
    return None if mark is None else DataDeprecationView.model_validate(mark)


def _view_listed(listed: ListedModel) -> ListedModelView:
    return ListedModelView.model_validate({**_fields(listed.model), "evaluations": listed.evaluations})


async def list_models(work: Work, wanted: ModelFilter, window: Window) -> Page[ListedModelView]:
    """Model versions by name, newest first."""
    return page_of(await page_models(work.session, wanted, window), window, _view_listed)


async def read_model(work: Work, variant: VariantId) -> ModelView:
    """One model version.

    Raises:
        NotFound: there is no such version.
    """
    return view_model(await get_model(work.session, variant))
