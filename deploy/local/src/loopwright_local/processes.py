"""Operating system side of a part: launch it so that it cannot outlive the supervisor, wait for it, end it.

Every child leads a session of its own, dies with the supervisor (`setpriv --pdeathsig`), and carries a marker in its
environment, by which the next supervisor over the same folder finds whatever still runs after a `kill -9`.
"""

import asyncio
import os
import resource
import signal
import subprocess
import time
from pathlib import Path

from loopwright_local.errors import PartFailed
from loopwright_local.killing import MARKER, kill_group
from loopwright_local.part import Account, Part

WANTED_OPEN_FILES = 65_536


class Child:
    """One launched process of a part."""

    def __init__(self, popen: subprocess.Popen[bytes]) -> None:
        self._popen = popen
        self.pid = popen.pid
        self.started_at = time.monotonic()

    @property
    def status(self) -> int | None:
        """Exit status, negative for a signal, None while it runs."""
        return self._popen.poll()

    async def wait(self) -> int:
        """Wait for the end without a thread, by the process's file descriptor."""
        loop = asyncio.get_running_loop()
        ended = asyncio.Event()
        descriptor = os.pidfd_open(self.pid)
        loop.add_reader(descriptor, ended.set)
        try:
            await ended.wait()
        finally:
            loop.remove_reader(descriptor)
            os.close(descriptor)
        return self._popen.wait()

    def send(self, number: signal.Signals) -> None:
        """Signal the process alone."""
        self._popen.send_signal(number)

    def kill_group(self) -> None:
        """Kill the process and what it started in its own group, also after its death, and see them gone."""
        kill_group(self.pid)

    async def end(self, number: signal.Signals, *, timeout_s: float) -> None:
        """Ask the process to end, kill it after `timeout_s`, and leave nothing of its session behind."""
        try:
            if self.status is None:
                self.send(number)
                async with asyncio.timeout(timeout_s):
                    await self.wait()
        except TimeoutError:
            pass
        finally:
            self.kill_group()
            self._popen.wait()


def launch(part: Part, *, marker: str, log_file: Path, cwd: Path) -> Child:
    """Start the part with both outputs appended to `log_file`."""
    env = {name: value for name, value in _inherited().items() if name != "PYTHONDONTWRITEBYTECODE"}
    env |= {"PYTHONUNBUFFERED": "1", MARKER: marker} | part.env
    with log_file.open("ab") as log:
        return Child(
            subprocess.Popen(
                (*_wrapper(part), *part.command),
                env=env,
                cwd=cwd,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        )


def run_as(account: Account | None, what: str, command: tuple[str, ...], *, env: dict[str, str], cwd: Path) -> None:
    """Run a short command as `account`.

    Args:
        account: None for the supervisor's own.
        what: Names the command in the error.
        command: Program and arguments.
        env: Added to the supervisor's own environment.
        cwd: Where it runs.

    Raises:
        PartFailed: it failed; the message holds its output.
    """
    done = subprocess.run(
        (*_account_wrapper(account), *command),
        env=_inherited() | env,
        cwd=cwd,
        check=False,
        text=True,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )
    if done.returncode != 0:
        raise PartFailed(f"{what} failed:\n{done.stdout}")


def raise_open_files_limit() -> None:
    """Kafka, PostgreSQL and vLLM hold many files; children inherit the limit."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = WANTED_OPEN_FILES if hard == resource.RLIM_INFINITY else min(hard, WANTED_OPEN_FILES)
    resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def _inherited() -> dict[str, str]:
    return dict(os.environ)  # noqa: TID251  # not a setting: children inherit the environment as from a shell


def _wrapper(part: Part) -> tuple[str, ...]:
    # each becomes the next by exec, so the pid stays; the death signal comes last: a change of account clears it
    return (*_account_wrapper(part.account), "setpriv", "--pdeathsig", part.stop_signal.name.removeprefix("SIG"), "--")


def _account_wrapper(account: Account | None) -> tuple[str, ...]:
    if account is None:
        return ()
    if account.in_name_only:
        return ("unshare", "--user", f"--map-user={account.uid}", f"--map-group={account.gid}", "--")
    return ("setpriv", f"--reuid={account.uid}", f"--regid={account.gid}", "--clear-groups", "--")
