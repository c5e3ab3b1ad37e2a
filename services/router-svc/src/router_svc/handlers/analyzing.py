"""Asks several tasks about several texts, a few at once, through the same routing as everybody's requests."""

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from loopwright.errors import PlatformError
from router_svc.domain.callers import Caller


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """A text for a task.

    Attributes:
        unit: Whom an experiment assigns.
    """

    task_id: str
    text: str
    unit: str
    caller: Caller


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """A whole answer.

    Attributes:
        inference_id: What it can be rated by.
    """

    inference_id: str
    variant_id: str
    text: str


class Asker(Protocol):
    """Asks one task, as a client's request would be."""

    async def ask(self, wish: Wish) -> Told:
        """Lets the caller, who was counted in, leave; raises a PlatformError that says why there is no whole answer."""
        ...


async def ask_all(asker: Asker, wishes: Sequence[Wish], *, at_once: int) -> list[Told | PlatformError]:
    """One outcome for each wish, in order; what fails leaves the others alone.

    Args:
        at_once: Most that are asked together; fewer if the caller may have no more in flight.
    """
    if not wishes:
        return []
    free = asyncio.Semaphore(min(at_once, wishes[0].caller.concurrent or at_once))

    async def ask(wish: Wish) -> Told | PlatformError:
        async with free:
            try:
                return await _ask(asker, wish)
            except PlatformError as error:
                return error

    async with asyncio.TaskGroup() as group:
        asked = [group.create_task(ask(wish)) for wish in wishes]
    return [task.result() for task in asked]


async def _ask(asker: Asker, wish: Wish) -> Told:
    wish.caller.enter(time.time())
    return await asker.ask(wish)
