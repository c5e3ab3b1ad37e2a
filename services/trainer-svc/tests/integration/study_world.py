"""Studies over real PostgreSQL: jobs of trials are played in rows, step by step, so that a test decides who is faster."""

import asyncio
import math
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import sqlalchemy as sa
from pydantic import JsonValue
from study_recipe import loss_after, lowest_loss
from trainer_world import BASE, World, a_task, a_version

from loopwright.contracts.base import RunState
from loopwright.contracts.jobs import TrainingData
from loopwright.contracts.tasks import Hyperparameters
from trainer_svc.domain.jobs import Ending
from trainer_svc.domain.search_space import SearchSpace
from trainer_svc.domain.studies import Study, StudyTerms, Trial
from trainer_svc.handlers.endings import announce_finished
from trainer_svc.handlers.studies import create_study
from trainer_svc.jobs.studying import StudyLoop
from trainer_svc.store import jobs
from trainer_svc.store.studies import get_for_change, list_trials
from trainer_svc.store.tables import metadata

BOWL: dict[str, JsonValue] = {
    "learning_rate": {"low": 1e-5, "high": 1e-1, "log": True}, "lora_rank": {"choices": [4, 8, 16, 32]},
}  # fmt: skip
STUDY = "study-1"
EPOCHS = 4
Losses = Callable[[int, Hyperparameters], list[float]]


def bowl_losses(_number: int, chosen: Hyperparameters) -> list[float]:
    lowest = lowest_loss(chosen.learning_rate, chosen.lora_rank)
    return [loss_after(epoch, EPOCHS, lowest) for epoch in range(1, EPOCHS + 1)]


async def begin(world: World, *, space: dict[str, JsonValue] = BOWL, study_id: str = STUDY, **terms: object) -> None:
    """A study on a dataset version that is known."""
    await world.hand(a_task(training={"auto": False}), a_version())

    def build(task_id: str, data: TrainingData) -> Study:
        return Study(
            study_id=study_id, name="rates", task_id=task_id, base_model=BASE, training_data=data, method="lora",
            objective="sft", hyperparameters=Hyperparameters(num_epochs=EPOCHS), created_by="somebody", counts_from=0,
            space=SearchSpace.model_validate(space), terms=StudyTerms.model_validate(terms), state=RunState.RUNNING,
            promoted_trial=None, traceparent="00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
        )  # fmt: skip

    async with world.work() as unit:
        await create_study(unit, "dsv-1", build)


async def study(world: World, study_id: str = STUDY) -> Study:
    async with world.work() as unit:
        return await get_for_change(unit.session, study_id)


async def trials(world: World, study_id: str = STUDY) -> tuple[Trial, ...]:
    async with world.work() as unit:
        return await list_trials(unit.session, study_id)


class Players:
    """Play the jobs of trials: each turn, every job begins, evaluates once, or ends.

    Attributes:
        most: Jobs that run at the same time.
        fails: Numbers of trials whose jobs fail.
        slow: Numbers of trials whose jobs begin, evaluate once and then wait.
    """

    def __init__(self, world: World, losses: Losses = bowl_losses, *, most: int = 1) -> None:
        self._world = world
        self._losses = losses
        self.most = most
        self.fails: set[int] = set()
        self.slow: set[int] = set()
        self.most_seen = 0

    async def turn(self) -> None:
        table = metadata.tables["trainer.jobs"]
        open_jobs = await self._world.rows(
            sa.select(table)
            .where(table.c.state.in_([RunState.QUEUED, RunState.RUNNING]))
            .order_by(table.c.requested_at, table.c.job_id)
        )
        running = [job for job in open_jobs if job["state"] == RunState.RUNNING]
        for job in [job for job in open_jobs if job["state"] == RunState.QUEUED][: self.most - len(running)]:
            await self._world.set_job(job["job_id"], state=RunState.RUNNING, total_steps=EPOCHS, attempt=1)
            running.append(job)
        self.most_seen = max(self.most_seen, len(running))
        for job in running:
            await self._play(job)

    async def _play(self, job: sa.RowMapping) -> None:
        number = int(job["job_id"].rpartition("-")[2])
        losses = self._losses(number, job["hyperparameters"])
        if job["stop_requested"]:
            await self._end(job["job_id"], Ending(state=RunState.STOPPED, reason="stopped on request"))
        elif number in self.fails and job["study_id"]:
            await self._end(job["job_id"], Ending(state=RunState.FAILED, reason="out of memory"))
        elif job["step"] < len(losses):
            if job["step"] == 0 or number not in self.slow:
                await self._evaluate(job["job_id"], job["step"] + 1, losses[job["step"]])
        else:
            ending = Ending(state=RunState.SUCCEEDED, final_loss=1, validation_loss=min(losses))
            await self._end(job["job_id"], ending)

    async def _evaluate(self, job_id: str, step: int, loss: float) -> None:
        await self._world.set_job(job_id, step=step, validation_loss=loss)
        async with self._world.direct.engine.begin() as connection:
            values = {"job_id": job_id, "attempt": 1, "step": step, "epoch": step, "validation_loss": loss}
            await connection.execute(
                sa.insert(metadata.tables["trainer.job_metrics"]).values(**values, at=datetime.now(UTC))
            )

    async def _end(self, job_id: str, ending: Ending) -> None:
        async with self._world.work() as unit:
            row = await jobs.get_for_change(unit.session, job_id)
            await announce_finished(unit, row, ending)


async def play(world: World, players: Players, *, turns: int = 400) -> None:
    """Loop and jobs take turns until nothing is left to do."""
    loop = StudyLoop(world.work)
    for _ in range(turns):
        while await loop.step():
            pass
        await players.turn()
        open_jobs = [job for job in await world.table("jobs") if job["finished_at"] is None]
        if not open_jobs and all(row["state"] != "running" for row in await world.table("studies")):
            while await loop.step():
                pass
            return
    raise AssertionError(f"still going on after {turns} turns")


LOOP = """
import asyncio, sys
from loopwright.contracts.registry import Party
from loopwright.database import Database
from loopwright.unit_of_work import PostgresWork
from trainer_svc.jobs.studying import StudyLoop
from trainer_svc.store.tables import messaging, metadata
asyncio.run(StudyLoop(PostgresWork(Database(sys.argv[1], metadata, messaging), Party.TRAINER)).run())
"""


class LoopProcess:
    """The loop in a process of its own, to be killed."""

    def __init__(self, world: World, log_file: Path) -> None:
        self._url = world.url
        self._log_file = log_file
        self._process: asyncio.subprocess.Process | None = None

    async def start(self) -> None:
        with self._log_file.open("ab") as log:
            self._process = await asyncio.create_subprocess_exec(
                sys.executable, "-c", LOOP, self._url, stdout=log, stderr=log
            )

    async def kill(self) -> None:
        assert self._process is not None
        assert self._process.returncode is None, self._log_file.read_text()
        self._process.kill()
        await self._process.wait()


def near_optimum(chosen: dict[str, object]) -> bool:
    rate = chosen["learning_rate"]
    assert isinstance(rate, float)
    return chosen["lora_rank"] == 32 and abs(math.log10(rate) - math.log10(0.003)) < 0.5
