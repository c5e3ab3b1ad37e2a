"""Server-sent events from a service of the stack, taken up again wherever they break off."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterable, AsyncIterator, Callable
from contextlib import aclosing
from dataclasses import dataclass
from http import HTTPStatus

import httpx
from pydantic import BaseModel, ConfigDict, ValidationError

from loopwright_local.errors import LocalError

_SILENCE_S = 45  # three heartbeats of the services
_AGAIN_AFTER_S = 1.0
_TRY_LATER = frozenset(
    {HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.BAD_GATEWAY, HTTPStatus.SERVICE_UNAVAILABLE, HTTPStatus.GATEWAY_TIMEOUT}
)


class Refused(LocalError):
    """The service will not give the stream, now or later."""


class _Busy(Exception):
    """The service cannot give the stream now."""


class _Problem(BaseModel):
    """RFC 9457, as far as people care."""

    model_config = ConfigDict(extra="ignore")

    title: str
    detail: str | None = None


@dataclass(frozen=True)
class ServerEvent:
    """One event.

    Attributes:
        kind: `message` if the server named none.
        data: Text; several lines are joined.
        id: What to go on after, if the server said it.
    """

    kind: str
    data: str
    id: str | None


async def read_events(lines: AsyncIterable[str]) -> AsyncIterator[ServerEvent]:
    """Reads events (WHATWG HTML, section 9.2.6); one that the end of the stream cuts off is dropped, as it says."""
    kind, last_id, content = "message", None, list[str]()
    async for line in lines:
        if not line:
            if content:
                yield ServerEvent(kind, "\n".join(content), last_id)
            kind, content = "message", []
            continue
        name, _, value = line.partition(":")
        value = value.removeprefix(" ")
        if name == "event":
            kind = value
        elif name == "data":
            content.append(value)
        elif name == "id":
            last_id = value


async def follow_events(
    client: httpx.AsyncClient, path: str, *, token: Callable[[], str], say: Callable[[str], None]
) -> AsyncIterator[ServerEvent]:
    """Events of a stream until its `end`, and an `open` whenever it opens.

    Where it breaks off, it is asked for again after the last event's id.

    Args:
        token: Mints a bearer token for each request.
        say: Hears once of each interruption.

    Raises:
        Refused: the service says no.
        httpx.TransportError: it does not answer the first request.
    """
    last_id, was_open, told = None, False, False
    while True:
        headers = {"Authorization": f"Bearer {token()}"} | ({"Last-Event-ID": last_id} if last_id else {})
        try:
            async with aclosing(_read_once(client, path, headers)) as events:
                async for event in events:
                    was_open, told, last_id = True, False, event.id or last_id
                    yield event
                    if event.kind == "end":
                        return
        except (httpx.TransportError, _Busy) as error:
            if isinstance(error, httpx.TransportError) and not was_open:
                raise
            if not told:
                say(f"the stream broke off ({error or type(error).__name__}); trying again")
            told = True
        await asyncio.sleep(_AGAIN_AFTER_S)


async def _read_once(client: httpx.AsyncClient, path: str, headers: dict[str, str]) -> AsyncGenerator[ServerEvent]:
    """Events until the stream ends, which it does in order after some time.

    Raises:
        Refused: the service says no.
        _Busy: it cannot now.
    """
    async with client.stream("GET", path, headers=headers, timeout=httpx.Timeout(10, read=_SILENCE_S)) as response:
        if response.status_code in _TRY_LATER:
            raise _Busy(await _detail_of(response))
        if not response.is_success:
            raise Refused(await _detail_of(response))
        yield ServerEvent("open", "", None)
        async for event in read_events(response.aiter_lines()):
            yield event


async def _detail_of(response: httpx.Response) -> str:
    body = await response.aread()
    try:
        problem = _Problem.model_validate_json(body)
    except ValidationError:
        return f"HTTP {response.status_code}"
    return problem.detail or problem.title
