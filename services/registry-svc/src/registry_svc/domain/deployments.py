"""What serves a task: one champion, the candidates beside it, and the rules by which that changes."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime

from loopwright.errors import Conflict
from registry_svc.domain.models import VariantId


@dataclass(frozen=True, kw_only=True)
class Deployment:
    """Serving state of one task.

    Attributes:
        revision: Rises by one with every change.
        backend_urls: vLLM servers that have the base model and every named variant loaded.
    """

    task_id: str
    revision: int
    champion: VariantId
    candidates: tuple[VariantId, ...]
    backend_urls: tuple[str, ...]
    reason: str
    changed_at: datetime
    changed_by: str

    @property
    def variants(self) -> tuple[VariantId, ...]:
        return (self.champion, *self.candidates)

    def with_candidate(self, variant: VariantId, backend_urls: tuple[str, ...]) -> "Deployment":
        return replace(
            self,
            revision=self.revision + 1,
            candidates=(*(other for other in self.candidates if other != variant), variant),
            backend_urls=backend_urls,
        )

    def without_candidate(self, variant: VariantId) -> "Deployment":
        left = tuple(other for other in self.candidates if other != variant)
        return replace(self, revision=self.revision + 1, candidates=left)

    def with_champion(self, variant: VariantId, backend_urls: tuple[str, ...]) -> "Deployment":
        left = tuple(other for other in self.candidates if other != variant)
        return replace(self, revision=self.revision + 1, champion=variant, candidates=left, backend_urls=backend_urls)

    def with_backends(self, backend_urls: tuple[str, ...]) -> "Deployment":
        return replace(self, revision=self.revision + 1, backend_urls=backend_urls)


def check_revision(deployment: Deployment, seen: int) -> None:
    """Optimistic lock: a person decides on what they saw.

    Raises:
        Conflict: the deployment changed since.
    """
    if deployment.revision != seen:
        raise Conflict(
            "deployment.changed-meanwhile",
            f"the deployment of {deployment.task_id} is at revision {deployment.revision}, not {seen}: "
            f"{deployment.changed_by} changed it ({deployment.reason}), and {deployment.champion} is in charge",
            revision=deployment.revision,
            changed_by=deployment.changed_by,
            champion=str(deployment.champion),
        )


def earlier_champion(history: Iterable[Deployment], wanted: VariantId) -> VariantId:
    """A variant that was in charge once.

    Args:
        history: Changes of one task.

    Raises:
        Conflict: it never was.
    """
    if all(change.champion != wanted for change in history):
        raise Conflict("deployment.never-in-charge", f"{wanted} was never in charge: promote it instead")
    return wanted


def previous_champion(history: Iterable[Deployment], current: VariantId) -> VariantId:
    """The variant that was in charge before the current one.

    Args:
        history: Changes of one task, newest first.

    Raises:
        Conflict: there never was another.
    """
    for change in history:
        if change.champion != current:
            return change.champion
    raise Conflict("deployment.no-previous-champion", f"nothing was in charge before {current}")
