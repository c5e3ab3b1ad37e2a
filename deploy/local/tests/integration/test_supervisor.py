"""The supervisor over tiny real processes: shells that keep a journal."""

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from loopwright_local.errors import LocalError
from loopwright_local.keeper import Limits, Place, State
from loopwright_local.killing import end_orphans
from loopwright_local.part import Part
from loopwright_local.supervisor import Supervisor

LIVE = "while :; do sleep 0.02; done"


class Said:
    def __init__(self) -> None:
        self.lines: list[str] = []

    def say(self, part: str, line: str) -> None:
        self.lines.append(f"{part}: {line}")

    def changed(self) -> None:
        pass


def a_part(folder: Path, name: str, *, first: str = "", then: str = LIVE, **fields: object) -> Part:
    """A shell that does `first`, says that it is ready by a file, and lives until SIGTERM."""
    up = folder / f"{name}.up"

    async def is_up() -> bool:
        return up.exists()

    async def forget() -> None:
        up.unlink(missing_ok=True)

    said = f"trap 'echo stopped {name} >> journal; exit 0' TERM"  # before it is ready: it may be stopped at once
    script = f"echo started {name} >> journal; {first or ':'}; {said}; touch {up.name}; {then}"
    return Part(name=name, command=("sh", "-c", script), ready=is_up, prepare=forget, **fields)  # type: ignore[arg-type]


def a_step(name: str, script: str, *, needs: tuple[str, ...] = ()) -> Part:
    return Part(name=name, command=("sh", "-c", script), needs=needs, once=True)


class Started:
    """A supervisor that is stopped at the end of the block."""

    def __init__(self, folder: Path, *parts: Part, restarts: int = 5) -> None:
        place = Place(marker=str(folder), log_dir=folder, cwd=folder)
        limits = Limits(restarts=restarts, start_timeout_s=10)
        self.said = Said()
        self.supervisor = Supervisor(parts, place, limits=limits, watcher=self.said)

    async def __aenter__(self) -> Supervisor:
        self.supervisor.start()
        return self.supervisor

    async def __aexit__(self, *_: object) -> None:
        await self.supervisor.stop()


def journal(folder: Path) -> list[str]:
    return (folder / "journal").read_text().splitlines()


def pid_of(supervisor: Supervisor, name: str) -> int:
    child = supervisor.keepers[name].child
    assert child is not None
    return child.pid


