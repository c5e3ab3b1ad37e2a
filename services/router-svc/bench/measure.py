# ruff: noqa: INP001 (a script)
"""router-svc against other gateways: a mock upstream, a load generator, one core for the gateway, interleaved rounds.

Run: make bench-router [ARGS='--gateways direct nginx router-svc --repeats 1 --seconds 1']
"""

import argparse
import asyncio
import logging
import os
import sys
import tempfile
import time
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import native
from gateways import PEERS, ROOT, Gateway, Place, Unavailable
from loads import BURST, CEILING, LONG_PROMPTS, STEADY, STREAMS, Driver, Load, Round
from native import Measured
from platform_side import PROMPTED, PlatformSide, running_platform
from process_tree import usage_of
from report import ROUTER, print_report, say

from loopwright_local.part import Part
from loopwright_local.processes import Child, launch
from loopwright_local.settings import free_ports

LOADS = {load.name.replace(" ", "-"): load for load in (CEILING, LONG_PROMPTS, STEADY, STREAMS, BURST)}
_OURS = {ROUTER: "bench-plain", f"{ROUTER}-prompted": PROMPTED}
_DEFAULT = (*PEERS, ROUTER)
_START_S, _DELIVERY_S = 60.0, 180.0
_BUILD = ROOT / ".out/bench-router"


@dataclass
class Bench:
    """Everything that runs while gateways are measured.

    Attributes:
        core: Processor core of the gateway.
        answered: Requests that router-svc answered with 200 so far, by whoever asked.
    """

    place: Place
    driver: Driver
    platform: PlatformSide | None
    core: int
    answered: int = 0
    versions: dict[str, str] = field(default_factory=dict[str, str])
    missing: dict[str, str] = field(default_factory=dict[str, str])

    async def gateway(self, name: str) -> Gateway | None:
        """The gateway's start, or None and a note of why there is none."""
        if name in _OURS:
            assert self.platform is not None
            return self.platform.router(self.place, name=name, task=_OURS[name])
        try:
            return await PEERS[name](self.place)
        except Unavailable as error:
            self.missing[name] = str(error)
            return None

    async def round(self, name: str, loads: Sequence[Load]) -> Round | None:
        """Starts one gateway, puts it under every load, stops it."""
        gateway = await self.gateway(name)
        if gateway is None:
            return None
        self.versions[name] = gateway.version
        if not gateway.command:
            return await self.driver.round(gateway, None, loads, after=_at_once)
        try:
            async with self.running(gateway) as (started, pid):
                after = self.wait_for_events if name in _OURS else _at_once
                return await self.driver.round(started, pid, loads, after=after)
        except Unavailable as error:
            self.missing[name] = str(error)
            return None

    @asynccontextmanager
    async def running(self, gateway: Gateway) -> AsyncGenerator[tuple[Gateway, int]]:
        log_file = self.place.folder / f"{gateway.name}.log"
        command = ("taskset", "-c", str(self.core), *gateway.command)
        part = Part(name=gateway.name, command=command, env=gateway.env)
        child = launch(part, marker=str(self.place.folder), log_file=log_file, cwd=ROOT)
        try:
            started = await self._answering(gateway, child, log_file)
            yield started, child.pid
        finally:
            await child.end(part.stop_signal, timeout_s=part.stop_timeout_s)

    async def _answering(self, gateway: Gateway, child: Child, log_file: Path) -> Gateway:
        """Waits until a question is answered; returns the gateway with the port that it has by then."""
        until = time.monotonic() + _START_S
        while time.monotonic() < until and child.status is None:
            await asyncio.sleep(0.3)
            started = gateway.found()
            if started is not None and await _answers(started):
                self.answered += gateway.name in _OURS
                return started
        why = f"not within {_START_S:g} s" if child.status is None else f"it ended with status {child.status}"
        written = await asyncio.to_thread(log_file.read_text, errors="replace")
        raise Unavailable(f"it did not answer: {why}; it wrote: ...{written[-400:]}")

    async def wait_for_events(self, measured: Measured) -> None:
        """Lets router-svc deliver what it spooled: Kafka shares its core with the next load."""
        assert self.platform is not None
        self.answered += measured.answered
        until = time.monotonic() + _DELIVERY_S
        while time.monotonic() < until and self.platform.written_events() < self.answered:  # noqa: ASYNC110 - on Kafka
            await asyncio.sleep(0.2)


async def _at_once(_: Measured) -> None:
    """Gateways without events have nothing to do after a load."""


async def _answers(gateway: Gateway) -> bool:
    question = {"model": gateway.model, "messages": [{"role": "user", "content": "hello"}], "user": "user-000001"}
    headers = {"Authorization": f"Bearer {gateway.key}"}
    try:
        async with httpx.AsyncClient(timeout=20) as client:
            url = f"http://127.0.0.1:{gateway.port}{gateway.path}"
            response = await client.post(url, json=question, headers=headers)
    except httpx.HTTPError:
        return False
    return response.status_code == 200 and "quick brown fox" in response.text


