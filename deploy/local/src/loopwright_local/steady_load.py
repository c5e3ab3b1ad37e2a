"""Requests to the router at a steady rate, whatever the answers take, and who answered them: for benches and tests."""

import asyncio
import time
from collections import Counter
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import aiohttp

_ANSWER_TIMEOUT_S = 30.0


@dataclass(frozen=True, kw_only=True)
class Answered:
    """One request.

    Attributes:
        variant: Who answered; empty if nobody did.
        problem: Why it failed; None if it did not.
        asked_at: When it was sent, on the monotonic clock; `answered_at` alike.
    """

    variant: str
    problem: str | None
    asked_at: float
    answered_at: float


@dataclass
class SteadyLoad:
    """An open loop: a slow answer keeps no later request waiting.

    Attributes:
        answers: Everything that came back so far, in the order in which it came.
    """

    router_url: str
    task_id: str
    rate_hz: float
    answers: list[Answered] = field(default_factory=list[Answered])
    _out: set[asyncio.Task[None]] = field(default_factory=set[asyncio.Task[None]])

    @asynccontextmanager
    async def running(self) -> AsyncGenerator[None]:
        """Asks until the block ends, then waits for what is on its way."""
        timeout = aiohttp.ClientTimeout(total=_ANSWER_TIMEOUT_S)
        async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0), timeout=timeout) as client:
            asking = asyncio.create_task(self._ask_steadily(client))
            try:
                yield
            finally:
                asking.cancel()
                await asyncio.gather(*self._out, return_exceptions=True)

    async def first_by(self, variant: str, *, since: float, timeout_s: float = 30.0) -> float:
        """Seconds from a moment to the first whole answer of a variant to a request that was sent after it.

        Raises:
            TimeoutError: it answers nothing.
        """
        async with asyncio.timeout(timeout_s):
            while True:
                times = [one.answered_at for one in self.answers if one.variant == variant and one.asked_at >= since]
                if times:
                    return min(times) - since
                await asyncio.sleep(0.005)

    def failures(self) -> Counter[str]:
        """Why requests failed, and how often."""
        return Counter(one.problem for one in self.answers if one.problem is not None)

    def by_variant(self) -> Counter[str]:
        return Counter(one.variant for one in self.answers if one.problem is None)

    async def _ask_steadily(self, client: aiohttp.ClientSession) -> None:
        begun, count = time.monotonic(), 0
        while True:
            asking = asyncio.create_task(self._ask(client, count))
            self._out.add(asking)
            asking.add_done_callback(self._out.discard)
            count += 1
            await asyncio.sleep(max(0.0, begun + count / self.rate_hz - time.monotonic()))

    async def _ask(self, client: aiohttp.ClientSession, number: int) -> None:
        body = {
            "model": self.task_id, "messages": [{"role": "user", "content": f"line {number}"}], "max_tokens": 1,
            "user": f"user-{number % 97}",
        }  # fmt: skip
        variant, problem, asked_at = "", None, time.monotonic()
        try:
            async with client.post(f"{self.router_url}/v1/chat/completions", json=body) as response:
                text = await response.text()
            variant = response.headers.get("x-loopwright-variant", "")
            if not response.ok:
                problem = f"{response.status} {text[:200]}"
        except (aiohttp.ClientError, TimeoutError) as error:
            problem = repr(error)
        now = time.monotonic()
        self.answers.append(Answered(variant=variant, problem=problem, asked_at=asked_at, answered_at=now))
