"""What was learned, and the exports that carried it away, over HTTP."""

from datetime import UTC, datetime
from typing import Annotated

from fastapi import APIRouter, Query

from feedback_svc.api.door import IdFilter, Opener
from feedback_svc.queries.learning import ExportView, LearnStatus, learn_status, list_exports
from loopwright.auth import Viewer
from loopwright.contracts.base import Identifier
from loopwright.pages import Page, Part
from loopwright.problems import ADMIN_PROBLEMS

routes = APIRouter(prefix="/api/v1", tags=["learning"], responses=ADMIN_PROBLEMS)


@routes.get("/learn/status")
async def status(_: Viewer, opener: Opener, task_id: Annotated[Identifier, Query()]) -> LearnStatus:
    async with opener() as work:
        return await learn_status(work.session, task_id, now=datetime.now(UTC))


@routes.get("/exports")
async def exports(_: Viewer, opener: Opener, window: Part, task_id: IdFilter = None) -> Page[ExportView]:
    async with opener() as work:
        return await list_exports(work.session, window, task_id=task_id)
