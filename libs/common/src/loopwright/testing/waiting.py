"""Waiting for outcomes instead of sleeping."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

T = TypeVar("T")


async def eventually(look: Callable[[], Awaitable[T]], *, timeout_s: float = 60, every_s: float = 0.05) -> T:
    """Looks again and again until the answer is true.

    Raises:
        AssertionError: it was not true in time; the message shows what was seen last.
    """
    seen: T | None = None
    try:
        async with asyncio.timeout(timeout_s):
            while not (seen := await look()):  # noqa: ASYNC110 - what is waited for happens in another process
                await asyncio.sleep(every_s)
    except TimeoutError as error:
        raise AssertionError(f"not within {timeout_s} s; last seen: {seen!r}") from error
    return seen
