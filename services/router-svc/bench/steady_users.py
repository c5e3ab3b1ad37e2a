# ruff: noqa: INP001 (beside a script)
"""Users who ask at a steady rate whatever the answers take, half of them for streams; every request's fate is kept."""

import asyncio
import json
import re
import time
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import aiohttp

_PATIENCE_S = 30.0
_REPLICA = re.compile(r"replica-(\d+)")


@dataclass
class Asked:
    """One request.

    Attributes:
        number: In the order of asking.
        replica: Port of the model server that answered, as far as something came.
        first_at: When the first part of a stream came, on the monotonic clock.
        problem: Why it failed; None while it did not.
        sent_again: A kept connection was closed before a byte of the answer, and it was asked once more over a fresh one, as
            OpenAI's client does (RFC 9112, 9.3.1): a worker that ends cannot tell everybody in time.
    """

    number: int
    streamed: bool
    asked_at: float
    ended_at: float = 0.0
    first_at: float | None = None
    inference_id: str = ""
    replica: int | None = None
    problem: str | None = None
    sent_again: bool = False


@dataclass
class SteadyUsers:
    """An open loop of requests.

    Attributes:
        asked: All of them, answered or not.
    """

    url: str
    model: str
    key: str
    rate_hz: float
    asked: list[Asked] = field(default_factory=list[Asked])
    _out: set[asyncio.Task[None]] = field(default_factory=set[asyncio.Task[None]])

    @asynccontextmanager
    async def asking(self) -> AsyncGenerator[None]:
        """Asks until the block ends, then waits for what is on its way."""
        timeout = aiohttp.ClientTimeout(total=_PATIENCE_S)
        async with (
            aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0), timeout=timeout) as kept,
            aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0, force_close=True), timeout=timeout) as fresh,
        ):
            loop = asyncio.create_task(self._ask_steadily(kept, fresh))
            try:
                yield
            finally:
                loop.cancel()
                await asyncio.gather(loop, *self._out, return_exceptions=True)

    async def _ask_steadily(self, kept: aiohttp.ClientSession, fresh: aiohttp.ClientSession) -> None:
        begun, number = time.monotonic(), 0
        while True:
            one = Asked(number, streamed=number % 2 == 0, asked_at=time.monotonic())
            self.asked.append(one)
            # connections that are kept and ones for a single request, each with answers of both kinds
            clients = (kept, fresh) if number // 2 % 2 else (fresh,)
            asking = asyncio.create_task(self._ask(clients, one))
            self._out.add(asking)
            asking.add_done_callback(self._out.discard)
            number += 1
            await asyncio.sleep(max(0.0, begun + number / self.rate_hz - time.monotonic()))

    async def _ask(self, clients: Sequence[aiohttp.ClientSession], one: Asked) -> None:
        last = len(clients) - 1
        for place, client in enumerate(clients):
            try:
                await self._ask_by(client, one)
            except (aiohttp.ServerDisconnectedError, aiohttp.ClientOSError) as error:
                one.problem = repr(error)
                if one.inference_id or place == last or isinstance(error, aiohttp.ClientConnectorError):
                    break
                one.problem, one.sent_again = None, True
            except (aiohttp.ClientError, TimeoutError) as error:
                one.problem = repr(error)
                break
            else:
                break
        one.ended_at = time.monotonic()

    async def _ask_by(self, client: aiohttp.ClientSession, one: Asked) -> None:
        body = {
            "model": self.model, "messages": [{"role": "user", "content": f"line {one.number}"}], "max_tokens": 8,
            "user": f"user-{one.number % 997}", "stream": one.streamed,
        }  # fmt: skip
        headers = {"Authorization": f"Bearer {self.key}"}
        async with client.post(f"{self.url}/v1/chat/completions", json=body, headers=headers) as response:
            one.inference_id = response.headers.get("x-loopwright-inference-id", "")
            text = await self._read(response, one)
        one.problem = _problem(one, response.status, text)

    async def _read(self, response: aiohttp.ClientResponse, one: Asked) -> str:
        text = b""
        async for part in response.content.iter_any():
            one.first_at = one.first_at or time.monotonic()
            text += part
            found = _REPLICA.search(text.decode(errors="replace"))
            one.replica = int(found[1]) if found else None
        return text.decode()


def _problem(one: Asked, status: int, text: str) -> str | None:
    if status != 200:
        return f"{status} {text[:200]}"
    if not one.streamed:
        return None if json.loads(text)["id"] == one.inference_id else f"another id: {text[:200]}"
    if '"error"' in text:
        return f"broken off: {text[-200:]}"
    return None if text.endswith("data: [DONE]\n\n") else f"no end: {text[-100:]}"
