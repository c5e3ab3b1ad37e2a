"""The folder of one stack: who holds it, what its parts are doing, and which logs are of this run."""

import contextlib
import fcntl
import os
import signal
import time
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

from pydantic import BaseModel, TypeAdapter

from loopwright_local.errors import AlreadyRunning, LocalError


class PartStatus(BaseModel):
    """What `status` shows of a part."""

    name: str
    state: str
    pid: int | None
    url: str
    deaths: int
    ready_after_s: float | None


_statuses = TypeAdapter(list[PartStatus])


@contextmanager
def held(run_dir: Path) -> Generator[None]:
    """Hold the folder for this process; the kernel lets go of it when the process dies, however it dies.

    Raises:
        AlreadyRunning: another supervisor holds it.
    """
    run_dir.mkdir(parents=True, exist_ok=True)
    with (run_dir / "supervisor.lock").open("a+") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise AlreadyRunning(
                f"a stack already runs in {run_dir.parent} (process {holder(run_dir)}): "
                "stop it with `make down`, or set LOCAL_DIR and other ports for a second one"
            ) from None
        file.truncate(0)
        file.write(str(os.getpid()))
        file.flush()
        yield


def holder(run_dir: Path) -> int | None:
    """Return the process id of the supervisor that holds the folder, None when nobody does."""
    with contextlib.suppress(FileNotFoundError), (run_dir / "supervisor.lock").open() as file:
        try:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return int(file.read() or "0") or None
    return None


def end_holder(run_dir: Path, *, timeout_s: float = 90) -> bool:
    """Ask the supervisor of the folder to stop and wait for it.

    Returns:
        False when there was none.

    Raises:
        LocalError: it still runs after `timeout_s`.
    """
    pid = holder(run_dir)
    if pid is None:
        return False
    os.kill(pid, signal.SIGTERM)
    give_up_at = time.monotonic() + timeout_s
    while holder(run_dir) is not None:
        if time.monotonic() > give_up_at:
            raise LocalError(f"process {pid} has not stopped within {timeout_s:.0f} s: see the logs, or kill -9 it")
        time.sleep(0.1)
    return True


def write_statuses(run_dir: Path, statuses: list[PartStatus]) -> None:
    """Replace the file that `status` reads, in one step."""
    aside = run_dir / "parts.json.partial"
    aside.write_bytes(_statuses.dump_json(statuses))
    aside.rename(run_dir / "parts.json")


def read_statuses(run_dir: Path) -> list[PartStatus]:
    path = run_dir / "parts.json"
    return _statuses.validate_json(path.read_bytes()) if path.exists() else []


def set_old_logs_aside(log_dir: Path) -> None:
    """Keep the logs of the run before as `*.log.1`, so that those of this run start empty."""
    log_dir.mkdir(parents=True, exist_ok=True)
    for path in log_dir.glob("*.log"):
        path.rename(path.with_suffix(".log.1"))
