"""Errors as `application/problem+json` (RFC 9457): the only place that knows HTTP statuses of our errors."""

from collections.abc import Iterable, Mapping
from http import HTTPStatus

import structlog
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import BaseModel, Field
from starlette.exceptions import HTTPException
from starlette.routing import compile_path

from loopwright.errors import (
    Conflict,
    ContractError,
    DependencyError,
    Expired,
    Fact,
    Invalid,
    NotAuthenticated,
    NotFound,
    NotPermitted,
    PlatformError,
    RateLimited,
    RuleRefused,
    TooLarge,
)
from loopwright.telemetry import current_trace_id

_log = structlog.get_logger()
MEDIA_TYPE = "application/problem+json"
_RETRY_AFTER_S = 2

_STATUS: tuple[tuple[type[PlatformError], HTTPStatus], ...] = (
    (NotFound, HTTPStatus.NOT_FOUND),
    (Conflict, HTTPStatus.CONFLICT),
    (NotAuthenticated, HTTPStatus.UNAUTHORIZED),
    (NotPermitted, HTTPStatus.FORBIDDEN),
    (Expired, HTTPStatus.GONE),
    (Invalid, HTTPStatus.UNPROCESSABLE_ENTITY),
    (TooLarge, HTTPStatus.REQUEST_ENTITY_TOO_LARGE),
    (RateLimited, HTTPStatus.TOO_MANY_REQUESTS),
    (RuleRefused, HTTPStatus.CONFLICT),
    (ContractError, HTTPStatus.UNPROCESSABLE_ENTITY),
    (DependencyError, HTTPStatus.SERVICE_UNAVAILABLE),
)


class FieldProblem(BaseModel):
    """One thing that is wrong with a request."""

    place: str = Field(description="where: body.field.index")
    detail: str = Field(description="what")


class Problem(BaseModel):
    """RFC 9457 problem details, with our stable code and the trace id."""

    type: str = Field(description="URN of the kind of problem")
    title: str = Field(description="the kind, for people")
    status: int = Field(description="HTTP status")
    detail: str | None = Field(default=None, description="this occurrence, for people")
    instance: str | None = Field(default=None, description="path that was asked for")
    code: str = Field(description="stable code, for programs")
    trace_id: str | None = Field(default=None, description="trace to look this request up by")
    facts: dict[str, Fact] | None = Field(default=None, description="typed values that the detail speaks of")
    errors: tuple[FieldProblem, ...] | None = Field(default=None, description="each wrong field of a malformed request")


def status_of(error: PlatformError) -> HTTPStatus:
    return next((status for kind, status in _STATUS if isinstance(error, kind)), HTTPStatus.INTERNAL_SERVER_ERROR)


def problem_response(request: Request, problem: Problem, *, headers: Mapping[str, str] | None = None) -> JSONResponse:
    problem = problem.model_copy(update={"instance": request.url.path, "trace_id": current_trace_id()})
    sent = dict(headers or {})
    if problem.status == HTTPStatus.SERVICE_UNAVAILABLE:
        sent["Retry-After"] = str(_RETRY_AFTER_S)
    if problem.status == HTTPStatus.TOO_MANY_REQUESTS and problem.facts:
        sent["Retry-After"] = str(problem.facts.get("retry_after_s", _RETRY_AFTER_S))
    if problem.status == HTTPStatus.UNAUTHORIZED:
        sent["WWW-Authenticate"] = f'Bearer error="{problem.code}"'
    return JSONResponse(
        problem.model_dump(exclude_none=True), status_code=problem.status, headers=sent, media_type=MEDIA_TYPE
    )


def problem_of(error: PlatformError) -> Problem:
    status = status_of(error)
    return Problem(
        type=f"urn:loopwright:problem:{error.code}",
        title=status.phrase,
        status=status,
        detail=error.detail,
        code=error.code,
        facts=error.facts or None,
    )


def _plain(status: int, code: str, detail: str | None) -> Problem:
    phrase = HTTPStatus(status).phrase
    return Problem(type=f"urn:loopwright:problem:{code}", title=phrase, status=status, detail=detail, code=code)


async def _platform_error(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, PlatformError)
    return problem_response(request, problem_of(error))


async def _malformed(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, RequestValidationError)
    fields = tuple(
        FieldProblem(place=".".join(str(part) for part in entry["loc"]), detail=str(entry["msg"]))
        for entry in error.errors()
    )
    problem = _plain(HTTPStatus.UNPROCESSABLE_ENTITY, "request.malformed", "the request does not fit the schema")
    return problem_response(request, problem.model_copy(update={"errors": fields}))


async def _http_error(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, HTTPException)
    code = "request." + HTTPStatus(error.status_code).phrase.lower().replace(" ", "-")
    problem = _plain(error.status_code, code, str(error.detail))
    headers = dict(error.headers or {})
    if error.status_code == HTTPStatus.METHOD_NOT_ALLOWED:
        headers |= _allow(request)
    return problem_response(request, problem, headers=headers)


def _allow(request: Request) -> dict[str, str]:
    """Methods of the place that was asked for (RFC 9110, 10.2.1), where Starlette names those of one route alone."""
    paths: dict[str, dict[str, object]] = request.app.openapi()["paths"]
    template = template_of(request.url.path, paths)
    return {} if template is None else {"Allow": ", ".join(sorted(method.upper() for method in paths[template]))}


def template_of(path: str, templates: Iterable[str]) -> str | None:
    """The template that a path is of; the one with the fewest parameters if several fit."""
    fitting = [template for template in templates if compile_path(template)[0].match(path)]
    return min(fitting, key=lambda template: template.count("{"), default=None)


async def _unknown_error(request: Request, error: Exception) -> JSONResponse:
    _log.exception("http.unknown-error", path=request.url.path, exc_info=error)
    return problem_response(request, _plain(HTTPStatus.INTERNAL_SERVER_ERROR, "internal", None))


def install_problem_handlers(app: FastAPI) -> None:
    """Makes every error of an app a problem response."""
    app.add_exception_handler(PlatformError, _platform_error)
    app.add_exception_handler(RequestValidationError, _malformed)
    app.add_exception_handler(HTTPException, _http_error)
    app.add_exception_handler(Exception, _unknown_error)


def declared(*statuses: HTTPStatus) -> dict[int | str, dict[str, object]]:
    """`responses=` of a route: the problems that it can answer with."""
    content: dict[str, object] = {MEDIA_TYPE: {"schema": _schema_of_problems()}}
    return {int(status): {"description": status.phrase, "content": content} for status in statuses}


def _schema_of_problems() -> dict[str, object]:
    """Without references: in the document that FastAPI puts it into, pydantic's would point nowhere."""
    schema = Problem.model_json_schema()
    del schema["$defs"]
    schema["properties"]["errors"]["anyOf"][0]["items"] = FieldProblem.model_json_schema()
    return schema


ADMIN_PROBLEMS = declared(
    HTTPStatus.BAD_REQUEST, HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN, HTTPStatus.NOT_FOUND, HTTPStatus.CONFLICT,
    HTTPStatus.UNPROCESSABLE_ENTITY, HTTPStatus.SERVICE_UNAVAILABLE,
)  # fmt: skip
