"""Studies: how long one goes on, what a trial's end means, which trial is the best."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from typing import Literal

from pydantic import ConfigDict, Field

from loopwright.contracts.base import RunState, Value
from loopwright.contracts.jobs import TrainingData
from loopwright.contracts.tasks import Hyperparameters, Method, Objective
from loopwright.errors import Conflict, Invalid
from trainer_svc.domain.search_space import SearchSpace, Settings, check_comparable, checked_space, grid_points


class Sampler(StrEnum):
    """How the next settings are chosen."""

    TPE = "tpe"
    RANDOM = "random"
    GRID = "grid"


class Pruner(StrEnum):
    """How bad trials are found before their end."""

    NONE = "none"
    MEDIAN = "median"
    HYPERBAND = "hyperband"


class TrialState(StrEnum):
    """Where a trial stands."""

    RUNNING = "running"
    SUCCEEDED = "succeeded"
    PRUNED = "pruned"
    FAILED = "failed"
    STOPPED = "stopped"


class StudyTerms(Value):
    """How a study searches, and how long."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    metric: Literal["validation_loss"] = Field(default="validation_loss", description="what trials are compared by")
    direction: Literal["minimize"] = Field(default="minimize", description="which end of it is better")
    sampler: Sampler = Field(
        default=Sampler.TPE, description="tree-structured Parzen estimator (Bergstra 2011), random, or every point"
    )
    pruner: Pruner = Field(
        default=Pruner.MEDIAN, description="stop trials worse than the median, or by Hyperband (Li 2018), or none"
    )
    startup_trials: int = Field(default=5, ge=1, le=500, description="trials at random before the search trusts itself")
    max_trials: int = Field(default=20, ge=1, le=500, description="trials in all; a grid has no more than its points")
    parallel_trials: int = Field(default=1, ge=1, le=64, description="jobs of the study in the queue at once")
    max_failed_trials: int = Field(default=3, ge=0, le=500, description="more failed trials end the study")
    seed: int = Field(default=17, ge=0, lt=2**32, description="seed of the search")
    priority: int = Field(default=0, ge=-100, le=100, description="of its jobs; higher runs first")
    device_count: int = Field(default=1, ge=1, le=64, description="slots of each of its jobs")
    auto_promote: bool = Field(default=False, description="train the best trial again at the end, to be released")


@dataclass(frozen=True, kw_only=True)
class Study:
    """A study as its loop sees it.

    Attributes:
        created_by: Subject that asked for it, and in whose name its jobs are.
        counts_from: First trial whose failure counts; earlier ones were forgiven when it was resumed.
        promoted_trial: Trial whose settings were trained again for release.
    """

    study_id: str
    name: str
    task_id: str
    base_model: str
    training_data: TrainingData
    method: Method
    objective: Objective
    hyperparameters: Hyperparameters
    space: SearchSpace
    terms: StudyTerms
    state: RunState
    created_by: str
    counts_from: int
    promoted_trial: int | None
    traceparent: str | None


@dataclass(frozen=True, kw_only=True)
class Trial:
    """A trial, and what is known of it.

    Attributes:
        number: Counts from 0 within the study, without gaps.
        job_id: None if its settings could not be trained with.
        evaluations: Validation losses so far, in order.
        judged: How many of them the pruner has seen.
        pruned_after: Evaluations after which it was told to stop.
        is_ending: Its last evaluation came with its last step.
    """

    number: int
    settings: Settings
    state: TrialState
    job_id: str | None
    value: float | None = None
    evaluations: tuple[float, ...] = ()
    judged: int = 0
    pruned_after: int | None = None
    is_ending: bool = False
    reason: str | None = None
    started_at: datetime | None = None
    ended_at: datetime | None = None


@dataclass(frozen=True, kw_only=True)
class JobOutcome:
    """How a trial's job stands; `state` is None if the job is gone."""

    state: RunState | None
    validation_loss: float | None
    reason: str | None


@dataclass(frozen=True, kw_only=True)
class TrialEnd:
    """What became of a trial."""

    state: TrialState
    value: float | None = None
    reason: str | None = None


@dataclass(frozen=True, kw_only=True)
class StudyEnd:
    """What became of a study."""

    state: RunState
    reason: str


def planned(study: Study) -> Study:
    """The study with its space checked, and no more trials than it has points to try.

    Raises:
        Invalid: it cannot be run.
    """
    if not study.training_data.validation.samples:
        raise Invalid(
            "study.no-validation-data",
            f"dataset version {study.training_data.version_id} has no validation split to compare trials on",
            version_id=study.training_data.version_id,
        )
    space = checked_space(study.space, study.hyperparameters, method=study.method)
    terms = study.terms
    if terms.pruner is not Pruner.NONE:
        check_comparable(space, study.hyperparameters)
    if terms.sampler is Sampler.GRID:
        points = math.prod(len(values) for values in grid_points(space).values())
        terms = terms.model_copy(update={"max_trials": min(terms.max_trials, points)})
    return replace(study, space=space, terms=terms)


