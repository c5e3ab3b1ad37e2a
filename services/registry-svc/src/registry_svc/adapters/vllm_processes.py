"""vLLM processes that outlive registry-svc: started in a session of their own, known by number and start, ended by both."""

import asyncio
import os
import signal
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import httpx

_MARKER = "REGISTRY_MODEL_SERVER"
_HEALTH_TIMEOUT_S = 3.0
_KILLED_S = 10.0  # for the kernel to end a process that holds much memory
_LAST_WORDS_BYTES = 2000


@dataclass(frozen=True)
class ProcessMark:
    """One process for ever: numbers are used again, but not with the same start after the same boot.

    Attributes:
        start: Boot id and ticks from boot to the process's start (proc(5): stat, field 22).
    """

    pid: int
    start: str


class VllmProcesses:
    """Starts, finds, probes and ends them.

    Args:
        log_dir: Takes one log file per server.
        env: Added to our own environment.
        stop_timeout_s: Patience before a process is killed.
    """

    def __init__(self, *, log_dir: Path, env: Mapping[str, str], stop_timeout_s: float) -> None:
        self._log_dir = log_dir
        self._env = dict(env)
        self._stop_timeout_s = stop_timeout_s

    def start(self, name: str, command: tuple[str, ...], *, marker: str) -> ProcessMark:
        """Starts a server that does not end with us.

        Args:
            name: Of its log.
            marker: By which `find` finds it.

        Raises:
            OSError: the command cannot be run.
        """
        self._log_dir.mkdir(parents=True, exist_ok=True)
        inherited = os.environ  # noqa: TID251 - not a setting: children inherit the environment as from a shell
        descriptor = os.open(self._log_file(name), os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
        try:
            # no Popen: what should outlive us needs no object that would end with us
            pid = os.posix_spawnp(
                command[0], command, {**inherited, **self._env, _MARKER: marker}, setsid=True,
                file_actions=[
                    (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
                    (os.POSIX_SPAWN_DUP2, descriptor, 1),
                    (os.POSIX_SPAWN_DUP2, descriptor, 2),
                ],
            )  # fmt: skip
        finally:
            os.close(descriptor)
        return ProcessMark(pid, _start_of(pid) or "")

    def is_running(self, mark: ProcessMark) -> bool:
        """Whether this very process runs."""
        _reap(mark.pid)
        return _start_of(mark.pid) == mark.start

    def find(self, marker: str) -> ProcessMark | None:
        """A process that was started under a marker, also by an earlier life of ours that could not write it down."""
        wanted = f"{_MARKER}={marker}".encode()
        for folder in Path("/proc").iterdir():
            if not folder.name.isdecimal():
                continue
            with suppress(OSError):
                pid = int(folder.name)
                # its own children have the marker too; the leader of the session is the server
                if wanted in (folder / "environ").read_bytes().split(b"\0") and os.getsid(pid) == pid:
                    start = _start_of(pid)
                    return None if start is None else ProcessMark(pid, start)
        return None

    async def stop(self, mark: ProcessMark) -> None:
        """Ends this very process and its session; one that only has its number is left alone."""
        try:
            descriptor = os.pidfd_open(mark.pid)
        except ProcessLookupError:
            return
        try:
            # the descriptor keeps meaning one process, whatever becomes of its number
            if not self.is_running(mark):
                return
            signal.pidfd_send_signal(descriptor, signal.SIGTERM)
            try:
                await _ended(descriptor, timeout_s=self._stop_timeout_s)
            except TimeoutError:
                os.killpg(mark.pid, signal.SIGKILL)
                await _ended(descriptor, timeout_s=_KILLED_S)
        except ProcessLookupError:
            pass
        finally:
            os.close(descriptor)
            _reap(mark.pid)

    async def is_healthy(self, url: str) -> bool:
        """Whether a server says that it is well."""
        try:
            async with httpx.AsyncClient(timeout=_HEALTH_TIMEOUT_S) as client:
                return (await client.get(f"{url}/health")).is_success
        except httpx.HTTPError:
            return False

    def last_words(self, name: str) -> str:
        """The end of a server's log."""
        try:
            with self._log_file(name).open("rb") as log:
                log.seek(max(0, log.seek(0, os.SEEK_END) - _LAST_WORDS_BYTES))
                lines = log.read().decode(errors="replace").replace("\0", "").splitlines()
        except OSError:
            return ""
        return next((line.strip()[:500] for line in reversed(lines) if line.strip()), "")

    def _log_file(self, name: str) -> Path:
        return self._log_dir / f"{name}.log"


async def _ended(descriptor: int, *, timeout_s: float) -> None:
    """Waits for the end of a process, which makes its descriptor readable (pidfd_open(2))."""
    loop, ended = asyncio.get_running_loop(), asyncio.Event()
    loop.add_reader(descriptor, ended.set)
    try:
        await asyncio.wait_for(ended.wait(), timeout_s)
    finally:
        loop.remove_reader(descriptor)


def _reap(pid: int) -> None:
    """Lets the remains of a child go; whoever is no child of ours has another parent for that."""
    with suppress(ChildProcessError):
        os.waitpid(pid, os.WNOHANG)


def _start_of(pid: int) -> str | None:
    """Boot and start of a process; None if there is none, or only its remains."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    except OSError:
        return None
    # the name in parentheses may hold blanks and parentheses itself
    fields = stat.rpartition(")")[2].split()
    return None if fields[0] in {"Z", "X"} else f"{boot}:{fields[19]}"
