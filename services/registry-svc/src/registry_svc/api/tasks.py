"""HTTP door of tasks and packs."""

from http import HTTPStatus
from typing import Annotated

from fastapi import APIRouter, Depends, Query, Request

from loopwright.auth import Engineer, Viewer
from loopwright.errors import Invalid
from loopwright.pages import Page, Part
from loopwright.problems import ADMIN_PROBLEMS
from registry_svc.api.doors import Door, InPath
from registry_svc.domain.packs import PackRefused, TaskPack, check_pack
from registry_svc.handlers.tasks import change_task, declare_task
from registry_svc.queries.tasks import (
    PackFileView,
    TaskView,
    list_packs,
    list_tasks,
    read_task,
    read_task_history,
)

routes = APIRouter(prefix="/api/v1/admin", tags=["tasks"], responses=ADMIN_PROBLEMS)


async def _checked(request: Request, body: TaskPack, door: Door) -> TaskPack:
    """The declaration under the rules of packs, which are stricter than the schema: no unknown fields at any depth.

    Raises:
        Invalid: with every wrong field and its reason.
    """
    del body  # there for the schema in OpenAPI; what was sent is read again with its unknown fields
    try:
        return check_pack(await request.json(), base_models=door.base_models)
    except PackRefused as refused:
        reasons = {problem.field: problem.reason for problem in refused.problems}
        raise Invalid("task.declaration-refused", str(refused), **reasons) from refused


Declaration = Annotated[TaskPack, Depends(_checked)]


@routes.get("/tasks")
async def get_tasks(_: Viewer, door: Door, part: Part) -> Page[TaskView]:
    async with door.work() as unit:
        return await list_tasks(unit, part)


@routes.get("/task-packs")
async def get_task_packs(_: Viewer, door: Door, part: Part) -> Page[PackFileView]:
    async with door.work() as unit:
        return await list_packs(unit, part)


@routes.post("/tasks", status_code=HTTPStatus.CREATED)
async def post_task(principal: Engineer, door: Door, declaration: Declaration) -> TaskView:
    async with door.work() as unit:
        await declare_task(declaration, unit, by=principal.subject)
        return await read_task(unit, declaration.task_id)


@routes.get("/tasks/{task_id}")
async def get_task(_: Viewer, door: Door, task_id: InPath) -> TaskView:
    async with door.work() as unit:
        return await read_task(unit, task_id)


@routes.put("/tasks/{task_id}")
async def put_task(
    principal: Engineer,
    door: Door,
    task_id: InPath,
    declaration: Declaration,
    seen_version: Annotated[int, Query(ge=1, le=2**31 - 1, description="version that the change was made on")],
) -> TaskView:
    if declaration.task_id != task_id:
        raise Invalid("task.id-fixed", f"the declaration is of {declaration.task_id}, the path of {task_id}")
    async with door.work() as unit:
        await change_task(declaration, unit, by=principal.subject, seen_version=seen_version)
        return await read_task(unit, task_id)


@routes.get("/tasks/{task_id}/history")
async def get_task_history(_: Viewer, door: Door, task_id: InPath, part: Part) -> Page[TaskView]:
    async with door.work() as unit:
        return await read_task_history(unit, task_id, part)
