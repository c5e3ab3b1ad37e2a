"""dataset-svc: raw samples in, clean and immutable dataset versions out."""

import re
from datetime import timedelta

from dataset_svc.adapters.build_process import BuildProcess
from dataset_svc.adapters.document_process import ReadingLimits
from dataset_svc.adapters.document_texts import DocumentTexts
from dataset_svc.adapters.embeddings import EndpointEmbedder, HashingEmbedder
from dataset_svc.adapters.model_endpoint import EndpointSettings, ModelEndpoint
from dataset_svc.adapters.morphology import Morphology
from dataset_svc.adapters.pair_writer import PairWriter
from dataset_svc.adapters.version_packs import VersionPacks
from dataset_svc.api import datasets, diffs, documents, knowledge, lineage, refs, uploads, versions
from dataset_svc.api.bodies import BodyLimit, BoundedBodies
from dataset_svc.api.doors import Doorway
from dataset_svc.api.text_doors import TextDoorway
from dataset_svc.domain.sources.uploads import UploadRules
from dataset_svc.events import events
from dataset_svc.handlers.knowledge_entries import Analysts
from dataset_svc.jobs.builds import BuildLimits, Builds, Workshop
from dataset_svc.jobs.deletions import Deletions
from dataset_svc.jobs.generations import Generations
from dataset_svc.jobs.uploads import UploadSweep
from dataset_svc.settings import Settings
from dataset_svc.store import knowledge_tables
from dataset_svc.store.tables import data_keys, tables
from loopwright.contracts.registry import Party
from loopwright.database import Database
from loopwright.sealed_columns import open_column_keys
from loopwright.service import Service
from loopwright.settings import CommonSettings
from loopwright.storage import Storage, open_storage
from loopwright.unit_of_work import PostgresWork

_RECORDS_BYTES = 32 << 20
_QUERIES_BYTES = 2 << 20
_FORM_BYTES = 1 << 20  # what a form holds beside its file


def build(common: CommonSettings, settings: Settings) -> Service:
    """Wires the service; nothing runs yet."""
    database = Database(
        common.database_url.get_secret_value(),
        knowledge_tables.Base.metadata,
        tables,
        column_keys=open_column_keys(data_keys, common),
    )
    work = PostgresWork(database, Party.DATASET)
    storage = open_storage(common)
    service = Service(Party.DATASET, common, database=database)
    service.add_events(events)
    service.app.add_middleware(BoundedBodies, limits=_body_limits(settings))
    _add_datasets(service, settings, work, storage)
    _add_texts(service, settings, work, storage)
    return service


def _add_datasets(service: Service, settings: Settings, work: PostgresWork, storage: Storage) -> None:
    packs = VersionPacks(storage)
    rules = UploadRules(max_bytes=settings.max_source_bytes, time_to_live=timedelta(seconds=settings.upload_ttl_s))
    service.app.state.doorway = Doorway(work=work, storage=storage, packs=packs, upload_rules=rules)
    workshop = Workshop(
        storage=storage,
        packs=packs,
        process=BuildProcess(helpers=settings.build_helpers),
        pseudonym_secret=settings.pseudonym_key_file and settings.pseudonym_key_file.read_bytes(),
        tokenizer=settings.tokenizer_dir,
    )
    limits = BuildLimits(
        max_source_bytes=settings.max_source_bytes,
        max_unpacked_bytes=settings.max_unpacked_bytes,
        max_line_bytes=settings.max_line_bytes,
        attempts=settings.build_attempts,
    )
    service.add_background("builds", Builds(work, workshop, limits).run)
    service.add_background("upload sweep", UploadSweep(work, rules).run)
    service.add_background("deletions", Deletions(work, storage=storage, packs=packs).run)
    # versions before datasets: `versions` is no dataset's id
    for routes in (uploads, versions, diffs, lineage, refs, datasets):
        service.add_routes(routes.routes)


def _add_texts(service: Service, settings: Settings, work: PostgresWork, storage: Storage) -> None:
    """Documents and knowledge bases."""
    embedder = HashingEmbedder()
    if settings.embeddings_url is not None:
        endpoint = EndpointSettings(
            base_url=settings.embeddings_url, model=settings.embeddings_model, key=settings.embeddings_key,
            timeout_s=settings.endpoint_timeout_s, at_once=settings.endpoint_at_once,
        )  # fmt: skip
        embedder = EndpointEmbedder(ModelEndpoint(endpoint))
    analysts = Analysts(morphology=Morphology(), embedder=embedder)
    service.app.state.text_doorway = TextDoorway(
        work=work,
        documents=DocumentTexts(ReadingLimits(timeout_s=settings.document_timeout_s)),
        analysts=analysts,
        pair_model=settings.pairs_model if settings.pairs_url else None,
        max_document_bytes=settings.max_document_bytes,
    )
    service.add_background("analysts", analysts.keep)
    if settings.pairs_url is not None:
        endpoint = EndpointSettings(
            base_url=settings.pairs_url, model=settings.pairs_model, key=settings.pairs_key,
            timeout_s=settings.endpoint_timeout_s, at_once=settings.endpoint_at_once,
        )  # fmt: skip
        writer = PairWriter(ModelEndpoint(endpoint))
        service.add_background("generations", Generations(work=work, storage=storage, writer=writer).run)
    service.add_routes(documents.routes)
    service.add_routes(knowledge.routes)


def _body_limits(settings: Settings) -> tuple[BodyLimit, ...]:
    places = (
        ("POST", re.escape(uploads.PREFIX) + "(/validate)?", settings.max_upload_bytes),
        ("PATCH", re.escape(uploads.PREFIX) + "/uploads/[^/]+", settings.max_upload_chunk_bytes),
        ("POST", re.escape(documents.PREFIX), settings.max_document_bytes + _FORM_BYTES),
        ("POST", re.escape(knowledge.PREFIX) + "/[^/]+/records", _RECORDS_BYTES),
        ("POST", re.escape(knowledge.PREFIX) + "/[^/]+/evaluate", _QUERIES_BYTES),
    )
    return tuple(BodyLimit(method=method, path=re.compile(path), max_bytes=size) for method, path, size in places)


def main() -> None:
    settings = Settings()
    build(CommonSettings(), settings).run(port=settings.port)


if __name__ == "__main__":
    main()
