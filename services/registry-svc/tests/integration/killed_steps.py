"""Does acts of registry-svc, each in a process of its own that is killed at a named step: `python killed_steps.py SETTINGS`.

Reads acts from standard input, one JSON object a line, and answers each by how its process ended. The processes are
forks of this one, which has imported everything and runs nothing.
"""

import asyncio
import functools
import importlib
import inspect
import json
import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path

import structlog

from loopwright.contracts.registry import Party
from loopwright.database import Database
from loopwright.storage import Storage
from loopwright.unit_of_work import PostgresWork
from registry_svc.adapters.adapter_files import AdapterFiles
from registry_svc.adapters.mlflow import MlflowRegistry
from registry_svc.adapters.router_figures import RouterFigures
from registry_svc.adapters.serving import Serving
from registry_svc.adapters.vllm import VllmServers
from registry_svc.domain.models import VariantId
from registry_svc.handlers import promotions
from registry_svc.handlers.room import Means
from registry_svc.jobs.reconciling import MlflowReconciler
from registry_svc.jobs.releases import ReleasePipeline
from registry_svc.store.deployments import get_deployment
from registry_svc.store.tables import messaging, metadata


class Acts:
    """What a process of registry-svc may be doing when it dies."""

    def __init__(self, settings: dict[str, str]) -> None:
        self.task_id = settings["task_id"]
        self.work = PostgresWork(Database(settings["database_url"], metadata, messaging), Party.REGISTRY)
        self.mlflow = MlflowRegistry(settings["mlflow_uri"])
        self.files = AdapterFiles(Storage(settings["storage_uri"]), Path(settings["folder"]))
        servers = VllmServers(json.loads(settings["vllm_urls"]), timeout_s=5)
        serving = Serving(self.files, servers)
        self.means = Means(work=self.work, serving=serving, figures=RouterFigures((settings["router_url"],)))

    async def release(self, _: str) -> None:
        """One step of a release: here, its registration."""
        await ReleasePipeline(self.means, mlflow=self.mlflow, evaluator=None).step()  # type: ignore[arg-type]

    async def promote(self, target: str) -> None:
        """What a person orders who has looked: nothing, if it is in charge."""
        async with self.work() as unit:
            deployment = await get_deployment(unit.session, self.task_id)
        if str(deployment.champion) != target:
            order = promotions.Order(task_id=self.task_id, revision=deployment.revision, reason="test", by="test")
            await promotions.promote(VariantId.parse(target), order, self.means)

    async def settle(self, target: str) -> None:
        """An order, and the look of the loop that follows it."""
        await self.promote(target)
        await self.agree(target)

    async def agree(self, _: str) -> None:
        """What the loop does at every start."""
        bases = {"tiny-base": Path("/models/base")}
        reconciler = MlflowReconciler(self.work, mlflow=self.mlflow, files=self.files, base_models=bases)
        while await reconciler.step():
            pass


def die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def arm(place: str, when: str) -> None:
    """Has this process killed before or after a function does its work.

    Args:
        place: `module:function`, or `module:Class.method`.
    """
    module, _, path = place.partition(":")
    *holders, name = path.split(".")
    holder = functools.reduce(getattr, holders, importlib.import_module(module))
    setattr(holder, name, deadly(getattr(holder, name), when))


def deadly(call: Callable[..., object], when: str) -> Callable[..., object]:
    async def wait_and_die(*args: object, **named: object) -> None:
        if when == "after":
            await call(*args, **named)  # type: ignore[misc]
        die()

    def do_and_die(*args: object, **named: object) -> None:
        if when == "after":
            call(*args, **named)
        die()

    return wait_and_die if inspect.iscoroutinefunction(call) else do_and_die


def run(settings: dict[str, str], act: dict[str, str]) -> None:
    acts = Acts(settings)
    if "place" in act:
        arm(act["place"], act["when"])
    asyncio.run(getattr(acts, act["act"])(act.get("target", "")))


def main() -> None:
    settings = json.loads(sys.argv[1])
    structlog.configure(logger_factory=structlog.PrintLoggerFactory(sys.stderr))  # standard output is for answers
    for line in sys.stdin:
        child = os.fork()
        if child == 0:
            run(settings, json.loads(line))
            os._exit(0)
        _, status = os.waitpid(child, 0)
        sys.stdout.write(f"{os.waitstatus_to_exitcode(status)}\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
