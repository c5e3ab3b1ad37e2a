"""Recipes on this machine, or on several without Ray: the first one orders, the others take part.

On each further machine runs `python -m trainer_svc.adapters.machines WORK_DIR RANK`, RANK from 1; WORK_DIR and the
base models lie in a file system that all of them share, under the same path.
"""

import argparse
import asyncio
import time
from dataclasses import replace
from pathlib import Path
from uuid import uuid4

import structlog
from pydantic import BaseModel

from trainer_svc.adapters.launch import ALONE, Nodes, Running
from trainer_svc.adapters.processes import TrainingProcess

_log = structlog.get_logger()
_ORDERS = ".machines"
_KEPT_S = 3600.0  # an order that nobody took by then belongs to an attempt that is over
_LOOK_EVERY_S = 1.0


class Order(BaseModel):
    """What the other machines are to run their part of."""

    module: str
    job_file: Path
    devices: tuple[str, ...]
    sharding: str
    machines: int
    meeting: str


class LocalLauncher:
    """Starts recipes on this machine, whose processes die with the service.

    Args:
        work_dir: Folder of the jobs; of several machines, shared.
        machines: How many train one job together.
        meeting: `host:port` of this machine where they meet; empty leaves the port to chance, and one job may run
            beside another.
    """

    def __init__(self, work_dir: Path, *, machines: int = 1, meeting: str = "") -> None:
        self._orders = work_dir / _ORDERS
        self.machines = machines
        self._meeting = meeting

    async def launch(
        self, module: str, job_file: Path, *, devices: tuple[str, ...], sharding: str | None, log_file: Path
    ) -> Running:
        nodes = ALONE
        if self.machines > 1 and sharding is not None:
            nodes = self._order(module, job_file, devices, sharding)
        return await TrainingProcess.launch(
            module, job_file, devices=devices, sharding=sharding, log_file=log_file, nodes=nodes
        )

    def _order(self, module: str, job_file: Path, devices: tuple[str, ...], sharding: str) -> Nodes:
        self._orders.mkdir(parents=True, exist_ok=True)
        for file in self._orders.iterdir():
            if time.time() - file.stat().st_mtime > _KEPT_S:
                file.unlink(missing_ok=True)
        name = uuid4().hex
        order = Order(
            module=module, job_file=job_file.resolve(), devices=devices, sharding=sharding, machines=self.machines,
            meeting=self._meeting or f"file:{self._orders.resolve() / f'{name}.meeting'}",
        )  # fmt: skip
        partial = self._orders / f".{name}.partial"
        partial.write_text(order.model_dump_json())
        partial.replace(self._orders / f"{name}.json")
        return Nodes(count=self.machines, meeting=order.meeting)


async def follow(work_dir: Path, rank: int) -> None:
    """Takes part in every job that the first machine orders from now on, until cancelled."""
    orders, parts = work_dir / _ORDERS, set[asyncio.Task[None]]()
    seen = set(orders.glob("*.json"))
    _log.info("machine.follows", folder=str(orders), rank=rank)
    while True:
        for file in set(orders.glob("*.json")) - seen:
            seen.add(file)
            part = asyncio.create_task(_take_part(Order.model_validate_json(file.read_bytes()), rank))
            parts.add(part)
            part.add_done_callback(parts.discard)
        await asyncio.sleep(_LOOK_EVERY_S)


async def _take_part(order: Order, rank: int) -> None:
    nodes = replace(Nodes(count=order.machines, meeting=order.meeting), rank=rank)
    log_file = order.job_file.with_name(f"log-of-machine-{rank}.txt")
    process = await TrainingProcess.launch(
        order.module, order.job_file, devices=order.devices, sharding=order.sharding, log_file=log_file, nodes=nodes
    )
    _log.info("machine.takes-part", job=order.job_file.parent.name)
    try:
        async for _ in process.lines():  # what a job says, the first machine says
            pass
        _log.info("machine.took-part", job=order.job_file.parent.name, status=await process.wait())
    finally:
        process.kill()


def main() -> None:
    words = argparse.ArgumentParser(description="Takes part in the training jobs of another machine.")
    words.add_argument("work_dir", type=Path, help="TRAINER_WORK_DIR of the first machine")
    words.add_argument("rank", type=int, help="which of the machines this is; the first one is 0")
    chosen = words.parse_args()
    asyncio.run(follow(chosen.work_dir, chosen.rank))


if __name__ == "__main__":
    main()
