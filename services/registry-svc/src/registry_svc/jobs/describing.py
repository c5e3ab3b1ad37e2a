"""What MLflow is told of a version: the same words when it is registered and when MLflow has lost it."""

from pathlib import Path

from registry_svc.adapters.adapter_files import Files
from registry_svc.adapters.mlflow import Registration
from registry_svc.domain.artefacts import ModelFormat
from registry_svc.domain.models import ModelVersion
from registry_svc.domain.registrations import Origin


def describe(origin: Origin, files: Files | None, *, base_folder: Path | None = None) -> Registration:
    """A registration in MLflow.

    Args:
        files: Unpacked files; those of an adapter are kept in MLflow too, whole models are only referred to.
        base_folder: Where a base model lies, which has no files of ours.
    """
    facts = {
        "loopwright.format": str(origin.format),
        "loopwright.base_model": origin.base_model,
        "loopwright.job_id": origin.job_id,
        "loopwright.task_id": origin.task_id,
        "loopwright.dataset_version_id": origin.dataset_version_id,
        "loopwright.adapter_sha256": None if origin.artifact is None else origin.artifact.sha256,
    }
    return Registration(
        name=origin.name,
        subject=origin.subject,
        run_id=origin.mlflow_run_id,
        reference=_reference(origin, base_folder),
        files=files.folder if files is not None and origin.format is ModelFormat.LORA else None,
        tags={name: value for name, value in facts.items() if value is not None},
        description=origin.description,
    )


def origin_of(model: ModelVersion) -> Origin:
    """What a version that exists is made of."""
    return Origin(
        name=model.variant.model_name, subject=model.subject, task_id=model.task_id, base_model=model.base_model,
        format=model.format, artifact=model.artifact, job_id=model.job_id,
        dataset_version_id=model.dataset_version_id, mlflow_run_id=model.mlflow_run_id,
        description=model.description,
    )  # fmt: skip


def _reference(origin: Origin, base_folder: Path | None) -> dict[str, str | int]:
    if origin.artifact is None:
        folder = "unknown" if base_folder is None else str(base_folder)
        return {"kind": str(origin.format), "name": origin.name, "folder": folder}
    return {
        "kind": str(origin.format),
        "base_model": origin.base_model,
        "uri": origin.artifact.uri,
        "sha256": origin.artifact.sha256,
        "size_bytes": origin.artifact.size_bytes,
    }
