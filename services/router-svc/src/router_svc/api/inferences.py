"""The door of inference requests: plain ASGI, so that nothing is validated, copied or awaited that need not be."""

import asyncio

from starlette.datastructures import Headers as RequestHeaders
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from loopwright.errors import PlatformError
from router_svc.api.openai_errors import BodyTooLarge, error_answer
from router_svc.domain.questions import Endpoint
from router_svc.handlers.answering import Ask, Gate, Headers, answer
from router_svc.handlers.serving import Serving

UNIT_HEADER = "x-loopwright-unit"


class ClientGone(Exception):
    """The client closed its connection before the request was whole."""


class AsgiReply:
    """Sends an answer to the client of one ASGI request."""

    def __init__(self, send: Send) -> None:
        self._send = send
        self._head: tuple[int, Headers] | None = None

    async def start(self, status: int, headers: Headers) -> None:
        """Keeps the head until the first bytes: an answer that is whole then gets a length."""
        self._head = (status, headers)

    async def write(self, chunk: bytes) -> None:
        await self._send_head(None)
        await self._send({"type": "http.response.body", "body": chunk, "more_body": True})

    async def end(self, chunk: bytes) -> None:
        await self._send_head(len(chunk))
        await self._send({"type": "http.response.body", "body": chunk, "more_body": False})

    async def _send_head(self, length: int | None) -> None:
        if self._head is None:
            return
        (status, headers), self._head = self._head, None
        if length is not None:
            headers = [*headers, (b"content-length", str(length).encode())]
        await self._send({"type": "http.response.start", "status": status, "headers": headers})


class InferenceDoor:
    """One endpoint of the OpenAI API as an ASGI application."""

    def __init__(self, endpoint: Endpoint, serving: Serving, gate: Gate, *, max_body_bytes: int) -> None:
        self.path = f"/v1/{endpoint}"
        self._endpoint = endpoint
        self._serving = serving
        self._gate = gate
        self._max_body_bytes = max_body_bytes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        scope["route"] = self  # FastAPI names only its own routes to middleware, which counts by `path`
        reply = AsgiReply(send)
        try:
            body = await self._read_body(receive)
            ask = Ask(endpoint=self._endpoint, body=body, unit=RequestHeaders(scope=scope).get(UNIT_HEADER))
            with self._gate:
                await _until_gone(self._serving, ask, reply, receive)
        except ClientGone:
            return
        except PlatformError as error:
            status, headers, content = error_answer(error)
            await reply.start(status, headers)
            await reply.end(content)

    async def _read_body(self, receive: Receive) -> bytes:
        pieces: list[bytes] = []
        size, more = 0, True
        while more:
            message = await receive()
            if message["type"] == "http.disconnect":
                raise ClientGone
            pieces.append(message.get("body", b""))
            size += len(pieces[-1])
            more = message.get("more_body", False)
            if size > self._max_body_bytes:
                raise BodyTooLarge("router.body-too-large", f"a request has at most {self._max_body_bytes} bytes")
        return b"".join(pieces)


async def _until_gone(serving: Serving, ask: Ask, reply: AsgiReply, receive: Receive) -> None:
    """Answers; stops at once, and so makes the model stop, when the client closes its connection."""
    loop = asyncio.get_running_loop()

    async def watch() -> None:
        while (await receive())["type"] != "http.disconnect":
            pass
        scope.reschedule(loop.time())

    try:
        async with asyncio.timeout(None) as scope:  # never by time: only `watch` lets it expire
            watcher = loop.create_task(watch())
            try:
                await answer(serving, ask, reply)
            finally:
                watcher.cancel()
    except TimeoutError:
        raise ClientGone from None


def inference_routes(serving: Serving, gate: Gate, *, max_body_bytes: int) -> list[Route]:
    """POST /v1/chat/completions and /v1/completions."""
    doors = [InferenceDoor(endpoint, serving, gate, max_body_bytes=max_body_bytes) for endpoint in Endpoint]
    return [Route(door.path, door, methods=["POST"]) for door in doors]
