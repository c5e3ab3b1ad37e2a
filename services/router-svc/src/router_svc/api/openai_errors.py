"""Errors of the inference API, in the OpenAI API's own format, which every client of it understands."""

from http import HTTPStatus

import msgspec
from pydantic import BaseModel

from loopwright.errors import Invalid, PlatformError
from loopwright.problems import status_of
from router_svc.handlers.answering import Headers

_RETRY_AFTER = b"2"  # seconds
_TYPES = {HTTPStatus.SERVICE_UNAVAILABLE: "server_error", HTTPStatus.NOT_FOUND: "invalid_request_error"}
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
    return status, headers, msgspec.json.encode({"error": content})


def _status(error: PlatformError) -> HTTPStatus:
    match error:
        case BodyTooLarge():
            return HTTPStatus.REQUEST_ENTITY_TOO_LARGE
        case Invalid():
            return HTTPStatus.BAD_REQUEST  # where the rest of the platform says 422
        case _:
            return status_of(error)
