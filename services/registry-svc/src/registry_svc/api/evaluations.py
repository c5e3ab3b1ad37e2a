"""HTTP door of evaluations: asking for one, and looking at what was measured and answered."""

from http import HTTPStatus
from typing import Annotated

from fastapi import APIRouter, Path, Query

from loopwright.auth import Engineer, Viewer
from loopwright.contracts.base import Identifier
from loopwright.pages import Page, Part
from loopwright.problems import ADMIN_PROBLEMS
from registry_svc.api.doors import Door, InPath
from registry_svc.api.schemas import EvaluationRequest
from registry_svc.domain.evaluations import EvaluationFilter, EvaluationKind, EvaluationState, Outcome
from registry_svc.domain.models import VariantId
from registry_svc.domain.scoring import Part as PartOfEvaluation
from registry_svc.handlers.requests import Request, request_evaluation
from registry_svc.queries.evaluations import (
    CasePairView,
    EvaluationView,
    MeasuredEvaluationView,
    list_cases,
    list_evaluations,
    list_evaluations_of,
    read_evaluation,
)

routes = APIRouter(prefix="/api/v1/admin", tags=["evaluations"], responses=ADMIN_PROBLEMS)

Version = Annotated[int, Path(ge=1, le=2**31 - 1)]  # PostgreSQL's integer


@routes.get("/models/{name}/versions/{version}/evaluations")
async def get_evaluations_of_version(
    _: Viewer,
    door: Door,
    name: InPath,
    version: Version,
    part: Part,
    answers: Annotated[bool, Query(description="whether every answer to every case comes along")] = True,  # noqa: FBT002 - a query parameter
) -> Page[EvaluationView]:
    async with door.work() as unit:
        return await list_evaluations_of(unit, VariantId(name, version), part, with_answers=answers)


@routes.post("/models/{name}/versions/{version}/evaluate", status_code=HTTPStatus.ACCEPTED)
async def post_evaluation(
    principal: Engineer, door: Door, name: InPath, version: Version, body: EvaluationRequest
) -> MeasuredEvaluationView:
    """Begins to measure a version that is served, alone or against another one, and says under which id."""
    request = Request(
        candidate=VariantId(name, version),
        task_id=body.task_id,
        against=None if body.against is None else VariantId.parse(body.against),
        suite_id=body.suite_id,
        extras=frozenset(body.extras),
        by=principal.subject,
    )
    async with door.work() as unit:
        evaluation_id = await request_evaluation(request, unit)
        return await read_evaluation(unit, evaluation_id)


@routes.get("/evaluations")
async def get_evaluations(
    _: Viewer,
    door: Door,
    part: Part,
    task_id: Annotated[Identifier | None, Query(description="only of this task")] = None,
    kind: Annotated[EvaluationKind | None, Query(description="only of this kind")] = None,
    state: Annotated[EvaluationState | None, Query(description="only in this state")] = None,
    suite_id: Annotated[Identifier | None, Query(description="only on this suite")] = None,
) -> Page[EvaluationView]:
    wanted = EvaluationFilter(task_id=task_id, kind=kind, state=state, suite_id=suite_id)
    async with door.work() as unit:
        return await list_evaluations(unit, wanted, part)


@routes.get("/evaluations/{evaluation_id}")
async def get_evaluation(_: Viewer, door: Door, evaluation_id: InPath) -> MeasuredEvaluationView:
    async with door.work() as unit:
        return await read_evaluation(unit, evaluation_id)


@routes.get("/evaluations/{evaluation_id}/cases")
async def get_cases(
    _: Viewer,
    door: Door,
    evaluation_id: InPath,
    part: Part,
    outcome: Annotated[
        Outcome | None, Query(description="only cases that the candidate got so; gained and lost: unlike the champion")
    ] = None,
    of: Annotated[PartOfEvaluation, Query(description="the cases, the safety probes or the general questions")] = (
        PartOfEvaluation.CASES
    ),
) -> Page[CasePairView]:
    """Every case with the answers of candidate and champion beside each other."""
    async with door.work() as unit:
        return await list_cases(unit, evaluation_id, part, part=of, outcome=outcome)
