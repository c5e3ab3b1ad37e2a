# ruff: noqa: INP001 (a script)
"""router-svc under steady load while Kafka is away, model servers are killed and workers are restarted.

Run: .venv/bin/python services/router-svc/bench/soak.py [--rate 100] [--kafka-away 60]
"""

import argparse
import asyncio
import logging
import os
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from itertools import cycle
from pathlib import Path

import httpx
from gateways import ROOT, Gateway, Place
from platform_side import PLAIN, Completed, PlatformSide, running_platform
from steady_users import Asked, SteadyUsers

from loopwright.testing.waiting import eventually
from loopwright_local.part import Part
from loopwright_local.processes import Child, launch
from loopwright_local.settings import free_ports

_HERE = Path(__file__).parent
_WORKERS = 2
_READY_IN_A_ROW = 20
_START_S, _DELIVERY_S = 60.0, 60.0
_BREAKS_WITHIN_S = 5.0  # after its server was killed
_SEEN_LATE_S = 1.0  # what the server wrote before that; less than it takes to start it again


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What happens.

    Attributes:
        kafka_away_s: How long Kafka answers nobody; model servers are killed meanwhile.
        kill_every_s: Between two changes of model servers, which die and come back in turn.
        settle_s: Of load before, between and after the disturbances.
        restarts: Of every worker, one after the other.
    """

    rate_hz: float = 100
    kafka_away_s: float = 60
    kill_every_s: float = 3
    settle_s: float = 3
    restarts: int = 2


@dataclass
class Replica:
    """One model server in a process of its own.

    Attributes:
        killed_at: On the monotonic clock.
    """

    port: int
    folder: Path
    child: Child | None = None
    killed_at: list[float] = field(default_factory=list[float])

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    async def start(self) -> None:
        part = Part(name=f"replica-{self.port}", command=(sys.executable, str(_HERE / "replica.py"), str(self.port)))
        self.child = launch(part, marker=str(self.folder), log_file=self.folder / f"{part.name}.log", cwd=ROOT)
        await _until_answered(f"{self.url}/v1/models", self.child)

    async def kill(self) -> None:
        if self.child is not None:
            self.killed_at.append(time.monotonic())
            self.child.kill_group()
            await self.child.wait()
            self.child = None


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What became of every request, and what Kafka says of it."""

    asked: Sequence[Asked]
    events: Sequence[Completed]
    kills: dict[int, list[float]]
    restarts: Sequence[tuple[float, float]] = ()

    def excused(self) -> list[Asked]:
        """Failures that nobody can prevent: a stream had begun on a model server that was killed then."""
        return [one for one in self.asked if one.problem is not None and self._is_excused(one)]

    def problems(self) -> list[str]:
        """Everything that must not happen."""
        excused = {one.number for one in self.excused()}
        failed = [one for one in self.asked if one.problem is not None and one.number not in excused]
        whole = {one.inference_id for one in self.asked if one.problem is None}
        recorded = {event.inference_id for event in self.events if event.http_status == 200}
        ids = Counter(inference for inference, _ in {(event.inference_id, event.event_id) for event in self.events})
        twice = [inference for inference, count in ids.items() if count > 1]
        found = [f"request {one.number} failed: {one.problem}" for one in failed]
        found += [f"request {one.number} lost its connection" for one in self.asked if self._lost_without_reason(one)]
        begun = {one.inference_id for one in self.asked if one.inference_id}
        lost = (whole - recorded) | (begun - {event.inference_id for event in self.events})
        found += [f"no event of {inference}" for inference in lost]
        found += [f"an event of {inference}, which nobody was answered" for inference in recorded - whole]
        return found + [f"two events of {inference}" for inference in twice]

    def __str__(self) -> str:
        written_again = len(self.events) - len({event.event_id for event in self.events})
        sent_again = sum(one.sent_again for one in self.asked)
        return (
            f"{len(self.asked)} requests ({sent_again} sent again, as a worker that ended closed their connection), {sum(len(kills) for kills in self.kills.values())} kills, "
            f"{len(self.excused())} streams broken by them, {len(self.events)} events ({written_again} written again under their id), "
            f"{len(self.problems())} problems"
        )

    def _lost_without_reason(self, one: Asked) -> bool:
        return one.sent_again and not any(begun - 1 <= one.asked_at <= ended + 1 for begun, ended in self.restarts)

    def _is_excused(self, one: Asked) -> bool:
        first_at = one.first_at
        if not one.streamed or first_at is None or one.replica is None:
            return False
        kills = self.kills.get(one.replica, [])
        return any(first_at <= at + _SEEN_LATE_S and at <= one.ended_at <= at + _BREAKS_WITHIN_S for at in kills)


