"""HTTP door of test suites: from JSON, or from a file of CSV or JSON Lines."""

import asyncio
from http import HTTPStatus
from typing import Annotated

from fastapi import APIRouter, Depends, Header, Path, Query, Request

from loopwright.auth import Engineer, Viewer
from loopwright.contracts.base import Identifier, JsonObject, Storable
from loopwright.errors import Invalid
from loopwright.pages import Page, Part
from loopwright.problems import ADMIN_PROBLEMS, declared
from registry_svc.api.bounded import BoundedRoute
from registry_svc.api.doors import Door
from registry_svc.api.schemas import SuiteCasesRequest, SuiteRequest
from registry_svc.domain.suite_files import CaseFormat, read_case_file
from registry_svc.domain.suites import CaseDraft, CasesRefused, Draft
from registry_svc.handlers.suites import (
    NewSuite,
    archive_suite,
    cases_refused,
    create_suite,
    remove_suite,
    renew_suite,
)
from registry_svc.queries.suites import (
    SuiteCaseView,
    SuiteVersionView,
    SuiteView,
    list_cases_of_suite,
    list_suite_versions,
    list_suites,
    read_suite,
)

routes = APIRouter(
    prefix="/api/v1/admin/suites",
    tags=["suites"],
    responses=ADMIN_PROBLEMS | declared(HTTPStatus.REQUEST_ENTITY_TOO_LARGE),
    route_class=BoundedRoute,
)

_NAME_RULE = r"^[A-Za-z0-9][A-Za-z0-9._\-]*$"
SuiteName = Annotated[str, Path(min_length=1, max_length=100, pattern=_NAME_RULE)]
NewName = Annotated[str, Query(min_length=1, max_length=100, pattern=_NAME_RULE, description="name of the new suite")]
Version = Annotated[int, Path(ge=1, le=999_999_999)]
_FILE: JsonObject = {
    "requestBody": {
        "required": True,
        "description": "header `input,expected[,case_id]`, or one object of these a line; UTF-8",
        "content": {
            "text/csv": {
                "schema": {"type": "string"},
                "example": 'input,expected\n"disk sda1 failed","{""status"":""alert""}"\n',
            },
            "application/x-ndjson": {
                "schema": {"type": "string"},
                "example": '{"input": "disk sda1 failed", "expected": {"status": "alert"}}\n',
            },
        },
    }
}
_FORMATS = {
    "text/csv": CaseFormat.CSV,
    "application/x-ndjson": CaseFormat.JSONL,
    "application/jsonl": CaseFormat.JSONL,
    "application/x-jsonlines": CaseFormat.JSONL,
}


async def _file(
    request: Request, door: Door, content_type: Annotated[str, Header(include_in_schema=False)] = ""
) -> list[tuple[str, Draft]]:
    """The cases of a file in the body.

    Raises:
        Invalid: nobody knows its format, or it cannot be read.
    """
    form = _FORMATS.get(content_type.partition(";")[0].strip().lower())
    if form is None:
        raise Invalid("suite.format-unknown", f"send text/csv or application/x-ndjson, not {content_type[:100]!r}")
    content = await request.body()
    try:
        return await asyncio.to_thread(read_case_file, content, form, most_cases=door.most_suite_cases)
    except CasesRefused as refused:
        raise cases_refused(refused) from refused


CaseFile = Annotated[list[tuple[str, Draft]], Depends(_file)]


def _drafts(cases: tuple[CaseDraft, ...]) -> list[tuple[str, Draft]]:
    return [(f"case {number}", case) for number, case in enumerate(cases, start=1)]


@routes.get("")
async def get_suites(
    _: Viewer,
    door: Door,
    part: Part,
    task_id: Annotated[Identifier | None, Query(description="only of this task")] = None,
    archived: Annotated[bool, Query(description="whether archived ones come along")] = False,  # noqa: FBT002 - a query parameter
) -> Page[SuiteView]:
    async with door.work() as unit:
        return await list_suites(unit, part, task_id=task_id, archived=archived)


@routes.post("", status_code=HTTPStatus.CREATED)
async def post_suite(principal: Engineer, door: Door, body: SuiteRequest) -> SuiteVersionView:
    wanted = NewSuite(
        name=body.name, task_id=body.task_id, description=body.description, drafts=_drafts(body.cases),
        by=principal.subject,
    )  # fmt: skip
    async with door.work() as unit:
        return SuiteVersionView.model_validate(await create_suite(wanted, unit, most_cases=door.most_suite_cases))


@routes.post("/import", status_code=HTTPStatus.CREATED, openapi_extra=_FILE)
async def post_suite_file(
    principal: Engineer,
    door: Door,
    drafts: CaseFile,
    name: NewName,
    task_id: Annotated[Identifier, Query(description="task whose answers the cases expect")],
    description: Annotated[Storable, Query(max_length=2000, description="what it is for")] = "",
) -> SuiteVersionView:
    wanted = NewSuite(name=name, task_id=task_id, description=description, drafts=drafts, by=principal.subject)
    async with door.work() as unit:
        return SuiteVersionView.model_validate(await create_suite(wanted, unit, most_cases=door.most_suite_cases))


@routes.get("/{name}")
async def get_suite(_: Viewer, door: Door, name: SuiteName) -> SuiteView:
    async with door.work() as unit:
        return await read_suite(unit, name)


@routes.delete("/{name}", status_code=HTTPStatus.NO_CONTENT)
async def delete_suite(_: Engineer, door: Door, name: SuiteName) -> None:
    """Removes a suite that nothing was evaluated on; others can be archived."""
    async with door.work() as unit:
        await remove_suite(name, unit)


@routes.post("/{name}/archive")
async def post_archive(_: Engineer, door: Door, name: SuiteName) -> SuiteView:
    async with door.work() as unit:
        await archive_suite(name, unit, archived=True)
        return await read_suite(unit, name)


@routes.post("/{name}/restore")
async def post_restore(_: Engineer, door: Door, name: SuiteName) -> SuiteView:
    async with door.work() as unit:
        await archive_suite(name, unit, archived=False)
        return await read_suite(unit, name)


@routes.get("/{name}/versions")
async def get_versions(_: Viewer, door: Door, name: SuiteName, part: Part) -> Page[SuiteVersionView]:
    async with door.work() as unit:
        return await list_suite_versions(unit, name, part)


@routes.post("/{name}/versions", status_code=HTTPStatus.CREATED)
async def post_version(principal: Engineer, door: Door, name: SuiteName, body: SuiteCasesRequest) -> SuiteVersionView:
    """A new version; the cases of the newest one again are that version."""
    async with door.work() as unit:
        version = await renew_suite(
            name, _drafts(body.cases), unit, by=principal.subject, most_cases=door.most_suite_cases
        )
        return SuiteVersionView.model_validate(version)


@routes.post("/{name}/versions/import", status_code=HTTPStatus.CREATED, openapi_extra=_FILE)
async def post_version_file(principal: Engineer, door: Door, name: SuiteName, drafts: CaseFile) -> SuiteVersionView:
    """As from JSON."""
    async with door.work() as unit:
        version = await renew_suite(name, drafts, unit, by=principal.subject, most_cases=door.most_suite_cases)
        return SuiteVersionView.model_validate(version)


@routes.get("/{name}/versions/{version}/cases")
async def get_cases(_: Viewer, door: Door, name: SuiteName, version: Version, part: Part) -> Page[SuiteCaseView]:
    async with door.work() as unit:
        return await list_cases_of_suite(unit, f"{name}@{version}", part)
