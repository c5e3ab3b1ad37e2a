"""When a task has learned enough to ask for a new dataset version."""

from datetime import datetime, timedelta

from loopwright.contracts.tasks import RetrainingPolicy


def is_due(policy: RetrainingPolicy, *, new_samples: int, last_requested_at: datetime | None, now: datetime) -> bool:
    """Decides whether to ask now.

    Args:
        new_samples: Learnable samples that no request has taken yet.
        last_requested_at: When the task asked last; None if it never did.
    """
    if not policy.enabled or new_samples < policy.min_new_samples:
        return False
    return last_requested_at is None or now - last_requested_at >= timedelta(seconds=policy.cooldown_s)
