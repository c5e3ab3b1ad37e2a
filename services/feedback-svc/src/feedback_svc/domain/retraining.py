"""When a task asks for a new dataset version, and why, in words."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from feedback_svc.domain import schedules
from loopwright.contracts.tasks import RetrainingPolicy

LEAST_SAMPLES = 10  # fewer new samples are never asked for, whatever the reason but the policy's own number
_GRACE = timedelta(hours=1)  # a time of a schedule that was missed by more, because nothing ran, is let go


class SignalKind(StrEnum):
    """What calls for training beside enough new samples."""

    MANUAL = "manual"
    QUALITY_DROP = "quality-drop"
    DRIFT = "drift"


@dataclass(frozen=True, slots=True, kw_only=True)
class Signal:
    """A call for training that was not answered yet."""

    kind: SignalKind
    detail: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Situation:
    """What is known of a task when the question is asked.

    Attributes:
        new_samples: Learnable samples that no request has taken yet; counted up to what the policy waits for.
        last_requested_at: When the task asked last; None if it never did.
        under_way_since: When the request was announced whose job has not ended yet; None if all have.
        known_since: When the task was defined as it is.
        signals: Calls that were not answered yet.
    """

    new_samples: int
    last_requested_at: datetime | None
    under_way_since: datetime | None
    known_since: datetime
    signals: Sequence[Signal] = ()


def why_ask(policy: RetrainingPolicy, situation: Situation, *, now: datetime) -> str | None:
    """Why to ask now, beside the number of new samples, in words and figures; None if not.

    A person is asked for nothing but enough samples; what the policy wants by itself waits for the cool-down too.
    Never two at once: everything waits while an earlier request is under way, but no longer than the policy's patience.
    """
    if situation.new_samples < min(LEAST_SAMPLES, policy.min_new_samples) or is_under_way(policy, situation, now=now):
        return None
    manual = [signal for signal in situation.signals if signal.kind is SignalKind.MANUAL]
    if manual and situation.new_samples >= LEAST_SAMPLES:
        return "; ".join(signal.detail for signal in manual)
    if not policy.enabled or not _is_cool(policy, situation.last_requested_at, now):
        return None
    return _by_itself(policy, situation, now)


def is_under_way(policy: RetrainingPolicy, situation: Situation, *, now: datetime) -> bool:
    """Whether an earlier request keeps another one waiting."""
    since = situation.under_way_since
    return since is not None and now - since < timedelta(seconds=policy.patience_s)


def cool_again_at(policy: RetrainingPolicy, last_requested_at: datetime) -> datetime:
    return last_requested_at + timedelta(seconds=policy.cooldown_s)


def _is_cool(policy: RetrainingPolicy, last_requested_at: datetime | None, now: datetime) -> bool:
    return last_requested_at is None or now >= cool_again_at(policy, last_requested_at)


def _by_itself(policy: RetrainingPolicy, situation: Situation, now: datetime) -> str | None:
    if situation.new_samples >= policy.min_new_samples:
        return f"at least the {policy.min_new_samples} that the policy waits for"
    if situation.new_samples < LEAST_SAMPLES:
        return None
    if situation.signals:
        return "; ".join(signal.detail for signal in situation.signals)
    since = max(filter(None, (situation.last_requested_at, situation.known_since)))
    schedule = policy.schedule
    if schedule is not None and schedules.is_due(schedule, since=since, now=now, grace=_GRACE):
        return f"it is time by the schedule {schedule.cron} ({schedule.time_zone})"
    return None
