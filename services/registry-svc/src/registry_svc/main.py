"""Wires registry-svc."""

from loopwright.contracts.registry import Party
from loopwright.database import Database
from loopwright.service import Service
from loopwright.settings import CommonSettings
from loopwright.storage import open_storage
from loopwright.unit_of_work import PostgresWork
from registry_svc.adapters.adapter_files import AdapterFiles
from registry_svc.adapters.mlflow import MlflowRegistry
from registry_svc.adapters.router import RouterDoor
from registry_svc.adapters.serving import Serving
from registry_svc.adapters.vllm import VllmServers
from registry_svc.api import deployments, models, tasks
from registry_svc.api.doors import Doorway
from registry_svc.events import events
from registry_svc.jobs.base_models import BaseModels
from registry_svc.jobs.evaluating import Evaluator
from registry_svc.jobs.loops import Loops
from registry_svc.jobs.packs import PackReader
from registry_svc.jobs.reconciling import AliasReconciler, ServingReconciler
from registry_svc.jobs.releases import ReleasePipeline
from registry_svc.settings import Settings
from registry_svc.store.leadership import lead
from registry_svc.store.tables import messaging, metadata


def build(common: CommonSettings, settings: Settings) -> Service:
    """Builds the service from its settings."""
    database = Database(common.database_url.get_secret_value(), metadata, messaging)
    work = PostgresWork(database, Party.REGISTRY)
    storage = open_storage(common)
    mlflow = MlflowRegistry(common.mlflow_uri)
    servers = VllmServers(settings.vllm_urls, timeout_s=settings.serving_timeout_s)
    serving = Serving(AdapterFiles(storage, settings.adapter_dir), servers)
    router = RouterDoor(settings.router_url, timeout_s=settings.evaluation_timeout_s)
    evaluator = Evaluator(work, storage=storage, router=router, concurrency=settings.evaluation_concurrency)
    loops = Loops(
        packs=PackReader(work, folder=settings.tasks_dir, base_models=frozenset(settings.base_models)),
        base_models=BaseModels(work, mlflow=mlflow, servers=servers, folders=settings.base_models),
        releases=ReleasePipeline(work, mlflow=mlflow, serving=serving, evaluator=evaluator),
        serving=ServingReconciler(work, serving=serving),
        aliases=AliasReconciler(work, mlflow=mlflow),
        pack_scan_s=settings.pack_scan_s,
        reconcile_s=settings.reconcile_s,
        alias_reconcile_s=settings.alias_reconcile_s,
    )
    service = Service(Party.REGISTRY, common, database=database)
    service.app.state.doorway = Doorway(work=work, serving=serving, base_models=frozenset(settings.base_models))
    for room in (tasks, models, deployments):
        service.add_routes(room.routes)
    service.add_events(events)
    service.add_background("loops", lambda: lead(database, name="registry.loops", body=loops.run))
    return service


def main() -> None:
    settings = Settings()
    build(CommonSettings(), settings).run(port=settings.port)


if __name__ == "__main__":
    main()
