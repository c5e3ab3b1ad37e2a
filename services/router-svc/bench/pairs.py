#!/usr/bin/env python3
"""Two builds of router-svc beside each other: which is quicker, on a machine whose speed changes by the second?

    .venv/bin/python services/router-svc/bench/pairs.py OTHER_CHECKOUT [--load long-prompts] [--pairs 24] [--seconds 1]

Both run at once on the gateway's core and are asked in turns; of each pair of turns the ratio counts. In both checkouts
`make native` has run; the environment is this one's.
"""

import argparse
import asyncio
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import mean, median, stdev

from gateways import ROOT, Gateway
from loads import CEILING, Driver, Load
from measure import LOADS, Bench, setting_up
from platform_side import PLAIN
from process_tree import usage_of
from report import ROUTER, say

from loopwright_local.settings import free_ports

_SETTLE_S = 0.25  # for what a turn leaves to do, before the other's begins


@dataclass(frozen=True)
class Turn:
    """What one build showed in one turn."""

    cpu_us: float
    requests_s: float


@asynccontextmanager
async def running_build(bench: Bench, checkout: Path, name: str) -> AsyncGenerator[tuple[Gateway, int]]:
    """A router of one checkout's build, in a folder of its own."""
    assert bench.platform is not None
    folder, (port,) = bench.place.folder / name, free_ports(1)
    folder.mkdir()
    gateway = bench.platform.router(replace(bench.place, folder=folder, port=port), name=ROUTER, task=PLAIN)
    build = {"PYTHONPATH": str(checkout / ".native/router-svc")}
    async with bench.running(replace(gateway, env={**gateway.env, **build})) as running:
        yield running


async def take_turn(driver: Driver, load: Load, gateway: Gateway, pid: int) -> Turn:
    before = usage_of(pid).cpu_s
    measured = await driver.run(load, gateway, pid)
    await asyncio.sleep(_SETTLE_S)
    return Turn((usage_of(pid).cpu_s - before) / measured.answered * 1e6, measured.requests_s)


async def compare(arguments: argparse.Namespace) -> None:
    load = LOADS[arguments.load]
    async with setting_up(arguments.seconds) as bench:
        driver = bench.driver
        async with running_build(bench, ROOT, "this") as this, running_build(bench, arguments.other, "other") as other:
            for gateway, pid in (this, other):
                await take_turn(driver, CEILING, gateway, pid)  # warm
            turns: list[tuple[Turn, Turn]] = []
            for number in range(arguments.pairs):
                if number % 2:
                    of_this, of_other = await take_turn(driver, load, *this), await take_turn(driver, load, *other)
                else:
                    of_other, of_this = await take_turn(driver, load, *other), await take_turn(driver, load, *this)
                turns.append((of_this, of_other))
    say(f"{load.name}, {len(turns)} pairs of {arguments.seconds:g} s: this checkout against {arguments.other}")
    _print("processor a request, us", [(mine.cpu_us, theirs.cpu_us) for mine, theirs in turns])
    _print("requests/s", [(mine.requests_s, theirs.requests_s) for mine, theirs in turns])


def _print(title: str, pairs: Sequence[tuple[float, float]]) -> None:
    ratios = [mine / theirs for mine, theirs in pairs]
    error = stdev(ratios) / len(ratios) ** 0.5
    say(f"{title:>26}: {median(mine for mine, _ in pairs):,.1f} and {median(theirs for _, theirs in pairs):,.1f}; "
        f"ratio {median(ratios):.3f}, mean {mean(ratios):.3f} ± {error:.3f}")  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("other", type=Path, help="a checkout with a build of its own")
    parser.add_argument("--load", choices=tuple(LOADS), default="long-prompts")
    parser.add_argument("--pairs", type=int, default=24)
    parser.add_argument("--seconds", type=float, default=1.0)
    asyncio.run(compare(parser.parse_args()))


if __name__ == "__main__":
    main()
