"""MLflow 3 as registry of record: registered models, their versions by tag, and aliases."""

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import mlflow.environment_variables as mlflow_env
from mlflow.exceptions import MlflowException
from mlflow.protos.databricks_pb2 import RESOURCE_ALREADY_EXISTS, RESOURCE_DOES_NOT_EXIST, ErrorCode
from mlflow.store.entities.paged_list import PagedList
from mlflow.tracking import MlflowClient

from loopwright.errors import TrackingUnavailable
from registry_svc.domain.agreement import STATUS_TAG, SUBJECT_TAG, UNKNOWN_TAG, Tracked, TrackedModel

T = TypeVar("T")
_EXPERIMENT = "loopwright-models"
_FOLDER = "model"
_TIMEOUT_S = 20
_LONGEST_DESCRIPTION = 5000  # characters that its table takes; the artifact has all of them


@dataclass(frozen=True, kw_only=True)
class TrackedVersion:
    """A model version in MLflow."""

    version: int
    run_id: str


@dataclass(frozen=True, kw_only=True)
class Card:
    """A model card in both forms."""

    markdown: str
    json: str


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

    async def everything(self) -> Tracked:
        """All versions and aliases of all models, in a request for each thousand of them.

        Raises:
            TrackingUnavailable: MLflow does not answer.
        """
        return await _in_thread(self._everything)

    async def set_tag(self, name: str, key: str, value: str, *, version: int) -> None:
        """Sets a tag of a version.

        Raises:
            TrackingUnavailable: MLflow does not answer, or refuses.
        """
        await _in_thread(lambda: self._client.set_model_version_tag(name, str(version), key, value))

    async def delete_tag(self, name: str, key: str, *, version: int) -> None:
        """Removes a tag of a version.

        Raises:
            TrackingUnavailable: MLflow does not answer, or refuses.
        """
        await _in_thread(lambda: self._client.delete_model_version_tag(name, str(version), key))

    async def log_card(self, name: str, tracked: TrackedVersion, card: Card) -> None:
        """Makes the beginning of a card the version's description, and keeps both forms of it beside the version's files.

        Raises:
            TrackingUnavailable: MLflow does not answer, or refuses.
        """

        def log() -> None:
            self._client.log_text(tracked.run_id, card.markdown, f"{_FOLDER}/MODEL_CARD.md")
            self._client.log_text(tracked.run_id, card.json, f"{_FOLDER}/model_card.json")
            self._client.update_model_version(
                name, str(tracked.version), description=card.markdown[:_LONGEST_DESCRIPTION]
            )

        await _in_thread(log)

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

    def _everything(self) -> Tracked:
        client = self._client
        models = _all_pages(lambda token: client.search_registered_models(max_results=1000, page_token=token))
        versions = _all_pages(lambda token: client.search_model_versions(max_results=1000, page_token=token))
        return Tracked(
            aliases={model.name: {alias: int(at) for alias, at in model.aliases.items()} for model in models},
            versions=tuple(
                TrackedModel(
                    name=version.name, version=int(version.version), run_id=version.run_id or "",
                    subject=version.tags.get(SUBJECT_TAG), status=version.tags.get(STATUS_TAG),
                    marked_unknown=UNKNOWN_TAG in version.tags,
                )
                for version in versions
            ),
        )  # fmt: skip

    def _register(self, registration: Registration) -> TrackedVersion:
        client = self._client
        _or_existing(lambda: client.create_registered_model(registration.name))
        found = client.search_model_versions(
            f"name = '{registration.name}' and tags.`{SUBJECT_TAG}` = '{registration.subject}'"
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
            tags={SUBJECT_TAG: registration.subject, **registration.tags},
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
        runs = client.search_runs([experiment_id], f"tags.`{SUBJECT_TAG}` = '{registration.subject}'", max_results=1)
        if runs:
            return runs[0].info.run_id
        run = client.create_run(experiment_id, run_name=registration.subject, tags={SUBJECT_TAG: registration.subject})
        client.set_terminated(run.info.run_id)
        return run.info.run_id

    def _experiment_id(self) -> str:
        experiment = self._client.get_experiment_by_name(_EXPERIMENT)
        return self._client.create_experiment(_EXPERIMENT) if experiment is None else experiment.experiment_id


def _all_pages(ask: Callable[[str | None], PagedList[T]]) -> list[T]:
    found: list[T] = []
    token: str | None = None
    while True:
        page = ask(token)
        found += page
        token = page.token
        if not token:
            return found


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
