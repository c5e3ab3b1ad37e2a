"""trainer-svc: jobs in, adapters out, nothing lost on the way."""

from datetime import timedelta

from loopwright.contracts.registry import Party
from loopwright.database import Database
from loopwright.service import Service
from loopwright.settings import CommonSettings
from loopwright.storage import open_storage
from loopwright.unit_of_work import PostgresWork
from trainer_svc.api.routes import Doorway, routes
from trainer_svc.events import build_events
from trainer_svc.jobs import Bench, Worker
from trainer_svc.settings import Settings
from trainer_svc.store.tables import messaging, metadata


def build(common: CommonSettings, settings: Settings) -> Service:
    """Wires the service; nothing runs yet."""
    database = Database(common.database_url.get_secret_value(), metadata, messaging)
    work = PostgresWork(database, Party.TRAINER)
    worker = Worker(work, open_storage(common), common=common, bench=_bench(settings))
    service = Service(Party.TRAINER, common, database=database)
    service.app.state.doorway = Doorway(work=work, work_dir=settings.work_dir, base_models=settings.base_models)
    service.add_events(build_events(settings.base_models))
    service.add_background("worker", worker.run)
    service.add_routes(routes)
    return service


def _bench(settings: Settings) -> Bench:
    return Bench(
        owner=settings.worker_name,
        work_dir=settings.work_dir,
        base_models=settings.base_models,
        slots=settings.device_slots,
        most_jobs=settings.max_concurrent_jobs,
        lease=timedelta(seconds=settings.lease_ttl_s),
        max_attempts=settings.max_attempts,
        grace_s=settings.stop_grace_s,
        cpu_threads=settings.cpu_threads,
        recipe=settings.module,
    )


def main() -> None:
    settings = Settings()
    build(CommonSettings(), settings).run(port=settings.port)


if __name__ == "__main__":
    main()
