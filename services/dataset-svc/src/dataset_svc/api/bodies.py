"""Bodies are counted while they arrive: what is too large is refused before it fills memory or a disk."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from http import HTTPStatus

from fastapi import HTTPException
from starlette.datastructures import FormData, Headers, UploadFile
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from loopwright.errors import Invalid

_JSON_BODY_BYTES = 64 << 10


@dataclass(frozen=True, kw_only=True)
class BodyLimit:
    """Where a longer body may be sent.

    Attributes:
        method: In capitals.
        path: Of the request, as a whole.
    """

    method: str
    path: re.Pattern[str]
    max_bytes: int


class BoundedBodies:
    """ASGI middleware that makes reading a body that is too large a 413.

    Args:
        limits: Places of longer bodies; everywhere else 64 KiB are enough.
    """

    def __init__(self, app: ASGIApp, *, limits: Sequence[BodyLimit]) -> None:
        self._app = app
        self._limits = limits

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        limit = self._limit_of(scope)
        declared = Headers(scope=scope).get("content-length", "")
        received = int(declared) if declared.isdecimal() and int(declared) > limit else 0

        async def counted() -> Message:
            nonlocal received
            _check(received, limit)
            message = await receive()
            received += len(message.get("body", b""))
            _check(received, limit)
            return message

        await self._app(scope, counted, send)

    def _limit_of(self, scope: Scope) -> int:
        method, path = scope["method"], scope["path"]
        fitting = (one.max_bytes for one in self._limits if one.method == method and one.path.fullmatch(path))
        return next(fitting, _JSON_BODY_BYTES)


def _check(received: int, limit: int) -> None:
    if received > limit:
        raise HTTPException(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, f"the body is larger than {limit} bytes")


def text_field(form: FormData, name: str) -> str | None:
    """A text field of the form; None if it is not there or empty.

    Raises:
        Invalid: it is a file.
    """
    value = form.get(name)
    if isinstance(value, UploadFile):
        raise Invalid("upload.field-is-file", f"{name} is a file, and must be text", field=name)
    return value or None


def file_field(form: FormData, name: str) -> UploadFile:
    """A file of the form.

    Raises:
        Invalid: there is no such file, or it is empty.
    """
    value = form.get(name)
    if not isinstance(value, UploadFile) or not value.size:
        raise Invalid("upload.no-file", f"the form has no file named {name}, or an empty one", field=name)
    return value
