"""New connections come to the chosen sockets alone, and what came stays."""

import socket
from collections.abc import Generator
from contextlib import ExitStack

import pytest

from router_svc.adapters.listening import Listeners

pytestmark = pytest.mark.integration


@pytest.fixture
def listeners() -> Generator[Listeners]:
    listeners = Listeners("127.0.0.1", 0, count=3)
    yield listeners
    listeners.close()


def arrivals(listeners: Listeners, count: int = 60) -> list[int]:
    """Of so many new connections, how many came to each socket."""
    with ExitStack() as stack:
        for _ in range(count):
            stack.enter_context(socket.create_connection(("127.0.0.1", listeners.port)))
        return [accept_all(listening) for listening in listeners.sockets]


def accept_all(listening: socket.socket) -> int:
    listening.setblocking(False)
    count = 0
    while True:
        try:
            connection, _ = listening.accept()
        except BlockingIOError:
            return count
        connection.close()
        count += 1


def test_the_port_is_closed_until_one_is_chosen(listeners: Listeners) -> None:
    listeners.choose([])
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", listeners.port))
    listeners.choose([1])
    assert arrivals(listeners) == [0, 60, 0]


@pytest.mark.parametrize("chosen", [[0], [2], [0, 2], [1, 2]])
def test_only_the_chosen_get_connections_and_each_of_them_some(listeners: Listeners, chosen: list[int]) -> None:
    listeners.choose([0, 1, 2])
    listeners.choose(chosen)
    assert [number for number, count in enumerate(arrivals(listeners)) if count] == chosen


def test_all_are_chosen_again_and_none_means_all(listeners: Listeners) -> None:
    for again in ([0, 1, 2], []):
        listeners.choose([1])
        listeners.choose(again)
        assert min(arrivals(listeners)) > 0


def test_what_waits_at_a_socket_stays_when_others_are_chosen_and_a_workers_copy_is_closed(listeners: Listeners) -> None:
    listeners.choose([0])
    with listeners.sockets[0].dup(), socket.create_connection(("127.0.0.1", listeners.port)) as client:
        listeners.choose([1])
        client.sendall(b"x")
    assert accept_all(listeners.sockets[0]) == 1
