"""Puts the base model in charge of every task that nothing serves yet."""

from collections.abc import Mapping
from pathlib import Path

import structlog

from loopwright.errors import ServingUnavailable
from loopwright.unit_of_work import WorkFactory
from registry_svc.adapters.mlflow import MlflowRegistry
from registry_svc.adapters.vllm import AdapterRefused, VllmServers
from registry_svc.handlers.deployments import deploy_base
from registry_svc.handlers.reconciliation import Unserved, unserved_tasks
from registry_svc.handlers.releases import origin_of_base_model, register_base_model
from registry_svc.jobs.describing import describe

_log = structlog.get_logger()


class BaseModels:
    """Registers and deploys base models.

    Args:
        folders: Base models by name, with the folders that vLLM serves them from.
    """

    def __init__(
        self, work: WorkFactory, *, mlflow: MlflowRegistry, servers: VllmServers, folders: Mapping[str, Path]
    ) -> None:
        self._work = work
        self._mlflow = mlflow
        self._servers = servers
        self._folders = folders
        self._waiting_for: dict[str, str] = {}

    async def step(self) -> bool:
        """Deploys what can be deployed now; a base model that no server has loaded yet is looked for again."""
        async with self._work() as unit:
            waiting = await unserved_tasks(unit)
        for task in waiting:
            try:
                backend_urls = await self._servers.backends_of(task.base_model)
                for url in backend_urls:
                    await self._servers.probe(url, task.base_model)
            except (ServingUnavailable, AdapterRefused) as error:
                # a starting vLLM is no failure that should slow the next look down
                self._say_once(task.task_id, error.detail)
                continue
            if not task.registered:
                await self._register(task)
            async with self._work() as unit:
                await deploy_base(task.task_id, unit, backend_urls=backend_urls)
            _log.info("base-model.deployed", task_id=task.task_id, base_model=task.base_model)
        return False

    def _say_once(self, task_id: str, reason: str) -> None:
        if self._waiting_for.get(task_id) != reason:
            self._waiting_for[task_id] = reason
            _log.info("base-model.waits", task_id=task_id, reason=reason)

    async def _register(self, task: Unserved) -> None:
        name = task.base_model
        tracked = await self._mlflow.register(
            describe(origin_of_base_model(name), None, base_folder=self._folders.get(name))
        )
        async with self._work() as unit:
            await register_base_model(name, unit, task_id=task.task_id, tracked=tracked)
