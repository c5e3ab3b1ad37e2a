"""Wires feedback-svc: doors, tables, storage and timers."""

from feedback_svc.adapters.registry import Registry
from feedback_svc.api.routes import all_routes
from feedback_svc.events import build_events
from feedback_svc.jobs.alerts import AlertPost
from feedback_svc.jobs.collecting import CollectingTimer, Collector, Inspector
from feedback_svc.jobs.evidence import EvidenceTimer
from feedback_svc.jobs.experiments import Decider
from feedback_svc.jobs.exports import ErasedExports, Exporter
from feedback_svc.jobs.monitoring import Monitor
from feedback_svc.jobs.retraining import RetrainingTimer
from feedback_svc.settings import Settings
from feedback_svc.store.tables import data_keys, messaging, metadata
from loopwright.contracts.registry import Party
from loopwright.database import Database
from loopwright.sealed_columns import open_column_keys
from loopwright.service import Service
from loopwright.settings import CommonSettings
from loopwright.storage import open_storage
from loopwright.unit_of_work import PostgresWork


def build(common: CommonSettings, settings: Settings) -> Service:
    """The service, ready to run."""
    column_keys = open_column_keys(data_keys, common)
    database = Database(common.database_url.get_secret_value(), metadata, messaging, column_keys=column_keys)
    service = Service(Party.FEEDBACK, common, database=database)
    work = PostgresWork(database, Party.FEEDBACK)
    service.app.state.work = work
    service.add_events(build_events(column_keys.file))
    service.add_routes(all_routes())
    storage = open_storage(common)
    service.app.state.storage = storage
    service.app.state.registry = Registry(settings.registry_url)
    service.add_background("export", Exporter(work, storage, poll_s=settings.export_poll_s).run)
    service.add_background("erased-exports", ErasedExports(work, storage).run)
    service.add_background("decisions", Decider(work, every_s=settings.decision_check_s).run)
    service.add_background("inspection", Inspector(work, every_s=settings.collecting_check_s).run)
    service.add_background("collecting", Collector(work, every_s=settings.collecting_check_s).run)
    service.add_background("collecting-timer", CollectingTimer(work, every_s=settings.collecting_check_s).run)
    service.add_background("evidence", EvidenceTimer(work, storage, every_s=settings.collecting_check_s).run)
    service.add_background("monitoring", Monitor(work, every_s=settings.monitoring_check_s).run)
    service.add_background("retraining", RetrainingTimer(work, every_s=settings.retraining_check_s).run)
    if settings.alert_webhooks:
        post = AlertPost(work, settings.alert_webhooks, every_s=settings.alert_check_s)
        service.add_background("alerts", post.run)
    return service


def main() -> None:
    settings = Settings()
    build(CommonSettings(), settings).run(port=settings.port)


if __name__ == "__main__":
    main()
