"""Whether the end of an experiment still speaks of what is deployed."""

from loopwright.contracts.experiments import Evidence, Outcome
from registry_svc.domain.deployments import Deployment


def why_ignored(
    outcome: Outcome, *, champion: str, candidate: str, winner: str | None, deployment: Deployment | None
) -> str | None:
    """Why a conclusion must not change the deployment; None if it should.

    Args:
        champion: Variant that the experiment held to be in charge.
        candidate: Variant that it tried.
        winner: Variant that it names as better, if any.
    """
    if deployment is None:
        return "nothing serves the task"
    if str(deployment.champion) != champion:
        return f"{champion} is no longer in charge, {deployment.champion} is"
    if candidate not in {str(variant) for variant in deployment.candidates}:
        return f"{candidate} is not among the candidates"
    if outcome is Outcome.PROMOTE and winner != candidate:
        return f"a promotion must name the candidate as winner, this one names {winner or 'nobody'}"
    return None


def in_figures(evidence: Evidence) -> str:
    """The evidence in one clause."""
    users = f"{evidence.candidate.users} users with the candidate, {evidence.champion.users} with the champion"
    if evidence.effect is None or evidence.lower is None or evidence.upper is None:
        return f"{evidence.method}, {users}"
    interval = f"[{evidence.lower:+.3f}, {evidence.upper:+.3f}]"
    return f"{evidence.method}: effect {evidence.effect:+.3f} {interval} at alpha {evidence.alpha:g}, {users}"
