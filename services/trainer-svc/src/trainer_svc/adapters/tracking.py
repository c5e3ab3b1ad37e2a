"""MLflow runs of jobs: one a job, found again by its tag after a crash."""

import asyncio
from typing import TYPE_CHECKING

from loopwright.errors import TrackingUnavailable
from trainer_svc.domain.jobs import Job

if TYPE_CHECKING:
    from mlflow import MlflowClient

_JOB_TAG = "loopwright.job_id"
_LONGEST_WAIT_S = 30.0
_TIMEOUT_S = 10


class MlflowRuns:
    """Makes and ends runs; `uri` is the tracking server."""

    def __init__(self, uri: str) -> None:
        self.uri = uri

    async def ensure_run(self, job: Job) -> str:
        """The id of the job's run, which is made if there is none.

        Raises:
            TrackingUnavailable: the server does not answer.
        """
        try:
            return await asyncio.wait_for(asyncio.to_thread(self._ensure_run, job), _LONGEST_WAIT_S)
        except TimeoutError as error:
            raise TrackingUnavailable("tracking.unavailable", "MLflow does not answer") from error

    async def end_run(self, run_id: str, *, status: str) -> None:
        """Marks a run as FINISHED, FAILED or KILLED.

        Raises:
            TrackingUnavailable: the server does not answer.
        """
        try:
            await asyncio.wait_for(asyncio.to_thread(self._end_run, run_id, status), _LONGEST_WAIT_S)
        except TimeoutError as error:
            raise TrackingUnavailable("tracking.unavailable", "MLflow does not answer") from error

    def _ensure_run(self, job: Job) -> str:
        from mlflow.exceptions import MlflowException  # noqa: PLC0415 - seconds of import, not paid at the service's start

        client = self._client()
        try:
            experiment = client.get_experiment_by_name(job.task_id)
            experiment_id = experiment.experiment_id if experiment else client.create_experiment(job.task_id)
            found = client.search_runs([experiment_id], filter_string=f"tags.`{_JOB_TAG}` = '{job.lease.job_id}'")
            if found:
                return str(found[0].info.run_id)
            tags = {_JOB_TAG: job.lease.job_id, "loopwright.dataset_version": job.training_data.version_id}
            return str(client.create_run(experiment_id, tags=tags, run_name=job.job_name).info.run_id)
        except (MlflowException, OSError) as error:
            raise TrackingUnavailable("tracking.unavailable", f"MLflow refuses: {error}"[:300]) from error

    def _end_run(self, run_id: str, status: str) -> None:
        from mlflow.exceptions import MlflowException  # noqa: PLC0415 - as above

        try:
            self._client().set_terminated(run_id, status)
        except (MlflowException, OSError) as error:
            raise TrackingUnavailable("tracking.unavailable", f"MLflow refuses: {error}"[:300]) from error

    def _client(self) -> "MlflowClient":
        from mlflow import MlflowClient  # noqa: PLC0415 - as above
        from mlflow import environment_variables as mlflow_env  # noqa: PLC0415 - as above

        mlflow_env.MLFLOW_HTTP_REQUEST_MAX_RETRIES.set(
            0
        )  # a job must not wait for its bookkeeping; whoever calls goes on
        mlflow_env.MLFLOW_HTTP_REQUEST_TIMEOUT.set(_TIMEOUT_S)
        return MlflowClient(self.uri)
