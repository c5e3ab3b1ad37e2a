"""Experiments over HTTP: viewers read, engineers create, start, ramp and stop, admins name a winner."""

from datetime import UTC, datetime
from http import HTTPStatus
from typing import Annotated

from fastapi import APIRouter, Query

from feedback_svc.api.door import IdFilter, InPath, Opener
from feedback_svc.api.experiment_bodies import LargerShare, NamedWinner, NewExperiment
from feedback_svc.domain.experiments import ExperimentState
from feedback_svc.domain.reports import Report
from feedback_svc.handlers.people import (
    Request,
    conclude_experiment,
    create_experiment,
    ramp_experiment,
    start_experiment,
    stop_experiment,
)
from feedback_svc.queries.experiments import (
    ExperimentDetail,
    ExperimentView,
    list_experiments,
    show_experiment,
    show_results,
)
from feedback_svc.queries.power import PowerAnswer, PowerQuestion, plan_power
from loopwright.auth import Admin, Engineer, Viewer
from loopwright.pages import Page, Part
from loopwright.problems import ADMIN_PROBLEMS

routes = APIRouter(prefix="/api/v1/admin/ab-tests", tags=["experiments"], responses=ADMIN_PROBLEMS)
Seen = Annotated[
    int | None,
    Query(ge=0, le=2**31 - 1, description="revision that the caller saw; a conflict if it is another by now"),
]


@routes.get("")
async def list_them(
    _: Viewer, opener: Opener, window: Part, task_id: IdFilter = None,
    state: Annotated[ExperimentState | None, Query()] = None,
) -> Page[ExperimentView]:  # fmt: skip
    async with opener() as work:
        return await list_experiments(work.session, window, task_id=task_id, state=state)


@routes.get("/{experiment_id}")
async def show(_: Viewer, opener: Opener, experiment_id: InPath) -> ExperimentDetail:
    async with opener() as work:
        return await show_experiment(work.session, experiment_id)


@routes.get("/{experiment_id}/results")
async def results(_: Viewer, opener: Opener, experiment_id: InPath) -> Report:
    async with opener() as work:
        return await show_results(work.session, experiment_id)


@routes.post("", status_code=HTTPStatus.CREATED)
async def create(principal: Engineer, opener: Opener, body: NewExperiment) -> ExperimentDetail:
    async with opener() as work:
        experiment_id = await create_experiment(body.wish(by=principal.subject), work, now=datetime.now(UTC))
        return await show_experiment(work.session, experiment_id)


@routes.post("/power")
async def power(_: Viewer, opener: Opener, body: PowerQuestion) -> PowerAnswer:
    async with opener() as work:
        return await plan_power(work.session, body, now=datetime.now(UTC))


@routes.post("/{experiment_id}/start")
async def start(principal: Engineer, opener: Opener, experiment_id: InPath, revision: Seen = None) -> ExperimentDetail:
    request = Request(experiment_id=experiment_id, by=principal.subject, at=datetime.now(UTC), revision=revision)
    async with opener() as work:
        await start_experiment(request, work)
        return await show_experiment(work.session, experiment_id)


@routes.post("/{experiment_id}/ramp")
async def ramp(
    principal: Engineer, opener: Opener, experiment_id: InPath, body: LargerShare, revision: Seen = None
) -> ExperimentDetail:
    request = Request(experiment_id=experiment_id, by=principal.subject, at=datetime.now(UTC), revision=revision)
    async with opener() as work:
        await ramp_experiment(request, work, share_0_1=body.candidate_share_0_1)
        return await show_experiment(work.session, experiment_id)


@routes.post("/{experiment_id}/stop")
async def stop(principal: Engineer, opener: Opener, experiment_id: InPath, revision: Seen = None) -> ExperimentDetail:
    request = Request(experiment_id=experiment_id, by=principal.subject, at=datetime.now(UTC), revision=revision)
    async with opener() as work:
        await stop_experiment(request, work)
        return await show_experiment(work.session, experiment_id)


@routes.post("/{experiment_id}/conclude")
async def conclude(
    principal: Admin, opener: Opener, experiment_id: InPath, body: NamedWinner, revision: Seen = None
) -> ExperimentDetail:
    request = Request(experiment_id=experiment_id, by=principal.subject, at=datetime.now(UTC), revision=revision)
    async with opener() as work:
        await conclude_experiment(request, work, winner_variant_id=body.winner_variant_id)
        return await show_experiment(work.session, experiment_id)
