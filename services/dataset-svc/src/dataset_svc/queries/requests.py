"""Requests for versions as readers see them."""

from collections.abc import Sequence
from datetime import datetime

import sqlalchemy as sa
from pydantic import Field

from dataset_svc.domain.requests import Origin, Purpose, RequestState
from dataset_svc.queries.pages import View, read_rows
from dataset_svc.store.tables import MappingDocument, RequestRow, VersionRow
from loopwright.contracts.base import Artifact
from loopwright.contracts.tasks import DataPolicy
from loopwright.errors import NotFound
from loopwright.pages import Page, Window
from loopwright.unit_of_work import Work


class RequestView(View):
    """A request and what became of it."""

    request_id: str
    task_id: str
    dataset_name: str
    origin: Origin = Field(description="how it came")
    purpose: Purpose = Field(description="a version; the samples of another version, divided anew; or a report only")
    requested_by: str = Field(description="service or subject")
    requested_at: datetime
    reason: str
    source: Artifact = Field(description="the file of raw records")
    source_name: str = Field(description="what its sender called it")
    mapping: MappingDocument | None = Field(description="which columns hold what, if somebody said so")
    sample_count: int | None = Field(description="lines that were promised; none for uploads")
    data_policy: DataPolicy
    state: RequestState
    attempts: int = Field(description="builds that were started")
    records_read: int = Field(description="records that the build has read; a figure while it lasts")
    rejected_because: tuple[str, ...] = Field(description="why there is no version; empty if there is or may be one")
    report: Artifact | None = Field(description="quality report, once the source was read; `requests/{id}/report`")
    rejects: Artifact | None = Field(description="records that are no samples, verbatim; `requests/{id}/rejects`")
    finished_at: datetime | None
    version_id: str | None = Field(default=None, description="the version that it became, if it became one")


async def list_requests(unit: Work, window: Window, *, state: RequestState | None) -> Page[RequestView]:
    statement = sa.select(RequestRow).order_by(RequestRow.requested_at.desc(), RequestRow.request_id)
    if state is not None:
        statement = statement.where(RequestRow.state == state)
    rows, total = await read_rows(unit.session, statement, window)
    items = await _with_versions(unit, rows)
    return Page(items=items, total=total, limit=window.limit, offset=window.offset)


async def read_request(unit: Work, request_id: str) -> RequestView:
    """One request.

    Raises:
        NotFound: there is none with that id.
    """
    row = await unit.session.get(RequestRow, request_id)
    if row is None:
        raise NotFound("dataset.request-not-found", "there is no such request", request_id=request_id)
    (view,) = await _with_versions(unit, [row])
    return view


async def _with_versions(unit: Work, rows: Sequence[RequestRow]) -> tuple[RequestView, ...]:
    made = sa.select(VersionRow.request_id, VersionRow.version_id)
    found = await unit.session.execute(made.where(VersionRow.request_id.in_([row.request_id for row in rows])))
    versions: dict[str, str] = {row.request_id: row.version_id for row in found}
    return tuple(
        RequestView.model_validate(row).model_copy(update={"version_id": versions.get(row.request_id)}) for row in rows
    )


async def find_report(unit: Work, request_id: str) -> Artifact:
    """The quality report of a request.

    Raises:
        NotFound: there is no such request, or its source was not read, or not yet.
    """
    request = await read_request(unit, request_id)
    if request.report is None:
        raise NotFound("dataset.no-report", "the request has no report so far", request_id=request_id)
    return request.report
