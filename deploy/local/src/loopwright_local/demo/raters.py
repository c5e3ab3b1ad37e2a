"""Simulated people: they ask through the plain `openai` client, know the true label, and say what they think."""

import asyncio
import json
import random
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field

import httpx
from openai import APIError, AsyncOpenAI

from loopwright_local.demo.records import LabelledLine

_IN_FLIGHT = 6
_PATIENCE_S = 120.0  # a service that was killed is back long before
_ATTEMPTS = 60


@dataclass
class Tally:
    """What the people saw, by the variant that answered."""

    asked: Counter[str] = field(default_factory=Counter)
    right: Counter[str] = field(default_factory=Counter)

    def accuracy(self, variant: str) -> float | None:
        return self.right[variant] / self.asked[variant] if self.asked[variant] else None


@dataclass(frozen=True)
class Answered:
    """One answer as a person got it."""

    inference_id: str
    variant: str
    status: str | None


class Raters:
    """People in front of the gateway.

    Args:
        router_url: Base URL of router-svc.
        task: Name of the task, which is the `model` that they ask for.
    """

    def __init__(self, router_url: str, task: str, *, seed: int) -> None:
        self._task = task
        self._chance = random.Random(seed)  # noqa: S311 - demonstration traffic, not a secret
        self._http = httpx.AsyncClient(base_url=router_url, timeout=_PATIENCE_S)
        self._openai = AsyncOpenAI(
            base_url=f"{router_url}/v1", api_key="not-needed-on-loopback", timeout=_PATIENCE_S, max_retries=2
        )
        self.tally = Tally()
        self.ratings_sent = 0

    async def close(self) -> None:
        await self._http.aclose()
        await self._openai.close()

    async def ask(self, line: LabelledLine, user: str) -> Answered:
        """Asks for one line; goes on trying while the gateway is away.

        Raises:
            APIError: the gateway stayed away, or refuses the request itself.
        """
        for attempt in range(_ATTEMPTS):
            try:
                raw = await self._openai.chat.completions.with_raw_response.create(
                    model=self._task, user=user, messages=[{"role": "user", "content": line.text}]
                )
            except APIError as error:
                status = getattr(error, "status_code", 503)
                if attempt == _ATTEMPTS - 1 or status not in {404, 429, 500, 502, 503, 504}:
                    raise
                await asyncio.sleep(1)
            else:
                completion = raw.parse()
                variant = raw.headers["x-loopwright-variant"]
                return Answered(completion.id, variant, _status_in(completion.choices[0].message.content))
        raise AssertionError("the last attempt returns or raises")

    async def ask_and_rate(self, line: LabelledLine, user: str) -> None:
        """Asks, compares with what the person knows, rates with stars, and corrects a wrong answer."""
        answered = await self.ask(line, user)
        right = answered.status == line.label
        self.tally.asked[answered.variant] += 1
        self.tally.right[answered.variant] += right
        stars = self._chance.choice((4, 5, 5)) if right else self._chance.choice((1, 1, 2))
        rating: dict[str, object] = {"inference_id": answered.inference_id, "metric": "stars", "value": stars}
        if not right:
            # written as the servers write it: two spellings of one answer would teach neither
            rating["correction"] = json.dumps({"anomaly_status": line.label}, separators=(",", ":"))
            rating["comment"] = f"this line is {line.label}"
        await self._send(rating)
        self.ratings_sent += 1

    async def _send(self, rating: dict[str, object]) -> None:
        for attempt in range(_ATTEMPTS):
            try:
                response = await self._http.post("/v1/ratings", json=rating)
                if response.status_code < 500:
                    response.raise_for_status()
                    return
            except httpx.TransportError:
                if attempt == _ATTEMPTS - 1:
                    raise
            await asyncio.sleep(1)
        raise TimeoutError("the gateway did not take a rating")

    async def work(self, turns: Iterable[tuple[LabelledLine, str]], *, until: asyncio.Event) -> None:
        """Goes through turns with a few requests in flight, until the event is set or the turns end."""
        pending = iter(turns)

        async def person() -> None:
            for line, user in pending:
                if until.is_set():
                    return
                await self.ask_and_rate(line, user)

        async with asyncio.TaskGroup() as group:
            for _ in range(_IN_FLIGHT):
                group.create_task(person())


def _status_in(content: str | None) -> str | None:
    try:
        answer = json.loads(content or "")
    except ValueError:
        return None
    status = answer.get("anomaly_status") if isinstance(answer, dict) else None
    return status if isinstance(status, str) else None
