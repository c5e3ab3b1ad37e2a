"""One step of a study: ends of trials are seen, verdicts kept, the next trial begun. Each repeats harmlessly."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from loopwright.contracts.base import RunState
from loopwright.errors import Conflict, Invalid
from loopwright.unit_of_work import Work
from trainer_svc.domain.search_space import Settings
from trainer_svc.domain.studies import (
    JobOutcome,
    Pruner,
    Study,
    StudyEnd,
    Trial,
    TrialEnd,
    TrialState,
    end_of_study,
    end_of_trial,
    room_for_trials,
)
from trainer_svc.handlers.studies import check_may_learn, end_study, job_of, lock_study, queue_job, stop_trial_job
from trainer_svc.store import studies

_GONE = JobOutcome(state=None, validation_loss=None, reason=None)


@dataclass(frozen=True, kw_only=True)
class Standing:
    """Where a study stands.

    Attributes:
        moved: Something changed just now.
    """

    study: Study
    trials: tuple[Trial, ...]
    moved: bool

    @property
    def has_room(self) -> bool:
        return room_for_trials(self.study, self.trials) > 0

    @property
    def has_unjudged(self) -> bool:
        """Whether a running trial was evaluated since the pruner looked; nobody is pruned once the study has ended."""
        prunes = self.study.state is RunState.RUNNING and self.study.terms.pruner is not Pruner.NONE
        return prunes and any(
            trial.state is TrialState.RUNNING and trial.pruned_after is None and len(trial.evaluations) > trial.judged
            for trial in self.trials
        )


async def take_stock(unit: Work, study_id: str) -> Standing:
    """Sees which trials have ended, and ends a study that has done its work or may do it no longer."""
    study = await lock_study(unit, study_id)
    before = await studies.list_trials(unit.session, study_id)
    running = [trial for trial in before if trial.state is TrialState.RUNNING]
    outcomes = await studies.find_outcomes(unit.session, [trial.job_id for trial in running if trial.job_id])
    now, moved = datetime.now(UTC), False
    for trial in running:
        outcome = outcomes.get(trial.job_id or "", _GONE)
        end = end_of_trial(outcome, trial.evaluations, pruned_after=trial.pruned_after)
        if end is not None:
            await studies.end_trial(unit.session, study_id, trial, end, at=now)
            moved = True
    trials = await studies.list_trials(unit.session, study_id) if moved else before
    end = await _end(unit, study, trials)
    if end is not None:
        await end_study(unit, study, end)
        study = replace(study, state=end.state)
    return Standing(study=study, trials=trials, moved=moved or end is not None)


async def _end(unit: Work, study: Study, trials: tuple[Trial, ...]) -> StudyEnd | None:
    if study.state is not RunState.RUNNING:
        return None
    try:
        await check_may_learn(unit, study)
    except Conflict as refused:
        return StudyEnd(state=RunState.STOPPED, reason=refused.detail)
    return end_of_study(study, trials)


async def begin_trial(unit: Work, standing: Standing, settings: Settings) -> bool:
    """Begins the next trial with its job, in one transaction.

    Returns:
        False, and nothing changed, if the study has moved on since the settings were chosen for it.
    """
    study_id, number = standing.study.study_id, len(standing.trials)
    study = await lock_study(unit, study_id)
    trials = await studies.list_trials(unit.session, study_id)
    if len(trials) != number or room_for_trials(study, trials) == 0 or await _end(unit, study, trials) is not None:
        return False
    now = datetime.now(UTC)
    try:
        request = job_of(study, settings, job_id=f"{study_id}-{number}")
    except Invalid as refused:  # bounds that another release has narrowed
        await studies.add_trial(unit.session, study_id, number, settings=settings, job_id=None, at=now)
        failed = Trial(number=number, settings=settings, state=TrialState.RUNNING, job_id=None)
        end = TrialEnd(state=TrialState.FAILED, reason=refused.detail)
        await studies.end_trial(unit.session, study_id, failed, end, at=now)
        return True
    request = request.model_copy(update={"job_name": f"{study.name}: trial {number}"})
    await studies.add_trial(unit.session, study_id, number, settings=settings, job_id=request.job_id, at=now)
    await queue_job(unit, study, request)
    return True


async def keep_verdicts(unit: Work, standing: Standing, stops: Mapping[int, int]) -> None:
    """Remembers which evaluations were judged, and asks the jobs of trials that should end early to stop.

    Args:
        stops: Evaluations after which trials should stop, by number of the trial.
    """
    study_id = standing.study.study_id
    await lock_study(unit, study_id)
    now = {trial.number: trial for trial in await studies.list_trials(unit.session, study_id)}
    for seen in standing.trials:
        trial = now[seen.number]
        if trial.state is not TrialState.RUNNING or trial.pruned_after is not None or trial.judged != seen.judged:
            continue  # it has ended, or somebody else judged it
        pruned_after = stops.get(seen.number)
        judged = replace(seen, judged=len(seen.evaluations))
        await studies.keep_verdict(unit.session, study_id, judged, pruned_after=pruned_after)
        if pruned_after is not None:
            await stop_trial_job(unit, trial)


async def break_off(unit: Work, study_id: str, *, reason: str) -> None:
    """Ends a study whose search cannot go on; running trials come to their ends."""
    study = await lock_study(unit, study_id)
    if study.state is RunState.RUNNING:
        await end_study(unit, study, StudyEnd(state=RunState.FAILED, reason=reason))
