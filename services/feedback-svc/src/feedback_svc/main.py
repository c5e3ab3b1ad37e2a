"""Wires feedback-svc: doors, tables, storage and timers."""

from feedback_svc.api.routes import all_routes
from feedback_svc.events import events
from feedback_svc.jobs import ErasedExports, Exporter, RetrainingTimer
from feedback_svc.settings import Settings
from feedback_svc.store.tables import messaging, metadata
from loopwright.contracts.registry import Party
from loopwright.database import Database
from loopwright.service import Service
from loopwright.settings import CommonSettings
from loopwright.storage import open_storage
from loopwright.unit_of_work import PostgresWork


def build(common: CommonSettings, settings: Settings) -> Service:
    """The service, ready to run."""
    database = Database(common.database_url.get_secret_value(), metadata, messaging)
    service = Service(Party.FEEDBACK, common, database=database)
    work = PostgresWork(database, Party.FEEDBACK)
    service.app.state.work = work
    service.add_events(events)
    service.add_routes(all_routes())
    storage = open_storage(common)
    service.add_background("export", Exporter(work, storage, poll_s=settings.export_poll_s).run)
    service.add_background("erased-exports", ErasedExports(work, storage).run)
    service.add_background("retraining", RetrainingTimer(work, every_s=settings.retraining_check_s).run)
    return service


def main() -> None:
    settings = Settings()
    build(CommonSettings(), settings).run(port=settings.port)


if __name__ == "__main__":
    main()
