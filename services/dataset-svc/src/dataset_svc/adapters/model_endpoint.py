"""One OpenAI-compatible endpoint: bounded answers, a bound on calls at once, retries while it is away."""

import asyncio
from dataclasses import dataclass
from http import HTTPStatus

import httpx
import msgspec
from pydantic import SecretStr

from loopwright.contracts.base import JsonObject
from loopwright.errors import ServingUnavailable

_TRY_LATER = frozenset({408, 409, 425, 429, 500, 502, 503, 504})
_LONGEST_DELAY_S = 20.0


class EndpointRefused(ServingUnavailable):
    """The endpoint answers, and says no to this request."""


@dataclass(frozen=True, kw_only=True)
class EndpointSettings:
    """Where a model is, and how much may be asked of it.

    Attributes:
        base_url: Up to and with `/v1`.
        at_once: Calls at the same time.
    """

    base_url: str
    model: str
    key: SecretStr | None = None
    timeout_s: float = 120
    attempts: int = 3
    first_delay_s: float = 0.5
    at_once: int = 4
    max_answer_bytes: int = 16 << 20


class ModelEndpoint:
    """Posts JSON.

    Args:
        transport: Of the client; the network if left out.
    """

    def __init__(self, settings: EndpointSettings, *, transport: httpx.AsyncBaseTransport | None = None) -> None:
        headers = {"Authorization": f"Bearer {settings.key.get_secret_value()}"} if settings.key else {}
        self._settings = settings
        self._free = asyncio.Semaphore(settings.at_once)
        self._client = httpx.AsyncClient(
            headers=headers, timeout=settings.timeout_s, transport=transport, trust_env=False
        )

    @property
    def model(self) -> str:
        return self._settings.model

    async def post(self, path: str, body: JsonObject) -> bytes:
        """The answer's bytes.

        Raises:
            EndpointRefused: it says no, or answers with more than may be.
            ServingUnavailable: it is away, or too busy, after all attempts.
        """
        content = msgspec.json.encode({"model": self._settings.model, **body})
        delay_s = self._settings.first_delay_s
        for attempt in range(1, self._settings.attempts + 1):
            async with self._free:
                answer = await self._once(path, content)
            if isinstance(answer, bytes):
                return answer
            if attempt < self._settings.attempts:
                await asyncio.sleep(min(max(delay_s, answer), _LONGEST_DELAY_S))
                delay_s *= 2
        raise ServingUnavailable("model-endpoint.unavailable", "the model's endpoint does not answer")

    async def close(self) -> None:
        await self._client.aclose()

    async def _once(self, path: str, content: bytes) -> bytes | float:
        """The answer, or the seconds after which it may be worth another try."""
        url = f"{self._settings.base_url.rstrip('/')}/{path}"
        headers = {"Content-Type": "application/json"}
        try:
            # the client's timeout is for silences; an answer that trickles must end as well
            async with asyncio.timeout(2 * self._settings.timeout_s):
                async with self._client.stream("POST", url, content=content, headers=headers) as response:
                    if response.status_code in _TRY_LATER:
                        return _asked_delay_s(response)
                    if response.status_code != HTTPStatus.OK:
                        status = response.status_code
                        raise EndpointRefused("model-endpoint.refused", f"the endpoint says {status}", status=status)
                    return await self._bounded(response)
        except (httpx.HTTPError, httpx.InvalidURL, TimeoutError):
            return 0.0

    async def _bounded(self, response: httpx.Response) -> bytes:
        read = bytearray()
        async for piece in response.aiter_bytes():
            read += piece
            if len(read) > self._settings.max_answer_bytes:
                raise EndpointRefused("model-endpoint.too-much", "the endpoint's answer is longer than it may be")
        return bytes(read)


def _asked_delay_s(response: httpx.Response) -> float:
    wished = response.headers.get("retry-after", "")
    return float(wished) if wished.isdecimal() and len(wished) < 6 else 0.0
