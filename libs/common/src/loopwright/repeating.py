"""The loop of work that is too long for a consumer: take what is due, do it, look again."""

import asyncio
from collections.abc import Awaitable, Callable

import structlog

from loopwright.errors import DependencyError

_log = structlog.get_logger()
_LONGEST_DELAY_S = 15.0


async def repeat(step: Callable[[], Awaitable[bool]], *, name: str, idle_s: float = 0.5) -> None:
    """Calls `step` for ever; waits out absent dependencies with growing delays, lets every other error end the loop.

    Args:
        step: Does one piece of work that is due; True if there was one. It must be safe to repeat after a crash at
            any point: finish by one transaction that checks that the work is still due.
        idle_s: Seconds between looks while nothing is due.
    """
    failures = 0
    while True:
        try:
            worked = await step()
            failures = 0
        except DependencyError as error:
            failures += 1
            _log.warning("work.waits", work=name, reason=str(error), failures=failures)
            await asyncio.sleep(min(0.5 * 2**failures, _LONGEST_DELAY_S))
        else:
            if not worked:
                await asyncio.sleep(idle_s)
