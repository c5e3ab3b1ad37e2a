"""Keeps the world outside as our rows say: adapters on every vLLM server, aliases in MLflow."""

from collections.abc import Sequence

import structlog

from loopwright.errors import ContractError, RuleRefused, ServingUnavailable, StoreUnavailable
from loopwright.unit_of_work import WorkFactory
from registry_svc.adapters.mlflow import MlflowRegistry
from registry_svc.adapters.serving import Serving
from registry_svc.domain.models import ModelStatus, ModelVersion
from registry_svc.handlers.deployments import refresh_backends
from registry_svc.handlers.reconciliation import WantedServing, aliases_by_model, wanted_serving

_log = structlog.get_logger()


class ServingReconciler:
    """Loads adapters again that a vLLM server has lost, and says when servers came or went."""

    def __init__(self, work: WorkFactory, *, serving: Serving) -> None:
        self._work = work
        self._serving = serving
        self._away: set[str] = set()

    async def step(self) -> bool:
        """Looks at every deployment once. A server that does not answer is left for the next look."""
        async with self._work() as unit:
            wanted = await wanted_serving(unit)
        for serving in wanted:
            await self._restore(serving)
            await self._refresh(serving)
        return False

    async def _restore(self, wanted: WantedServing) -> None:
        for url in self._servers_of(wanted):
            try:
                for model in wanted.models:
                    await self._restore_one(url, model)
                self._away.discard(url)
            except ServingUnavailable as error:
                if url not in self._away:
                    _log.warning("vllm.away", server=url, reason=error.detail)
                self._away.add(url)

    async def _restore_one(self, url: str, model: ModelVersion) -> None:
        try:
            if await self._serving.restore(url, model):
                _log.warning("adapter.restored", variant=str(model.variant), server=url)
        except (RuleRefused, ContractError, StoreUnavailable) as error:
            _log.error("adapter.not-restored", variant=str(model.variant), server=url, reason=error.detail)

    async def _refresh(self, wanted: WantedServing) -> None:
        deployment = wanted.deployment
        try:
            backend_urls = await self._serving.servers.backends_of(wanted.models[0].base_model)
            if set(backend_urls) == set(deployment.backend_urls):
                return
            for model in wanted.models:
                await self._serving.ensure_served(model)
        except ServingUnavailable:
            return  # said by _restore
        except (RuleRefused, ContractError) as error:
            _log.error("backends.not-refreshed", task_id=deployment.task_id, reason=error.detail)
            return
        async with self._work() as unit:
            await refresh_backends(deployment.task_id, unit, backend_urls=backend_urls)

    def _servers_of(self, wanted: WantedServing) -> Sequence[str]:
        """Servers that the deployment names and the settings still know."""
        return [url for url in wanted.deployment.backend_urls if url in self._serving.servers.urls]


class AliasReconciler:
    """Makes MLflow's aliases agree with the status of our versions; our rows are right."""

    def __init__(self, work: WorkFactory, *, mlflow: MlflowRegistry) -> None:
        self._work = work
        self._mlflow = mlflow

    async def step(self) -> bool:
        """Compares every model once.

        Raises:
            TrackingUnavailable: MLflow does not answer.
        """
        async with self._work() as unit:
            wanted = await aliases_by_model(unit)
        for name, aliases in wanted.items():
            present = await self._mlflow.aliases(name)
            if present is None:
                _log.error("alias.model-unknown", model=name)
                continue
            for alias, version in aliases.items():
                if present.get(alias) != version:
                    await self._mlflow.set_alias(name, alias, version=version)
                    _log.info("alias.set", model=name, alias=alias, version=version)
            for alias in present.keys() & {str(status) for status in ModelStatus} - aliases.keys():
                await self._mlflow.delete_alias(name, alias)
                _log.info("alias.deleted", model=name, alias=alias)
        return False
