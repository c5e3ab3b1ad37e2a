"""HTTP door of datasets and of the requests for their versions."""

from typing import Annotated

from fastapi import APIRouter, Query

from dataset_svc.api.doors import Door
from dataset_svc.api.paths import Address, DatasetId, RequestId
from dataset_svc.api.schemas import StatusChange
from dataset_svc.domain.report import QualityReport
from dataset_svc.domain.requests import RequestState
from dataset_svc.domain.versions.lifecycle import Status
from dataset_svc.handlers.statuses import change_dataset_status
from dataset_svc.queries.datasets import (
    DatasetDetails,
    DatasetView,
    VersionView,
    list_datasets,
    list_versions,
    read_dataset,
)
from dataset_svc.queries.refs import read_version_at
from dataset_svc.queries.reports import read_report
from dataset_svc.queries.requests import RequestView, find_report, list_requests, read_request
from loopwright.auth import Engineer, Viewer
from loopwright.pages import Page, Part
from loopwright.problems import ADMIN_PROBLEMS

routes = APIRouter(prefix="/api/v1/admin/training/datasets", tags=["datasets"], responses=ADMIN_PROBLEMS)

WithStatus = Annotated[Status | None, Query(alias="status", description="only those with this status")]
WithState = Annotated[RequestState | None, Query(alias="state", description="only those in this state")]


@routes.get("")
async def get_datasets(_: Viewer, door: Door, part: Part, status: WithStatus = None) -> Page[DatasetView]:
    async with door.work() as unit:
        return await list_datasets(unit, part, status=status)


@routes.get("/requests")
async def get_requests(_: Viewer, door: Door, part: Part, state: WithState = None) -> Page[RequestView]:
    async with door.work() as unit:
        return await list_requests(unit, part, state=state)


@routes.get("/requests/{request_id}")
async def get_request(_: Viewer, door: Door, request_id: RequestId) -> RequestView:
    async with door.work() as unit:
        return await read_request(unit, request_id)


@routes.get("/requests/{request_id}/report")
async def get_request_report(_: Viewer, door: Door, request_id: RequestId) -> QualityReport:
    """What became of every record: of a version, of a dry run, and of a request that was rejected once it was read."""
    async with door.work() as unit:
        report = await find_report(unit, request_id)
    return await read_report(report, door.storage)


@routes.get("/{dataset_id}")
async def get_dataset(_: Viewer, door: Door, dataset_id: DatasetId) -> DatasetDetails:
    async with door.work() as unit:
        return await read_dataset(unit, dataset_id)


@routes.get("/{dataset_id}/versions")
async def get_versions(
    _: Viewer, door: Door, dataset_id: DatasetId, part: Part, status: WithStatus = None
) -> Page[VersionView]:
    async with door.work() as unit:
        return await list_versions(unit, dataset_id, part, status=status)


@routes.get("/{dataset_id}/versions/{address}")
async def get_version_at(_: Viewer, door: Door, dataset_id: DatasetId, address: Address) -> VersionView:
    """A version by id, number, branch, tag or `latest`."""
    async with door.work() as unit:
        return await read_version_at(unit, dataset_id, address)


@routes.post("/{dataset_id}/deprecate")
async def post_deprecate(_: Engineer, door: Door, dataset_id: DatasetId, body: StatusChange) -> DatasetDetails:
    return await _change(door, dataset_id, wanted=Status.DEPRECATED, reason=body.reason)


@routes.post("/{dataset_id}/archive")
async def post_archive(_: Engineer, door: Door, dataset_id: DatasetId, body: StatusChange) -> DatasetDetails:
    return await _change(door, dataset_id, wanted=Status.ARCHIVED, reason=body.reason)


async def _change(door: Door, dataset_id: str, *, wanted: Status, reason: str) -> DatasetDetails:
    async with door.work() as unit:
        await change_dataset_status(unit, dataset_id, wanted=wanted, reason=reason)
        await unit.session.flush()
        return await read_dataset(unit, dataset_id)
