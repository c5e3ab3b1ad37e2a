"""What calls for training although nobody asked: ratings that fall, and inputs that become others."""

from datetime import datetime

from feedback_svc.domain.drift import find_drift
from feedback_svc.domain.quality import find_drop
from feedback_svc.domain.retraining import Signal, SignalKind
from feedback_svc.handlers.alerts import raise_alert
from feedback_svc.store.dataset_requests import find_last_request
from feedback_svc.store.inputs import list_inputs
from feedback_svc.store.signals import last_raised_at, raise_signal
from feedback_svc.store.tasks import Task
from feedback_svc.store.usual_ratings import list_daily_ratings
from loopwright.contracts.records import AlertRaised, Severity
from loopwright.unit_of_work import Work

_MOST_RATINGS = 5000
_BY = "feedback-svc"
QUALITY_DROP = "quality-drop"


async def watch_quality(task: Task, work: Work, *, now: datetime) -> Signal | None:
    """Calls for training, and for a person, when ratings of a task have fallen; once for each fall."""
    policy = task.policies.retraining.quality_drop
    if policy is None:
        return None
    metric = task.policies.success_metric
    since = await last_raised_at(work.session, task.task_id, SignalKind.QUALITY_DROP)
    values = await list_daily_ratings(
        work.session, task.task_id, metric.name, since=since, at_most=_MOST_RATINGS
    )  # fmt: skip
    drop = find_drop(values if metric.higher_is_better else [-value for value in values], policy)
    if drop is None:
        return None
    sign = 1 if metric.higher_is_better else -1
    detail = (
        f"mean {metric.name} went from {sign * drop.usual:.2f} to {sign * drop.recent:.2f} over the last {drop.after} "
        f"ratings (CUSUM {drop.sum:.1f} deviations, limit {policy.limit:g})"
    )
    signal = Signal(kind=SignalKind.QUALITY_DROP, detail=detail)
    signal_id = await raise_signal(work.session, task.task_id, signal, by=_BY, now=now)
    if signal_id is None:
        return None
    alert = AlertRaised(
        alert_id=f"{QUALITY_DROP}:{signal_id}", severity=Severity.WARNING, kind=QUALITY_DROP, task_id=task.task_id,
        detail=f"{task.task_id}: {detail}", raised_at=now,
    )  # fmt: skip
    await raise_alert(alert, work)
    return signal


async def watch_inputs(task: Task, work: Work, *, now: datetime) -> Signal | None:
    """Calls for training when what is asked of a task is no longer what it was before the last request."""
    policy = task.policies.retraining.drift
    last = None if policy is None else await find_last_request(work.session, task.task_id)
    if policy is None or last is None:
        return None
    newest, oldest_at = await list_inputs(work.session, task.task_id, before=now, at_most=policy.inputs)
    if oldest_at is None or oldest_at < last.requested_at:
        return None
    before, _ = await list_inputs(work.session, task.task_id, before=last.requested_at, at_most=policy.inputs)
    shift = find_drift(before, newest, policy)
    if shift is None:
        return None
    detail = (
        f"the {shift.feature} of the last {len(newest)} inputs is no longer that of before the last request "
        f"(population stability index {shift.index:.2f}, limit {policy.limit:g}, by chance {shift.by_chance:.2f})"
    )
    signal = Signal(kind=SignalKind.DRIFT, detail=detail)
    return signal if await raise_signal(work.session, task.task_id, signal, by=_BY, now=now) else None
