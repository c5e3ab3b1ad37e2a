"""Streams as bodies of answers."""

from collections.abc import AsyncIterator


async def started(chunks: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """The chunks, with the first one already read: an absent storage must be a problem response, not a broken body."""
    first = await anext(chunks, b"")

    async def all_chunks() -> AsyncIterator[bytes]:
        yield first
        async for chunk in chunks:
            yield chunk

    return all_chunks()
