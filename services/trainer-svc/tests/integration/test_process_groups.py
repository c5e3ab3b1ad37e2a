"""A group of processes as the service starts it: it stops, fails and dies as one, and nobody outside hears it."""

import asyncio
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import psutil
import pytest

from trainer_svc.adapters.launch import ALONE, Nodes, command
from trainer_svc.adapters.machines import LocalLauncher, follow
from trainer_svc.recipes.job_file import JobFile
from trainer_svc.recipes.progress import EXIT_STOPPED, AnyLine, Checkpointed, Stopped, parse_line

pytestmark = pytest.mark.timeout(300)


def describe_job(folder: Path, *, world_size: int) -> Path:
    job = JobFile(
        job_id="job", base_model=folder, train_file=folder, checkpoint_dir=folder / "checkpoints",
        output_dir=folder / "adapter", world_size=world_size,
    )  # fmt: skip
    file = folder / "job.json"
    file.write_text(job.model_dump_json())
    return file


class Group:
    """The processes of a job that counts (see `counting_recipe`), and the one that keeps them."""

    def __init__(self, folder: Path, *, nodes: Nodes, devices: int) -> None:
        file = describe_job(folder, world_size=devices * nodes.count)
        slots = tuple(f"cpu:{number}" for number in range(devices))
        arguments = command("counting_recipe", file, devices=slots, sharding="ddp", nodes=nodes)
        self._folder = folder
        self._log = folder / f"log-{nodes.rank}.txt"
        with self._log.open("ab") as log:
            self.keeper = subprocess.Popen(
                [sys.executable, *arguments], stdout=subprocess.PIPE, stderr=log, start_new_session=True
            )

    def wait_until_it_counts(self) -> None:
        assert self.keeper.stdout is not None
        text = self.keeper.stdout.readline()
        assert text, self._log.read_text()
        assert isinstance(parse_line(text), Checkpointed)

    def pid(self, rank: int) -> int:
        return int((self._folder / f"pid-{rank}").read_text())

    def rest(self) -> list[bytes]:
        assert self.keeper.stdout is not None
        return self.keeper.stdout.read().splitlines()

    def end(self) -> None:
        with suppress(ProcessLookupError):
            os.killpg(self.keeper.pid, signal.SIGKILL)
        self.keeper.communicate()


GroupStarter = Callable[..., Group]


@pytest.fixture
def start(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[GroupStarter]:
    """Function that starts a group; what is left of it at the end is killed."""
    monkeypatch.setenv("PYTHONPATH", f"{Path(__file__).parent}:{os.environ.get('PYTHONPATH', '')}")  # noqa: TID251
    groups: list[Group] = []

    def begin(*, nodes: Nodes = ALONE, devices: int = 2) -> Group:
        groups.append(Group(tmp_path, nodes=nodes, devices=devices))
        return groups[-1]

    yield begin
    for group in groups:
        group.end()


def is_gone(pid: int) -> bool:
    return not psutil.pid_exists(pid) or psutil.Process(pid).status() == psutil.STATUS_ZOMBIE


def wait_until_gone(*pids: int, seconds: float) -> None:
    patience = time.monotonic() + seconds
    while not all(is_gone(pid) for pid in pids):
        assert time.monotonic() < patience, "a process lives on"
        time.sleep(0.02)


def test_a_recipe_says_that_it_stopped_however_often_it_is_asked(start: GroupStarter) -> None:
    recipe = start(devices=1)
    recipe.wait_until_it_counts()
    while recipe.keeper.poll() is None:
        recipe.keeper.send_signal(signal.SIGTERM)
        time.sleep(0.01)
    assert recipe.keeper.returncode == EXIT_STOPPED


class TestGroup:
    def test_stops_as_one_and_says_so_once(self, start: GroupStarter) -> None:
        group = start()
        group.wait_until_it_counts()
        os.killpg(group.keeper.pid, signal.SIGTERM)
        lines = [parse_line(text) for text in group.rest()]
        assert group.keeper.wait() == EXIT_STOPPED
        assert isinstance(lines[-1], Stopped)
        assert all(isinstance(line, Checkpointed) for line in lines[:-1])

    def test_dies_within_seconds_of_a_killed_process_and_of_the_same_signal(self, start: GroupStarter) -> None:
        group = start()
        group.wait_until_it_counts()
        began = time.monotonic()
        os.kill(group.pid(1), signal.SIGKILL)
        group.rest()
        assert group.keeper.wait() == -signal.SIGKILL
        assert time.monotonic() - began < 10
        assert is_gone(group.pid(0))

    def test_dies_with_its_keeper(self, start: GroupStarter) -> None:
        group = start()
        group.wait_until_it_counts()
        pids = [group.pid(rank) for rank in range(2)]
        group.keeper.kill()
        group.keeper.wait()
        wait_until_gone(*pids, seconds=5)

    def test_listens_on_the_loopback_only(self, start: GroupStarter) -> None:
        group = start()
        group.wait_until_it_counts()
        family = [group.keeper.pid, group.pid(0), group.pid(1)]
        listening = [
            connection.laddr.ip
            for pid in family
            for connection in psutil.Process(pid).net_connections(kind="inet")
            if connection.status == psutil.CONN_LISTEN
        ]
        assert listening
        assert set(listening) <= {"127.0.0.1", "::1", "::ffff:127.0.0.1"}


class TestMachines:
    def test_meet_through_a_file_and_the_first_one_speaks(self, start: GroupStarter, tmp_path: Path) -> None:
        meeting = f"file:{tmp_path / 'meeting'}"
        second = start(nodes=Nodes(count=2, rank=1, meeting=meeting), devices=1)
        first = start(nodes=Nodes(count=2, rank=0, meeting=meeting), devices=1)
        first.wait_until_it_counts()
        assert re.fullmatch(r"[\d.]+:\d+", (tmp_path / "meeting").read_text())
        first.keeper.send_signal(signal.SIGTERM)
        assert [type(parse_line(text)) for text in first.rest()][-1] is Stopped
        assert (first.keeper.wait(), second.keeper.wait()) == (EXIT_STOPPED, EXIT_STOPPED)
        assert second.rest() == []

    async def test_take_part_in_what_the_first_one_orders(self, tmp_path: Path, start: GroupStarter) -> None:
        job_file = describe_job(tmp_path, world_size=2)
        following = asyncio.create_task(follow(tmp_path, rank=1))
        await asyncio.sleep(0)  # it now looks for orders
        launcher = LocalLauncher(tmp_path, machines=2)
        running = await launcher.launch(
            "counting_recipe", job_file, devices=("cpu:0",), sharding="ddp", log_file=tmp_path / "log-0.txt"
        )
        lines: list[AnyLine] = []
        async for text in running.lines():
            lines.append(parse_line(text))
            running.ask_to_stop()
        assert {type(line) for line in lines} == {Checkpointed, Stopped}
        assert await running.wait() == EXIT_STOPPED
        assert not following.done()
        following.cancel()
        with suppress(asyncio.CancelledError):
            await following
