"""How experiments begin and end. Every function here expects the caller to hold the lock on the task."""

from dataclasses import dataclass, replace
from datetime import datetime

from feedback_svc.domain.analysis import analyse
from feedback_svc.domain.decisions import METHOD
from feedback_svc.domain.experiments import (
    Experiment,
    ExperimentState,
    awaits_promotion,
    champion_at_start,
    next_to_start,
    why_untenable,
    winner_of,
)
from feedback_svc.domain.statistics import ArmStatistics
from feedback_svc.store.experiment_users import Users, list_users
from feedback_svc.store.experiments import add_experiment, find_last_ended, list_open, save_experiment
from feedback_svc.store.tasks import find_serving
from loopwright.contracts.experiments import (
    Arm,
    ArmEvidence,
    Evidence,
    ExperimentChanged,
    ExperimentConcluded,
    Outcome,
)
from loopwright.contracts.experiments import ExperimentState as AnnouncedState
from loopwright.contracts.records import AlertRaised, Severity
from loopwright.unit_of_work import Work

BY_EVIDENCE = "evidence"


@dataclass(frozen=True, kw_only=True)
class Ending:
    """How an experiment ends.

    Attributes:
        by: `evidence`, or the subject that stopped it.
    """

    outcome: Outcome
    reason: str
    at: datetime
    by: str = BY_EVIDENCE


async def open_experiment(experiment: Experiment, work: Work, *, now: datetime) -> None:
    """Adds an experiment; it starts at once unless another of its task runs."""
    await add_experiment(work.session, experiment)
    await start_next(experiment.task_id, work, now=now)


async def start_next(task_id: str, work: Work, *, now: datetime) -> None:
    """Starts the experiment that has waited longest, if none of the task runs and no promotion is under way."""
    opened = await list_open(work.session, task_id)
    waiting = [experiment for experiment in opened if experiment.state is ExperimentState.WAITING]
    if not waiting or len(waiting) < len(opened):
        return
    serving = await find_serving(work.session, task_id)
    if awaits_promotion(await find_last_ended(work.session, task_id), serving):
        return
    chosen = next_to_start(experiment for experiment in waiting if why_untenable(experiment, serving) is None)
    if chosen is None:
        return
    running = chosen.started(champion_variant_id=champion_at_start(chosen, serving), now=now)
    await save_experiment(work.session, running)
    work.announce(_changed(running, at=now), traceparent=running.traceparent)


async def end_experiment(experiment: Experiment, ending: Ending, work: Work) -> None:
    """Ends a waiting or running experiment and says so, with the evidence in full, in the trace that led to it."""
    ran = experiment.state is ExperimentState.RUNNING
    ended = replace(
        experiment,
        state=ExperimentState.ENDED,
        revision=experiment.revision + 1,
        ended_at=ending.at,
        outcome=ending.outcome,
        winner_variant_id=winner_of(experiment, ending.outcome),
        reason=ending.reason,
        concluded_by=ending.by,
    )
    evidence = evidence_of(ended, await list_users(work.session, ended.experiment_id))
    await save_experiment(work.session, ended, evidence=evidence)
    if ran:  # the router never heard of one that only waited
        work.announce(_changed(ended, at=ending.at), traceparent=ended.traceparent)
    work.announce(_concluded(ended, ending, evidence), traceparent=ended.traceparent)
    if ending.outcome is Outcome.INVALID:
        work.announce(_invalid(ended, ending), traceparent=ended.traceparent)


def evidence_of(experiment: Experiment, users: Users) -> Evidence:
    """The figures behind a decision, with the tests that are only reported."""
    analysis = analyse(experiment, users)
    interval = analysis.interval
    return Evidence(
        method=METHOD,
        alpha=experiment.rollout.alpha,
        champion=_arm_evidence(experiment.champion),
        candidate=_arm_evidence(experiment.candidate),
        effect=interval.effect if interval else None,
        lower=interval.lower if interval else None,
        upper=interval.upper if interval else None,
        welch_p=analysis.welch.p if analysis.welch else None,
        mann_whitney_p=analysis.mann_whitney.p if analysis.mann_whitney else None,
    )


def _arm_evidence(arm: ArmStatistics) -> ArmEvidence:
    return ArmEvidence(users=arm.users, ratings=arm.ratings, mean=arm.mean, variance=arm.variance)


def _changed(experiment: Experiment, *, at: datetime) -> ExperimentChanged:
    champion_share, candidate_share = experiment.shares_0_1
    running = experiment.state is ExperimentState.RUNNING
    return ExperimentChanged(
        experiment_id=experiment.experiment_id,
        task_id=experiment.task_id,
        revision=experiment.revision,
        state=AnnouncedState.RUNNING if running else AnnouncedState.ENDED,
        salt=experiment.salt,
        champion=Arm(variant_id=experiment.champion_variant_id, weight_0_1=champion_share),
        candidate=Arm(variant_id=experiment.candidate_variant_id, weight_0_1=candidate_share),
        changed_at=at,
    )


def _concluded(experiment: Experiment, ending: Ending, evidence: Evidence) -> ExperimentConcluded:
    return ExperimentConcluded(
        experiment_id=experiment.experiment_id,
        task_id=experiment.task_id,
        outcome=ending.outcome,
        champion_variant_id=experiment.champion_variant_id,
        candidate_variant_id=experiment.candidate_variant_id,
        winner_variant_id=experiment.winner_variant_id,
        evidence=evidence,
        reason=ending.reason,
        concluded_at=ending.at,
        concluded_by=ending.by,
    )


def _invalid(experiment: Experiment, ending: Ending) -> AlertRaised:
    return AlertRaised(
        alert_id=f"experiment.invalid:{experiment.experiment_id}",
        severity=Severity.CRITICAL,
        kind="experiment.invalid",
        task_id=experiment.task_id,
        detail=f"{experiment.experiment_id}: {ending.reason}",
        raised_at=ending.at,
    )
