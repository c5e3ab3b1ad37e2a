"""What a part of the stack is: a command, what must be ready before it, and how one sees that it is ready itself."""

import signal
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

Probe = Callable[[], Awaitable[bool]]
Hook = Callable[[], Awaitable[None]]


@dataclass(frozen=True)
class Account:
    """The operating system account a part runs as when the supervisor itself is root.

    Attributes:
        uid: User id.
        gid: Group id.
        in_name_only: The process takes itself for this account inside a user namespace and is root for everybody
            else, so that it can enter folders that are closed to others (a checkout below /root).
    """

    uid: int
    gid: int
    in_name_only: bool = False

    @property
    def owner(self) -> tuple[int, int]:
        """User and group that own, as seen from outside, what the process writes."""
        return (0, 0) if self.in_name_only else (self.uid, self.gid)


@dataclass(frozen=True)
class PortClaim:
    """A loopback port that a part listens on, and the setting that changes it."""

    setting: str
    port: int


@dataclass(frozen=True)
class Part:
    """One process of the stack.

    Attributes:
        name: Shown in logs and used by `kill` and `wait_ready`.
        command: Program and arguments; never a shell line.
        env: Added to the supervisor's own environment.
        needs: Parts that must be ready before this one starts.
        uses: Parts that this one talks to later; it is stopped before them.
        ready: True once the part does its work. A step that runs once has none.
        once: The command is expected to end with status 0; the part is ready then.
        prepare: Runs before every start (formats a folder, removes a stale lock).
        settle: Runs after every start, before the part counts as ready.
        ports: What it listens on.
        url: Where a person finds it.
        stop_signal: Asks it to end.
        stop_timeout_s: How long it may take before it is killed.
    """

    name: str
    command: tuple[str, ...]
    env: dict[str, str] = field(default_factory=dict[str, str])
    needs: tuple[str, ...] = ()
    uses: tuple[str, ...] = ()
    ready: Probe | None = None
    once: bool = False
    prepare: Hook | None = None
    settle: Hook | None = None
    account: Account | None = None
    ports: tuple[PortClaim, ...] = ()
    url: str = ""
    stop_signal: signal.Signals = signal.SIGTERM
    stop_timeout_s: float = 20
