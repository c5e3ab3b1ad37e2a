"""Datasets and their versions as readers see them."""

from datetime import datetime

import sqlalchemy as sa
from pydantic import Field

from dataset_svc.domain.samples import SplitName
from dataset_svc.domain.versions.lifecycle import Status
from dataset_svc.queries.pages import View, read_page
from dataset_svc.store.tables import DatasetRow, VersionRow
from loopwright.contracts.base import Artifact
from loopwright.contracts.datasets import Split
from loopwright.errors import Expired, NotFound
from loopwright.pages import Page, Window
from loopwright.unit_of_work import Work


class DatasetView(View):
    """A dataset."""

    dataset_id: str
    name: str
    task_id: str
    description: str
    status: Status
    status_reason: str | None
    created_by: str
    created_at: datetime


class DatasetDetails(DatasetView):
    """A dataset with its newest version."""

    latest_version: "VersionView | None"


class VersionView(View):
    """A version; only its status ever changes."""

    version_id: str
    dataset_id: str
    number: int
    parent_version_id: str | None = Field(description="version that it grew from")
    request_id: str
    content_sha256: str = Field(description="hash over the parts' hashes")
    recipe_sha256: str | None = Field(description="hash over all that its bytes follow from; none for old versions")
    manifest: Artifact | None = Field(description="its rows in the history; none for old versions")
    origins: Artifact | None = Field(description="what was done to each sample, if it was recorded")
    statistics: Artifact | None = Field(description="figures of the samples, JSON; `versions/{id}/statistics`")
    page: Artifact | None = Field(description="report for people, HTML; `versions/{id}/report.html`")
    train: Split
    validation: Split
    held_out: Split
    report: Artifact
    quality_score_0_1: float = Field(description="share of raw lines that passed every check")
    status: Status
    status_reason: str | None
    created_at: datetime
    erased_at: datetime | None = Field(description="when its files went, for it held a person's data; none as a rule")


async def list_datasets(unit: Work, window: Window, *, status: Status | None) -> Page[DatasetView]:
    statement = sa.select(DatasetRow).order_by(DatasetRow.created_at.desc(), DatasetRow.dataset_id)
    if status is not None:
        statement = statement.where(DatasetRow.status == status)
    return await read_page(unit.session, statement, window, DatasetView)


async def read_dataset(unit: Work, dataset_id: str) -> DatasetDetails:
    """One dataset.

    Raises:
        NotFound: there is none with that id.
    """
    row = await _get_dataset(unit, dataset_id)
    latest = (
        sa.select(VersionRow).where(VersionRow.dataset_id == dataset_id).order_by(VersionRow.number.desc()).limit(1)
    )
    version = (await unit.session.execute(latest)).scalar_one_or_none()
    return DatasetDetails(
        **DatasetView.model_validate(row).model_dump(),
        latest_version=None if version is None else VersionView.model_validate(version),
    )


async def list_versions(unit: Work, dataset_id: str, window: Window, *, status: Status | None) -> Page[VersionView]:
    """A dataset's versions, newest first.

    Raises:
        NotFound: there is no such dataset.
    """
    await _get_dataset(unit, dataset_id)
    statement = sa.select(VersionRow).where(VersionRow.dataset_id == dataset_id).order_by(VersionRow.number.desc())
    if status is not None:
        statement = statement.where(VersionRow.status == status)
    return await read_page(unit.session, statement, window, VersionView)


async def read_version(unit: Work, version_id: str) -> VersionView:
    """One version.

    Raises:
        NotFound: there is none with that id.
    """
    row = await unit.session.get(VersionRow, version_id)
    if row is None:
        raise NotFound("dataset.version-not-found", "there is no such version", version_id=version_id)
    return VersionView.model_validate(row)


def check_readable(version: VersionView) -> None:
    """Refuses to read the samples of a version whose files went.

    Raises:
        Expired: they did, because it held a person's data that was erased.
    """
    if version.erased_at is not None:
        detail = "the version held a person's data that was erased, and its files are gone"
        raise Expired("dataset.version-erased", detail, version_id=version.version_id)


def splits_of(version: VersionView) -> dict[SplitName, Split]:
    """The files of a version's parts."""
    return {
        SplitName.TRAIN: version.train,
        SplitName.VALIDATION: version.validation,
        SplitName.HELD_OUT: version.held_out,
    }


async def _get_dataset(unit: Work, dataset_id: str) -> DatasetRow:
    row = await unit.session.get(DatasetRow, dataset_id)
    if row is None:
        raise NotFound("dataset.not-found", "there is no such dataset", dataset_id=dataset_id)
    return row


DatasetDetails.model_rebuild()
