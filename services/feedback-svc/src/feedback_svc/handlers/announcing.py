"""What is said of experiments: every change to the router, the end to everybody, what cannot be trusted to people."""

from datetime import datetime

from feedback_svc.domain.experiments import Ending, Experiment, Verdict
from feedback_svc.domain.reports import Report, evidence_of
from feedback_svc.handlers.alerts import raise_alert
from loopwright.contracts.experiments import (
    Arm,
    ExperimentChanged,
    ExperimentConcluded,
    ExperimentKind,
    ExperimentState,
    Layer,
    Outcome,
)
from loopwright.contracts.records import AlertRaised, Severity
from loopwright.unit_of_work import Work


def announce_change(experiment: Experiment, work: Work, *, at: datetime) -> None:
    """Tells the router the whole state of an experiment, in the trace that led to it."""
    champion, candidate, *further = _arms(experiment)
    rollout = experiment.rollout
    event = ExperimentChanged(
        experiment_id=experiment.experiment_id,
        task_id=experiment.task_id,
        revision=experiment.revision,
        state=ExperimentState.RUNNING if experiment.is_active else ExperimentState.ENDED,
        salt=experiment.salt,
        champion=champion,
        candidate=candidate,
        further_candidates=tuple(further),
        kind=experiment.kind,
        epoch=experiment.epoch,
        coverage_0_1=rollout.coverage_0_1,
        layer=experiment.layer,
        hold_out=_hold_out(experiment),
        excluded_units=experiment.excluded_units,
        forced_units=experiment.forced_units,
        allocation=rollout.allocation,
        changed_at=at,
    )
    work.announce(event, traceparent=experiment.traceparent)


async def announce_end(experiment: Experiment, ending: Ending, report: Report, work: Work) -> None:
    """Tells everybody how an experiment ended, with the evidence."""
    event = ExperimentConcluded(
        experiment_id=experiment.experiment_id,
        task_id=experiment.task_id,
        outcome=ending.verdict.outcome,
        champion_variant_id=experiment.champion_variant_id,
        candidate_variant_id=_challenger(experiment, ending),
        winner_variant_id=ending.winner_variant_id,
        equivalent=ending.verdict is Verdict.EQUIVALENT,
        evidence=evidence_of(report, of=_challenger(experiment, ending)),
        reason=ending.reason,
        concluded_at=ending.at,
        concluded_by=ending.by,
    )
    work.announce(event, traceparent=experiment.traceparent)
    if event.outcome is Outcome.INVALID:
        alert = AlertRaised(
            alert_id=f"experiment.invalid:{experiment.experiment_id}",
            severity=Severity.CRITICAL,
            kind="experiment.invalid",
            task_id=experiment.task_id,
            detail=f"{experiment.experiment_id}: {ending.reason}",
            raised_at=ending.at,
        )
        await raise_alert(alert, work, traceparent=experiment.traceparent)


def _hold_out(experiment: Experiment) -> Layer | None:
    """The same units in every experiment of a task, as long as the share is the same; a larger share adds to them."""
    share = experiment.rollout.hold_out_share_0_1
    if share == 0:
        return None
    return Layer(name="hold-out", salt=f"hold-out:{experiment.task_id}", from_0_1=0.0, to_0_1=share)


def _arms(experiment: Experiment) -> list[Arm]:
    """Champion first; in an A/A check every arm gets the champion."""
    same = experiment.kind is ExperimentKind.AA
    served = [experiment.champion_variant_id] * len(experiment.weights_0_1) if same else experiment.variant_ids
    return [
        Arm(variant_id=variant_id, weight_0_1=weight)
        for variant_id, weight in zip(served, experiment.weights_0_1, strict=True)
    ]


def _challenger(experiment: Experiment, ending: Ending) -> str:
    """The candidate that an end is about: the winner if one won, else the first."""
    won = ending.winner_variant_id
    return won if won in experiment.candidate_ids else experiment.candidate_variant_id
