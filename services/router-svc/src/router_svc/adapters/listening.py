"""Where several workers listen: a socket each on one port, held by their parent too, so that no worker's end resets a queue.

The kernel deals new connections out among the sockets (SO_REUSEPORT). While a worker is away, a filter keeps it from
choosing that one's socket; what waits there already waits for the worker's successor.
"""

import ctypes
import socket
import struct
from collections.abc import Sequence
from contextlib import suppress

_BACKLOG = 2048
# linux/asm-generic/socket.h: Python names neither
_SO_ATTACH_REUSEPORT_CBPF, _SO_DETACH_REUSEPORT_BPF = 51, 68
# linux/bpf_common.h, linux/filter.h
_LOAD_WORD, _MODULO, _SKIP_UNLESS_EQUAL, _RETURN = 0x20, 0x94, 0x15, 0x06
_RANDOM = 0xFFFFF000 + 56


class Listeners:
    """The sockets of a router's workers.

    Args:
        port: 0 for one that is free.

    Attributes:
        sockets: One for each worker; the worker listens on a copy.
    """

    def __init__(self, host: str, port: int, *, count: int) -> None:
        self.sockets: list[socket.socket] = []
        for _ in range(count):
            listening = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET)
            listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
            listening.bind((host, port))
            port = listening.getsockname()[1]
            self.sockets.append(listening)
        self._open = False
        self._chosen: Sequence[int] = ()

    @property
    def port(self) -> int:
        return self.sockets[0].getsockname()[1]

    def choose(self, numbers: Sequence[int]) -> None:
        """Lets new connections come to these sockets alone; to all of them if none is named.

        The first that is named opens the port.
        """
        if not self._open and numbers:
            self._open = True
            for listening in self.sockets:  # in this order the kernel counts them
                listening.listen(_BACKLOG)
        if not self._open or tuple(numbers) == self._chosen:
            return
        self._chosen = tuple(numbers)
        with suppress(OSError):  # a kernel that has no filters: connections then wait for who is away
            if 0 < len(numbers) < len(self.sockets):
                self._attach(_filter_for(numbers))
            else:
                self.sockets[0].setsockopt(socket.SOL_SOCKET, _SO_DETACH_REUSEPORT_BPF, 0)

    def close(self, *, but: int | None = None) -> None:
        """Lets go of the sockets, but for that of one worker; whoever still has a copy of one empties its queue."""
        for number, listening in enumerate(self.sockets):
            if number != but:
                listening.close()

    def _attach(self, instructions: Sequence[bytes]) -> None:
        program = ctypes.create_string_buffer(b"".join(instructions))
        described = struct.pack("HP", len(instructions), ctypes.addressof(program))
        self.sockets[0].setsockopt(socket.SOL_SOCKET, _SO_ATTACH_REUSEPORT_CBPF, described)


def _filter_for(numbers: Sequence[int]) -> list[bytes]:
    """A classic BPF program that names one of the numbers at random."""
    instructions = [(_LOAD_WORD, 0, 0, _RANDOM), (_MODULO, 0, 0, len(numbers))]
    for place, number in enumerate(numbers[:-1]):
        instructions += [(_SKIP_UNLESS_EQUAL, 0, 1, place), (_RETURN, 0, 0, number)]
    instructions.append((_RETURN, 0, 0, numbers[-1]))
    return [struct.pack("HBBI", *instruction) for instruction in instructions]
