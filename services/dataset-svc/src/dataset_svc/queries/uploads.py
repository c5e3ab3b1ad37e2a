"""Uploads in pieces, and the bad records of a request, as readers see them."""

from datetime import datetime

import sqlalchemy as sa
from pydantic import Field

from dataset_svc.domain.sources.uploads import UploadState
from dataset_svc.queries.datasets import VersionView, check_readable
from dataset_svc.queries.pages import View
from dataset_svc.store.tables import RequestRow, UploadRow, VersionRow
from loopwright.contracts.base import Artifact
from loopwright.errors import NotFound
from loopwright.unit_of_work import Work


class UploadView(View):
    """An upload in pieces, and how far it is."""

    upload_id: str
    filename: str = Field(description="what the file is called where it comes from")
    size_bytes: int = Field(description="of the whole file")
    sha256: str = Field(description="hash that the whole file must have")
    task_id: str
    dataset_name: str
    state: UploadState
    received_bytes: int = Field(description="the next piece begins here")
    created_by: str
    created_at: datetime
    touched_at: datetime = Field(description="when the last piece came")
    request_id: str | None = Field(description="request that it became, once it is complete")


async def read_upload(unit: Work, upload_id: str) -> UploadView:
    """One upload.

    Raises:
        NotFound: there is none with that id.
    """
    row = await unit.session.get(UploadRow, upload_id)
    if row is None:
        raise NotFound("upload.not-found", "there is no such upload", upload_id=upload_id)
    return UploadView.model_validate(row)


async def find_rejects(unit: Work, request_id: str) -> Artifact:
    """The bad records of a request, as JSON Lines.

    Raises:
        NotFound: there is no such request, or it has no bad records, or was not read yet.
        Expired: they went with the version, for somebody's data was erased.
    """
    row = await unit.session.get(RequestRow, request_id)
    if row is None:
        raise NotFound("dataset.request-not-found", "there is no such request", request_id=request_id)
    if row.rejects is None:
        raise NotFound("dataset.no-rejects", "the request has no bad records so far", request_id=request_id)
    version = sa.select(VersionRow).where(VersionRow.request_id == request_id)
    made = (await unit.session.execute(version)).scalar_one_or_none()
    if made is not None:
        check_readable(VersionView.model_validate(made))
    return row.rejects
