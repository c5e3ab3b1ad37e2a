"""Carries finished jobs to live traffic, one step at a time: register, load, evaluate.

Every step works outside of any transaction and may be repeated; its result is committed by one handler that checks
that the step is still due. A crash anywhere repeats work, never effects.
"""

import structlog

from loopwright.errors import ContractError, DependencyError, RuleRefused, ServingUnavailable
from loopwright.telemetry import continued_span
from registry_svc.adapters.mlflow import MlflowRegistry
from registry_svc.adapters.serving import ServerFull
from registry_svc.adapters.verification import ArtefactRefused, Claim
from registry_svc.domain.models import ModelVersion
from registry_svc.domain.releases import Release, ReleaseState
from registry_svc.handlers.releases import (
    deploy_candidate,
    fail_release,
    next_due_release,
    origin_of_release,
    postpone_release,
    register_release,
    released_model,
)
from registry_svc.handlers.room import Means, bring_up, hold_adapter
from registry_svc.jobs.describing import describe
from registry_svc.jobs.evaluating import Evaluator

_log = structlog.get_logger()
_REFUSALS = 3  # a server that says no thrice in a row means it


class ReleasePipeline:
    """Works on whichever release is due."""

    def __init__(self, means: Means, *, mlflow: MlflowRegistry, evaluator: Evaluator) -> None:
        self._means = means
        self._work = means.work
        self._mlflow = mlflow
        self._serving = means.serving
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
            except (ContractError, ArtefactRefused) as error:
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
        # unpacked and verified first: what is not an adapter, or not ours, must not be registered
        claim = Claim(job_id=release.job_id, base_model=release.base_model)
        files = await self._serving.files.ensure(adapter, claim)
        tracked = await self._mlflow.register(describe(origin_of_release(release), files))
        async with self._work() as unit:
            await register_release(release.job_id, unit, tracked=tracked, files=files)

    async def _load(self, release: Release) -> None:
        model = await self._model_of(release)
        try:
            backend_urls = await bring_up(model, self._means)
        except ServerFull as full:  # no refusal of this adapter: it waits until another one leaves
            raise ServingUnavailable(full.code, full.detail) from full
        async with self._work() as unit:
            await deploy_candidate(release.job_id, unit, backend_urls=backend_urls)

    async def _model_of(self, release: Release) -> ModelVersion:
        async with self._work() as unit:
            model = await released_model(release, unit)
            await hold_adapter(model.variant, unit)
            return model

    async def _postpone(self, release: Release, reason: str) -> None:
        _log.info("release.waits", job_id=release.job_id, step=str(release.state), reason=reason)
        async with self._work() as unit:
            await postpone_release(release.job_id, unit, reason=reason)

    async def _fail(self, release: Release, reason: str) -> None:
        _log.error("release.failed", job_id=release.job_id, step=str(release.state), reason=reason)
        async with self._work() as unit:
            await fail_release(release.job_id, unit, reason=reason)
