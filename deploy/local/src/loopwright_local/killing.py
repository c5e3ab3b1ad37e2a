"""Ends processes for good: a dead part's whole group, and whatever an earlier run left behind."""

import os
import select
import signal
from contextlib import suppress
from pathlib import Path

MARKER = "LOOPWRIGHT_LOCAL_STACK"
LONGEST_DEATH_S = 5.0


def kill_group(leader: int) -> None:
    """Kill every process of the group that `leader` leads or led, and see them gone."""
    _kill([entry for entry in _processes() if _group_of(entry) == leader])


def end_orphans(marker: str) -> list[int]:
    """Kill every process that carries the marker of this stack, see them gone, and return their ids."""
    wanted = f"{MARKER}={marker}".encode()
    ended: list[int] = []
    # more than once: what is killed may have been starting others
    while found := [entry for entry in _processes() if wanted in _environment_of(entry)]:
        _kill(found)
        ended += [int(entry.name) for entry in found]
    return ended


def _kill(entries: list[Path]) -> None:
    """Kill processes and wait until the kernel has closed what they held open, above all their ports."""
    descriptors: list[int] = []
    for entry in entries:
        with suppress(ProcessLookupError):
            descriptors.append(os.pidfd_open(int(entry.name)))
            signal.pidfd_send_signal(descriptors[-1], signal.SIGKILL)
    for descriptor in descriptors:
        select.select([descriptor], [], [], LONGEST_DEATH_S)
        os.close(descriptor)


def _processes() -> list[Path]:
    return [entry for entry in Path("/proc").iterdir() if entry.name.isdigit() and int(entry.name) != os.getpid()]


def _environment_of(entry: Path) -> list[bytes]:
    try:
        return (entry / "environ").read_bytes().split(b"\0")
    except OSError:
        return []


def _group_of(entry: Path) -> int | None:
    try:
        state, _parent, group, *_ = (entry / "stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None
    return int(group) if state != "Z" else None
