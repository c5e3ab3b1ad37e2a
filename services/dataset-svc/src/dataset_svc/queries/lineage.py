"""Where a sample came from and what was done to it; which versions hold a person."""

from datetime import datetime

import sqlalchemy as sa
from pydantic import Field

from dataset_svc.adapters.version_packs import find_origin
from dataset_svc.domain.report import DroppedDuplicate
from dataset_svc.domain.requests import Origin
from dataset_svc.domain.samples import SplitName
from dataset_svc.domain.versions.lifecycle import Status
from dataset_svc.queries.datasets import VersionView, read_version
from dataset_svc.queries.pages import View
from dataset_svc.queries.reports import read_report
from dataset_svc.queries.requests import read_request
from dataset_svc.queries.samples import ProvenanceView
from dataset_svc.store.tables import DatasetRow, ErasedUnitRow, SampleRow, VersionRow
from loopwright.contracts.base import Artifact
from loopwright.errors import NotFound
from loopwright.pages import Page, Window
from loopwright.storage import Storage
from loopwright.unit_of_work import Work


class AppearanceView(View):
    """A version of the dataset that holds a sample of this id."""

    version_id: str
    number: int
    split: SplitName
    content_sha256: str = Field(description="hash of its line there")


class SourceView(View):
    """What the sample was read from."""

    request_id: str
    origin: Origin
    requested_by: str
    requested_at: datetime
    reason: str
    artifact: Artifact = Field(description="the raw source")
    line: int | None = Field(description="line of the source, counted from 1; none if it was not recorded")
    document_id: str | None = Field(description="document that it was generated from, if it was")
    chunk: int | None = Field(description="part of that document, counted from 0")


class LineageView(View):
    """Everything that is known of how a sample came to be in a version."""

    sample: ProvenanceView
    source: SourceView
    recipe_sha256: str | None = Field(description="recipe of the version")
    masked_kinds: tuple[str, ...] | None = Field(
        description="personal data that was masked in it; none if that was not recorded"
    )
    dropped_in_its_favour: tuple[DroppedDuplicate, ...] = Field(description="samples that went because this one stays")
    appearances: tuple[AppearanceView, ...] = Field(description="versions that hold it, oldest first")


class LineageFacts(View):
    """What the database knows of a sample's lineage; storage knows the rest."""

    version: VersionView
    sample: ProvenanceView
    source: SourceView
    appearances: tuple[AppearanceView, ...]


class HoldingView(View):
    """A version that holds samples of a person."""

    dataset_id: str
    dataset_name: str
    task_id: str
    version_id: str
    number: int
    status: Status
    status_reason: str | None
    samples: int = Field(description="samples of that person")
    training_samples: int = Field(description="of these, in the part that models learn from")


class ErasureView(View):
    """What is known of a person whose data must go, or may have to."""

    unit_hash: str
    erasure_id: str | None = Field(description="none if nobody has asked for it")
    erased_at: datetime | None
    versions: Page[HoldingView] = Field(description="versions that hold the person, by dataset and number")


async def read_lineage_facts(unit: Work, version_id: str, sample_id: str) -> LineageFacts:
    """What the database knows.

    Raises:
        NotFound: there is no such version, or no such sample in it.
    """
    version = await read_version(unit, version_id)
    row = await unit.session.get(SampleRow, (version_id, sample_id))
    if row is None:
        raise NotFound("dataset.sample-not-found", "the version has no such sample", sample_id=sample_id)
    request = await read_request(unit, version.request_id)
    statement = (
        sa.select(VersionRow.version_id, VersionRow.number, SampleRow.split, SampleRow.content_sha256)
        .join(SampleRow, SampleRow.version_id == VersionRow.version_id)
        .where(VersionRow.dataset_id == version.dataset_id, SampleRow.sample_id == sample_id)
        .order_by(VersionRow.number)
    )
    appearances = (await unit.session.execute(statement)).all()
    source = SourceView(
        **request.model_dump(include={"request_id", "origin", "requested_by", "requested_at", "reason"}),
        artifact=request.source,
        line=None,
        document_id=None,
        chunk=None,
    )
    return LineageFacts(
        version=version,
        sample=ProvenanceView.model_validate(row),
        source=source,
        appearances=tuple(AppearanceView.model_validate(one) for one in appearances),
    )


async def complete_lineage(facts: LineageFacts, storage: Storage) -> LineageView:
    """Adds what storage knows; call it after the transaction. Of an erased version it knows less."""
    version, sample_id = facts.version, facts.sample.sample_id
    origins = version.origins if version.erased_at is None else None
    report = await read_report(version.report, storage)
    origin = None if origins is None else await find_origin(storage, origins, sample_id)
    source = facts.source
    if origin is not None:
        said = {"line": origin.source_line, "document_id": origin.document_id, "chunk": origin.chunk}
        source = source.model_copy(update=said)
    return LineageView(
        sample=facts.sample,
        source=source,
        recipe_sha256=version.recipe_sha256,
        masked_kinds=None if origin is None else origin.masked_kinds,
        dropped_in_its_favour=tuple(one for one in report.duplicates if one.kept == sample_id),
        appearances=facts.appearances,
    )


async def read_erasure(unit: Work, unit_hash: str, window: Window) -> ErasureView:
    """Every version that holds a person, whether erasure was asked for or not."""
    erased = await unit.session.get(ErasedUnitRow, unit_hash)
    in_training = sa.case((SampleRow.split == SplitName.TRAIN, 1), else_=0)
    held = (
        sa.select(
            SampleRow.version_id, sa.func.count().label("samples"), sa.func.sum(in_training).label("training_samples")
        )
        .where(SampleRow.unit_hash == unit_hash)
        .group_by(SampleRow.version_id)
        .subquery()
    )
    statement = (
        sa.select(
            VersionRow.dataset_id, DatasetRow.name.label("dataset_name"), DatasetRow.task_id, VersionRow.version_id,
            VersionRow.number, VersionRow.status, VersionRow.status_reason, held.c.samples, held.c.training_samples,
        )
        .join(held, held.c.version_id == VersionRow.version_id)
        .join(DatasetRow, DatasetRow.dataset_id == VersionRow.dataset_id)
        .order_by(DatasetRow.name, VersionRow.number)
    )  # fmt: skip
    total = (await unit.session.execute(sa.select(sa.func.count()).select_from(held))).scalar_one()
    rows = (await unit.session.execute(statement.limit(window.limit).offset(window.offset))).all()
    items = tuple(HoldingView.model_validate(row) for row in rows)
    return ErasureView(
        unit_hash=unit_hash,
        erasure_id=None if erased is None else erased.erasure_id,
        erased_at=None if erased is None else erased.erased_at,
        versions=Page[HoldingView](items=items, total=total, limit=window.limit, offset=window.offset),
    )
