"""MLflow runs of jobs: one a job, found again by its tag after a crash, and complete enough to repeat it."""

import asyncio
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import structlog
from pydantic import JsonValue, TypeAdapter

from loopwright.contracts.datasets import Split
from loopwright.errors import TrackingUnavailable
from trainer_svc.adapters.code_version import code_version
from trainer_svc.adapters.log_files import PAGE_BYTES, read_last
from trainer_svc.adapters.run_page import JOB_TAG, params_of, tags_of
from trainer_svc.domain.jobs import Job

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import DatasetInput, Run

T = TypeVar("T")
_log = structlog.get_logger()
_object = TypeAdapter(dict[str, JsonValue])
_LONGEST_WAIT_S = 30.0
_TIMEOUT_S = 5  # of one request: a job that starts does not wait long for its bookkeeping
_LOG_LINES = 2_000
_PARAMS_A_REQUEST = 100  # MLflow takes no more
_SHORTENED = 36  # MLflow's longest digest of a dataset


class MlflowRuns:
    """Makes and ends runs; `uri` is the tracking server."""

    def __init__(self, uri: str) -> None:
        self.uri = uri

    async def ensure_run(self, job: Job) -> str:
        """The id of the job's run, which is made, and told what the job is, if there is none.

        Raises:
            TrackingUnavailable: the server does not answer.
        """
        return await _in_time(lambda: self._ensure_run(job))

    async def end_run(
        self, run_id: str, *, status: str, folder: Path | None = None, facts: Mapping[str, str] | None = None
    ) -> None:
        """Marks a run as FINISHED, FAILED or KILLED.

        Args:
            folder: The job's; its job file, the end of its log and the list of its checkpoints become artifacts.
            facts: Tags that tell of the end, such as `loopwright.reason`.

        Raises:
            TrackingUnavailable: the server does not answer.
        """
        await _in_time(lambda: self._end_run(run_id, status, folder=folder, facts=facts or {}))

    def _ensure_run(self, job: Job) -> str:
        client = self._client()
        experiment = client.get_experiment_by_name(job.task_id)
        experiment_id = experiment.experiment_id if experiment else client.create_experiment(job.task_id)
        found = client.search_runs([experiment_id], filter_string=f"tags.`{JOB_TAG}` = '{job.lease.job_id}'")
        run = (
            found[0]
            if found
            else client.create_run(experiment_id, tags=tags_of(job, code_version()), run_name=job.job_name)
        )
        _unless_refused(lambda: _describe(client, run, job), run)
        return str(run.info.run_id)

    def _end_run(self, run_id: str, status: str, *, folder: Path | None, facts: Mapping[str, str]) -> None:
        client = self._client()
        run = client.get_run(run_id)
        if folder is not None:
            _unless_refused(lambda: _keep_papers(client, run_id, folder), run)
        for name, value in facts.items():
            client.set_tag(run_id, name, value)
        client.set_terminated(run_id, status)

    def _client(self) -> "MlflowClient":
        from mlflow import MlflowClient  # noqa: PLC0415 - seconds of import, not paid at the service's start
        from mlflow import environment_variables as mlflow_env  # noqa: PLC0415 - as above

        # a job must not wait for its bookkeeping; whoever calls goes on
        mlflow_env.MLFLOW_HTTP_REQUEST_MAX_RETRIES.set(0)
        mlflow_env.MLFLOW_HTTP_REQUEST_TIMEOUT.set(_TIMEOUT_S)
        return MlflowClient(self.uri)


async def _in_time(act: Callable[[], T]) -> T:
    def translated() -> T:
        from mlflow.exceptions import MlflowException  # noqa: PLC0415 - seconds of import, as above

        try:
            return act()
        except (MlflowException, OSError) as error:
            raise TrackingUnavailable("tracking.unavailable", f"MLflow refuses: {error}"[:300]) from error

    try:
        return await asyncio.wait_for(asyncio.to_thread(translated), _LONGEST_WAIT_S)
    except TimeoutError as error:
        raise TrackingUnavailable("tracking.unavailable", "MLflow does not answer") from error


def _unless_refused(act: Callable[[], None], run: "Run") -> None:
    """A run that lacks a part of its page is better than none."""
    from mlflow.exceptions import MlflowException  # noqa: PLC0415 - as above

    try:
        act()
    except (MlflowException, OSError, ValueError) as error:  # the last: a paper that a crash cut off
        _log.warning("run.page-incomplete", run_id=run.info.run_id, reason=str(error)[:300])


def _describe(client: "MlflowClient", run: "Run", job: Job) -> None:
    """Writes what is not written yet: a crash may have come between two requests."""
    from mlflow.entities import Param  # noqa: PLC0415 - as above

    missing = [Param(name, value) for name, value in params_of(job).items() if name not in run.data.params]
    for start in range(0, len(missing), _PARAMS_A_REQUEST):
        client.log_batch(run.info.run_id, params=missing[start : start + _PARAMS_A_REQUEST])
    if not run.inputs or not run.inputs.dataset_inputs:
        data = job.training_data
        used = {"training": data.train, "validation": data.validation}
        inputs = [_dataset(data.version_id, split, use=use) for use, split in used.items() if split.samples]
        client.log_inputs(run.info.run_id, datasets=inputs)


def _dataset(version_id: str, split: Split, *, use: str) -> "DatasetInput":
    from mlflow.entities import Dataset, DatasetInput, InputTag  # noqa: PLC0415 - as above

    artifact = split.artifact
    content = Dataset(
        name=version_id,
        digest=artifact.sha256[:_SHORTENED],
        source_type="loopwright",
        source=json.dumps({"uri": artifact.uri, "sha256": artifact.sha256}),
        profile=json.dumps({"samples": split.samples}),
    )
    return DatasetInput(content, [InputTag("mlflow.data.context", use)])


def _keep_papers(client: "MlflowClient", run_id: str, folder: Path) -> None:
    """Stores what the process was told, what it said last, and which checkpoints there are."""
    told = folder / "job.json"
    if told.is_file():
        content = _object.validate_json(told.read_bytes())
        for secret in ("tracking", "trace"):  # addresses, perhaps with passwords; the run does not depend on them
            content.pop(secret, None)
        client.log_dict(run_id, content, "job/job.json")
    end = read_last(folder / "log.txt", _LOG_LINES, whole=True)
    if end.lines:
        left_out = f"({end.start} of {end.size_bytes} bytes before this are in the job's log)\n" if end.start else ""
        client.log_text(run_id, left_out + "\n".join(end.lines)[-PAGE_BYTES:] + "\n", "job/log.txt")
    client.log_dict(run_id, {"checkpoints": _checkpoints(folder / "checkpoints")}, "job/checkpoints.json")


def _checkpoints(root: Path) -> list[dict[str, JsonValue]]:
    """Complete ones: those that bear a seal."""
    found: list[dict[str, JsonValue]] = []
    for seal in sorted(root.glob("checkpoint-*/complete.json"), key=lambda path: path.stat().st_mtime):
        content = _object.validate_json(seal.read_bytes())
        found.append({"folder": str(seal.parent), **content})
    return found
