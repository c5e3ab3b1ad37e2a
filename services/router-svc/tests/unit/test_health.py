"""A server that nobody can connect to is known to be away, and to be back as soon as it answers again."""

import asyncio
from typing import cast

from loopwright.testing.waiting import eventually
from router_svc.adapters.connections import Server, ServerConnection
from router_svc.adapters.failures import BackendFailed
from router_svc.adapters.upstream import Inquiry, Upstream, UpstreamRules
from router_svc.domain.breaking import BreakerRules, Standing
from router_svc.domain.snapshot import Target

REFUSALS = 5


class Wire:
    """The way to a server that can be cut."""

    def __init__(self, server: Server) -> None:
        self.server = server
        self.whole = False

    async def connect(self, *, timeout_s: float) -> ServerConnection:
        del timeout_s
        if not self.whole:
            raise ConnectionRefusedError
        connection = ServerConnection(self.server)
        connection.connection_made(cast("asyncio.Transport", _Answering(connection)))
        return connection


class _Answering:
    """Answers each request as soon as it is sent."""

    def __init__(self, connection: ServerConnection) -> None:
        self._connection = connection

    def write(self, _: bytes) -> None:
        answer = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}"
        asyncio.get_running_loop().call_soon(self._connection.data_received, answer)

    def writelines(self, pieces: list[bytes]) -> None:
        self.write(b"".join(pieces))

    def is_closing(self) -> bool:
        return False

    def abort(self) -> None: ...


async def test_a_circuit_that_a_crash_opened_is_tried_again_once_the_server_is_back(monkeypatch) -> None:
    rules = UpstreamRules(
        connect_s=1, first_byte_s=60, between_chunks_s=60, check_every_s=0.001,
        breaker=BreakerRules(rest_s=3600, open_after=REFUSALS, return_s=0),
    )  # fmt: skip
    upstream = Upstream(rules, clock=lambda: 100.0)
    target = Target(variant_id="m:1", served_name="m", backend_urls=("http://a:1",), defaults={})
    (replica,) = upstream.replicas(target)
    wire = Wire(replica.server)
    monkeypatch.setattr(Server, "connect", lambda _, *, timeout_s: wire.connect(timeout_s=timeout_s))
    inquiry = Inquiry(target=target, path="/v1/chat/completions", headers=b"", body=[b"{}"])
    failures = await asyncio.gather(*(upstream.ask(inquiry) for _ in range(REFUSALS)), return_exceptions=True)
    assert {type(failure) for failure in failures} == {BackendFailed}
    assert (replica.server.healthy, replica.breaker.standing(100.0)) == (False, Standing.OPEN)
    wire.whole = True
    checking = asyncio.create_task(upstream.run())
    await eventually(lambda: asyncio.sleep(0, replica.breaker.standing(100.0) is Standing.GOOD), every_s=0.001)
    assert (await upstream.ask(inquiry)).body == b"{}"
    checking.cancel()
    await asyncio.gather(checking, return_exceptions=True)
