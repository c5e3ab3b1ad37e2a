"""Experiments over HTTP: viewers read, engineers create and stop, admins name a winner."""

from datetime import UTC, datetime
from http import HTTPStatus
from typing import Annotated

from fastapi import APIRouter, Query
from pydantic import BaseModel, ConfigDict, Field

from feedback_svc.api.door import IdFilter, InPath, Opener
from feedback_svc.domain.experiments import ExperimentState
from feedback_svc.handlers.people import CreateExperiment, conclude_experiment, create_experiment, stop_experiment
from feedback_svc.queries.experiments import ExperimentDetail, ExperimentView, list_experiments, show_experiment
from loopwright.auth import Admin, Engineer, Viewer
from loopwright.contracts.base import Identifier, Share
from loopwright.pages import Page, Part
from loopwright.problems import ADMIN_PROBLEMS

routes = APIRouter(prefix="/api/v1/admin/ab-tests", tags=["experiments"], responses=ADMIN_PROBLEMS)


class NewExperiment(BaseModel):
    """A candidate to try against the variant in charge."""

    model_config = ConfigDict(extra="forbid")

    experiment_name: str = Field(min_length=1, max_length=200, pattern=r"^[^\x00-\x1f\x7f]+$", description="for people")
    task_id: Identifier = Field(description="task whose traffic is split")
    candidate_variant_id: Identifier = Field(description="variant to try; it is deployed as a candidate")
    candidate_share_0_1: Share | None = Field(
        default=None, description="share of units that get it; none for the share of the task's rollout policy"
    )


class NamedWinner(BaseModel):
    """A person's conclusion."""

    model_config = ConfigDict(extra="forbid")

    winner_variant_id: Identifier = Field(description="the candidate, to promote it, or the champion, to keep it")


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


@routes.post("", status_code=HTTPStatus.CREATED)
async def create(principal: Engineer, opener: Opener, body: NewExperiment) -> ExperimentDetail:
    wish = CreateExperiment(
        name=body.experiment_name,
        task_id=body.task_id,
        candidate_variant_id=body.candidate_variant_id,
        candidate_share_0_1=body.candidate_share_0_1,
        by=principal.subject,
    )
    async with opener() as work:
        experiment_id = await create_experiment(wish, work, now=datetime.now(UTC))
        return await show_experiment(work.session, experiment_id)


@routes.post("/{experiment_id}/stop")
async def stop(principal: Engineer, opener: Opener, experiment_id: InPath) -> ExperimentDetail:
    async with opener() as work:
        await stop_experiment(experiment_id, work, by=principal.subject, now=datetime.now(UTC))
        return await show_experiment(work.session, experiment_id)


@routes.post("/{experiment_id}/conclude")
async def conclude(principal: Admin, opener: Opener, experiment_id: InPath, body: NamedWinner) -> ExperimentDetail:
    async with opener() as work:
        await conclude_experiment(
            experiment_id, work, winner_variant_id=body.winner_variant_id, by=principal.subject, now=datetime.now(UTC)
        )
        return await show_experiment(work.session, experiment_id)
