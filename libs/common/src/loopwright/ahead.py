"""Work beside the event loop on streams of bytes: what is slow about a piece is done in threads, some of it before it is asked for."""

import asyncio
from collections.abc import AsyncGenerator, Callable
from typing import ParamSpec, TypeVar

_T = TypeVar("_T")
_P = ParamSpec("_P")
_LITTLE_BYTES = 1 << 16  # to change threads costs as much as to hash so many


async def beside(size_bytes: int, work: Callable[_P, _T], *args: _P.args, **kwargs: _P.kwargs) -> _T:
    """Does the work in a thread, or at once where it is about few bytes.

    Args:
        work: Costs some nanoseconds a byte, and lets other threads run meanwhile.
    """
    if size_bytes < _LITTLE_BYTES:
        return work(*args, **kwargs)
    return await asyncio.to_thread(work, *args, **kwargs)


async def one_ahead(items: AsyncGenerator[_T]) -> AsyncGenerator[_T]:
    """The same items; the next one is made while the last one is used."""
    coming = _next_of(items)
    try:
        while True:
            try:
                item = await coming
            except StopAsyncIteration:
                return
            coming = _next_of(items)
            yield item
    finally:
        coming.cancel()
        await asyncio.gather(coming, return_exceptions=True)
        await items.aclose()


def _next_of(items: AsyncGenerator[_T]) -> asyncio.Task[_T]:
    async def made() -> _T:
        return await anext(items)

    return asyncio.create_task(made())
