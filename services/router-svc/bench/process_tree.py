# ruff: noqa: INP001 (beside a script)
"""What a process, its descendants and its threads have used of the processor and of memory, from /proc (proc(5))."""

import os
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

_TICK_S = 1 / os.sysconf("SC_CLK_TCK")
_PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")


@dataclass(frozen=True)
class Usage:
    """Seconds of processor time since the start, and resident bytes now."""

    cpu_s: float = 0.0
    rss_bytes: int = 0


@dataclass(frozen=True)
class _Process:
    parent: int
    usage: Usage


def usage_of(root: int | None) -> Usage:
    """Returns the sum over a process tree; nothing of no process."""
    if root is None:
        return Usage()
    processes = {
        int(entry.name): found for entry in Path("/proc").iterdir() if entry.name.isdigit() and (found := _read(entry))
    }
    tree = {root}
    while more := {pid for pid, process in processes.items() if process.parent in tree} - tree:
        tree |= more
    usages = [processes[pid].usage for pid in tree if pid in processes]
    return Usage(sum(usage.cpu_s for usage in usages), sum(usage.rss_bytes for usage in usages))


def threads_of(process: int | None) -> Mapping[str, float]:
    """Returns seconds of processor time since the start, a process's own threads by name, user and system apart.

    librdkafka's are named `rdk:...`; a worker's loop is its first thread, all others of Python have its name too.
    """
    seconds = defaultdict[str, float](float)
    tasks = () if process is None else Path(f"/proc/{process}/task").iterdir()
    for task in tasks:
        if (stat := _stat(task)) is not None:
            name = "main" if int(task.name) == process else stat.name
            seconds[f"{name}, user"] += stat.user_s
            seconds[f"{name}, system"] += stat.system_s
    return seconds


def _read(entry: Path) -> _Process | None:
    stat = _stat(entry)
    return stat and _Process(stat.parent, Usage(stat.user_s + stat.system_s, stat.rss_bytes))


@dataclass(frozen=True)
class _Stat:
    name: str
    parent: int
    user_s: float
    system_s: float
    rss_bytes: int


def _stat(entry: Path) -> _Stat | None:
    """None if the process, or the thread, is gone."""
    try:
        start, _, end = (entry / "stat").read_text().rpartition(")")
    except OSError:
        return None
    # after the name, which may hold anything: state, parent, ..., utime is field 14, stime 15, rss 24
    fields = end.split()
    ticks, pages = (int(fields[11]), int(fields[12])), int(fields[21])
    return _Stat(start.partition("(")[2], int(fields[1]), ticks[0] * _TICK_S, ticks[1] * _TICK_S, pages * _PAGE_BYTES)
