"""Takes the bytes of a piece of an upload into storage, and the whole file once all of them are there."""

import asyncio
import hashlib
import tempfile
import uuid
from collections.abc import AsyncIterator
from contextlib import suppress
from datetime import UTC, datetime
from http import HTTPStatus
from pathlib import Path
from typing import IO

from fastapi import HTTPException
from starlette.requests import ClientDisconnect

from dataset_svc.api.doors import Doorway
from dataset_svc.domain.sources.uploads import Piece, Upload, UploadState
from dataset_svc.handlers.uploads import add_pieces, complete_upload, discard_pieces, load_upload, restart_upload
from loopwright.contracts.base import Artifact
from loopwright.errors import DependencyError, Invalid
from loopwright.telemetry import current_traceparent

_PIECE_BYTES = 8 << 20  # held in memory; what is larger is stored in several pieces
_OCTETS = "application/octet-stream"


class Receiver:
    """Receives one body.

    Args:
        digest: SHA-256 that the body must have; its bytes then count all or not at all. Without one each piece counts
            as soon as it is stored, so a broken connection loses little.
    """

    def __init__(self, door: Doorway, upload: Upload, *, digest: bytes | None) -> None:
        self._door = door
        self._upload = upload
        self._rules = door.upload_rules
        self._digest = digest
        self._hash = hashlib.sha256()
        self._next = upload.received_bytes
        self._waiting: list[Piece] = []
        # of its own, although pieces are named by content: whoever sends the same bytes next has pieces of his own
        self._kind = f"upload-pieces/{uuid.uuid4().hex}"

    async def take(self, body: AsyncIterator[bytes]) -> Upload:
        """Stores the body.

        Raises:
            Invalid: it does not have the digest; nothing of it counts.
            HTTPException: 413, it goes beyond the end of the file.
        """
        try:
            return await self._take(body)
        finally:
            if self._waiting:
                await self._discard()

    async def _take(self, body: AsyncIterator[bytes]) -> Upload:
        held = bytearray()
        try:
            async for chunk in body:
                refuse_beyond_end(self._upload, self._next + len(held) + len(chunk))
                held += chunk
                self._hash.update(chunk)
                while len(held) >= _PIECE_BYTES:
                    await self._store(bytes(held[:_PIECE_BYTES]))
                    del held[:_PIECE_BYTES]
        except ClientDisconnect:
            if self._digest is None and held:
                await self._store(bytes(held))
            raise
        if held:
            await self._store(bytes(held))
        if self._digest is not None and self._digest != self._hash.digest():
            raise Invalid("upload.wrong-chunk-checksum", "the piece does not have the checksum that was sent with it")
        return await self._commit()

    async def _store(self, content: bytes) -> None:
        artifact = await self._door.storage.put_bytes(content, kind=self._kind, suffix=".bin", media_type=_OCTETS)
        self._waiting.append(Piece(first_byte=self._next, artifact=artifact))
        self._next += len(content)
        if self._digest is None:
            await self._commit()

    async def _commit(self) -> Upload:
        async with self._door.work() as unit:
            upload = await add_pieces(
                unit, self._upload.upload_id, self._waiting, rules=self._rules, now=datetime.now(UTC)
            )
        self._waiting = []
        return upload

    async def _discard(self) -> None:
        with suppress(DependencyError):  # the piece's own error says more
            async with self._door.work() as unit:
                await discard_pieces(unit, self._waiting)


def refuse_beyond_end(upload: Upload, end: int) -> None:
    """413 for what is longer than was promised."""
    if end > upload.size_bytes:
        detail = f"the file was said to have {upload.size_bytes} bytes, and this goes up to {end}"
        raise HTTPException(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, detail)


async def finish_if_whole(door: Doorway, upload: Upload) -> Upload:
    """Checks the whole file and queues it, once its last byte is here.

    Raises:
        Invalid: it does not have the hash that was promised; the upload is empty again.
    """
    if upload.state is not UploadState.RECEIVING or upload.received_bytes < upload.size_bytes:
        return upload
    async with door.work() as unit:
        _, pieces = await load_upload(unit, upload.upload_id)
    with tempfile.TemporaryFile(prefix="dataset-upload-") as file:  # it has no name on disk
        found = await _compose(door, pieces, file)
        if found != upload.sha256:
            async with door.work() as unit:
                await restart_upload(unit, upload.upload_id, now=datetime.now(UTC))
            detail = "the whole file does not have the checksum that was promised; send it again from byte 0"
            raise Invalid("upload.wrong-checksum", detail, offset=0)
        source = await _keep(door, file)
    async with door.work() as unit:
        return await complete_upload(
            unit, upload.upload_id, source, traceparent=current_traceparent(), now=datetime.now(UTC)
        )


async def _compose(door: Doorway, pieces: tuple[Piece, ...], file: IO[bytes]) -> str:
    digest = hashlib.sha256()
    for piece in pieces:
        async for chunk in door.storage.chunks(piece.artifact):
            digest.update(chunk)
            await asyncio.to_thread(file.write, chunk)
    file.flush()
    return digest.hexdigest()


async def _keep(door: Doorway, file: IO[bytes]) -> Artifact:
    path = Path(f"/dev/fd/{file.fileno()}")
    return await door.storage.put_file(path, kind="uploads", suffix=".bin", media_type=_OCTETS)