async def measure(bench: Bench, names: Sequence[str], *, repeats: int, loads: Sequence[Load]) -> list[Round]:
    """Goes through the gateways again and again: what the machine does meanwhile meets all alike."""
    rounds: list[Round] = []
    for repeat in range(repeats):
        for name in names:
            if name in bench.missing:
                continue
            begun = time.monotonic()
            one = await bench.round(name, loads)
            if one is None:
                continue
            rounds.append(one)
            ceiling = one.measured.get(CEILING.name)
            shown = f", {ceiling.requests_s:,.0f} requests/s" if ceiling else ""
            say(f"round {repeat + 1} of {repeats}: {name}, {time.monotonic() - begun:.0f} s{shown}")
    return rounds


async def watch_memory(bench: Bench, requests: int) -> None:
    """Prints router-svc's resident memory while it answers a lot."""
    gateway = await bench.gateway(ROUTER)
    assert gateway is not None
    async with bench.running(gateway) as (started, pid):
        arguments = CEILING.arguments(started, seconds=0, warm_up_s=1)
        loading = asyncio.create_task(
            bench.driver.programs.load([*arguments, "--requests", str(requests)], gateway_pid=pid)
        )
        begun, sizes = time.monotonic(), list[float]()
        while not loading.done():
            await asyncio.wait([loading], timeout=2)
            sizes.append(usage_of(pid).rss_bytes / 1e6)
        measured = await loading
        tenth = max(1, len(sizes) // 10)
        say(f"memory over {measured.answered:,} answers in {time.monotonic() - begun:.0f} s: {sizes[tenth - 1]:.1f} MB after a tenth, "
            f"{sizes[-1]:.1f} MB at the end, {max(sizes):.1f} MB at most; {measured.failed} failed")  # fmt: skip
        await bench.wait_for_events(measured)


def print_events(bench: Bench) -> bool:
    """Compares what router-svc answered with what lies on Kafka."""
    assert bench.platform is not None
    counted = bench.platform.count_events()
    exact = counted.events == counted.inferences == bench.answered
    say(f"\nevents: {bench.answered:,} requests answered, {counted.events:,} events on Kafka of {counted.inferences:,} inferences: "
        f"{'exactly one each' if exact else 'NOT ONE EACH'}")  # fmt: skip
    return exact


@asynccontextmanager
async def setting_up(seconds: float, *, platform: bool = True) -> AsyncGenerator[Bench]:
    """What gateways are measured with, while the block lasts."""
    if len(os.sched_getaffinity(0)) < 2:
        raise SystemExit("two processor cores are needed: one for the gateway alone")
    core, load_core, *_ = sorted(os.sched_getaffinity(0))
    os.sched_setaffinity(0, os.sched_getaffinity(0) - {core})  # Kafka and this script inherit it: the gateway is alone
    _BUILD.mkdir(parents=True, exist_ok=True)
    await native.build(_BUILD)
    with tempfile.TemporaryDirectory(prefix="bench-router-") as name:
        folder = Path(name)
        ports = free_ports(3)
        programs = native.Programs(_BUILD, load_core)
        place = Place(_BUILD, folder, (ports[0], ports[1]), ports[2])
        bench = Bench(place, Driver(programs, ports[0], seconds), None, core)
        async with programs.upstream(ports[:2]):
            if not platform:
                yield bench
                return
            async with running_platform(folder / "platform") as bench.platform:
                await bench.platform.announce_tasks(place.urls[:1], place.urls[1:])
                yield bench


async def run(arguments: argparse.Namespace) -> int:
    async with setting_up(arguments.seconds, platform=bool(set(arguments.gateways) & set(_OURS))) as bench:
        return await show(bench, arguments)


async def show(bench: Bench, arguments: argparse.Namespace) -> int:
    loads = [LOADS[name] for name in arguments.loads]
    if arguments.memory:
        await watch_memory(bench, arguments.memory)
    else:
        rounds = await measure(bench, arguments.gateways, repeats=arguments.repeats, loads=loads)
        print_report(rounds, versions=bench.versions, missing=bench.missing)
    return 0 if bench.platform is None or print_events(bench) else 1


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--gateways", nargs="+", choices=(*PEERS, *_OURS), default=_DEFAULT)
    parser.add_argument("--loads", nargs="+", choices=tuple(LOADS), default=tuple(LOADS))
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=3.0, help="measured time of one load")
    parser.add_argument("--memory", type=int, metavar="REQUESTS", help="only router-svc's memory over so many requests")
    logging.getLogger("aiokafka").setLevel(logging.CRITICAL)  # topics have no leader for a moment after they were made
    sys.exit(asyncio.run(run(parser.parse_args())))


if __name__ == "__main__":
    main()
