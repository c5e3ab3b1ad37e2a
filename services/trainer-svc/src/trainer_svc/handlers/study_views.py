"""What readers of the API see of studies."""

from datetime import datetime

import anyio.to_thread
import sqlalchemy as sa
from pydantic import BaseModel, ConfigDict, Field
from sqlalchemy.ext.asyncio import AsyncSession

from loopwright.contracts.base import RunState
from loopwright.contracts.jobs import TrainingData
from loopwright.contracts.tasks import Hyperparameters
from loopwright.errors import NotFound
from loopwright.pages import Page, Window, read_page
from trainer_svc.adapters.optuna_search import importance
from trainer_svc.domain.search_space import SearchSpace, Setting
from trainer_svc.domain.studies import StudyTerms, TrialState, best_of
from trainer_svc.store.studies import list_trials, study_of
from trainer_svc.store.study_tables import studies


class View(BaseModel):
    """A row as readers see it."""

    model_config = ConfigDict(frozen=True, extra="ignore", from_attributes=True)


class StudyView(View):
    """A study, and where it stands."""

    study_id: str
    name: str
    task_id: str
    base_model: str
    training_data: TrainingData
    method: str
    objective: str
    hyperparameters: Hyperparameters = Field(description="settings of every trial, but for those that are searched")
    space: SearchSpace = Field(description="what is searched")
    terms: StudyTerms = Field(description="how it is searched")
    state: RunState
    reason: str | None = Field(description="why it ended so")
    promoted_trial: int | None = Field(description="trial whose settings were trained again for release")
    promoted_job_id: str | None = Field(description="the job that did so")
    created_by: str
    created_at: datetime
    ended_at: datetime | None


class TrialView(View):
    """A trial, and what it came to."""

    number: int = Field(description="counts from 0")
    settings: dict[str, Setting] = Field(description="what was chosen for it")
    state: TrialState
    reason: str | None
    value: float | None = Field(description="validation loss: the best of a trial that was pruned")
    evaluations: tuple[float, ...] = Field(description="validation losses in order, until it was pruned")
    job_id: str | None = Field(description="its job; none if its settings could not be trained with")
    started_at: datetime
    ended_at: datetime | None


class StudyDetail(StudyView):
    """A study with its trials."""

    trials: tuple[TrialView, ...]
    best: TrialView | None = Field(description="trial with the lowest value of those that came to their end")
    importance_0_1: dict[str, float] = Field(
        description="share of each setting in what made trials differ; empty while too few have ended"
    )


async def read_studies(session: AsyncSession, window: Window, *, state: RunState | None) -> Page[StudyView]:
    """Studies, newest first."""
    statement = sa.select(studies).order_by(studies.c.created_at.desc(), studies.c.study_id)
    if state is not None:
        statement = statement.where(studies.c.state == state)
    return await read_page(session, statement, window, StudyView.model_validate)


async def read_study(session: AsyncSession, study_id: str) -> StudyView:
    """One study without its trials.

    Raises:
        NotFound: there is none with this id.
    """
    return StudyView.model_validate(await _row(session, study_id))


async def read_study_with_trials(session: AsyncSession, study_id: str) -> StudyDetail:
    """One study with its trials.

    Raises:
        NotFound: there is none with this id.
    """
    row = await _row(session, study_id)
    trials = await list_trials(session, study_id)
    shares = await anyio.to_thread.run_sync(importance, study_of(row), trials)
    return StudyDetail.model_validate({**row, "trials": trials, "best": best_of(trials), "importance_0_1": shares})


async def _row(session: AsyncSession, study_id: str) -> sa.RowMapping:
    row = (await session.execute(sa.select(studies).where(studies.c.study_id == study_id))).mappings().one_or_none()
    if row is None:
        raise NotFound("study.not-found", f"there is no study {study_id}", study_id=study_id)
    return row
