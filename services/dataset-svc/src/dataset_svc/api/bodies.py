"""Bodies are counted while they arrive: what is too large is refused before it fills memory or a disk."""

import asyncio
import shutil
import tempfile
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from http import HTTPStatus
from pathlib import Path
from typing import IO

from fastapi import HTTPException
from starlette.datastructures import FormData, Headers, UploadFile
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from loopwright.errors import Invalid

_JSON_BODY_BYTES = 64 << 10


class BoundedBodies:
    """ASGI middleware that makes reading a body that is too large a 413.

    Args:
        upload_path: Where files are posted; all other bodies are short JSON.
        max_upload_bytes: Limit there.
    """

    def __init__(self, app: ASGIApp, *, upload_path: str, max_upload_bytes: int) -> None:
        self._app = app
        self._upload_path = upload_path
        self._max_upload_bytes = max_upload_bytes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        limit = self._max_upload_bytes if scope["path"] == self._upload_path else _JSON_BODY_BYTES
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


@asynccontextmanager
async def spooled_file(form: FormData, name: str) -> AsyncGenerator[Path]:
    """A file of the form as a file on disk, removed when the block ends.

    Raises:
        Invalid: there is no such file, or it is empty.
    """
    value = form.get(name)
    if not isinstance(value, UploadFile) or not value.size:
        raise Invalid("upload.no-file", f"the form has no file named {name}, or an empty one", field=name)
    with tempfile.NamedTemporaryFile(prefix="dataset-upload-") as copy:
        await asyncio.to_thread(_copy, value, copy.file)
        yield Path(copy.name)


def _copy(upload: UploadFile, target: IO[bytes]) -> None:
    upload.file.seek(0)
    shutil.copyfileobj(upload.file, target)
    target.flush()
