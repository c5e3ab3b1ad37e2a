"""Who must leave a full server so that another adapter finds room."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from registry_svc.domain.models import VariantId


@dataclass(frozen=True, kw_only=True)
class Standby:
    """A deployed version that no traffic is assigned to: neither in charge nor on its way to a verdict.

    Attributes:
        uses: Answers that the router counts for it since it started; None where the router does not say.
        deployed_at: When it was last put beside a champion.
    """

    task_id: str
    variant: VariantId
    uses: int | None
    deployed_at: datetime


def least_used(standing_by: Iterable[Standby]) -> Standby | None:
    """Who leaves first: the fewest answers, and among equals who was deployed longest ago.

    A version without a count is taken for unused: the router forgets its counts when it starts, for all of them alike.
    """
    return min(standing_by, key=lambda one: (one.uses or 0, one.deployed_at, one.task_id, one.variant), default=None)
