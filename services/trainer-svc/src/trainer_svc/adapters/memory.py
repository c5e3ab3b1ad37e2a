"""Memory of this machine's devices: what there is, and what is free."""

import asyncio
import shutil
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from trainer_svc.domain.queue import kind_of

_CGROUP = Path("/sys/fs/cgroup")
_TIMEOUT_S = 5
_MIB = 1 << 20


@dataclass(frozen=True, kw_only=True)
class DeviceMemory:
    """Bytes by pool (`cpu`, `cuda:0`, ...); what cannot be measured is left out.

    Attributes:
        total_bytes: All of it.
        free_bytes: What nothing uses now.
    """

    total_bytes: dict[str, int] = field(default_factory=dict)
    free_bytes: dict[str, int] = field(default_factory=dict)


async def read_memory(slots: Sequence[str]) -> DeviceMemory:
    """Measures the pools that the slots use."""
    found = DeviceMemory()
    kinds = {kind_of(slot) for slot in slots}
    if "cpu" in kinds:
        total, free = read_main_memory()
        found.total_bytes["cpu"], found.free_bytes["cpu"] = total, free
    if "cuda" in kinds:
        for index, total, free in await _ask_driver():
            found.total_bytes[f"cuda:{index}"], found.free_bytes[f"cuda:{index}"] = total, free
    return found


def read_main_memory(meminfo: Path = Path("/proc/meminfo"), cgroup: Path = _CGROUP) -> tuple[int, int]:
    """Main memory, total and available, within the limit of the control group (version 2) if there is one."""
    lines = (line.split() for line in meminfo.read_text().splitlines())
    sizes = {words[0].rstrip(":"): int(words[1]) * 1024 for words in lines}
    total, free = sizes["MemTotal"], sizes["MemAvailable"]
    try:
        limit = int((cgroup / "memory.max").read_text())  # "max" where there is none
        used = int((cgroup / "memory.current").read_text())
    except (OSError, ValueError):
        return total, free
    return min(total, limit), min(free, max(limit - used, 0))


async def _ask_driver() -> list[tuple[int, int, int]]:
    """(index, total, free) of each GPU; empty where there is no driver."""
    program = shutil.which("nvidia-smi")
    if program is None:
        return []
    query = ("--query-gpu=index,memory.total,memory.free", "--format=csv,noheader,nounits")
    process = await asyncio.create_subprocess_exec(
        program, *query, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.DEVNULL
    )
    try:
        out, _ = await asyncio.wait_for(process.communicate(), _TIMEOUT_S)
    except TimeoutError:
        process.kill()
        return []
    return parse_gpus(out.decode())


def parse_gpus(answer: str) -> list[tuple[int, int, int]]:
    """Reads lines of `index, total MiB, free MiB`; one that says `[N/A]` (a partitioned GPU) is left out."""
    found: list[tuple[int, int, int]] = []
    for line in answer.splitlines():
        words = [word.strip() for word in line.split(",")]
        if len(words) == 3 and all(word.isdigit() for word in words):
            found.append((int(words[0]), int(words[1]) * _MIB, int(words[2]) * _MIB))
    return found
