"""Model versions."""

from collections.abc import Iterable

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession

from loopwright.contracts.base import Artifact
from loopwright.contracts.datasets import DeprecationReason
from loopwright.errors import NotFound
from registry_svc.domain.artefacts import ModelFormat
from registry_svc.domain.deprecations import DataDeprecation
from registry_svc.domain.models import ModelStatus, ModelVersion, VariantId
from registry_svc.store.tables import model_versions

_columns = model_versions.c


def model_of(row: sa.Row[tuple[object, ...]]) -> ModelVersion:
    return ModelVersion(
        variant=VariantId(row.model_name, row.version),
        task_id=row.task_id,
        base_model=row.base_model,
        format=ModelFormat(row.format),
        artifact=None if row.artifact is None else Artifact.model_validate(row.artifact),
        status=ModelStatus(row.status),
        job_id=row.job_id,
        dataset_version_id=row.dataset_version_id,
        mlflow_version=row.mlflow_version,
        mlflow_run_id=row.mlflow_run_id,
        description=row.description,
        created_by=row.created_by,
        created_at=row.created_at,
        updated_at=row.updated_at,
        status_changed_at=row.status_changed_at,
        subject=row.subject,
        training_data_deprecated=_mark(row),
        parent=None if row.parent is None else VariantId.parse(row.parent),
        tags=tuple(row.tags),
        settings=row.settings,
        training_card=row.card,
        proof=row.proof,
    )


def _mark(row: sa.Row[tuple[object, ...]]) -> DataDeprecation | None:
    if row.data_deprecated_reason is None:
        return None
    return DataDeprecation(
        reason=DeprecationReason(row.data_deprecated_reason),
        detail=row.data_deprecated_detail,
        deprecated_at=row.data_deprecated_at,
    )


def _mark_columns(mark: DataDeprecation | None) -> dict[str, object]:
    return {
        "data_deprecated_reason": None if mark is None else mark.reason,
        "data_deprecated_detail": None if mark is None else mark.detail,
        "data_deprecated_at": None if mark is None else mark.deprecated_at,
    }


def _is(variant: VariantId) -> sa.ColumnElement[bool]:
    return sa.and_(_columns.model_name == variant.model_name, _columns.version == variant.version)


async def find_model(session: AsyncSession, variant: VariantId, *, lock: bool = False) -> ModelVersion | None:
    query = sa.select(model_versions).where(_is(variant))
    row = (await session.execute(query.with_for_update() if lock else query)).one_or_none()
    return None if row is None else model_of(row)


async def get_model(session: AsyncSession, variant: VariantId, *, lock: bool = False) -> ModelVersion:
    """One model version.

    Args:
        lock: Lets nobody else change it until the transaction ends; take it after that of a deployment.

    Raises:
        NotFound: there is no such version.
    """
    model = await find_model(session, variant, lock=lock)
    if model is None:
        raise NotFound("model.version-not-found", f"there is no model version {variant}", variant=str(variant))
    return model


async def list_models(session: AsyncSession, name: str) -> list[ModelVersion]:
    """Every version of a model, newest first."""
    query = sa.select(model_versions).where(_columns.model_name == name).order_by(_columns.version.desc())
    return [model_of(row) for row in await session.execute(query)]


async def list_all_models(session: AsyncSession) -> list[ModelVersion]:
    """Every version of every model."""
    query = sa.select(model_versions).order_by(_columns.model_name, _columns.version)
    return [model_of(row) for row in await session.execute(query)]


async def list_variants(session: AsyncSession, variants: Iterable[VariantId]) -> dict[VariantId, ModelVersion]:
    """The named versions, as far as they exist."""
    keys = [(variant.model_name, variant.version) for variant in variants]
    query = sa.select(model_versions).where(sa.tuple_(_columns.model_name, _columns.version).in_(keys))
    models = [model_of(row) for row in await session.execute(query)]
    return {model.variant: model for model in models}


async def next_version(session: AsyncSession, name: str) -> int:
    """The number that a new version of a model gets; the caller's transaction is the only one to take it."""
    await session.execute(sa.select(sa.func.pg_advisory_xact_lock(sa.func.hashtext(f"registry.model:{name}"))))
    highest = await session.scalar(sa.select(sa.func.max(_columns.version)).where(_columns.model_name == name))
    return (highest or 0) + 1


async def add_model(session: AsyncSession, model: ModelVersion) -> None:
    await session.execute(
        sa.insert(model_versions).values(
            model_name=model.variant.model_name,
            version=model.variant.version,
            task_id=model.task_id,
            base_model=model.base_model,
            format=model.format,
            artifact=None if model.artifact is None else model.artifact.model_dump(mode="json"),
            status=model.status,
            job_id=model.job_id,
            dataset_version_id=model.dataset_version_id,
            mlflow_version=model.mlflow_version,
            mlflow_run_id=model.mlflow_run_id,
            description=model.description,
            created_by=model.created_by,
            created_at=model.created_at,
            updated_at=model.updated_at,
            status_changed_at=model.status_changed_at,
            subject=model.subject,
            parent=None if model.parent is None else str(model.parent),
            tags=list(model.tags),
            settings=model.settings,
            card=model.training_card,
            proof=model.proof,
            **_mark_columns(model.training_data_deprecated),
        )
    )


async def list_models_of_data(session: AsyncSession, dataset_version_id: str) -> list[ModelVersion]:
    """Every version that learned from a dataset version."""
    query = sa.select(model_versions).where(_columns.dataset_version_id == dataset_version_id)
    return [model_of(row) for row in await session.execute(query.order_by(_columns.model_name, _columns.version))]


async def mark_models_of_data(session: AsyncSession, dataset_version_id: str, mark: DataDeprecation) -> None:
    await session.execute(
        sa.update(model_versions)
        .where(_columns.dataset_version_id == dataset_version_id)
        .values(updated_at=sa.func.now(), **_mark_columns(mark))
    )


async def save_status(session: AsyncSession, model: ModelVersion) -> None:
    moments = {"updated_at": model.updated_at, "status_changed_at": model.status_changed_at}
    await session.execute(sa.update(model_versions).where(_is(model.variant)).values(status=model.status, **moments))


async def save_words(session: AsyncSession, model: ModelVersion) -> None:
    """Saves what people say of a version: description, tags and settings."""
    values = {
        "description": model.description, "tags": list(model.tags), "settings": model.settings,
        "updated_at": model.updated_at,
    }  # fmt: skip
    await session.execute(sa.update(model_versions).where(_is(model.variant)).values(**values))


async def save_tracking(session: AsyncSession, variant: VariantId, *, mlflow_version: int, mlflow_run_id: str) -> None:
    """Points a version at another one in MLflow, whose card is then due."""
    values = {"mlflow_version": mlflow_version, "mlflow_run_id": mlflow_run_id, "card_logged_at": None}
    await session.execute(sa.update(model_versions).where(_is(variant)).values(**values))


async def find_model_of_job(session: AsyncSession, job_id: str) -> ModelVersion | None:
    row = (await session.execute(sa.select(model_versions).where(_columns.job_id == job_id))).one_or_none()
    return None if row is None else model_of(row)


async def list_models_of_files(session: AsyncSession, sha256: str) -> list[ModelVersion]:
    """Versions whose files have this hash."""
    query = sa.select(model_versions).where(_columns.artifact["sha256"].astext == sha256)
    return [model_of(row) for row in await session.execute(query.order_by(_columns.model_name, _columns.version))]
