"""Large things by URI: a local folder or S3, every object named by its content and encrypted if there are keys."""

import asyncio
import hashlib
import uuid
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing
from pathlib import Path

from obstore.exceptions import BaseError
from obstore.store import LocalStore, ObjectStore, S3Store, from_url

from loopwright.ahead import beside, one_ahead
from loopwright.contracts.base import Artifact
from loopwright.errors import InvalidPayload, StoreUnavailable
from loopwright.sealing import HEADER_BYTES, KeyFile, KeyRing, after, rewrap, seal, unseal
from loopwright.settings import CommonSettings

_CHUNK_BYTES = 1 << 20
_RANGE_BYTES = 8 << 20  # of one request


class Storage:
    """Objects under one root URI, at `<root>/<kind>/<sha256[:2]>/<sha256><suffix>`.

    Args:
        root_uri: `file:///folder` or `s3://bucket/prefix`; S3 takes region, endpoint and credentials from the
            standard AWS_* variables.
        keys: What objects are sealed with; without keys they are stored as they are. Names and hashes are those of
            the plain bytes either way.
    """

    def __init__(self, root_uri: str, keys: KeyFile | None = None) -> None:
        self._root = root_uri.rstrip("/")
        self._keys = keys
        self._store = _open_store(self._root)

    async def put_bytes(self, content: bytes, *, kind: str, suffix: str, media_type: str) -> Artifact:
        """Stores bytes; storing the same bytes again changes nothing."""
        digest = (await beside(len(content), hashlib.sha256, content)).hexdigest()
        return await self._put(content, digest, len(content), f"{kind}/{digest[:2]}/{digest}{suffix}", media_type)

    async def put_file(self, path: Path, *, kind: str, suffix: str, media_type: str) -> Artifact:
        """Stores a file without reading it whole into memory."""
        digest, size = await asyncio.to_thread(_hash_file, path)
        return await self._put(path, digest, size, f"{kind}/{digest[:2]}/{digest}{suffix}", media_type)

    async def _put(self, content: bytes | Path, digest: str, size: int, name: str, media_type: str) -> Artifact:
        stored = content if self._keys is None else one_ahead(seal(one_ahead(_pieces(content)), self._keys.ring()))
        try:
            await self._store.put_async(name, stored)
        except (BaseError, OSError) as error:
            raise StoreUnavailable("storage.unavailable", "object storage cannot be written") from error
        return Artifact(uri=f"{self._root}/{name}", sha256=digest, size_bytes=size, media_type=media_type)

    async def chunks(self, artifact: Artifact) -> AsyncIterator[bytes]:
        """Streams an object and checks its hash at the end.

        Raises:
            StoreUnavailable: storage cannot be reached, or the object is not there (code `storage.object-missing`).
            InvalidPayload: the bytes are not those that were named, or lie outside the root.
        """
        name = self._name_of(artifact.uri)
        digest = hashlib.sha256()
        try:
            async with aclosing(one_ahead(self._plain(name, artifact.size_bytes))) as pieces:
                async for piece in pieces:
                    hashing = asyncio.create_task(beside(len(piece), digest.update, piece))
                    try:
                        yield piece
                    finally:
                        await hashing
        except FileNotFoundError as error:
            raise StoreUnavailable("storage.object-missing", f"{name} is not there") from error
        except ValueError as error:
            raise InvalidPayload("storage.foreign-uri", "the artifact's URI names no object") from error
        except (BaseError, OSError) as error:
            raise StoreUnavailable("storage.unavailable", f"{name} cannot be read") from error
        if digest.hexdigest() != artifact.sha256:
            raise InvalidPayload("storage.hash-mismatch", f"{name} does not have the bytes that were named")

    async def _plain(self, name: str, size_bytes: int) -> AsyncGenerator[bytes]:
        stored = _pieces_of(one_ahead(self._stored(name, size_bytes)))
        async for piece in stored if self._keys is None else unseal(stored, self._keys.ring()):
            yield piece

    async def _stored(self, name: str, size_bytes: int) -> AsyncGenerator[memoryview]:
        """An object as it lies there. It never changes but for how its data key is wrapped, which is in the first range.

        Args:
            size_bytes: That it should have, unsealed.
        """
        if size_bytes < _RANGE_BYTES:
            response = await self._store.get_async(name)
            if response.meta["size"] < 2 * _RANGE_BYTES:  # as it was said
                yield memoryview(await response.bytes_async())
                return
        async for some in self._ranges(name, 0, (await self._store.head_async(name))["size"]):
            yield some

    async def _ranges(self, name: str, first: int, stop: int) -> AsyncGenerator[memoryview]:
        """Some megabytes at a time; of a folder, streams of objects read 8 KiB at a time."""
        for start in range(first, stop, _RANGE_BYTES):
            yield memoryview(await self._store.get_range_async(name, start=start, end=min(start + _RANGE_BYTES, stop)))

    async def read_bytes(self, artifact: Artifact) -> bytes:
        """The whole object; for small ones."""
        return b"".join([chunk async for chunk in self.chunks(artifact)])

    async def fetch(self, artifact: Artifact, path: Path) -> None:
        """Copies an object to a file; the file appears whole or not at all."""
        await asyncio.to_thread(path.parent.mkdir, parents=True, exist_ok=True)
        partial = path.with_name(f".{path.name}.{uuid.uuid4().hex}.partial")
        try:
            with partial.open("wb") as file:
                async for chunk in self.chunks(artifact):
                    await asyncio.to_thread(file.write, chunk)
            await asyncio.to_thread(partial.replace, path)
        except BaseException:
            await asyncio.to_thread(partial.unlink, missing_ok=True)
            raise

    async def delete(self, stored: Artifact | str) -> None:
        """Removes an object for good; one that is not there is as gone as was wanted.

        Objects are named by content: whoever deletes one must know that nobody else refers to the same bytes.

        Args:
            stored: The object, or its URI.

        Raises:
            StoreUnavailable: storage cannot be reached; try again.
            InvalidPayload: it lies outside the root, or the URI names no object.
        """
        name = self._name_of(stored if isinstance(stored, str) else stored.uri)
        if not name or name.endswith("/"):
            raise InvalidPayload("storage.foreign-uri", "the artifact's URI names no object")
        try:
            await self._store.delete_async(name)
            await self._store.head_async(name)  # S3's answer to many deletions at once does not say that all were done
        except FileNotFoundError:
            return
        except (ValueError, TypeError) as error:
            raise InvalidPayload("storage.foreign-uri", "the artifact's URI names no object") from error
        except (BaseError, OSError) as error:
            raise StoreUnavailable("storage.unavailable", f"{name} cannot be deleted") from error
        raise StoreUnavailable("storage.not-deleted", f"{name} is still there after it was deleted")

    async def rewrap_all(self, keys: KeyFile) -> tuple[int, int]:
        """Puts the data key of every sealed object under the current key; the objects' own bytes stay.

        Returns:
            How many objects there are, and how many were under another key.
        """
        seen = changed = 0
        ring = keys.ring()
        async for batch in self._store.list():
            for item in batch:
                seen += 1
                changed += await self._rewrap(item["path"], item["size"], ring)
        return seen, changed

    async def _rewrap(self, name: str, size_bytes: int, ring: KeyRing) -> bool:
        if size_bytes < HEADER_BYTES:
            return False
        try:
            old = bytes(await self._store.get_range_async(name, start=0, end=HEADER_BYTES))
            new = rewrap(old, ring)
            if new is None:
                return False
            await self._store.put_async(name, after(new, _pieces_of(self._ranges(name, HEADER_BYTES, size_bytes))))
        except FileNotFoundError:
            return False  # deleted since it was listed
        return True

    def _name_of(self, uri: str) -> str:
        prefix = f"{self._root}/"
        name = uri.removeprefix(prefix)
        if name == uri or ".." in name.split("/"):
            raise InvalidPayload("storage.foreign-uri", "the artifact lies outside this platform's storage")
        return name