def runs(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


async def until(true: Callable[[], bool]) -> None:
    async with asyncio.timeout(5):
        while not true():  # noqa: ASYNC110  # nothing sets an event when a process ends
            await asyncio.sleep(0.01)


async def gone(pid: int) -> None:
    await until(lambda: not runs(pid))


class TestStart:
    async def test_waits_for_what_a_part_needs(self, tmp_path: Path) -> None:
        slow = a_part(tmp_path, "slow", first="sleep 0.3; echo slow-is-up >> journal")
        async with Started(tmp_path, a_part(tmp_path, "late", needs=("slow",)), slow) as supervisor:
            await supervisor.wait_ready()
        assert journal(tmp_path)[:3] == ["started slow", "slow-is-up", "started late"]

    async def test_starts_independent_parts_side_by_side(self, tmp_path: Path) -> None:
        # each becomes ready only when the other has been started: one after the other would never end
        wait_for = "while ! grep -q 'started {}' journal; do sleep 0.01; done"
        parts = (a_part(tmp_path, "a", first=wait_for.format("b")), a_part(tmp_path, "b", first=wait_for.format("a")))
        async with Started(tmp_path, *parts) as supervisor, asyncio.timeout(5):
            await supervisor.wait_ready()

    async def test_runs_a_step_once_before_its_dependents(self, tmp_path: Path) -> None:
        step = a_step("step", "echo step >> journal")
        async with Started(tmp_path, step, a_part(tmp_path, "after", needs=("step",))) as supervisor:
            await supervisor.wait_ready()
            assert supervisor.keepers["step"].state is State.DONE
        assert journal(tmp_path) == ["step", "started after", "stopped after"]

    async def test_gives_up_on_a_step_that_fails_and_shows_its_last_words(self, tmp_path: Path) -> None:
        async with Started(tmp_path, a_step("step", "echo no such table; exit 3")) as supervisor:
            with pytest.raises(LocalError, match=r"(?s)step: ended with status 3.*no such table"):
                await supervisor.wait_ready()

    async def test_gives_up_on_a_part_that_never_becomes_ready(self, tmp_path: Path) -> None:
        started = Started(tmp_path, a_part(tmp_path, "dumb", first="echo thinking; sleep 60"))
        for keeper in started.supervisor.keepers.values():
            keeper._limits = Limits(start_timeout_s=0.3)
        async with started as supervisor:
            with pytest.raises(LocalError, match=r"(?s)dumb: not ready after 0 s.*thinking"):
                await supervisor.wait_ready()


class TestRestart:
    async def test_starts_a_killed_part_again(self, tmp_path: Path) -> None:
        async with Started(tmp_path, a_part(tmp_path, "part")) as supervisor:
            await supervisor.wait_ready()
            before = pid_of(supervisor, "part")
            await supervisor.kill("part")
            assert not supervisor.keepers["part"].ready.is_set()
            await supervisor.wait_ready("part")
            assert pid_of(supervisor, "part") != before
            assert supervisor.keepers["part"].deaths == 1

    async def test_notices_a_death_that_it_did_not_cause(self, tmp_path: Path) -> None:
        async with Started(tmp_path, a_part(tmp_path, "part")) as supervisor:
            await supervisor.wait_ready()
            before = pid_of(supervisor, "part")
            os.kill(before, signal.SIGKILL)
            await until(lambda: pid_of(supervisor, "part") != before)

    async def test_gives_up_after_too_many_deaths_in_a_row(self, tmp_path: Path) -> None:
        async with Started(tmp_path, a_part(tmp_path, "part", then="echo broken; exit 4"), restarts=2) as supervisor:
            failure = await asyncio.wait_for(supervisor.wait_failed(), 10)
        assert "part: ended with status 4" in str(failure)
        assert "broken" in str(failure)
        assert journal(tmp_path) == ["started part"] * 2

    async def test_leaves_nothing_of_the_dead_part_behind(self, tmp_path: Path) -> None:
        parent = a_part(tmp_path, "part", first="sleep 60 & echo $! > grandchild")
        async with Started(tmp_path, parent) as supervisor:
            await supervisor.wait_ready()
            grandchild = int((tmp_path / "grandchild").read_text())
            assert runs(grandchild)
            await supervisor.kill("part")
            await gone(grandchild)


class TestStop:
    async def test_stops_in_reverse_order(self, tmp_path: Path) -> None:
        parts = (
            a_part(tmp_path, "base"),
            a_part(tmp_path, "middle", needs=("base",)),
            a_part(tmp_path, "used"),
            a_part(tmp_path, "top", needs=("middle",), uses=("used",)),
        )
        async with Started(tmp_path, *parts) as supervisor:
            await supervisor.wait_ready()
        stops = [line.removeprefix("stopped ") for line in journal(tmp_path) if line.startswith("stopped")]
        assert sorted(stops) == ["base", "middle", "top", "used"]
        assert stops[0] == "top"
        assert stops.index("middle") < stops.index("base")

    async def test_kills_a_part_that_does_not_obey(self, tmp_path: Path) -> None:
        deaf = a_part(tmp_path, "deaf", then="trap '' TERM; while :; do sleep 0.02; done", stop_timeout_s=0.3)
        async with Started(tmp_path, deaf) as supervisor:
            await supervisor.wait_ready()
            pid = pid_of(supervisor, "deaf")
        assert not runs(pid)

    async def test_stops_while_parts_are_still_starting(self, tmp_path: Path) -> None:
        never = a_part(tmp_path, "never", first="sleep 60")
        async with Started(tmp_path, never, a_part(tmp_path, "after", needs=("never",))) as supervisor:
            await until(lambda: supervisor.keepers["never"].child is not None)
            pid = pid_of(supervisor, "never")
        assert not runs(pid)


LONE_SUPERVISOR = """
import asyncio, sys
from pathlib import Path
sys.path.insert(0, sys.argv[2])
from test_supervisor import Started, a_part
async def main():
    folder = Path(sys.argv[1])
    async with Started(folder, a_part(folder, "part", first="setsid sleep 60 & echo $! > grandchild")) as supervisor:
        await supervisor.wait_ready()
        print(supervisor.keepers["part"].child.pid, flush=True)
        await asyncio.Event().wait()
asyncio.run(main())
"""


class TestSupervisorKilled:
    async def test_takes_its_parts_with_it_and_the_next_one_finds_the_rest(self, tmp_path: Path) -> None:
        command = (sys.executable, "-c", LONE_SUPERVISOR, str(tmp_path), str(Path(__file__).parent))
        with subprocess.Popen(command, stdout=subprocess.PIPE) as lone:  # noqa: ASYNC220  # it returns at once
            assert lone.stdout is not None
            child = int(await asyncio.to_thread(lone.stdout.readline))
            grandchild = int((tmp_path / "grandchild").read_text())
            lone.kill()
        await gone(child)
        assert runs(grandchild)
        assert end_orphans(str(tmp_path)) == [grandchild]
        await gone(grandchild)
