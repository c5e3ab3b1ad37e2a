"""Recipes as jobs of a Ray cluster, by the documented contract of its job submission API (see `fake_ray`)."""

import json
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from fake_ray import FakeRay
from pydantic import SecretStr

from loopwright.errors import DependencyError
from trainer_svc.adapters.launch import Running
from trainer_svc.adapters.ray_jobs import RayLauncher
from trainer_svc.recipes.job_file import JobFile
from trainer_svc.recipes.progress import EXIT_STOPPED, AnyLine, Checkpointed, Failed, Stopped, parse_line

pytestmark = pytest.mark.timeout(300)
SAYS = {"kind": "failed", "code": "training.no-data", "reason": "nothing to learn", "advice": "send some"}


@pytest.fixture
def ray(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeRay]:
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parent), prepend=":")
    monkeypatch.setenv("PATH", str(Path(sys.executable).parent), prepend=":")
    folder = tmp_path / "ray"
    folder.mkdir()
    server = FakeRay(folder)
    yield server
    server.close()


class Bench:
    """A job of a script (see `scripted_recipe`), to be launched."""

    def __init__(self, folder: Path, launcher: RayLauncher) -> None:
        self.folder = folder
        self.launcher = launcher

    async def launch(
        self,
        *script: dict[str, object],
        module: str = "scripted_recipe",
        devices: tuple[str, ...] = ("cpu:0",),
        world_size: int = 1,
    ) -> Running:
        self.folder.mkdir(exist_ok=True)
        (self.folder / "train.jsonl").write_text("\n".join(json.dumps(act) for act in script))
        job = JobFile(
            job_id=self.folder.name, base_model=self.folder, train_file=self.folder / "train.jsonl",
            checkpoint_dir=self.folder / "checkpoints", output_dir=self.folder / "adapter", world_size=world_size,
        )  # fmt: skip
        (self.folder / "job.json").write_text(job.model_dump_json())
        return await self.launcher.launch(
            module, self.folder / "job.json", devices=devices, sharding="none", log_file=self.folder / "log.txt"
        )

    @property
    def log(self) -> str:
        return (self.folder / "log.txt").read_text()


@pytest.fixture
def bench(tmp_path: Path, ray: FakeRay) -> Bench:
    return Bench(tmp_path / "job-1", RayLauncher(ray.url, grace_s=20, poll_s=0.05, patience_s=1))


async def all_lines(running: Running) -> list[AnyLine]:
    return [parse_line(line) async for line in running.lines()]


async def lines_until_stopped(running: Running) -> list[AnyLine]:
    """All lines of a run that is asked to stop after the first."""
    lines: list[AnyLine] = []
    async for text in running.lines():
        lines.append(parse_line(text))
        running.ask_to_stop()
    return lines


class TestLaunch:
    async def test_brings_the_lines_back_and_the_rest_into_the_log(self, bench: Bench) -> None:
        running = await bench.launch({"say": SAYS}, {"say_raw": "a library prints"}, {"exit": 1})
        (line,) = await all_lines(running)
        assert isinstance(line, Failed)
        assert line.reason == "nothing to learn"
        assert await running.wait() == 1
        assert "a library prints" in bench.log
        assert "failed with exit code 1" in bench.log

    async def test_of_a_run_that_ends_well_ends_with_0(self, bench: Bench) -> None:
        assert await (await bench.launch({"exit": 0})).wait() == 0

    async def test_of_a_process_that_a_signal_ends_tells_the_signal(self, bench: Bench) -> None:
        assert await (await bench.launch({"signal": 9})).wait() == -9

    async def test_asks_for_the_devices_and_names_the_job(self, bench: Bench, ray: FakeRay) -> None:
        await (await bench.launch({"exit": 0}, devices=("cuda:0",))).wait()
        (job,) = ray.jobs.values()
        assert (job.request["entrypoint_num_gpus"], job.request["entrypoint_num_cpus"]) == (1, 0)
        assert job.request["metadata"] == {"loopwright_job": "job-1"}
        assert job.request["submission_id"].startswith("job-1-")

    async def test_ends_what_an_earlier_attempt_left_running(self, bench: Bench, ray: FakeRay) -> None:
        await bench.launch({"hang": True})
        second = await bench.launch({"exit": 0})
        assert next(job.details()["status"] for job in ray.jobs.values()) == "STOPPED"
        assert await second.wait() == 0

    async def test_does_not_submit_twice_when_the_answer_is_lost(self, bench: Bench, ray: FakeRay) -> None:
        ray.lose_answer_to_submission = True
        assert await (await bench.launch({"exit": 0})).wait() == 0
        assert len(ray.jobs) == 1

    async def test_says_why_ray_refuses(self, bench: Bench, ray: FakeRay) -> None:
        ray.refusal = "entrypoint_num_gpus must be a number"
        with pytest.raises(DependencyError, match="must be a number") as refused:
            await bench.launch({"exit": 0})
        assert refused.value.code == "launcher.refused"

    async def test_gives_up_when_ray_stays_away(self, bench: Bench, ray: FakeRay) -> None:
        ray.close()
        with pytest.raises(DependencyError) as away:
            await bench.launch({"exit": 0})
        assert away.value.code == "launcher.unavailable"

    async def test_shows_its_token(self, bench: Bench, ray: FakeRay) -> None:
        ray.token = "secret"
        with pytest.raises(DependencyError, match="401"):
            await bench.launch({"exit": 0})
        bench.launcher = RayLauncher(ray.url, token=SecretStr("secret"), poll_s=0.05)
        assert await (await bench.launch({"exit": 0})).wait() == 0


class TestStop:
    async def test_lets_the_recipe_say_its_last_word(self, bench: Bench) -> None:
        running = await bench.launch(module="counting_recipe")
        lines = await lines_until_stopped(running)
        assert {type(line) for line in lines} == {Checkpointed, Stopped}
        assert isinstance(lines[-1], Stopped)
        assert await running.wait() == EXIT_STOPPED

    async def test_of_a_job_that_ray_has_lost_gives_it_back(self, bench: Bench, ray: FakeRay) -> None:
        running = await bench.launch({"hang": True})
        for job in ray.jobs.values():
            job.kill()
        ray.jobs.clear()
        assert await running.wait() == 69
        assert "Ray has lost the job" in bench.log


class TestMachines:
    async def test_train_one_job_together_and_one_of_them_speaks(self, bench: Bench, ray: FakeRay) -> None:
        bench.launcher = RayLauncher(ray.url, nodes=2, grace_s=20, poll_s=0.05)
        running = await bench.launch(module="counting_recipe", world_size=2)
        lines = await lines_until_stopped(running)
        assert {type(line) for line in lines} == {Checkpointed, Stopped}
        assert [line.step for line in lines] == list(range(1, len(lines) + 1))
        assert len(ray.jobs) == 2
        assert await running.wait() == EXIT_STOPPED
