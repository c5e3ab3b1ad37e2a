"""Errors of the inference API, in the OpenAI API's own format, which every client of it understands."""

from http import HTTPStatus

import msgspec
from pydantic import BaseModel

from loopwright.errors import Invalid, PlatformError, RateLimited
from loopwright.problems import status_of

Headers = list[tuple[bytes, bytes]]
_RETRY_AFTER = b"2"  # seconds
_TYPES = {
    HTTPStatus.SERVICE_UNAVAILABLE: "server_error",
    HTTPStatus.INTERNAL_SERVER_ERROR: "server_error",
    HTTPStatus.UNAUTHORIZED: "authentication_error",
    HTTPStatus.FORBIDDEN: "permission_error",
    HTTPStatus.TOO_MANY_REQUESTS: "rate_limit_error",
}
_OPENAI_CODES = {"router.unknown-model": "model_not_found"}  # clients branch on this one


class OpenAiError(BaseModel):
    """What went wrong."""

    message: str
    type: str
    param: str | None
    code: str


class OpenAiErrorAnswer(BaseModel):
    """An error as the OpenAI API writes it."""

    error: OpenAiError


class BodyTooLarge(Invalid):
    """A request body over the limit."""


class HeadTooLarge(Invalid):
    """A request's headers over the limit."""


class MethodNotAllowed(Invalid):
    """Only one method is for that path."""


def error_answer(error: PlatformError) -> tuple[HTTPStatus, Headers, bytes]:
    """Status, headers and body that say what went wrong."""
    status = _status(error)
    content = {
        "message": error.detail,
        "type": _TYPES.get(status, "invalid_request_error"),
        "param": "model" if error.code == "router.unknown-model" else None,
        "code": _OPENAI_CODES.get(error.code, error.code),
    }
    headers: Headers = [(b"content-type", b"application/json")]
    if status is HTTPStatus.SERVICE_UNAVAILABLE:
        headers.append((b"retry-after", _RETRY_AFTER))
    elif isinstance(error, RateLimited):
        headers.append((b"retry-after", str(error.facts.get("retry_after_s", 1)).encode()))
    elif status is HTTPStatus.UNAUTHORIZED:
        headers.append((b"www-authenticate", b"Bearer"))
    elif status is HTTPStatus.METHOD_NOT_ALLOWED:
        headers.append((b"allow", b"POST"))
    return status, headers, msgspec.json.encode({"error": content})


def _status(error: PlatformError) -> HTTPStatus:
    match error:
        case BodyTooLarge():
            return HTTPStatus.REQUEST_ENTITY_TOO_LARGE
        case HeadTooLarge():
            return HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE
        case MethodNotAllowed():
            return HTTPStatus.METHOD_NOT_ALLOWED
        case Invalid():
            return HTTPStatus.BAD_REQUEST  # where the rest of the platform says 422
        case _:
            return status_of(error)
