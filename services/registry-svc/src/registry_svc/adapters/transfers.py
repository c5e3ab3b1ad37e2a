"""Model files on their way in and out: an upload becomes an object in storage, a download streams one."""

import asyncio
import uuid
from collections.abc import AsyncGenerator, AsyncIterator
from pathlib import Path

from loopwright.contracts.base import Artifact
from loopwright.errors import StoreUnavailable, TooLarge
from loopwright.storage import Storage


class Transfers:
    """Moves tars of model files.

    Args:
        folder: Where uploads lie until they are whole.
        most_bytes: Longest upload.
    """

    def __init__(self, storage: Storage, folder: Path, *, most_bytes: int) -> None:
        self._storage = storage
        self._folder = folder.resolve()
        self._most_bytes = most_bytes

    async def take(self, pieces: AsyncIterator[bytes]) -> Artifact:
        """Keeps an upload; nothing is left of one that breaks off.

        Raises:
            TooLarge: it is longer than it may be.
            StoreUnavailable: storage, or the disk, does not take it.
        """
        path = self._folder / f".upload-{uuid.uuid4().hex}"
        try:
            await asyncio.to_thread(self._folder.mkdir, parents=True, exist_ok=True)
            await self._write(path, pieces)
            return await self._storage.put_file(path, kind="models", suffix=".tar", media_type="application/x-tar")
        except OSError as error:
            raise StoreUnavailable("storage.unavailable", "the disk does not take the upload") from error
        finally:
            await asyncio.to_thread(path.unlink, missing_ok=True)

    async def _write(self, path: Path, pieces: AsyncIterator[bytes]) -> None:
        size_bytes = 0
        with path.open("wb") as file:
            async for piece in pieces:
                size_bytes += len(piece)
                if size_bytes > self._most_bytes:
                    raise TooLarge("model.upload-too-large", f"an upload may have {self._most_bytes} bytes, not more")
                await asyncio.to_thread(file.write, piece)

    async def open(self, artifact: Artifact) -> AsyncGenerator[bytes]:
        """A stream of an object, of which the first piece is there already: what cannot be read is said before that.

        Raises:
            StoreUnavailable: storage cannot be reached, or has lost it.
            InvalidPayload: it lies outside of the storage.
        """
        pieces = aiter(self._storage.chunks(artifact))
        first = await anext(pieces, b"")

        async def whole() -> AsyncGenerator[bytes]:
            yield first
            async for piece in pieces:
                yield piece

        return whole()
