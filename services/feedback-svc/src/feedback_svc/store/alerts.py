"""Alerts, each with how often it was raised, and news of them on their way to webhooks."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import ARRAY, insert
from sqlalchemy.ext.asyncio import AsyncSession

from feedback_svc.store.tables import alert_deliveries, alerts
from loopwright.contracts.records import AlertRaised, Severity

_LEASE = timedelta(minutes=1)  # longer than one delivery may take


@dataclass(frozen=True, kw_only=True)
class Delivery:
    """News of an alert that is due at a webhook."""

    url: str
    alert: AlertRaised
    occurrences: int
    attempts: int


async def find_newest(session: AsyncSession, kind: str, task_id: str | None) -> tuple[str, datetime] | None:
    """Id and time of the alert of a kind and task that was raised last; nobody else raises one until the commit."""
    key = f"alert:{kind}:{task_id or ''}"
    await session.execute(sa.select(sa.func.pg_advisory_xact_lock(sa.func.hashtextextended(key, 0))))
    query = (
        sa.select(alerts.c.alert_id, alerts.c.raised_at)
        .where(alerts.c.kind == kind, alerts.c.task_id.is_not_distinct_from(task_id))
        .order_by(alerts.c.raised_at.desc())
        .limit(1)
    )
    row = (await session.execute(query)).one_or_none()
    return None if row is None else (row.alert_id, row.raised_at)


async def add_alert(session: AsyncSession, alert: AlertRaised, *, times: int) -> bool:
    """Keeps an alert; says whether it was new."""
    statement = insert(alerts).values(
        alert_id=alert.alert_id, kind=alert.kind, task_id=alert.task_id, severity=alert.severity, detail=alert.detail,
        occurrences=times, raised_at=alert.raised_at, last_at=alert.raised_at,
    )  # fmt: skip
    return (await session.execute(statement.on_conflict_do_nothing().returning(alerts.c.alert_id))).first() is not None


async def count_again(session: AsyncSession, alert_id: str, alert: AlertRaised, *, times: int) -> None:
    """Counts an alert that says the same again; the graver word stands."""
    columns = alerts.c
    severity = columns.severity if alert.severity is not Severity.CRITICAL else sa.literal(Severity.CRITICAL)
    await session.execute(
        sa.update(alerts)
        .where(columns.alert_id == alert_id)
        .values(
            occurrences=columns.occurrences + times, last_at=sa.func.greatest(columns.last_at, alert.raised_at),
            detail=alert.detail, severity=severity,
        )
    )  # fmt: skip


async def acknowledge(session: AsyncSession, alert_id: str, *, by: str, now: datetime) -> bool:
    """Marks an alert as seen; the first who did so stands. False if there is no such alert."""
    columns = alerts.c
    statement = (
        sa.update(alerts)
        .where(columns.alert_id == alert_id)
        .values(
            acknowledged_at=sa.func.coalesce(columns.acknowledged_at, now),
            acknowledged_by=sa.func.coalesce(columns.acknowledged_by, by),
        )
        .returning(columns.alert_id)
    )
    return (await session.execute(statement)).first() is not None


async def queue_deliveries(
    session: AsyncSession, url: str, *, tasks: Collection[str], since: datetime, now: datetime
) -> None:
    """Queues what a webhook has not been told yet.

    Args:
        tasks: Those whose alerts it wants; all if empty.
    """
    wanted = sa.select(alerts.c.alert_id, sa.literal(url), sa.literal(0), sa.literal(now)).where(
        alerts.c.raised_at >= since, alerts.c.acknowledged_at.is_(None)
    )
    if tasks:
        wanted = wanted.where(alerts.c.task_id == sa.any_(sa.literal(sorted(tasks), ARRAY(sa.Text))))
    statement = insert(alert_deliveries).from_select(["alert_id", "url", "attempts", "due_at"], wanted)
    await session.execute(statement.on_conflict_do_nothing())


async def take_due(session: AsyncSession, urls: Collection[str], *, now: datetime) -> Delivery | None:
    """News that is due, for whoever asks first; due again after a while, should nobody say what became of it."""
    columns = alert_deliveries.c
    query = (
        sa.select(columns.url, columns.attempts, alerts)
        .join(alerts, alerts.c.alert_id == columns.alert_id)
        .where(columns.due_at <= now, columns.url == sa.any_(sa.literal(sorted(urls), ARRAY(sa.Text))))
        .order_by(columns.due_at)
        .limit(1)
        .with_for_update(of=alert_deliveries, skip_locked=True)
    )
    row = (await session.execute(query)).one_or_none()
    if row is None:
        return None
    await _update(session, row.url, row.alert_id, {"due_at": now + _LEASE})
    alert = AlertRaised(
        alert_id=row.alert_id, severity=Severity(row.severity), kind=row.kind, task_id=row.task_id, detail=row.detail,
        raised_at=row.raised_at,
    )  # fmt: skip
    return Delivery(url=row.url, alert=alert, occurrences=row.occurrences, attempts=row.attempts)


async def mark_delivered(session: AsyncSession, delivery: Delivery, *, now: datetime) -> None:
    values = {"attempts": delivery.attempts + 1, "due_at": None, "delivered_at": now, "last_error": None}
    await _update(session, delivery.url, delivery.alert.alert_id, values)


async def mark_failed(session: AsyncSession, delivery: Delivery, *, error: str, next_at: datetime | None) -> None:
    """Keeps why it failed; dead without a next time."""
    values = {"attempts": delivery.attempts + 1, "due_at": next_at, "last_error": error[:500]}
    await _update(session, delivery.url, delivery.alert.alert_id, values)


async def _update(session: AsyncSession, url: str, alert_id: str, values: Mapping[str, object]) -> None:
    mine = (alert_deliveries.c.url == url) & (alert_deliveries.c.alert_id == alert_id)
    await session.execute(sa.update(alert_deliveries).where(mine).values(values))
