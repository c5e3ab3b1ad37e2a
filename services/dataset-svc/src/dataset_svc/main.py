"""dataset-svc: raw samples in, clean and immutable dataset versions out."""

from dataset_svc.api import datasets, uploads, versions
from dataset_svc.api.bodies import BoundedBodies
from dataset_svc.api.doors import Doorway
from dataset_svc.events import events
from dataset_svc.jobs import BuildLimits, Builds
from dataset_svc.settings import Settings
from dataset_svc.store.tables import metadata, tables
from loopwright.contracts.registry import Party
from loopwright.database import Database
from loopwright.service import Service
from loopwright.settings import CommonSettings
from loopwright.storage import open_storage
from loopwright.unit_of_work import PostgresWork


def build(common: CommonSettings, settings: Settings) -> Service:
    """Wires the service; nothing runs yet."""
    database = Database(common.database_url.get_secret_value(), metadata, tables)
    work = PostgresWork(database, Party.DATASET)
    storage = open_storage(common)
    limits = BuildLimits(
        max_source_bytes=settings.max_source_bytes,
        max_line_bytes=settings.max_line_bytes,
        attempts=settings.build_attempts,
    )
    service = Service(Party.DATASET, common, database=database)
    service.app.state.doorway = Doorway(work=work, storage=storage)
    service.app.add_middleware(BoundedBodies, upload_path=uploads.PREFIX, max_upload_bytes=settings.max_upload_bytes)
    service.add_events(events)
    service.add_background("builds", Builds(work, storage, limits).run)
    # versions before datasets: `versions` is no dataset's id
    for routes in (uploads.routes, versions.routes, datasets.routes):
        service.add_routes(routes)
    return service


def main() -> None:
    settings = Settings()
    build(CommonSettings(), settings).run(port=settings.port)


if __name__ == "__main__":
    main()
