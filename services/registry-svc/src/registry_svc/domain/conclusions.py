"""What follows here from the end of an experiment."""

from dataclasses import dataclass
from enum import StrEnum

from loopwright.contracts.experiments import Evidence, Outcome
from registry_svc.domain.deployments import Deployment
from registry_svc.domain.models import VariantId


class Consequence(StrEnum):
    """What is done."""

    PROMOTE = "promote"  # the candidate is put in charge
    DISMISS = "dismiss"  # the candidate leaves: live traffic did not speak for it
    RELEASE = "release"  # the conclusion no longer fits, but the candidate's trial is over: it leaves as well
    ROLL_BACK = "roll-back"  # the candidate does harm and is in charge by now
    NOTHING = "nothing"


@dataclass(frozen=True)
class Ruling:
    """A consequence, and why it is not the one that the outcome names; None if it is."""

    consequence: Consequence
    misfit: str | None = None

    @property
    def applied(self) -> bool:
        """Whether the outcome was followed."""
        return self.misfit is None


def rule_on(
    outcome: Outcome, *, champion: str, candidate: str, winner: str | None, deployment: Deployment | None
) -> Ruling:
    """Decides what follows.

    Args:
        champion: Variant that the experiment held to be in charge.
        candidate: Variant that it tried.
        winner: Variant that it names as better, if any.
    """
    if deployment is None:
        return Ruling(Consequence.NOTHING, "nothing serves the task")
    if outcome is Outcome.ROLLBACK and str(deployment.champion) == candidate:
        return Ruling(Consequence.ROLL_BACK)
    if candidate not in {str(variant) for variant in deployment.candidates}:
        return Ruling(
            Consequence.NOTHING, _why_stale(champion, deployment) or f"{candidate} is not among the candidates"
        )
    misfit = _why_stale(champion, deployment) or _why_unclear(outcome, candidate=candidate, winner=winner)
    if misfit is not None:
        return Ruling(Consequence.RELEASE, misfit)
    return Ruling(Consequence.PROMOTE if outcome is Outcome.PROMOTE else Consequence.DISMISS)


def further_leaving(evidence: Evidence, *, candidate: str, deployment: Deployment) -> tuple[VariantId, ...]:
    """Candidates that were tried beside the one that a conclusion names, and are still deployed: their trial is over too.

    Args:
        candidate: Variant that the conclusion names; what becomes of it is ruled on by itself.
    """
    tried = {arm.variant_id for arm in evidence.further_candidates} - {candidate}
    return tuple(variant for variant in deployment.candidates if str(variant) in tried)


def _why_stale(champion: str, deployment: Deployment) -> str | None:
    if str(deployment.champion) == champion:
        return None
    return f"{champion} is no longer in charge, {deployment.champion} is"


def _why_unclear(outcome: Outcome, *, candidate: str, winner: str | None) -> str | None:
    if outcome is not Outcome.PROMOTE or winner == candidate:
        return None
    return f"a promotion must name the candidate as winner, this one names {winner or 'nobody'}"


def in_figures(evidence: Evidence) -> str:
    """The evidence in one clause."""
    users = f"{evidence.candidate.users} users with the candidate, {evidence.champion.users} with the champion"
    if evidence.effect is None or evidence.lower is None or evidence.upper is None:
        return f"{evidence.method}, {users}"
    interval = f"[{evidence.lower:+.3f}, {evidence.upper:+.3f}]"
    return f"{evidence.method}: effect {evidence.effect:+.3f} {interval} at alpha {evidence.alpha:g}, {users}"
