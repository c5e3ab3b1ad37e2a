"""Connections to the servers of models: HTTP/1.1 on raw transports, kept open, read by callbacks."""

import asyncio
import ssl
from collections.abc import Sequence
from typing import Final, Protocol, cast
from urllib.parse import urlsplit

import httptools

_NEVER: Final = float("inf")
# headers that every answer has, and that say nothing to the client; all others are kept
_ORDINARY: Final = frozenset({b"date", b"server", b"connection", b"keep-alive"})


class Reader(Protocol):
    """Who waits for an answer on a connection."""

    def received(self, connection: "ServerConnection", body: bytes) -> None: ...
    def lost(self, connection: "ServerConnection", reason: str) -> None: ...


class ServerConnection:
    """One connection; it carries one request at a time. A protocol as asyncio has it, but of no class of asyncio's.

    Attributes:
        status: Of the answer that is coming; 0 before its head.
        extras: Headers of the answer but for ordinary ones, names in lower case.
        whole: The answer has ended.
        deadline: Loop time at which patience ends.
        used: Whether it has carried an answer before: a server may close such a connection at any time.
    """

    __slots__ = ("_framed", "_kept", "_parser", "_parts", "_reader", "_server", "_transport", "content_type", "deadline",
                 "extras", "on_body", "status", "used", "whole")  # fmt: skip

    def __init__(self, server: "Server") -> None:
        self._server = server
        self._transport: asyncio.Transport | None = None
        self._reader: Reader | None = None
        self._parts: list[bytes] = []
        self.on_body = self._parts.append  # the parser's callback, and no frame of ours for each piece of a stream
        self._parser = httptools.HttpResponseParser(self)
        self.deadline = _NEVER
        self.used = False
        self._reset()

    def _reset(self) -> None:
        self.status = 0
        self.content_type = b"application/json"
        self.extras: list[tuple[bytes, bytes]] = []
        self.whole = False
        self._framed = False
        self._kept = False

    @property
    def streamed(self) -> bool:
        """Whether the answer comes as server-sent events."""
        return self.content_type.startswith(b"text/event-stream")

    def ask(self, reader: Reader, request: Sequence[bytes], *, deadline: float) -> None:
        """Sends a request; the reader hears what becomes of it."""
        assert self._transport is not None
        self._reader = reader
        self.deadline = deadline
        self._server.busy.add(self)
        if len(request) == 1:
            self._transport.write(request[0])
        else:
            self._transport.writelines(request)

    def abort(self) -> None:
        """Closes at once; a server that is still generating then stops."""
        self._reader = None
        self._server.forget(self)
        if self._transport is not None:
            self._transport.abort()

    def pause(self) -> None:
        """Reads no more until `resume`; nobody is impatient meanwhile."""
        self.deadline = _NEVER
        if self._transport is not None and not self._transport.is_closing():
            self._transport.pause_reading()

    def resume(self, *, deadline: float) -> None:
        self.deadline = deadline
        if self._transport is not None and not self._transport.is_closing():
            self._transport.resume_reading()

    def expire(self) -> None:
        """Patience has ended."""
        reader = self._reader
        self.abort()
        if reader is not None:
            reader.lost(self, "TimeoutError")

    # callbacks of the transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)  # uvloop's are none by their class

    def data_received(self, data: bytes) -> None:
        reader = self._reader
        if reader is None:  # nobody asked
            self.abort()
            return
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserError:
            self._lose("unreadable")
            return
        except httptools.HttpParserUpgrade:
            self._lose("upgrade")
            return
        if self.whole:
            self._deliver_last(reader)
        elif self._parts and self.status >= 200:
            reader.received(self, self._taken())

    def connection_lost(self, exc: Exception | None) -> None:
        self._server.forget(self)
        if self._reader is None:
            return
        if exc is None and self.status >= 200 and not self._framed:  # the end of the connection is the answer's
            self.whole = True
            self._deliver_last(self._reader)
        else:
            self._lose("disconnected")

    def _taken(self) -> bytes:
        """What of the body has come since the last time."""
        parts = self._parts
        body = parts[0] if len(parts) == 1 else b"".join(parts)
        parts.clear()
        return body

    def _deliver_last(self, reader: Reader) -> None:
        self._reader = None
        self._server.busy.discard(self)
        self.deadline = _NEVER
        reader.received(self, self._taken())
        if self.whole and self._reader is None:
            self._give_back()

    def _give_back(self) -> None:
        assert self._transport is not None
        keep = self._kept and not self._transport.is_closing()
        self._reset()
        self.used = True
        if keep:
            self._server.idle.append(self)
        else:
            self._transport.abort()

    def _lose(self, reason: str) -> None:
        reader = self._reader
        self.abort()
        if reader is not None:
            reader.lost(self, reason)

    # callbacks of the parser

    def on_header(self, name: bytes, value: bytes) -> None:
        name = name.lower()
        if name == b"content-type":
            self.content_type = value
        elif name in {b"content-length", b"transfer-encoding"}:
            self._framed = True
        elif name not in _ORDINARY:
            self.extras.append((name, value))

    def on_headers_complete(self) -> None:
        self.status = self._parser.get_status_code()
        self._kept = self._framed and self._parser.should_keep_alive()

    def on_message_complete(self) -> None:
        if self.status < 200:  # interim (RFC 9110, 15.2): the answer is still to come
            self._reset()
        else:
            self.whole = True


class Server:
    """One address, with its open connections.

    Attributes:
        outstanding: Requests that it is answering.
        healthy: What the last health checks say.
    """

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        self.url = url
        self.name = url.encode()
        self.idle: list[ServerConnection] = []
        self.busy: set[ServerConnection] = set()
        self.outstanding = 0
        self.healthy = True
        self._tls = ssl.create_default_context() if parts.scheme == "https" else None
        self._host = parts.hostname or "127.0.0.1"
        self._port = parts.port or (443 if self._tls else 80)
        self._base = parts.path.rstrip("/")
        self._authority = parts.netloc.rpartition("@")[2]
        self._heads: dict[tuple[str, str], bytes] = {}

    def take_idle(self) -> ServerConnection | None:
        """The connection that was used last: it is the least likely to be closed by now."""
        return self.idle.pop() if self.idle else None

    async def connect(self, *, timeout_s: float) -> ServerConnection:
        """Opens a connection.

        Raises:
            OSError: the server is not there, or says nothing in time.
        """
        loop = asyncio.get_running_loop()
        async with asyncio.timeout(timeout_s):
            _, connection = await loop.create_connection(
                lambda: cast("asyncio.Protocol", ServerConnection(self)), self._host, self._port, ssl=self._tls
            )
        return cast("ServerConnection", connection)

    def head(self, method: str, path: str) -> bytes:
        """The head of a request, up to the length of its body."""
        head = self._heads.get((method, path))
        if head is None:
            # we copy and pass on what the server sends: compressed bytes could be neither read nor given another id
            head = (
                f"{method} {self._base}{path} HTTP/1.1\r\nhost: {self._authority}\r\ncontent-type: application/json\r\n"
                "accept-encoding: identity\r\ncontent-length: "
            ).encode()
            self._heads[method, path] = head
        return head

    def forget(self, connection: ServerConnection) -> None:
        self.busy.discard(connection)
        if connection in self.idle:
            self.idle.remove(connection)

    def sweep(self, now: float) -> None:
        """Ends what took too long."""
        for connection in [one for one in self.busy if one.deadline <= now]:
            connection.expire()

    def close(self) -> None:
        for connection in [*self.idle, *self.busy]:
            connection.abort()
