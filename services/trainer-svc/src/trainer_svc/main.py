"""trainer-svc: jobs in, adapters out, nothing lost on the way."""

from datetime import timedelta

from anyio import CapacityLimiter

from loopwright.contracts.registry import Party
from loopwright.database import Database
from loopwright.service import Service
from loopwright.settings import CommonSettings
from loopwright.storage import open_storage
from loopwright.unit_of_work import PostgresWork
from trainer_svc.adapters.installed import read_installed
from trainer_svc.adapters.launch import Launcher
from trainer_svc.adapters.machines import LocalLauncher
from trainer_svc.adapters.ray_jobs import RayLauncher
from trainer_svc.adapters.tracking import MlflowRuns
from trainer_svc.api.following import Followers
from trainer_svc.api.live import LiveDoor, live_routes
from trainer_svc.api.routes import Doorway, routes
from trainer_svc.api.studies import study_routes
from trainer_svc.domain.installed import Installed
from trainer_svc.events import build_events
from trainer_svc.jobs.bench import Bench, Tools
from trainer_svc.jobs.studying import StudyLoop
from trainer_svc.jobs.worker import Worker
from trainer_svc.settings import Settings
from trainer_svc.store.tables import messaging, metadata

_LOG_READERS = 4  # threads that read logs for all who follow them


def build(common: CommonSettings, settings: Settings) -> Service:
    """Wires the service; nothing runs yet."""
    database = Database(common.database_url.get_secret_value(), metadata, messaging)
    work = PostgresWork(database, Party.TRAINER)
    installed = read_installed(settings.base_models, programs=settings.programs)
    service = Service(Party.TRAINER, common, database=database)
    _add_doors(service, work, settings, installed)
    service.add_events(build_events(installed))
    tools = Tools(
        bench=_bench(settings, installed), common=common, work=work, storage=open_storage(common),
        runs=MlflowRuns(common.mlflow_uri), launcher=_launcher(settings),
    )  # fmt: skip
    service.add_background("worker", Worker(tools).run)
    service.add_background("studies", StudyLoop(work).run)
    return service


def _add_doors(service: Service, work: PostgresWork, settings: Settings, installed: Installed) -> None:
    service.app.state.doorway = Doorway(
        work=work, work_dir=settings.work_dir, installed=installed, prices=settings.price_per_device_hour
    )
    service.app.state.live = LiveDoor(
        work=work, followers=Followers(work, stopping=lambda: service.is_stopping), work_dir=settings.work_dir, worker=settings.worker_name,
        threads=CapacityLimiter(_LOG_READERS),
    )  # fmt: skip
    for router in (routes, live_routes, study_routes):
        service.add_routes(router)


def _launcher(settings: Settings) -> Launcher:
    if settings.launcher == "local":
        return LocalLauncher(settings.work_dir, machines=settings.machines, meeting=settings.meeting)
    return RayLauncher(
        settings.ray_address, token=settings.ray_token, nodes=settings.machines, grace_s=settings.stop_grace_s
    )


def _bench(settings: Settings, installed: Installed) -> Bench:
    return Bench(
        owner=settings.worker_name,
        work_dir=settings.work_dir,
        installed=installed,
        slots=settings.device_slots,
        most_jobs=settings.max_concurrent_jobs,
        lease=timedelta(seconds=settings.lease_ttl_s),
        keep_after=timedelta(seconds=settings.keep_slots_after_s),
        max_attempts=settings.max_attempts,
        grace_s=settings.stop_grace_s,
        cpu_threads=settings.cpu_threads,
        recipe=settings.module,
        watermark_key_file=settings.watermark_key_file,
        signing_key_file=settings.signing_key_file,
    )


def main() -> None:
    settings = Settings()
    build(CommonSettings(), settings).run(port=settings.port)


if __name__ == "__main__":
    main()
