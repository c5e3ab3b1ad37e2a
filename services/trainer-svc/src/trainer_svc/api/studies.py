"""HTTP door: hyper-parameter studies are begun, watched, stopped, resumed, and their best trials promoted."""

import uuid
from typing import Annotated

from fastapi import APIRouter, Body, Response
from pydantic import BaseModel, ConfigDict, Field

from loopwright.auth import Engineer, Viewer
from loopwright.contracts.base import Identifier, RunState, Storable
from loopwright.contracts.jobs import TrainingData
from loopwright.contracts.tasks import Hyperparameters, Method, Objective
from loopwright.errors import Invalid
from loopwright.pages import Page, Part
from loopwright.problems import ADMIN_PROBLEMS
from loopwright.telemetry import current_traceparent
from trainer_svc.api.routes import Door
from trainer_svc.domain.jobs import obstacle
from trainer_svc.domain.search_space import SearchSpace
from trainer_svc.domain.studies import Study, StudyTerms
from trainer_svc.handlers.studies import create_study, job_of, promote_best, resume_study, stop_study
from trainer_svc.handlers.study_views import StudyDetail, StudyView, read_studies, read_study, read_study_with_trials

study_routes = APIRouter(prefix="/api/v1/admin/finetuning/studies", tags=["studies"], responses=ADMIN_PROBLEMS)
_JOBS = "/api/v1/admin/finetuning/jobs"


class NewStudy(BaseModel):
    """A study that a person asks for."""

    model_config = ConfigDict(extra="forbid")

    name: Storable = Field(min_length=1, max_length=150, description="for people")
    base_model: Identifier = Field(description="what every trial starts from")
    dataset_id: Identifier = Field(description="a dataset version, or a dataset, whose newest version is taken")
    method: Method = Field(default="lora", description="what is trained")
    objective: Objective = Field(default="sft", description="what for")
    hyperparameters: Hyperparameters = Field(default_factory=Hyperparameters, description="what is not searched")
    space: SearchSpace = Field(description="hyperparameters that are searched, and between which values")
    terms: StudyTerms = Field(default_factory=StudyTerms, description="how, and how long")


class StudyResumption(BaseModel):
    """How far a study may go when it is resumed."""

    model_config = ConfigDict(extra="forbid")

    max_trials: int | None = Field(default=None, ge=1, le=500, description="trials in all; None: as many as before")


class StudyPromotion(BaseModel):
    """The job that trains the best settings again."""

    job_id: str
    hyperparameters: Hyperparameters


@study_routes.post("", status_code=202)
async def post_study(principal: Engineer, door: Door, body: NewStudy, response: Response) -> StudyView:
    def build(task_id: str, data: TrainingData) -> Study:
        return Study(
            study_id=f"study-{uuid.uuid4().hex[:12]}", name=body.name, task_id=task_id, base_model=body.base_model,
            training_data=data, method=body.method, objective=body.objective, hyperparameters=body.hyperparameters,
            space=body.space, terms=body.terms, state=RunState.RUNNING, created_by=principal.subject, counts_from=0,
            promoted_trial=None, traceparent=current_traceparent(),
        )  # fmt: skip

    async with door.work() as unit:
        study = await create_study(unit, body.dataset_id, build)
        reason = obstacle(job_of(study, {}, job_id=study.study_id), door.installed)
        if reason is not None:
            raise Invalid("job.cannot-run", reason)
        view = await read_study(unit.session, study.study_id)
    response.headers["Location"] = f"{study_routes.prefix}/{study.study_id}"
    return view


@study_routes.get("")
async def get_studies(_: Viewer, door: Door, part: Part, state: RunState | None = None) -> Page[StudyView]:
    async with door.work() as unit:
        return await read_studies(unit.session, part, state=state)


@study_routes.get("/{study_id}")
async def get_study(_: Viewer, door: Door, study_id: Identifier) -> StudyDetail:
    async with door.work() as unit:
        return await read_study_with_trials(unit.session, study_id)


@study_routes.post("/{study_id}/stop", status_code=202)
async def post_study_stop(_: Engineer, door: Door, study_id: Identifier) -> StudyView:
    async with door.work() as unit:
        await stop_study(unit, study_id)
        return await read_study(unit.session, study_id)


@study_routes.post("/{study_id}/resume", status_code=202)
async def post_study_resume(
    _: Engineer,
    door: Door,
    study_id: Identifier,
    body: Annotated[StudyResumption, Body(default_factory=StudyResumption)],
) -> StudyView:
    async with door.work() as unit:
        await resume_study(unit, study_id, max_trials=body.max_trials)
        return await read_study(unit.session, study_id)


@study_routes.post("/{study_id}/promote", status_code=202)
async def post_study_promote(
    principal: Engineer, door: Door, study_id: Identifier, response: Response
) -> StudyPromotion:
    async with door.work() as unit:
        request = await promote_best(unit, study_id, requested_by=principal.subject)
    response.headers["Location"] = f"{_JOBS}/{request.job_id}"
    return StudyPromotion(job_id=request.job_id, hyperparameters=request.hyperparameters)
