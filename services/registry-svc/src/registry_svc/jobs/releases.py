"""Carries finished jobs to live traffic, one step at a time: register, load, evaluate.

Every step works outside of any transaction and may be repeated; its result is committed by one handler that checks
that the step is still due. A crash anywhere repeats work, never effects.
"""

import structlog

from loopwright.errors import ContractError, DependencyError, RuleRefused
from loopwright.telemetry import continued_span
from loopwright.unit_of_work import WorkFactory
from registry_svc.adapters.mlflow import MlflowRegistry, Registration
from registry_svc.adapters.serving import Serving
from registry_svc.domain.models import ModelVersion
from registry_svc.domain.releases import Release, ReleaseState
from registry_svc.handlers.releases import (
    deploy_candidate,
    fail_release,
    next_due_release,
    postpone_release,
    register_release,
    released_model,
)
from registry_svc.jobs.evaluating import Evaluator

_log = structlog.get_logger()
_REFUSALS = 3  # a server that says no thrice in a row means it


class ReleasePipeline:
    """Works on whichever release is due."""

    def __init__(self, work: WorkFactory, *, mlflow: MlflowRegistry, serving: Serving, evaluator: Evaluator) -> None:
        self._work = work
        self._mlflow = mlflow
        self._serving = serving
        self._evaluator = evaluator

    async def step(self) -> bool:
        """Does the next step of one release; True if one was due."""
        async with self._work() as unit:
            release = await next_due_release(unit)
        if release is None:
            return False
        with continued_span(f"release {release.state}", traceparent=release.traceparent):
            try:
                await self._advance(release)
                _log.info("release.step-done", job_id=release.job_id, step=str(release.state))
            except DependencyError as error:
                await self._postpone(release, error.detail)
            except ContractError as error:
                await self._fail(release, error.detail)
            except RuleRefused as error:
                refused_for_good = release.attempts + 1 >= _REFUSALS
                await (self._fail if refused_for_good else self._postpone)(release, error.detail)
        return True

    async def _advance(self, release: Release) -> None:
        if release.state is ReleaseState.RECEIVED:
            await self._register(release)
        elif release.state is ReleaseState.REGISTERED:
            await self._load(release)
        else:
            await self._evaluator.evaluate(release)

    async def _register(self, release: Release) -> None:
        adapter = release.adapter
        assert adapter is not None, "a release without an adapter is failed from the start"
        # unpacked first: what is not an adapter must not be registered
        folder = await self._serving.files.ensure(adapter)
        data = release.training_data
        tracked = await self._mlflow.register(
            Registration(
                name=release.task_id,
                subject=f"job:{release.job_id}",
                run_id=release.mlflow_run_id,
                reference={
                    "kind": "lora",
                    "base_model": release.base_model,
                    "uri": adapter.uri,
                    "sha256": adapter.sha256,
                    "size_bytes": adapter.size_bytes,
                },
                files=folder,
                tags={
                    "loopwright.format": "lora",
                    "loopwright.job_id": release.job_id,
                    "loopwright.task_id": release.task_id,
                    "loopwright.base_model": release.base_model,
                    "loopwright.dataset_version_id": data.version_id,
                    "loopwright.adapter_sha256": adapter.sha256,
                },
                description=f"LoRA adapter of job {release.job_name}",
            )
        )
        async with self._work() as unit:
            await register_release(release.job_id, unit, mlflow_version=tracked.version, mlflow_run_id=tracked.run_id)

    async def _load(self, release: Release) -> None:
        model = await self._model_of(release)
        backend_urls = await self._serving.ensure_served(model)
        async with self._work() as unit:
            await deploy_candidate(release.job_id, unit, backend_urls=backend_urls)

    async def _model_of(self, release: Release) -> ModelVersion:
        async with self._work() as unit:
            return await released_model(release, unit)

    async def _postpone(self, release: Release, reason: str) -> None:
        _log.info("release.waits", job_id=release.job_id, step=str(release.state), reason=reason)
        async with self._work() as unit:
            await postpone_release(release.job_id, unit, reason=reason)

    async def _fail(self, release: Release, reason: str) -> None:
        _log.error("release.failed", job_id=release.job_id, step=str(release.state), reason=reason)
        async with self._work() as unit:
            await fail_release(release.job_id, unit, reason=reason)
