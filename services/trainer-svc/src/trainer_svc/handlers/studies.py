"""Studies are begun, stopped, resumed, and their best trials promoted; each under the lock of the study's row."""

from collections.abc import Callable
from datetime import UTC, datetime

from loopwright.contracts.base import RunState
from loopwright.contracts.jobs import JobRequested, TrainingData
from loopwright.errors import Conflict
from loopwright.unit_of_work import Work
from trainer_svc.domain.deprecations import refusal
from trainer_svc.domain.search_space import Settings, settings_of
from trainer_svc.domain.studies import (
    Study,
    StudyEnd,
    Trial,
    TrialState,
    best_of,
    planned,
    resumed_terms,
    trial_to_promote,
)
from trainer_svc.handlers.requests import stop_job
from trainer_svc.store import deprecations, jobs, policies, studies


async def create_study(unit: Work, dataset_id: str, build: Callable[[str, TrainingData], Study]) -> Study:
    """Begins a study that a person asks for; its loop does the rest.

    Args:
        dataset_id: Dataset version, or dataset whose newest version is meant.
        build: Makes the study from the task and the splits that were found.

    Raises:
        NotFound: no such dataset was validated.
        Conflict: the version must not be learned from any more.
        Invalid: it cannot be run.
    """
    await deprecations.lock(unit.session)
    task_id, data = await policies.get_training_data(unit.session, dataset_id)
    study = planned(build(task_id, data))
    await check_may_learn(unit, study)
    await studies.add(unit.session, study, at=datetime.now(UTC))
    return study


async def lock_study(unit: Work, study_id: str) -> Study:
    """Locks a study, after the lock that new jobs need.

    Raises:
        NotFound: there is none with this id.
    """
    await deprecations.lock(unit.session)
    return await studies.get_for_change(unit.session, study_id)


async def check_may_learn(unit: Work, study: Study) -> None:
    """Refuses to begin jobs on data that must not be learned from.

    Raises:
        Conflict: it is such data.
    """
    version_id = study.training_data.version_id
    deprecation = await deprecations.find(unit.session, version_id)
    if deprecation is not None:
        raise Conflict("job.data-deprecated", refusal(version_id, deprecation), version_id=version_id)


async def stop_study(unit: Work, study_id: str) -> None:
    """Begins no more trials, and asks the jobs of running ones to stop.

    Raises:
        NotFound: there is no such study.
        Conflict: it has ended.
    """
    study = await lock_study(unit, study_id)
    if study.state is not RunState.RUNNING:
        raise Conflict("study.ended", f"the study has ended already ({study.state})", state=study.state)
    await end_study(unit, study, StudyEnd(state=RunState.STOPPED, reason="stopped on request; it can be resumed"))
    for trial in await studies.list_trials(unit.session, study_id):
        if trial.state is TrialState.RUNNING:
            await stop_trial_job(unit, trial)


async def stop_trial_job(unit: Work, trial: Trial) -> None:
    """Asks a trial's job to stop, unless it has ended."""
    outcomes = await studies.find_outcomes(unit.session, [trial.job_id] if trial.job_id else [])
    for job_id, outcome in outcomes.items():
        if outcome.state in (RunState.QUEUED, RunState.RUNNING):
            try:
                await stop_job(unit, job_id)
            except Conflict:  # it ended while we looked
                return


async def resume_study(unit: Work, study_id: str, *, max_trials: int | None) -> None:
    """Lets a study that has ended go on; failures until now count no more.

    Raises:
        NotFound: there is no such study.
        Conflict: it has not ended, has no trials left, or its data must not be learned from any more.
    """
    study = await lock_study(unit, study_id)
    trials = await studies.list_trials(unit.session, study_id)
    terms = resumed_terms(study, trials, max_trials=max_trials)
    await check_may_learn(unit, study)
    await studies.change(
        unit.session,
        study_id,
        {"state": RunState.RUNNING, "reason": None, "ended_at": None, "terms": terms, "counts_from": len(trials)},
    )


async def promote_best(unit: Work, study_id: str, *, requested_by: str) -> JobRequested:
    """Queues a job with the settings of the best trial; what it makes is released as that of any other job.

    Raises:
        NotFound: there is no such study.
        Conflict: no trial has come to its end, the best was promoted already, or its data must not be learned from.
    """
    study = await lock_study(unit, study_id)
    best = trial_to_promote(study, await studies.list_trials(unit.session, study_id))
    await check_may_learn(unit, study)
    return await _promote(unit, study, best, requested_by=requested_by)


async def _promote(unit: Work, study: Study, best: Trial, *, requested_by: str) -> JobRequested:
    request = job_of(study, best.settings, job_id=f"{study.study_id}-best-{best.number}").model_copy(
        update={
            "job_name": f"{study.name}: best trial, number {best.number}",
            "study_id": None,
            "requested_by": requested_by,
        }
    )
    await queue_job(unit, study, request)
    await studies.change(
        unit.session, study.study_id, {"promoted_trial": best.number, "promoted_job_id": request.job_id}
    )
    return request


async def end_study(unit: Work, study: Study, end: StudyEnd) -> None:
    """Writes a study's end; one that succeeded and should be promoted by itself is, if it may."""
    values = {"state": end.state, "reason": end.reason, "ended_at": datetime.now(UTC)}
    await studies.change(unit.session, study.study_id, values)
    if end.state is RunState.SUCCEEDED and study.terms.auto_promote:
        best = best_of(await studies.list_trials(unit.session, study.study_id))
        if best is not None and best.number != study.promoted_trial:
            await _promote(unit, study, best, requested_by=study.created_by)


async def queue_job(unit: Work, study: Study, request: JobRequested) -> None:
    """Queues a job of a study and says so, in the trace that asked for the study."""
    await jobs.add(unit.session, request, traceparent=study.traceparent)
    unit.announce(request, traceparent=study.traceparent)


def job_of(study: Study, settings: Settings, *, job_id: str) -> JobRequested:
    """A trial's job.

    Raises:
        Invalid: the settings do not fit together.
    """
    return JobRequested(
        job_id=job_id, job_name=f"{study.name}: trial", task_id=study.task_id, base_model=study.base_model,
        training_data=study.training_data, method=study.method, objective=study.objective,
        hyperparameters=settings_of(study.hyperparameters, settings), priority=study.terms.priority,
        device_count=study.terms.device_count, study_id=study.study_id, requested_by=study.created_by,
        requested_at=datetime.now(UTC),
    )  # fmt: skip
