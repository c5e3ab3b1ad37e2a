"""Alerts over HTTP: listed for everybody who may look, acknowledged by engineers."""

from datetime import UTC, datetime
from typing import Annotated

from fastapi import APIRouter, Query

from feedback_svc.api.door import IdFilter, InPath, Opener
from feedback_svc.handlers.alerts import acknowledge_alert
from feedback_svc.queries.alerts import AlertView, get_alert, list_alerts
from loopwright.auth import Engineer, Viewer
from loopwright.pages import Page, Part
from loopwright.problems import ADMIN_PROBLEMS

routes = APIRouter(prefix="/api/v1/alerts", tags=["alerts"], responses=ADMIN_PROBLEMS)


@routes.get("")
async def alerts(
    opener: Opener,
    _: Viewer,
    window: Part,
    kind: IdFilter = None,
    task_id: IdFilter = None,
    acknowledged: Annotated[bool | None, Query(description="only those that somebody has seen, or has not")] = None,
) -> Page[AlertView]:
    """Alerts, newest first."""
    async with opener() as work:
        return await list_alerts(work.session, window, kind=kind, task_id=task_id, acknowledged=acknowledged)


@routes.post("/{alert_id}/acknowledge")
async def acknowledge(alert_id: InPath, opener: Opener, engineer: Engineer) -> AlertView:
    """Says that somebody has seen it."""
    async with opener() as work:
        await acknowledge_alert(alert_id, work, by=engineer.subject, now=datetime.now(UTC))
        return await get_alert(work.session, alert_id)
