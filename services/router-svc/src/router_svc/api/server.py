"""The HTTP server of a worker: when it ends, every connection that reached it is answered."""

import asyncio
import os
import socket
from collections.abc import Callable, Sequence

import uvicorn

from router_svc.api.protocol import Door


class Server(uvicorn.Server):
    """uvicorn's, with another way to end.

    1. It says that it is leaving, goes on taking connections for a while, and ends each with its next answer.
    2. It stops listening, and takes what waits in the queue: closing it would reset those connections.
    3. Connections that are idle are closed; on the others the answer, or the first request, is waited for (uvicorn's grace).

    Args:
        drain_s: How long the first part takes.
        leaving: Called when it begins.
    """

    def __init__(self, config: uvicorn.Config, *, door: Door, drain_s: float, leaving: Callable[[], None]) -> None:
        super().__init__(config)
        self._door = door
        self._drain_s = drain_s
        self._leaving = leaving

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        self._leaving()
        self._door.draining = True
        await asyncio.sleep(self._drain_s)
        queues = [_copy(listening) for server in self.servers for listening in server.sockets]
        for server in self.servers:
            server.close()
        await self._take(_emptied(queues))
        await super().shutdown(sockets)

    async def _take(self, waiting: Sequence[socket.socket]) -> None:
        loop = asyncio.get_running_loop()
        for connection in waiting:
            await loop.connect_accepted_socket(self._connect, connection)

    def _connect(self) -> asyncio.Protocol:
        return self._door.connect(config=self.config, server_state=self.server_state, app_state=self.lifespan.state)


def _copy(listening: socket.socket) -> socket.socket:
    """A socket on the same queue, which lives as long as any of its sockets."""
    return socket.socket(fileno=os.dup(listening.fileno()))


def _emptied(queues: Sequence[socket.socket]) -> list[socket.socket]:
    """The connections that wait; the queues are closed at once thereafter."""
    taken: list[socket.socket] = []
    for queue in queues:
        with queue:
            queue.setblocking(False)
            try:
                while True:
                    taken.append(queue.accept()[0])
            except OSError:  # none waits any more
                continue
    return taken
