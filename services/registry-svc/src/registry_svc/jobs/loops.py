"""The loops of long work, side by side; one replica of the service runs them at a time."""

import asyncio
from dataclasses import dataclass

from loopwright.repeating import repeat
from registry_svc.jobs.base_models import BaseModels
from registry_svc.jobs.benchmarks import Benchmarking
from registry_svc.jobs.launching import ServerKeeper
from registry_svc.jobs.packs import PackReader
from registry_svc.jobs.reconciling import MlflowReconciler
from registry_svc.jobs.registering import Registrar
from registry_svc.jobs.releases import ReleasePipeline
from registry_svc.jobs.requested import RequestedEvaluations
from registry_svc.jobs.serving import ServingReconciler
from registry_svc.jobs.watching import PromotionWatcher


@dataclass(frozen=True, kw_only=True)
class Loops:
    """Everything that registry-svc does by itself.

    Attributes:
        pack_scan_s: Seconds between looks at the packs; the others alike.
    """

    packs: PackReader
    base_models: BaseModels
    releases: ReleasePipeline
    requested: RequestedEvaluations
    serving: ServingReconciler
    watcher: PromotionWatcher
    servers: ServerKeeper
    registrar: Registrar
    mlflow: MlflowReconciler
    benchmarks: Benchmarking
    pack_scan_s: float
    reconcile_s: float
    alias_reconcile_s: float

    async def run(self) -> None:
        """Works until cancelled."""
        async with asyncio.TaskGroup() as group:
            group.create_task(repeat(self.packs.step, name="packs", idle_s=self.pack_scan_s))
            group.create_task(repeat(self.base_models.step, name="base-models", idle_s=self.reconcile_s))
            group.create_task(repeat(self.releases.step, name="releases", idle_s=0.25))
            group.create_task(repeat(self.requested.step, name="requested-evaluations", idle_s=0.5))
            group.create_task(repeat(self.serving.step, name="serving", idle_s=self.reconcile_s))
            group.create_task(repeat(self.servers.step, name="model-servers", idle_s=self.reconcile_s))
            group.create_task(repeat(self.watcher.step, name="promotions", idle_s=self.reconcile_s))
            group.create_task(repeat(self.registrar.step, name="registrations", idle_s=0.25))
            group.create_task(repeat(self.benchmarks.step, name="benchmarks", idle_s=2.0))
            group.create_task(repeat(self.mlflow.step, name="mlflow", idle_s=self.alias_reconcile_s))
