"""From a connection of ours to the ASGI application: one request at a time, by uvicorn's own cycle of requests."""

import asyncio
import logging
from collections.abc import Mapping
from typing import TYPE_CHECKING, Protocol, cast
from urllib.parse import unquote

import httptools
from uvicorn.protocols.http.flow_control import HIGH_WATER_LIMIT, FlowControl
from uvicorn.protocols.http.httptools_impl import RequestResponseCycle
from uvicorn.protocols.utils import get_local_addr, get_remote_addr

if TYPE_CHECKING:
    from uvicorn import Config
    from uvicorn._types import ASGI3Application, HTTPScope
    from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
    from uvicorn.server import ServerState

_log = logging.getLogger("uvicorn.error")


class Connection(Protocol):
    """Whose requests they are."""

    def shutdown(self) -> None: ...
    def cold_ended(self, request: "ColdRequest", *, keep_alive: bool) -> None: ...


class ColdRequest:
    """A request that the application answers."""

    def __init__(self, bridge: "Bridge", cycle: RequestResponseCycle) -> None:
        self._bridge = bridge
        self._cycle = cycle
        self.keep_alive = cycle.keep_alive

    def start(self) -> None:
        task = asyncio.get_running_loop().create_task(
            self._cycle.run_asgi(cast("ASGI3Application", self._bridge.config.loaded_app))
        )
        self._bridge.state.tasks.add(task)
        task.add_done_callback(self._bridge.state.tasks.discard)

    def feed(self, body: bytes) -> None:
        if self._cycle.response_complete:
            return
        self._cycle.body += body
        if len(self._cycle.body) > HIGH_WATER_LIMIT:
            self._cycle.flow.pause_reading()
        self._cycle.message_event.set()

    def complete(self) -> None:
        self._cycle.more_body = False
        self._cycle.message_event.set()

    def disconnect(self) -> None:
        if not self._cycle.response_complete:
            self._cycle.disconnected = True
        self._cycle.message_event.set()
        self._cycle.flow.resume_writing()

    @property
    def ended(self) -> bool:
        return self._cycle.response_complete


class Bridge:
    """The application's side of one connection.

    Args:
        config: uvicorn's, with the application.
        state: uvicorn's, which knows the connections and tasks that a shutdown waits for.
    """

    def __init__(self, config: "Config", state: "ServerState", app_state: Mapping[str, object]) -> None:
        self.config = config
        self.state = state
        self._app_state = app_state
        self._flow: FlowControl | None = None
        self._transport: asyncio.Transport | None = None

    @classmethod
    def of(cls, uvicorn: Mapping[str, object]) -> "Bridge":
        """From what uvicorn gives to a protocol."""
        app_state = cast("Mapping[str, object]", uvicorn["app_state"])
        return cls(cast("Config", uvicorn["config"]), cast("ServerState", uvicorn["server_state"]), app_state)

    def opened(self, connection: Connection, transport: asyncio.Transport) -> None:
        self._transport = transport
        self.state.connections.add(cast("HttpToolsProtocol", connection))

    def closed(self, connection: Connection) -> None:
        self.state.connections.discard(cast("HttpToolsProtocol", connection))
        if self._flow is not None:
            self._flow.resume_writing()

    def request(
        self, connection: Connection, *, method: bytes, url: bytes, headers: list[tuple[bytes, bytes]],
        http_version: str, keep_alive: bool,
    ) -> ColdRequest:  # fmt: skip
        """A request for the application, whose body is still to come.

        Raises:
            httptools.HttpParserInvalidURLError: the address is none.
        """
        transport = self._transport
        assert transport is not None
        self._flow = self._flow or FlowControl(transport)
        cycle = RequestResponseCycle(
            scope=self._scope(method, url, headers, http_version),
            transport=transport,
            flow=self._flow,
            logger=_log,
            access_logger=_log,
            access_log=False,
            default_headers=self.state.default_headers,
            message_event=asyncio.Event(),
            expect_100_continue=(b"expect", b"100-continue") in [(name, value.lower()) for name, value in headers],
            keep_alive=keep_alive,
            on_response=lambda: connection.cold_ended(request, keep_alive=cycle.keep_alive),
        )
        request = ColdRequest(self, cycle)
        return request

    def _scope(self, method: bytes, url: bytes, headers: list[tuple[bytes, bytes]], http_version: str) -> "HTTPScope":
        assert self._transport is not None
        parsed = httptools.parse_url(url)
        raw_path = parsed.path or b"/"
        return {
            "type": "http",
            "asgi": {"version": self.config.asgi_version, "spec_version": "2.3"},
            "http_version": http_version,
            "server": get_local_addr(self._transport),
            "client": get_remote_addr(self._transport),
            "scheme": "http",
            "root_path": self.config.root_path,
            "headers": headers,
            "state": dict(self._app_state),
            "method": method.decode("ascii"),
            "path": unquote(raw_path.decode("latin-1")),
            "raw_path": raw_path,
            "query_string": parsed.query or b"",
        }

    def pause_writing(self, _connection: Connection) -> None:
        if self._flow is not None:
            self._flow.pause_writing()

    def resume_writing(self, _connection: Connection) -> None:
        if self._flow is not None:
            self._flow.resume_writing()
