"""Ends of experiments: the winner is put in charge, anything else takes the candidate away."""

from datetime import UTC, datetime

from loopwright.contracts.experiments import ExperimentConcluded, Outcome
from loopwright.unit_of_work import Work
from registry_svc.domain.conclusions import in_figures, why_ignored
from registry_svc.domain.deployments import Deployment
from registry_svc.domain.models import VariantId
from registry_svc.domain.releases import ReleaseState
from registry_svc.handlers.deployments import SERVICE, dismiss_candidate, end_release, put_in_charge
from registry_svc.store.conclusions import Conclusion, add_conclusion, is_concluded
from registry_svc.store.deployments import find_deployment


async def conclude_experiment(event: ExperimentConcluded, work: Work) -> None:
    """Follows an experiment's outcome, or records why it is ignored."""
    deployment = await find_deployment(work.session, event.task_id, lock=True)
    if await is_concluded(work.session, event.experiment_id):
        return
    refusal = why_ignored(
        event.outcome,
        champion=event.champion_variant_id,
        candidate=event.candidate_variant_id,
        winner=event.winner_variant_id,
        deployment=deployment,
    )
    note = f"ignored: {refusal}"
    if refusal is None:
        assert deployment is not None, "why_ignored refuses without one"
        note = await _follow(event, deployment, work)
    await add_conclusion(
        work.session,
        Conclusion(
            experiment_id=event.experiment_id,
            task_id=event.task_id,
            outcome=event.outcome,
            champion=event.champion_variant_id,
            candidate=event.candidate_variant_id,
            applied=refusal is None,
            note=note,
            evidence=event.evidence,
            concluded_at=event.concluded_at,
            recorded_at=datetime.now(UTC),
        ),
    )


async def _follow(event: ExperimentConcluded, deployment: Deployment, work: Work) -> str:
    candidate = VariantId.parse(event.candidate_variant_id)
    reason = f"experiment {event.experiment_id} ended as {event.outcome}: {event.reason} ({in_figures(event.evidence)})"
    if event.outcome is Outcome.PROMOTE:
        promoted = deployment.with_champion(candidate, deployment.backend_urls)
        await put_in_charge(deployment, promoted, work, reason=reason, by=SERVICE)
        return f"{candidate} was put in charge"
    await dismiss_candidate(deployment, candidate, work, reason=reason)
    await end_release(candidate, work, ReleaseState.RETIRED, reason=reason)
    return f"{candidate} was taken out of the deployment"
