"""Studies and their trials; what their jobs have come to is read from the jobs' own rows."""

from collections.abc import Mapping, Sequence
from dataclasses import fields, replace
from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import distinct_on
from sqlalchemy.ext.asyncio import AsyncSession

from loopwright.contracts.base import RunState
from loopwright.errors import NotFound
from trainer_svc.domain.search_space import Settings
from trainer_svc.domain.studies import JobOutcome, Study, Trial, TrialEnd, TrialState
from trainer_svc.store.study_tables import studies, trials
from trainer_svc.store.tables import jobs, metrics

_OF_STUDY = tuple(field.name for field in fields(Study))


async def add(session: AsyncSession, study: Study, *, at: datetime) -> None:
    await session.execute(sa.insert(studies).values(**vars(study), created_at=at))


async def list_due(session: AsyncSession) -> Sequence[str]:
    """Ids of studies that go on, and of those with trials whose end was not seen yet; the oldest first."""
    goes_on = sa.exists().where(trials.c.study_id == studies.c.study_id, trials.c.state == TrialState.RUNNING)
    statement = sa.select(studies.c.study_id).where(sa.or_(studies.c.state == RunState.RUNNING, goes_on))
    return [str(found) for found in (await session.execute(statement.order_by(studies.c.created_at))).scalars()]


async def get_for_change(session: AsyncSession, study_id: str) -> Study:
    """Locks a study: whoever begins, ends or counts its trials holds it.

    Raises:
        NotFound: there is none with this id.
    """
    statement = sa.select(studies).where(studies.c.study_id == study_id).with_for_update()
    row = (await session.execute(statement)).mappings().one_or_none()
    if row is None:
        raise NotFound("study.not-found", f"there is no study {study_id}", study_id=study_id)
    return study_of(row)


def study_of(row: sa.RowMapping) -> Study:
    values = {name: row[name] for name in _OF_STUDY}
    return replace(Study(**values), state=RunState(row["state"]))


async def change(session: AsyncSession, study_id: str, values: Mapping[str, object]) -> None:
    await session.execute(sa.update(studies).where(studies.c.study_id == study_id).values(**values))


async def list_trials(session: AsyncSession, study_id: str) -> tuple[Trial, ...]:
    """All trials of a study in order; what a running one's job has said until now is among their evaluations."""
    joined = trials.outerjoin(jobs, jobs.c.job_id == trials.c.job_id)
    at_its_end = sa.and_(jobs.c.total_steps > 0, jobs.c.step >= jobs.c.total_steps).label("at_its_end")
    statement = sa.select(trials, at_its_end).select_from(joined).where(trials.c.study_id == study_id)
    rows = (await session.execute(statement.order_by(trials.c.number))).all()
    running = [row.job_id for row in rows if row.state == TrialState.RUNNING and row.job_id is not None]
    said = await _evaluations(session, running)
    return tuple(
        Trial(
            number=row.number, settings=row.settings, state=TrialState(row.state), job_id=row.job_id, value=row.value,
            evaluations=said.get(row.job_id) or tuple(row.evaluations), judged=row.judged,
            pruned_after=row.pruned_after, is_ending=bool(row.at_its_end), reason=row.reason,
            started_at=row.started_at, ended_at=row.ended_at,
        )
        for row in rows
    )  # fmt: skip


async def _evaluations(session: AsyncSession, job_ids: Sequence[str]) -> dict[str, tuple[float, ...]]:
    """Finite validation losses by job, in order of steps; of a step that an attempt repeated, the newest."""
    if not job_ids:
        return {}
    loss = metrics.c.validation_loss
    statement = (
        sa.select(metrics.c.job_id, loss)
        .ext(distinct_on(metrics.c.job_id, metrics.c.step))
        .where(metrics.c.job_id.in_(job_ids), loss.is_not(None), loss < sa.literal(float("inf"), sa.Float))
        .order_by(metrics.c.job_id, metrics.c.step, metrics.c.attempt.desc(), metrics.c.id.desc())
    )
    found: dict[str, tuple[float, ...]] = {}
    for job_id, value in (await session.execute(statement)).all():
        found[job_id] = (*found.get(job_id, ()), value)
    return found


async def find_outcomes(session: AsyncSession, job_ids: Sequence[str]) -> dict[str, JobOutcome]:
    """How jobs stand; one that is gone is missing."""
    statement = sa.select(jobs.c.job_id, jobs.c.state, jobs.c.validation_loss, jobs.c.reason)
    rows = (await session.execute(statement.where(jobs.c.job_id.in_(job_ids)))).all()
    return {
        row.job_id: JobOutcome(state=RunState(row.state), validation_loss=row.validation_loss, reason=row.reason)
        for row in rows
    }


async def add_trial(
    session: AsyncSession, study_id: str, number: int, *, settings: Settings, job_id: str | None, at: datetime
) -> None:
    """Begins a trial; the caller holds the study, and has counted its trials."""
    values = {"settings": dict(settings), "job_id": job_id, "state": TrialState.RUNNING, "started_at": at}
    await session.execute(sa.insert(trials).values(study_id=study_id, number=number, **values))


async def end_trial(session: AsyncSession, study_id: str, trial: Trial, end: TrialEnd, *, at: datetime) -> None:
    """Writes what became of a trial, and all that its search will ever need to know of it."""
    values = {
        "state": end.state, "value": end.value, "reason": end.reason, "ended_at": at,
        "evaluations": list(trial.evaluations[: trial.pruned_after]),
    }  # fmt: skip
    await _change_trial(session, study_id, trial.number, values)


async def keep_verdict(session: AsyncSession, study_id: str, trial: Trial, *, pruned_after: int | None) -> None:
    """Remembers that the pruner has seen the evaluations of a trial, and what it said."""
    values = {"judged": trial.judged, "pruned_after": pruned_after, "evaluations": list(trial.evaluations)}
    await _change_trial(session, study_id, trial.number, values)


async def _change_trial(session: AsyncSession, study_id: str, number: int, values: Mapping[str, object]) -> None:
    of_trial = sa.and_(trials.c.study_id == study_id, trials.c.number == number)
    await session.execute(sa.update(trials).where(of_trial).values(**values))