def open_storage(common: CommonSettings) -> Storage:
    """The storage that the settings name.

    Raises:
        ValueError: the URI or the key file is not one.
    """
    keys = None if common.storage_keys_file is None else KeyFile(common.storage_keys_file)
    return Storage(common.storage_uri, keys)


def _open_store(root_uri: str) -> ObjectStore:
    scheme, _, rest = root_uri.partition("://")
    if scheme == "file":
        return LocalStore(rest, mkdir=True)
    if scheme == "s3":
        store = from_url(root_uri)
        assert isinstance(store, S3Store)
        return store
    raise ValueError(f"storage URI {root_uri!r} is neither file:// nor s3://")


def _hash_file(path: Path) -> tuple[str, int]:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest(), path.stat().st_size


async def _pieces_of(ranges: AsyncGenerator[memoryview]) -> AsyncGenerator[bytes]:
    async with aclosing(ranges):
        async for some in ranges:
            for first in range(0, len(some), _CHUNK_BYTES):
                yield bytes(some[first : first + _CHUNK_BYTES])


async def _pieces(content: bytes | Path) -> AsyncGenerator[bytes]:
    if isinstance(content, bytes):
        for first in range(0, len(content), _CHUNK_BYTES):
            yield content[first : first + _CHUNK_BYTES]
        return
    with content.open("rb") as file:
        while piece := await asyncio.to_thread(file.read, _CHUNK_BYTES):
            yield piece
