"""The log of uses: what was done with a version, by whom, when and why."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from registry_svc.domain.deployments import Deployment
from registry_svc.domain.models import ModelStatus, VariantId


class UseKind(StrEnum):
    """What was done."""

    REGISTERED = "registered"
    DESCRIBED = "described"  # description, tags or settings changed
    DOWNLOADED = "downloaded"
    DEPLOYED = "deployed"  # loaded beside the champion
    WITHDRAWN = "withdrawn"  # no longer served
    PROMOTED = "promoted"  # put in charge for the first time
    ROLLED_BACK_TO = "rolled_back_to"  # put in charge again
    STATUS_CHANGED = "status_changed"
    TRACKED_AGAIN = "tracked_again"  # MLflow had lost it
    REFUSED = "refused"  # its files were not what was signed


@dataclass(frozen=True, kw_only=True)
class Use:
    """One line of the log.

    Attributes:
        task_id: Task that it was done for; None where it was for none.
        status: Status that it has since; None where that did not change.
    """

    variant: VariantId
    kind: UseKind
    reason: str
    by: str
    at: datetime
    task_id: str | None = None
    status: ModelStatus | None = None


def uses_of_change(before: Deployment | None, after: Deployment, earlier_champions: Iterable[str]) -> Iterator[Use]:
    """What a change of a deployment was for each version in it.

    Args:
        earlier_champions: Variants that were in charge of the task at some time before.
    """

    def use(variant: VariantId, kind: UseKind) -> Use:
        return Use(
            variant=variant, kind=kind, reason=after.reason, by=after.changed_by, at=after.changed_at,
            task_id=after.task_id,
        )  # fmt: skip

    served = frozenset(before.variants) if before is not None else frozenset[VariantId]()
    if before is None or before.champion != after.champion:
        again = str(after.champion) in frozenset(earlier_champions)
        yield use(after.champion, UseKind.ROLLED_BACK_TO if again else UseKind.PROMOTED)
    for variant in after.candidates:
        if variant not in served:
            yield use(variant, UseKind.DEPLOYED)
    for variant in sorted(served - frozenset(after.variants)):
        yield use(variant, UseKind.WITHDRAWN)