@dataclass
class Soak:
    """A router, its model servers and its Kafka."""

    platform: PlatformSide
    gateway: Gateway
    folder: Path
    champions: tuple[Replica, ...]
    candidates: tuple[Replica, ...]
    child: Child | None = None
    restarts: list[tuple[float, float]] = field(default_factory=list[tuple[float, float]])

    @property
    def replicas(self) -> tuple[Replica, ...]:
        return (*self.champions, *self.candidates)

    async def start(self) -> None:
        await asyncio.gather(*(replica.start() for replica in self.replicas))
        await self.platform.announce_tasks([one.url for one in self.champions], [one.url for one in self.candidates])
        self.child = self._launch_router()
        await eventually(lambda: asyncio.sleep(0, _listeners(self.gateway.port) == _WORKERS), timeout_s=_START_S)
        for _ in range(_READY_IN_A_ROW):  # whichever worker the kernel gives a connection to
            await _until_answered(f"http://127.0.0.1:{self.gateway.port}/ready", self.child)

    async def restart_workers(self) -> None:
        """Asks each worker in turn to end, and waits for the one that takes its place."""
        for pid in self._workers():
            begun = time.monotonic()
            os.kill(pid, signal.SIGTERM)
            await eventually(lambda pid=pid: asyncio.sleep(0, self._is_replaced(pid)), timeout_s=_START_S)
            self.restarts.append((begun, time.monotonic()))

    def _workers(self) -> list[int]:
        assert self.child is not None
        children = Path(f"/proc/{self.child.pid}/task/{self.child.pid}/children").read_text()
        return [int(pid) for pid in children.split()]

    def _is_replaced(self, pid: int) -> bool:
        workers = self._workers()
        return pid not in workers and len(workers) == _WORKERS

    async def run(self, plan: Plan) -> Outcome:
        users = SteadyUsers(f"http://127.0.0.1:{self.gateway.port}", PLAIN, self.platform.key, plan.rate_hz)
        async with users.asking():
            await asyncio.sleep(plan.settle_s)
            async with self._kafka_away():
                await self._kill_in_turn(plan)
            await asyncio.sleep(plan.settle_s)
            for _ in range(plan.restarts):
                await self.restart_workers()
                await asyncio.sleep(plan.settle_s)
        events = await self._delivered(len(users.asked))
        kills = {replica.port: list(replica.killed_at) for replica in self.replicas}
        return Outcome(asked=users.asked, events=events, kills=kills, restarts=self.restarts)

    @asynccontextmanager
    async def _kafka_away(self) -> AsyncGenerator[None]:
        # stopped, not ended: connections stay open and nothing answers, which is worse than a refused one
        pid = self.platform.stack.pid("kafka")
        os.kill(pid, signal.SIGSTOP)
        try:
            yield
        finally:
            os.kill(pid, signal.SIGCONT)

    async def _kill_in_turn(self, plan: Plan) -> None:
        until = time.monotonic() + plan.kafka_away_s
        for replica in cycle((self.champions[0], self.candidates[0], self.champions[1], self.candidates[1])):
            if time.monotonic() + 2 * plan.kill_every_s > until:
                break
            await asyncio.sleep(plan.kill_every_s)
            await replica.kill()
            await asyncio.sleep(plan.kill_every_s)
            await replica.start()
        await asyncio.sleep(max(0.0, until - time.monotonic()))

    def _launch_router(self) -> Child:
        part = Part(
            name="router", command=self.gateway.command, env=self.gateway.env | {"ROUTER_WORKERS": str(_WORKERS)}
        )
        return launch(part, marker=str(self.folder), log_file=self.folder / "router.log", cwd=ROOT)

    async def _delivered(self, asked: int) -> list[Completed]:
        """Waits until every request has an event, as failed ones have, or no more come."""
        until = time.monotonic() + _DELIVERY_S
        while time.monotonic() < until and self.platform.written_events() < asked:  # noqa: ASYNC110 - on Kafka
            await asyncio.sleep(0.5)
        return list(self.platform.completed())

    async def stop(self) -> None:
        for replica in self.replicas:
            await replica.kill()
        if self.child is not None:
            await self.child.end(signal.SIGTERM, timeout_s=20)


@asynccontextmanager
async def soaking(folder: Path) -> AsyncGenerator[Soak]:
    """A started router with everything that it needs, while the block lasts."""
    ports = free_ports(5)
    async with running_platform(folder / "platform") as platform:
        gateway = platform.router(Place(folder, folder, (ports[0], ports[1]), ports[4]), name="router-svc", task=PLAIN)
        replicas = [Replica(port, folder) for port in ports[:4]]
        soak = Soak(platform, gateway, folder, tuple(replicas[:2]), tuple(replicas[2:]))
        try:
            await soak.start()
            yield soak
        finally:
            await soak.stop()


def _listeners(port: int) -> int:
    """How many sockets listen on a port of the loopback address (proc_pid_net(5): state 0A)."""
    lines = Path("/proc/net/tcp").read_text().splitlines()[1:]
    return sum(line.split()[1].endswith(f":{port:04X}") and line.split()[3] == "0A" for line in lines)


async def _until_answered(url: str, child: Child) -> None:
    """Raises SystemExit if the process ends, or answers nothing for too long."""
    until = time.monotonic() + _START_S
    async with httpx.AsyncClient(timeout=5) as client:
        while time.monotonic() < until and child.status is None:
            try:
                if (await client.get(url)).status_code == 200:
                    return
            except httpx.HTTPError:
                pass
            await asyncio.sleep(0.1)
    raise SystemExit(f"{url} does not answer")


async def run(plan: Plan) -> int:
    with tempfile.TemporaryDirectory(prefix="soak-router-") as name:
        async with soaking(Path(name)) as soak:
            outcome = await soak.run(plan)
    sys.stdout.write(f"{outcome}\n" + "".join(f"{problem}\n" for problem in outcome.problems()[:50]))
    return 1 if outcome.problems() else 0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rate", type=float, default=Plan.rate_hz)
    parser.add_argument("--kafka-away", type=float, default=Plan.kafka_away_s, help="seconds")
    given = parser.parse_args()
    logging.getLogger("aiokafka").setLevel(logging.CRITICAL)  # topics have no leader for a moment after they were made
    sys.exit(asyncio.run(run(Plan(rate_hz=given.rate, kafka_away_s=given.kafka_away))))


if __name__ == "__main__":
    main()
