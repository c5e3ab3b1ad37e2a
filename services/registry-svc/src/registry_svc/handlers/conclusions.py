"""Ends of experiments: the winner is put in charge, harm is rolled back, every other candidate is taken away."""

from datetime import UTC, datetime

from loopwright.contracts.experiments import ExperimentConcluded, Outcome
from loopwright.contracts.records import Severity
from loopwright.unit_of_work import Work
from registry_svc.domain.conclusions import Consequence, further_leaving, in_figures, rule_on
from registry_svc.domain.deployments import Deployment
from registry_svc.domain.models import VariantId
from registry_svc.domain.releases import ReleaseState
from registry_svc.handlers.deployments import SERVICE, dismiss_candidate, end_release, put_in_charge, withdraw_candidate
from registry_svc.handlers.watches import HARMED, begin_watch, order_rollback, raise_alert
from registry_svc.store.conclusions import Conclusion, add_conclusion, is_concluded
from registry_svc.store.deployments import find_deployment


async def conclude_experiment(event: ExperimentConcluded, work: Work) -> None:
    """Follows an experiment's outcome, or records why it is ignored."""
    deployment = await find_deployment(work.session, event.task_id, lock=True)
    if await is_concluded(work.session, event.experiment_id):
        return
    ruling = rule_on(
        event.outcome,
        champion=event.champion_variant_id,
        candidate=event.candidate_variant_id,
        winner=event.winner_variant_id,
        deployment=deployment,
    )
    note = "" if ruling.misfit is None else f"ignored: {ruling.misfit}; "
    if deployment is not None and ruling.consequence is not Consequence.NOTHING:
        note += f"{await _follow(event, deployment, work, consequence=ruling.consequence)}; "
    note += await _take_further_away(event, work, applied=ruling.applied)
    await add_conclusion(
        work.session,
        Conclusion(
            experiment_id=event.experiment_id,
            task_id=event.task_id,
            outcome=event.outcome,
            champion=event.champion_variant_id,
            candidate=event.candidate_variant_id,
            applied=ruling.applied,
            note=note.removesuffix("; "),
            evidence=event.evidence,
            concluded_at=event.concluded_at,
            recorded_at=datetime.now(UTC),
        ),
    )


async def _follow(event: ExperimentConcluded, deployment: Deployment, work: Work, *, consequence: Consequence) -> str:
    candidate = VariantId.parse(event.candidate_variant_id)
    reason = _reason_of(event)
    if consequence is Consequence.PROMOTE:
        promoted = deployment.with_champion(candidate, deployment.backend_urls)
        await put_in_charge(deployment, promoted, work, reason=reason, by=SERVICE)
        await begin_watch(event.task_id, work, champion=candidate, revision=promoted.revision)
        return f"{candidate} was put in charge"
    if consequence is Consequence.ROLL_BACK:
        await order_rollback(event.task_id, work, champion=candidate, revision=deployment.revision, reason=reason)
        return f"{candidate}, in charge by now, is rolled back"
    if event.outcome is Outcome.ROLLBACK:
        detail = f"{candidate} did harm on live traffic and leaves: {reason}"
        raise_alert(work, kind=HARMED, severity=Severity.WARNING, task_id=event.task_id, detail=detail)
    if consequence is Consequence.RELEASE:
        reason = f"its trial is over, and {deployment.champion} is in charge by now: {reason}"
        await withdraw_candidate(deployment, candidate, work, reason=reason, by=SERVICE)
    else:
        await _dismiss(candidate, deployment, work, reason=reason)
    return f"{candidate} was taken out of the deployment"


async def _take_further_away(event: ExperimentConcluded, work: Work, *, applied: bool) -> str:
    """Takes away whatever else was tried and is still deployed.

    Args:
        applied: Whether the conclusion was followed; if not, only what was on trial has lost it.

    Returns:
        What was done, in words.
    """
    deployment = await find_deployment(work.session, event.task_id, lock=True)
    if deployment is None:
        return ""
    leaving = further_leaving(event.evidence, candidate=event.candidate_variant_id, deployment=deployment)
    reason = f"it was tried beside {event.candidate_variant_id}: {_reason_of(event)}"
    for variant in leaving:
        if applied:
            await _dismiss(variant, deployment, work, reason=reason)
        else:
            await withdraw_candidate(deployment, variant, work, reason=reason, by=SERVICE)
        deployment = deployment.without_candidate(variant)
    return f"{', '.join(map(str, leaving))} left as well" if leaving else ""


async def _dismiss(candidate: VariantId, deployment: Deployment, work: Work, *, reason: str) -> None:
    await dismiss_candidate(deployment, candidate, work, reason=reason)
    await end_release(candidate, work, ReleaseState.RETIRED, reason=reason)


def _reason_of(event: ExperimentConcluded) -> str:
    return f"experiment {event.experiment_id} ended as {event.outcome}: {event.reason} ({in_figures(event.evidence)})"
