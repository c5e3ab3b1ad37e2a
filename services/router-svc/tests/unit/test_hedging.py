"""A server that says nothing for too long has company: another is asked too, and whichever begins first answers."""

import asyncio
from dataclasses import dataclass, field
from typing import cast

import pytest

from router_svc.adapters.connections import ServerConnection
from router_svc.adapters.failures import BackendFailed
from router_svc.adapters.upstream import Call, Inquiry, Upstream, UpstreamRules, Whole
from router_svc.domain.breaking import BreakerRules
from router_svc.domain.snapshot import Target

URLS = ("http://a:1", "http://b:1", "http://c:1")
HEDGE_AFTER_S = 1.0
WHOLE_HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 8\r\n\r\n"
STREAM_HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"
FAILURE = b"HTTP/1.1 500 No\r\ncontent-length: 2\r\n\r\nno"


@dataclass
class TransportInMemory:
    written: list[bytes] = field(default_factory=list)
    aborted: bool = False

    def write(self, data: bytes) -> None:
        self.written.append(data)

    def is_closing(self) -> bool:
        return self.aborted

    def abort(self) -> None:
        self.aborted = True


@dataclass
class ListenerInMemory:
    """Notes what it hears."""

    heard: list[object] = field(default_factory=list)

    def answered(self, answer: Whole) -> None:
        self.heard.append(answer.body)

    def begun(self, connection: ServerConnection) -> None:
        self.heard.append("begun")

    def piece(self, chunk: bytes) -> None:
        self.heard.append(chunk)

    def ended(self) -> None:
        self.heard.append("ended")

    def failed(self, error: BackendFailed) -> None:
        self.heard.append("failed")

    def broken(self) -> None:
        self.heard.append("broken")


class World:
    """Three replicas with an open connection each, and a clock that is set by hand."""

    def __init__(self, *, hedge_after_s: float | None = HEDGE_AFTER_S) -> None:
        self.now = 100.0
        rules = UpstreamRules(
            connect_s=1, first_byte_s=60, between_chunks_s=60, hedge_after_s=hedge_after_s,
            breaker=BreakerRules(rest_s=5, open_after=5, return_s=0),
        )  # fmt: skip
        self.upstream = Upstream(rules, clock=lambda: self.now)
        self.listener = ListenerInMemory()
        target = Target(variant_id="m:1", served_name="m", backend_urls=URLS, defaults={})
        self.connections: list[ServerConnection] = []
        self.transports: list[TransportInMemory] = []
        self.servers = [replica.server for replica in self.upstream.replicas(target)]
        for server in self.servers:
            connection, transport = ServerConnection(server), TransportInMemory()
            connection.connection_made(cast("asyncio.Transport", transport))
            server.idle.append(connection)
            self.connections.append(connection)
            self.transports.append(transport)
        self.inquiry = Inquiry(target=target, path="/v1/chat/completions", headers=b"", body=[b"{}"])

    def ask(self) -> Call:
        call = self.upstream.call(self.inquiry, self.listener)
        assert call is not None
        return call

    def pass_time(self, seconds: float) -> None:
        self.now += seconds
        self.upstream.sweep(self.now)

    def asked(self) -> list[bool]:
        return [bool(transport.written) for transport in self.transports]

    def left(self) -> list[bool]:
        return [transport.aborted for transport in self.transports]

    def outstanding(self) -> list[int]:
        return [server.outstanding for server in self.servers]


@pytest.fixture
def hedged() -> World:
    """Two replicas are asked by now."""
    world = World()
    world.ask()
    world.pass_time(HEDGE_AFTER_S)
    return world


def test_another_replica_is_asked_once_the_first_was_silent_for_so_long_and_no_sooner() -> None:
    world = World()
    world.ask()
    world.pass_time(HEDGE_AFTER_S - 0.1)
    assert world.asked() == [True, False, False]
    world.pass_time(0.1)
    assert world.asked() == [True, True, False]


def test_one_other_is_enough_however_long_both_are_silent(hedged: World) -> None:
    hedged.pass_time(HEDGE_AFTER_S)
    hedged.pass_time(HEDGE_AFTER_S)
    assert hedged.asked() == [True, True, False]


def test_nobody_else_is_asked_without_the_setting() -> None:
    world = World(hedge_after_s=None)
    world.ask()
    world.pass_time(50)
    assert world.asked() == [True, False, False]


@pytest.mark.parametrize("first", [0, 1])
def test_whichever_answers_first_has_the_request_and_the_other_is_left_at_once(hedged: World, first: int) -> None:
    hedged.connections[first].data_received(WHOLE_HEAD + b'{"a": 1}')
    assert hedged.listener.heard == [b'{"a": 1}']
    assert hedged.left()[:2] == [first == 1, first == 0]
    assert hedged.outstanding() == [0, 0, 0]


def test_a_stream_is_whoevers_begins_first(hedged: World) -> None:
    hedged.connections[1].data_received(STREAM_HEAD + b"2\r\nhi\r\n")
    assert hedged.left()[:2] == [True, False]
    hedged.connections[1].data_received(b"0\r\n\r\n")
    assert hedged.listener.heard == ["begun", b"hi", "ended"]
    assert hedged.outstanding() == [0, 0, 0]


def test_a_stream_that_has_begun_has_no_company() -> None:
    world = World()
    world.ask()
    world.connections[0].data_received(STREAM_HEAD + b"2\r\nhi\r\n")
    world.pass_time(HEDGE_AFTER_S)
    assert world.asked() == [True, False, False]


def test_two_answers_that_come_in_parts_are_not_mixed(hedged: World) -> None:
    hedged.connections[0].data_received(WHOLE_HEAD + b'{"a"')
    hedged.connections[1].data_received(WHOLE_HEAD + b'{"b"')
    hedged.connections[0].data_received(b": 1}")
    assert hedged.listener.heard == [b'{"a": 1}']


def test_the_part_of_an_answer_survives_the_failure_of_the_other(hedged: World) -> None:
    hedged.connections[0].data_received(WHOLE_HEAD + b'{"a"')
    hedged.connections[1].data_received(FAILURE)
    hedged.connections[0].data_received(b": 1}")
    assert hedged.listener.heard == [b'{"a": 1}']


def test_the_failure_of_one_is_not_the_requests_while_the_other_is_busy(hedged: World) -> None:
    hedged.connections[0].data_received(FAILURE)
    assert (hedged.listener.heard, hedged.asked()) == ([], [True, True, False])
    hedged.connections[1].data_received(FAILURE)
    assert hedged.asked() == [True, True, True]  # the last one is the retry
    hedged.connections[2].data_received(FAILURE)
    assert hedged.listener.heard == ["failed"]
    assert hedged.outstanding() == [0, 0, 0]


def test_a_client_that_leaves_ends_the_work_of_both() -> None:
    world = World()
    call = world.ask()
    world.pass_time(HEDGE_AFTER_S)
    call.close()
    assert world.left() == [True, True, False]
    assert world.outstanding() == [0, 0, 0]
    world.pass_time(HEDGE_AFTER_S)
    assert world.asked() == [True, True, False]
