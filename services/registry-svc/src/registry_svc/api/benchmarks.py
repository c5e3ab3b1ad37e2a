"""HTTP door of public benchmarks."""

import asyncio
from http import HTTPStatus
from typing import Annotated

from fastapi import APIRouter, Path

from loopwright.auth import Engineer, Viewer
from loopwright.pages import Page, Part
from loopwright.problems import ADMIN_PROBLEMS
from registry_svc.api.doors import Door, InPath
from registry_svc.api.schemas import BenchmarkRequest
from registry_svc.domain.models import VariantId
from registry_svc.handlers.benchmarks import BenchmarkWish, request_benchmarks
from registry_svc.queries.benchmarks import (
    BenchmarkRunView,
    BenchmarkView,
    list_benchmark_runs,
    read_benchmark_run,
)

routes = APIRouter(prefix="/api/v1/admin", tags=["benchmarks"], responses=ADMIN_PROBLEMS)

Version = Annotated[int, Path(ge=1, le=2**31 - 1)]  # PostgreSQL's integer


@routes.get("/benchmarks")
async def get_benchmarks(_: Viewer, door: Door, part: Part) -> Page[BenchmarkView]:
    """What can be run, and why not."""
    found = await asyncio.to_thread(door.harness.catalogue)
    items = tuple(BenchmarkView.model_validate(one) for one in found[part.offset : part.offset + part.limit])
    return Page(items=items, total=len(found), limit=part.limit, offset=part.offset)


@routes.get("/benchmarks/runs/{run_id}")
async def get_run(_: Viewer, door: Door, run_id: InPath) -> BenchmarkRunView:
    async with door.work() as unit:
        return await read_benchmark_run(unit, run_id)


@routes.get("/models/{name}/versions/{version}/benchmarks")
async def get_runs(_: Viewer, door: Door, name: InPath, version: Version, part: Part) -> Page[BenchmarkRunView]:
    async with door.work() as unit:
        return await list_benchmark_runs(unit, VariantId(name, version), part)


@routes.post("/models/{name}/versions/{version}/benchmarks", status_code=HTTPStatus.ACCEPTED)
async def post_run(
    principal: Engineer, door: Door, name: InPath, version: Version, body: BenchmarkRequest
) -> BenchmarkRunView:
    """Begins to measure a version in public benchmarks, in the background."""
    wish = BenchmarkWish(
        variant=VariantId(name, version),
        benchmarks=tuple(dict.fromkeys(body.benchmarks)),
        most_cases=body.most_cases,
        shots=body.shots,
        by=principal.subject,
    )
    catalogue = await asyncio.to_thread(door.harness.catalogue)
    async with door.work() as unit:
        run_id = await request_benchmarks(wish, unit, catalogue=catalogue)
        return await read_benchmark_run(unit, run_id)
