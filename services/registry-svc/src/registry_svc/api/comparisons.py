"""HTTP door of comparisons."""

from typing import Annotated

from fastapi import APIRouter, Query

from loopwright.auth import Viewer
from loopwright.contracts.base import Identifier, Sha256
from loopwright.pages import Page, Part
from loopwright.problems import ADMIN_PROBLEMS
from registry_svc.api.doors import Door
from registry_svc.domain.comparing import MOST_VARIANTS, Change, read_variants
from registry_svc.queries.comparisons import ComparedCaseView, ComparisonView, compare_cases, compare_versions

routes = APIRouter(prefix="/api/v1/admin/models/compare", tags=["models"], responses=ADMIN_PROBLEMS)

Variants = Annotated[
    list[Identifier],
    Query(
        alias="variant", min_length=2, max_length=MOST_VARIANTS,
        description="`<model>:<version>`, several times; the first is what the others are compared with",
    ),
]  # fmt: skip
Cases = Annotated[
    Sha256 | None, Query(alias="cases", description="hash of the cases to compare on; none: those answered last")
]


@routes.get("")
async def get_comparison(_: Viewer, door: Door, variants: Variants, cases: Cases = None) -> ComparisonView:
    """Parameters, data and figures of two or more versions."""
    async with door.work() as unit:
        return await compare_versions(unit, read_variants(variants), sha256=cases)


@routes.get("/cases")
async def get_compared_cases(
    _: Viewer,
    door: Door,
    variants: Variants,
    part: Part,
    cases: Cases = None,
    change: Annotated[Change | None, Query(description="only cases that went so; none: all")] = None,
) -> Page[ComparedCaseView]:
    """Answers of two or more versions to the same cases, next to each other."""
    async with door.work() as unit:
        return await compare_cases(unit, read_variants(variants), part, sha256=cases, change=change)
