"""Wires registry-svc."""

from loopwright.contracts.registry import Party
from loopwright.database import Database
from loopwright.service import Service
from loopwright.settings import CommonSettings
from loopwright.signatures import read_public_keys
from loopwright.storage import open_storage
from loopwright.unit_of_work import PostgresWork
from registry_svc.adapters.adapter_files import AdapterFiles
from registry_svc.adapters.bare_models import BareModels
from registry_svc.adapters.judge import Judge
from registry_svc.adapters.lm_eval import HarnessLimits, LmEval
from registry_svc.adapters.metric_plugins import load_metrics
from registry_svc.adapters.mlflow import MlflowRegistry
from registry_svc.adapters.router import RouterDoor
from registry_svc.adapters.router_figures import RouterFigures
from registry_svc.adapters.serving import Serving
from registry_svc.adapters.transfers import Transfers
from registry_svc.adapters.verification import Verifier
from registry_svc.adapters.vllm import VllmServers
from registry_svc.adapters.vllm_processes import VllmProcesses
from registry_svc.api import benchmarks, comparisons, deployments, evaluations, models, standby, suites, tasks
from registry_svc.api import files as files_door
from registry_svc.api.doors import Doorway
from registry_svc.domain.launching import LaunchTemplates
from registry_svc.events import events
from registry_svc.handlers.model_servers import LaunchLimits
from registry_svc.handlers.room import Means
from registry_svc.handlers.tampering import alarm
from registry_svc.jobs.asking import Instruments
from registry_svc.jobs.base_models import BaseModels
from registry_svc.jobs.benchmarks import Benchmarking
from registry_svc.jobs.evaluating import Evaluator
from registry_svc.jobs.examining import Examiner
from registry_svc.jobs.launching import ServerKeeper
from registry_svc.jobs.loops import Loops
from registry_svc.jobs.packs import PackReader
from registry_svc.jobs.reconciling import MlflowReconciler
from registry_svc.jobs.registering import Registrar
from registry_svc.jobs.releases import ReleasePipeline
from registry_svc.jobs.requested import RequestedEvaluations
from registry_svc.jobs.serving import Pace, ServingReconciler
from registry_svc.jobs.watching import PromotionWatcher
from registry_svc.queries.manifests import Cluster
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
    files = AdapterFiles(storage, settings.adapter_dir, verifier=_verifier(settings), alarm=alarm(work))
    serving = Serving(files, servers, max_loras=settings.max_loras)
    figures = RouterFigures(settings.router_urls or (settings.router_url,), key=_router_key(settings))
    templates = _launch_templates(settings)
    means = Means(work=work, serving=serving, figures=figures, limits=_launch_limits(settings))
    pace = Pace(grace_s=settings.unload_grace_s, probe_s=settings.probe_s)
    examiner = Examiner(work, storage=storage, instruments=_instruments(settings))
    evaluator = Evaluator(work, storage=storage, examiner=examiner)
    harness = _harness(settings)
    loops = Loops(
        packs=PackReader(work, folder=settings.tasks_dir, base_models=frozenset(settings.base_models)),
        base_models=BaseModels(work, mlflow=mlflow, servers=servers, folders=settings.base_models),
        releases=ReleasePipeline(means, mlflow=mlflow, evaluator=evaluator),
        requested=RequestedEvaluations(work, storage=storage, examiner=examiner),
        serving=ServingReconciler(work, serving=serving, figures=figures, pace=pace),
        watcher=PromotionWatcher(means),
        servers=ServerKeeper(means, processes=_processes(settings), templates=templates, grace_s=pace.grace_s),
        registrar=Registrar(work, mlflow=mlflow, files=files),
        mlflow=MlflowReconciler(work, mlflow=mlflow, files=files, base_models=settings.base_models),
        benchmarks=Benchmarking(work, serving=serving, harness=harness, base_models=settings.base_models),
        pack_scan_s=settings.pack_scan_s,
        reconcile_s=settings.reconcile_s,
        alias_reconcile_s=settings.alias_reconcile_s,
    )
    service = Service(Party.REGISTRY, common, database=database)
    service.app.state.doorway = Doorway(
        means=means,
        transfers=Transfers(storage, settings.adapter_dir, most_bytes=settings.max_upload_bytes),
        base_models=frozenset(settings.base_models),
        cluster=Cluster(templates=templates, image=settings.launch_image, files_dir=settings.adapter_dir),
        harness=harness,
        most_suite_cases=settings.suite_most_cases,
        most_suite_bytes=settings.suite_most_bytes,
    )
    for room in (tasks, models, files_door, evaluations, standby, deployments, suites, benchmarks, comparisons):
        service.add_routes(room.routes)
    service.add_events(events)
    service.add_background("loops", lambda: lead(database, name="registry.loops", body=loops.run))
    return service


def _launch_templates(settings: Settings) -> LaunchTemplates:
    return LaunchTemplates(
        command=settings.launch_command,
        of_every=settings.launch_arguments,
        of_format=settings.launch_format_arguments,
    )


def _launch_limits(settings: Settings) -> LaunchLimits | None:
    if not settings.launch_command:
        return None
    ports = range(settings.launch_first_port, min(settings.launch_first_port + settings.launch_most, 65536))
    return LaunchLimits(ports=ports, budget_bytes=settings.launch_budget_bytes)


def _processes(settings: Settings) -> VllmProcesses:
    return VllmProcesses(log_dir=settings.launch_log_dir, env=settings.launch_env, stop_timeout_s=20)


def _verifier(settings: Settings) -> Verifier:
    keys, mark = settings.artefact_keys_file, settings.watermark_key_file
    return Verifier(
        settings.artefact_policy,
        public_keys=() if keys is None else read_public_keys(keys),
        mark_key=None if mark is None else mark.read_bytes(),
        base_models=settings.base_models,
    )


def _harness(settings: Settings) -> LmEval:
    return LmEval(
        settings.lm_eval_python,
        tasks_dir=settings.benchmarks_dir,
        data_dir=settings.benchmark_data_dir,
        work_dir=settings.benchmark_work_dir,
        limits=HarnessLimits(
            timeout_s=settings.benchmark_timeout_s,
            concurrency=settings.benchmark_concurrency,
            prompt_likelihoods=settings.prompt_likelihoods,
        ),
    )


def _router_key(settings: Settings) -> str | None:
    return None if settings.router_key_file is None else settings.router_key_file.read_text().strip()


def _instruments(settings: Settings) -> Instruments:
    timeout_s = settings.evaluation_timeout_s
    judge = None
    if settings.judge_url is not None:
        judge = Judge(
            settings.judge_url, model=settings.judge_model, api_key=settings.judge_api_key, timeout_s=timeout_s
        )
    return Instruments(
        router=RouterDoor(settings.router_url, timeout_s=timeout_s, key=_router_key(settings)),
        bare_models=BareModels(timeout_s=timeout_s),
        judge=judge,
        custom_metrics=load_metrics(settings.metrics_dir),
        concurrency=settings.evaluation_concurrency,
    )


def main() -> None:
    settings = Settings()
    build(CommonSettings(), settings).run(port=settings.port)


if __name__ == "__main__":
    main()
