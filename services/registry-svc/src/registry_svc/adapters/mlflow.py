"""MLflow 3 as registry of record: registered models, their versions by tag, and aliases."""

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import mlflow.environment_variables as mlflow_env
from mlflow.exceptions import MlflowException
from mlflow.protos.databricks_pb2 import RESOURCE_ALREADY_EXISTS, RESOURCE_DOES_NOT_EXIST, ErrorCode
from mlflow.tracking import MlflowClient

from loopwright.errors import TrackingUnavailable

T = TypeVar("T")
_EXPERIMENT = "loopwright-models"
_SUBJECT = "loopwright.subject"
_FOLDER = "model"
_TIMEOUT_S = 20


@dataclass(frozen=True, kw_only=True)
class TrackedVersion:
    """A model version in MLflow."""

    version: int
    run_id: str


@dataclass(frozen=True, kw_only=True)
class Registration:
    """What MLflow is to know of a version.

    Attributes:
        subject: Names the version once and for ever: `job:<id>` or `base:<name>`. Registering a subject again
            finds the version that is there.
        run_id: Run that made it; None for one of our own.
        reference: Written beside it as `reference.json`: where the files are, and their hash.
        files: Small files to keep in MLflow too; None for a base model, which stays in its own folder.
    """

    name: str
    subject: str
    run_id: str | None
    reference: Mapping[str, str | int]
    files: Path | None
    tags: Mapping[str, str]
    description: str


class MlflowRegistry:
    """The registry of an MLflow server. Calls run in threads: MLflow's client blocks.

    The server refuses versions whose files lie outside of its own artifact store, so each version points into the
    artifacts of a run, where a reference names the real place.
    """

    def __init__(self, uri: str) -> None:
        mlflow_env.MLFLOW_HTTP_REQUEST_MAX_RETRIES.set(0)  # whoever calls retries, and says so
        mlflow_env.MLFLOW_HTTP_REQUEST_TIMEOUT.set(_TIMEOUT_S)
        mlflow_env.MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT.set(True)  # standard output is our log
        self._client = MlflowClient(tracking_uri=uri, registry_uri=uri)

    async def register(self, registration: Registration) -> TrackedVersion:
        """Registers a version, or finds it if it was registered before.

        One caller at a time may register a subject: MLflow cannot look and create in one step.

        Raises:
            TrackingUnavailable: MLflow does not answer, or refuses.
        """
        return await _in_thread(lambda: self._register(registration))

    async def aliases(self, name: str) -> dict[str, int] | None:
        """Aliases of a model with the versions that they point at; None if MLflow does not know the model.

        Raises:
            TrackingUnavailable: MLflow does not answer.
        """
        model = await _in_thread(lambda: _or_none(lambda: self._client.get_registered_model(name)))
        return None if model is None else {alias: int(version) for alias, version in model.aliases.items()}

    async def set_alias(self, name: str, alias: str, *, version: int) -> None:
        """Points an alias at a version.

        Raises:
            TrackingUnavailable: MLflow does not answer, or refuses.
        """
        await _in_thread(lambda: self._client.set_registered_model_alias(name, alias, str(version)))

    async def delete_alias(self, name: str, alias: str) -> None:
        """Removes an alias.

        Raises:
            TrackingUnavailable: MLflow does not answer, or refuses.
        """
        await _in_thread(lambda: self._client.delete_registered_model_alias(name, alias))

    def _register(self, registration: Registration) -> TrackedVersion:
        client = self._client
        _or_existing(lambda: client.create_registered_model(registration.name))
        found = client.search_model_versions(
            f"name = '{registration.name}' and tags.`{_SUBJECT}` = '{registration.subject}'"
        )
        if found:
            first = min(found, key=lambda version: int(version.version))
            return TrackedVersion(version=int(first.version), run_id=first.run_id or "")
        run_id = self._run_of(registration)
        client.log_dict(run_id, dict(registration.reference), f"{_FOLDER}/reference.json")
        if registration.files is not None:
            client.log_artifacts(run_id, str(registration.files), _FOLDER)
        created = client.create_model_version(
            registration.name,
            source=f"runs:/{run_id}/{_FOLDER}",
            run_id=run_id,
            tags={_SUBJECT: registration.subject, **registration.tags},
            description=registration.description,
            await_creation_for=0,
        )
        return TrackedVersion(version=int(created.version), run_id=run_id)

    def _run_of(self, registration: Registration) -> str:
        """The run that made the version, or one of our own where that is not known to this server."""
        client = self._client
        if registration.run_id is not None:
            wanted = registration.run_id
            if _or_none(lambda: client.get_run(wanted)) is not None:
                return wanted
        experiment_id = self._experiment_id()
        runs = client.search_runs([experiment_id], f"tags.`{_SUBJECT}` = '{registration.subject}'", max_results=1)
        if runs:
            return runs[0].info.run_id
        run = client.create_run(experiment_id, run_name=registration.subject, tags={_SUBJECT: registration.subject})
        client.set_terminated(run.info.run_id)
        return run.info.run_id

    def _experiment_id(self) -> str:
        experiment = self._client.get_experiment_by_name(_EXPERIMENT)
        return self._client.create_experiment(_EXPERIMENT) if experiment is None else experiment.experiment_id


async def _in_thread(call: Callable[[], T]) -> T:
    try:
        return await asyncio.to_thread(call)
    except (MlflowException, OSError) as error:
        text = " ".join(str(error).split())[:500]
        raise TrackingUnavailable("mlflow.unavailable", f"MLflow does not do as asked: {text}") from error


def _or_none(call: Callable[[], T]) -> T | None:
    try:
        return call()
    except MlflowException as error:
        if error.error_code == ErrorCode.Name(RESOURCE_DOES_NOT_EXIST):
            return None
        raise


def _or_existing(call: Callable[[], object]) -> None:
    try:
        call()
    except MlflowException as error:
        if error.error_code != ErrorCode.Name(RESOURCE_ALREADY_EXISTS):
            raise
