"""The servers that answer: a pool of connections, a timeout for each phase, and the choice among replicas."""

import asyncio
import time
from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass

import aiohttp

from loopwright.errors import ServingUnavailable
from router_svc.adapters.metrics import UPSTREAM_FAILURES

_CLIENTS_FAULT = frozenset({400, 413, 422})  # another server would say the same: the client gets the answer


@dataclass(frozen=True, slots=True, kw_only=True)
class UpstreamTimeouts:
    """Patience with a server, in seconds.

    Attributes:
        first_byte_s: From sending the request to the first byte of a stream, or to the whole of another answer.
        rest_s: How long a server that could not be reached is asked only after the others.
    """

    connect_s: float
    first_byte_s: float
    between_chunks_s: float
    rest_s: float


class BackendFailed(ServingUnavailable):
    """No server began an answer."""


class StreamBroken(ServingUnavailable):
    """A server stopped in the middle of an answer."""


@dataclass(slots=True)
class _Backend:
    url: str
    outstanding: int = 0
    rests_until: float = 0.0


class UpstreamAnswer:
    """An answer that has begun. `close` it, whatever happened: a server that is still generating then stops.

    Attributes:
        streamed: Whether it comes as server-sent events.
        first: What came first of a stream; all of anything else.
    """

    def __init__(
        self, response: aiohttp.ClientResponse, first: bytes, *, backend: _Backend, between_chunks_s: float
    ) -> None:
        self.status = response.status
        self.content_type = response.headers.get("Content-Type", "application/json")
        self.streamed = _is_stream(response)
        self.first = first
        self._response = response
        self._backend = backend
        self._between_chunks_s = between_chunks_s

    async def chunks(self) -> AsyncGenerator[bytes]:
        """All bytes of a stream, as they come.

        Raises:
            StreamBroken: the server stopped before the end.
        """
        chunk = self.first
        while chunk:
            yield chunk
            try:
                async with asyncio.timeout(self._between_chunks_s):
                    chunk = await self._response.content.readany()
            except (aiohttp.ClientError, TimeoutError, OSError) as error:
                raise StreamBroken("router.stream-broken", "the model's server stopped in its answer") from error

    def close(self) -> None:
        self._backend.outstanding -= 1
        self._response.close()  # does nothing to a connection whose answer was read to its end


class Upstream:
    """Asks servers, over connections that are kept."""

    def __init__(self, timeouts: UpstreamTimeouts) -> None:
        self._timeouts = timeouts
        self._patience = aiohttp.ClientTimeout(total=None, sock_connect=timeouts.connect_s)
        self._backends: dict[str, _Backend] = {}
        self._session: aiohttp.ClientSession | None = None

    async def run(self) -> None:
        """Holds the connections for the service's life."""
        try:
            await asyncio.Event().wait()
        finally:
            if self._session is not None:
                await self._session.close()

    async def begin(self, urls: Sequence[str], path: str, body: bytes, *, traceparent: str | None) -> UpstreamAnswer:
        """The first answer that one of the replicas begins.

        Raises:
            BackendFailed: none of them does.
        """
        failure = BackendFailed("router.no-backend", "no server is known for this variant")
        for backend in self._in_order(urls):
            backend.outstanding += 1
            try:
                return await self._begin_at(backend, path, body, traceparent)
            except BackendFailed as error:
                backend.outstanding -= 1
                failure = error
            except BaseException:
                backend.outstanding -= 1
                raise
        raise failure

    def _in_order(self, urls: Sequence[str]) -> list[_Backend]:
        """Least outstanding requests first; those that rest after a failure come last."""
        now = time.monotonic()
        backends = [self._backends.setdefault(url, _Backend(url)) for url in urls]
        return sorted(backends, key=lambda backend: (backend.rests_until > now, backend.outstanding))

    async def _begin_at(self, backend: _Backend, path: str, body: bytes, traceparent: str | None) -> UpstreamAnswer:
        try:
            async with asyncio.timeout(self._timeouts.first_byte_s):
                response, first = await self._exchange_fresh(backend, path, body, traceparent)
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            backend.rests_until = time.monotonic() + self._timeouts.rest_s
            raise _failed(backend, type(error).__name__) from error
        return UpstreamAnswer(response, first, backend=backend, between_chunks_s=self._timeouts.between_chunks_s)

    async def _exchange_fresh(
        self, backend: _Backend, path: str, body: bytes, traceparent: str | None
    ) -> tuple[aiohttp.ClientResponse, bytes]:
        """Tries once more where a kept connection turns out to be closed: that says nothing about the server."""
        try:
            return await self._exchange(backend, path, body, traceparent)
        except aiohttp.ClientConnectorError:
            raise
        except (aiohttp.ServerDisconnectedError, aiohttp.ClientOSError):
            return await self._exchange(backend, path, body, traceparent)

    async def _exchange(
        self, backend: _Backend, path: str, body: bytes, traceparent: str | None
    ) -> tuple[aiohttp.ClientResponse, bytes]:
        # we copy and pass on what the server sends: compressed bytes could be neither read nor given another id
        headers = {"Content-Type": "application/json", "Accept-Encoding": "identity"}
        if traceparent is not None:
            headers["traceparent"] = traceparent
        url = f"{backend.url.rstrip('/')}/v1/{path}"
        response = await self._connections().post(url, data=body, headers=headers, timeout=self._patience)
        try:
            first = await _first_bytes(backend, response)
        except BaseException:
            response.close()
            raise
        return response, first

    def _connections(self) -> aiohttp.ClientSession:
        if self._session is None:
            self._session = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(limit=0, keepalive_timeout=30),
                cookie_jar=aiohttp.DummyCookieJar(),
                auto_decompress=False,
            )
        return self._session


async def _first_bytes(backend: _Backend, response: aiohttp.ClientResponse) -> bytes:
    if response.status >= 300 and response.status not in _CLIENTS_FAULT:
        raise _failed(backend, f"status-{response.status}")
    first = await (response.content.readany() if _is_stream(response) else response.read())
    if not first:
        raise _failed(backend, "empty-answer")
    return first


def _is_stream(response: aiohttp.ClientResponse) -> bool:
    return response.headers.get("Content-Type", "").startswith("text/event-stream")


def _failed(backend: _Backend, reason: str) -> BackendFailed:
    UPSTREAM_FAILURES.labels(backend.url, reason).inc()
    return BackendFailed("router.backend-failed", "no server of this variant answered", reason=reason)
