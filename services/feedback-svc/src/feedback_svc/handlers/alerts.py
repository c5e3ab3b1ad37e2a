"""Alerts: raised once however often the same is said, and acknowledged by people."""

from collections import defaultdict
from collections.abc import Iterable
from datetime import datetime

from pydantic import JsonValue

from feedback_svc.domain.alerts import CRITICAL_ANOMALY, critical_anomaly, critical_record, repeats
from feedback_svc.domain.signals import Answered
from feedback_svc.domain.sources.log_batches import tasks_reading
from feedback_svc.store.alerts import acknowledge, add_alert, count_again, find_newest
from feedback_svc.store.tasks import list_tasks
from loopwright.contracts.records import AlertRaised, Severity
from loopwright.errors import NotFound
from loopwright.unit_of_work import Work


async def raise_alert(alert: AlertRaised, work: Work, *, traceparent: str | None = None, times: int = 1) -> None:
    """Keeps and announces an alert, unless one of its kind and task was raised within the hour: that one counts it.

    Args:
        times: How often it is raised at once.
    """
    newest = await find_newest(work.session, alert.kind, alert.task_id)
    if newest is not None and repeats(alert.raised_at, earlier_at=newest[1]):
        await count_again(work.session, newest[0], alert, times=times)
    elif await add_alert(work.session, alert, times=times):
        work.announce(alert, traceparent=traceparent)


async def alert_of_anomalies(events: Iterable[Answered], work: Work) -> None:
    """Raises an alert for analyses of logs that are sure of something grave; many of one task and hour at once."""
    found: dict[str, list[tuple[Answered, str]]] = defaultdict(list)
    for event in events:
        finding = critical_anomaly(event.answer) if event.shadow_of is None else None
        if finding is not None:
            found[event.task_id].append((event, finding))
    for _, findings in sorted(found.items()):
        left = sorted(findings, key=lambda one: (one[0].completed_at, one[0].inference_id))
        while left:
            event, finding = left[0]
            later = [one for one in left if not repeats(one[0].completed_at, earlier_at=event.completed_at)]
            await raise_alert(_anomaly(event, finding), work, times=len(left) - len(later))
            left = later


async def alert_of_records(
    log_type: str, record_id: str, records: Iterable[JsonValue], work: Work, *, now: datetime
) -> None:
    """Raises an alert for records of a batch that are critical by who judged them, for every task that reads such logs.

    It is dated now and not as the batch is: apps' clocks may be wrong, and one ahead would hide what comes after it.
    """
    found = [finding for one in records if (finding := critical_record(one)) is not None]
    if not found:
        return
    declared = {task.task_id: task.policies.sources for task in await list_tasks(work.session)}
    for task_id in tasks_reading(log_type, declared) or [None]:
        alert = AlertRaised(
            alert_id=f"anomaly:{record_id}:{task_id or ''}"[:200], severity=Severity.CRITICAL, kind=CRITICAL_ANOMALY,
            task_id=task_id, raised_at=now,
            detail=f"{len(found)} records of {log_type} logs are {found[0]} (batch {record_id[:16]})",
        )  # fmt: skip
        await raise_alert(alert, work, times=len(found))


def _anomaly(event: Answered, finding: str) -> AlertRaised:
    return AlertRaised(
        alert_id=f"anomaly:{event.inference_id}"[:200],
        severity=Severity.CRITICAL,
        kind=CRITICAL_ANOMALY,
        task_id=event.task_id,
        detail=f"{event.task_id} found {finding} (inference {event.inference_id})",
        raised_at=event.completed_at,
    )


async def acknowledge_alert(alert_id: str, work: Work, *, by: str, now: datetime) -> None:
    """Marks an alert as seen by somebody.

    Raises:
        NotFound: there is no such alert.
    """
    if not await acknowledge(work.session, alert_id, by=by, now=now):
        raise NotFound("alert.not-found", f"there is no alert {alert_id}", alert_id=alert_id)
