"""Artifacts as bodies of answers."""

from collections.abc import AsyncIterator

from loopwright.contracts.base import Artifact
from loopwright.storage import Storage


async def started(storage: Storage, artifact: Artifact) -> AsyncIterator[bytes]:
    """The chunks, with the first one already read: an absent storage must be a problem response, not a broken body."""
    chunks = storage.chunks(artifact)
    first = await anext(chunks, b"")

    async def all_chunks() -> AsyncIterator[bytes]:
        yield first
        async for chunk in chunks:
            yield chunk

    return all_chunks()
