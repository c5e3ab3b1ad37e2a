"""Read model of alerts: what was raised, how often, who has seen it, and which webhooks know."""

from datetime import datetime

import sqlalchemy as sa
from pydantic import Field
from sqlalchemy.ext.asyncio import AsyncSession

from feedback_svc.store.tables import alert_deliveries, alerts
from loopwright.contracts.base import Value
from loopwright.contracts.records import Severity
from loopwright.pages import Page, Window, read_page


class AlertView(Value):
    """One alert."""

    alert_id: str
    kind: str
    task_id: str | None
    severity: Severity
    detail: str = Field(description="as it was said last")
    occurrences: int = Field(description="how often it was raised within its hour")
    raised_at: datetime
    last_at: datetime
    acknowledged_at: datetime | None
    acknowledged_by: str | None
    delivered: int = Field(description="webhooks that were told")
    waiting: int = Field(description="webhooks that are still to be told")
    dead: int = Field(description="webhooks that were tried for the last time in vain")


async def list_alerts(
    session: AsyncSession, window: Window, *, kind: str | None, task_id: str | None, acknowledged: bool | None
) -> Page[AlertView]:
    """Alerts, newest first."""
    query = _alerts()
    for column, wanted in ((alerts.c.kind, kind), (alerts.c.task_id, task_id)):
        if wanted is not None:
            query = query.where(column == wanted)
    if acknowledged is not None:
        query = query.where(alerts.c.acknowledged_at.is_not(None) == acknowledged)
    return await read_page(session, query, window, lambda row: AlertView.model_validate(dict(row)))


async def get_alert(session: AsyncSession, alert_id: str) -> AlertView:
    """One alert, which exists."""
    row = (await session.execute(_alerts().where(alerts.c.alert_id == alert_id))).mappings().one()
    return AlertView.model_validate(dict(row))


def _alerts() -> sa.Select[*tuple[object, ...]]:
    told, due = alert_deliveries.c.delivered_at.is_not(None), alert_deliveries.c.due_at.is_not(None)
    counts = (
        sa.select(
            sa.func.count().filter(told).label("delivered"), sa.func.count().filter(due).label("waiting"),
            sa.func.count().filter(~told, ~due).label("dead"),
        )
        .where(alert_deliveries.c.alert_id == alerts.c.alert_id)
        .correlate(alerts)
        .lateral()
    )  # fmt: skip
    return sa.select(alerts, counts).order_by(alerts.c.raised_at.desc(), alerts.c.alert_id)
