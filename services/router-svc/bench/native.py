# ruff: noqa: INP001 (beside a script)
"""The mock upstream and the load generator: built from `native/*.c` when the source is newer, and run on a core of their own."""

import asyncio
import json
import shutil
from asyncio.subprocess import PIPE
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
import msgspec
from process_tree import threads_of, usage_of

_SOURCES = Path(__file__).parent / "native"
_WITH_US = ("setpriv", "--pdeathsig", "KILL", "--")  # nothing stays behind when the bench is killed
_FLAGS = ("-O2", "-Wall", "-Wextra", "-Wno-unused-function")


class Measured(msgspec.Struct, frozen=True, kw_only=True):
    """What one load showed; microseconds, none where there was nothing to measure.

    Attributes:
        answered: Every answer with status 200, warm-up included.
        broken: Answers among them that were not whole.
        cpu_s: Processor time of the gateway's processes in the measured time.
        rss_bytes: Their resident memory at its end.
        threads_s: Processor time in the measured time of the gateway's first process, by thread.
    """

    seconds: float
    requests_s: float
    chunks_s: float
    answered_in_time: int
    chunks_in_time: int
    latency_p50_us: float | None
    latency_p99_us: float | None
    first_event_p50_us: float | None
    first_event_p99_us: float | None
    chunk_p50_us: float | None
    chunk_p99_us: float | None
    answered: int
    failed: int
    broken: int
    unanswered: int
    reconnected: int
    first_failure: str
    cpu_s: float = 0.0
    rss_bytes: int = 0
    threads_s: Mapping[str, float] = {}

    @property
    def whole(self) -> bool:
        return not (self.failed or self.broken or self.unanswered)


@dataclass(frozen=True)
class Programs:
    """The built programs, and the core that they share."""

    folder: Path
    core: int

    @asynccontextmanager
    async def upstream(self, ports: Sequence[int]) -> AsyncGenerator[None]:
        """A mock upstream on some ports while the block lasts."""
        command = (*_WITH_US, "taskset", "-c", str(self.core), str(self.folder / "upstream"), *map(str, ports))
        process = await asyncio.create_subprocess_exec(*command)
        try:
            await asyncio.sleep(0.3)
            if process.returncode is not None:
                raise SystemExit("the mock upstream did not start")
            yield
        finally:
            process.kill()
            await process.wait()

    async def load(self, arguments: Sequence[str], *, gateway_pid: int | None) -> Measured:
        """Runs one load; the gateway's processor time is read when the measured time begins and ends."""
        command = (*_WITH_US, "taskset", "-c", str(self.core), str(self.folder / "load"), *arguments)
        process = await asyncio.create_subprocess_exec(*command, stdout=PIPE)
        assert process.stdout is not None
        try:
            await process.stdout.readline()
            before, threads_before = usage_of(gateway_pid), threads_of(gateway_pid)
            await process.stdout.readline()
            after, threads_after = usage_of(gateway_pid), threads_of(gateway_pid)
            text = await process.stdout.readline()
            status = await process.wait()
        except BaseException:
            process.kill()
            raise
        if status != 0:
            raise SystemExit("the load generator failed")
        threads_s = {name: seconds - threads_before.get(name, 0.0) for name, seconds in threads_after.items()}
        used = {"cpu_s": after.cpu_s - before.cpu_s, "rss_bytes": after.rss_bytes, "threads_s": threads_s}
        return msgspec.convert(json.loads(text) | used, Measured)


async def set_gap(port: int, gap_us: int) -> None:
    """Sets the mock upstream's time between events of a stream."""
    async with httpx.AsyncClient() as client:
        (await client.get(f"http://127.0.0.1:{port}/gap", params={"us": gap_us})).raise_for_status()


async def build(folder: Path) -> None:
    """Compiles what is missing or older than its source."""
    compiler = shutil.which("cc") or shutil.which("gcc")
    if compiler is None:
        raise SystemExit(
            "A C compiler is needed for the mock upstream and the load generator: apt-get install gcc libc6-dev"
        )
    newest_header = max(path.stat().st_mtime for path in _SOURCES.glob("*.h"))
    for source in sorted(_SOURCES.glob("*.c")):
        program = folder / source.stem
        if program.exists() and program.stat().st_mtime > max(newest_header, source.stat().st_mtime):
            continue
        process = await asyncio.create_subprocess_exec(compiler, *_FLAGS, "-o", str(program), str(source))
        if await process.wait() != 0:
            raise SystemExit(f"{source.name} did not compile")
