"""A version comes into being here, once MLflow knows it: its row, `model.registered` and the first line of its log."""

from dataclasses import dataclass
from datetime import UTC, datetime

from loopwright.contracts.models import ModelRegistered
from loopwright.unit_of_work import Work
from registry_svc.adapters.adapter_files import Files
from registry_svc.adapters.mlflow import TrackedVersion
from registry_svc.domain.models import NO_SETTINGS, DeploymentSettings, ModelStatus, ModelVersion, VariantId
from registry_svc.domain.registrations import Origin
from registry_svc.domain.uses import UseKind
from registry_svc.handlers.uses import log_use
from registry_svc.store.deprecations import find_deprecation, lock_deprecations
from registry_svc.store.models import add_model, find_model_of_job, next_version


@dataclass(frozen=True, kw_only=True)
class Admission:
    """What a new version is to be.

    Attributes:
        files: As they were unpacked and verified; None for a base model, which has none of ours.
        announced_for: Task that `model.registered` names; a base model serves others as well.
    """

    origin: Origin
    tracked: TrackedVersion
    files: Files | None
    announced_for: str
    by: str
    tags: tuple[str, ...] = ()
    settings: DeploymentSettings = NO_SETTINGS


async def admit(admission: Admission, work: Work) -> ModelVersion:
    """Adds the next version of a model. The caller has checked that it is still due, under `lock_deprecations`."""
    origin, files = admission.origin, admission.files
    await lock_deprecations(work.session)
    learned_from = origin.dataset_version_id
    card = None if files is None else files.card
    now = datetime.now(UTC)
    model = ModelVersion(
        variant=VariantId(origin.name, await next_version(work.session, origin.name)),
        task_id=origin.task_id,
        base_model=origin.base_model,
        format=origin.format,
        artifact=origin.artifact,
        status=ModelStatus.STAGING,
        job_id=origin.job_id,
        dataset_version_id=learned_from,
        mlflow_version=admission.tracked.version,
        mlflow_run_id=admission.tracked.run_id,
        description=origin.description,
        created_by=admission.by,
        created_at=now,
        updated_at=now,
        status_changed_at=now,
        subject=origin.subject,
        training_data_deprecated=None if learned_from is None else await find_deprecation(work.session, learned_from),
        parent=None if card is None else await _version_of(card.source_job, work),
        tags=admission.tags,
        settings=admission.settings,
        training_card=card,
        proof=None if files is None else files.proof,
    )
    await add_model(work.session, model)
    work.announce(_model_registered(model, task_id=admission.announced_for))
    await log_use(model.variant, work, UseKind.REGISTERED, reason=origin.description, by=admission.by)
    return model


async def _version_of(job_id: str | None, work: Work) -> VariantId | None:
    parent = None if job_id is None else await find_model_of_job(work.session, job_id)
    return None if parent is None else parent.variant


def _model_registered(model: ModelVersion, *, task_id: str) -> ModelRegistered:
    return ModelRegistered(
        model_name=model.variant.model_name,
        model_version=model.variant.version,
        task_id=task_id,
        base_model=model.base_model,
        format=model.format,
        artifact=model.artifact,
        job_id=model.job_id,
        dataset_version_id=model.dataset_version_id,
        mlflow_uri=model.mlflow_uri,
        registered_at=model.created_at,
    )