def end_of_trial(outcome: JobOutcome, evaluations: Sequence[float], *, pruned_after: int | None) -> TrialEnd | None:
    """What the state of its job means for a trial; None while it goes on."""
    loss, reason = outcome.validation_loss, outcome.reason
    if outcome.state in (RunState.QUEUED, RunState.RUNNING):
        return None
    if outcome.state is RunState.SUCCEEDED:
        if loss is not None and math.isfinite(loss):
            return TrialEnd(state=TrialState.SUCCEEDED, value=loss)
        return TrialEnd(state=TrialState.FAILED, reason="its job ended without a validation loss")
    if pruned_after is not None:
        reason = f"stopped after {pruned_after} evaluations: others were better by then"
        return TrialEnd(state=TrialState.PRUNED, value=min(evaluations[:pruned_after], default=None), reason=reason)
    if outcome.state is None:
        reason = "its job was deleted before its end was seen"
    return TrialEnd(state=TrialState.STOPPED if outcome.state is RunState.STOPPED else TrialState.FAILED, reason=reason)


def room_for_trials(study: Study, trials: Sequence[Trial]) -> int:
    """How many more trials may begin now."""
    if study.state is not RunState.RUNNING or _has_failed_too_often(study, trials):
        return 0
    running = sum(trial.state is TrialState.RUNNING for trial in trials)
    return max(0, min(study.terms.parallel_trials - running, study.terms.max_trials - len(trials)))


def end_of_study(study: Study, trials: Sequence[Trial]) -> StudyEnd | None:
    """How the study ends now; None while it goes on."""
    if study.state is not RunState.RUNNING or any(trial.state is TrialState.RUNNING for trial in trials):
        return None
    if _has_failed_too_often(study, trials):
        last = max(trial.number for trial in trials if trial.state is TrialState.FAILED)
        failed = f"more than {study.terms.max_failed_trials} trials failed, the last of them number {last}"
        return StudyEnd(state=RunState.FAILED, reason=f"{failed}; its reason is in the list of trials")
    if len(trials) < study.terms.max_trials:
        return None
    best = best_of(trials)
    if best is None:
        return StudyEnd(state=RunState.FAILED, reason="none of its trials came to its end")
    return StudyEnd(state=RunState.SUCCEEDED, reason=f"{len(trials)} trials, the best of them number {best.number}")


def _has_failed_too_often(study: Study, trials: Sequence[Trial]) -> bool:
    failed = sum(trial.state is TrialState.FAILED and trial.number >= study.counts_from for trial in trials)
    return failed > study.terms.max_failed_trials


def best_of(trials: Sequence[Trial]) -> Trial | None:
    """The trial with the lowest value among those that came to their end; of equal ones the first."""
    ended = [trial for trial in trials if trial.state is TrialState.SUCCEEDED and trial.value is not None]
    return min(ended, key=lambda trial: (trial.value, trial.number), default=None)


def resumed_terms(study: Study, trials: Sequence[Trial], *, max_trials: int | None) -> StudyTerms:
    """The terms on which a study that has ended goes on.

    Raises:
        Conflict: it has not ended, or has no trials left.
    """
    if study.state is RunState.RUNNING:
        raise Conflict("study.running", "the study has not ended", state=study.state)
    wanted = study.terms.max_trials if max_trials is None else max_trials
    if study.terms.sampler is Sampler.GRID:
        wanted = min(wanted, math.prod(len(values) for values in grid_points(study.space).values()))
    if len(trials) >= wanted:
        raise Conflict(
            "study.no-trials-left",
            f"the study has had {len(trials)} trials, of {wanted}: say by max_trials how many it may have",
            trials=len(trials),
        )
    return study.terms.model_copy(update={"max_trials": wanted})


def trial_to_promote(study: Study, trials: Sequence[Trial]) -> Trial:
    """The best trial, unless it was promoted before.

    Raises:
        Conflict: no trial has come to its end, or the best one was promoted already.
    """
    best = best_of(trials)
    if best is None:
        raise Conflict("study.nothing-finished", "no trial of the study has come to its end", trials=len(trials))
    if best.number == study.promoted_trial:
        raise Conflict("study.promoted", f"its best trial, number {best.number}, was promoted", trial=best.number)
    return best
