# ruff: noqa: INP001 (a script)
"""The service itself with real Kafka and PostgreSQL: upload to version, and how it answers others meanwhile.

Run: python services/dataset-svc/bench/service.py [--rows 200000]
"""

import argparse
import asyncio
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import corpus
import httpx

from loopwright_local.stack import LocalStack
from loopwright_local.testing import settings_for_tests

_PARTS = ("postgres", "kafka", "migrations", "topics", "dataset")
_DATASETS = "/api/v1/admin/training/datasets"
_LIMIT_MS = 100.0
_EVERY_S = 0.02
_LONGEST_S = 900.0
_UNDER_WAY = frozenset({"queued", "pending", "building", "running"})


async def watch(client: httpx.AsyncClient, url: str, latencies: list[float]) -> None:
    """Asks for the list of datasets again and again; milliseconds of each answer."""
    while True:
        began = time.perf_counter()
        (await client.get(url)).raise_for_status()
        latencies.append((time.perf_counter() - began) * 1000)
        await asyncio.sleep(_EVERY_S)


async def build(client: httpx.AsyncClient, base: str, path: Path) -> dict[str, object]:
    """Uploads a file and waits for its version."""
    with path.open("rb") as file:
        form = {"task_id": "bench", "dataset_name": path.parent.name}
        response = await client.post(base + _DATASETS, data=form, files={"file": ("corpus.jsonl", file)})
    response.raise_for_status()
    say(f"uploaded, {response.elapsed.total_seconds():.2f} s")
    async with asyncio.timeout(_LONGEST_S):
        while True:
            state = (await client.get(base + response.headers["location"])).raise_for_status().json()
            if state["state"] not in _UNDER_WAY:
                return state
            await asyncio.sleep(0.2)


def line(name: str, latencies: Sequence[float]) -> str:
    ordered = sorted(latencies)
    p99 = ordered[int(len(ordered) * 0.99)]
    over = sum(latency > _LIMIT_MS for latency in ordered)
    text = (
        f"{name:<16}{len(ordered):>7} answers, median {ordered[len(ordered) // 2]:6.1f} ms, 99 % within {p99:7.1f} ms"
    )
    return f"{text}, slowest {ordered[-1]:7.1f} ms, {over} over the limit of {_LIMIT_MS:g} ms"


async def measure(rows: int) -> None:
    with tempfile.TemporaryDirectory(prefix="bench") as name:
        folder = Path(name)
        async with LocalStack(settings_for_tests(folder / "stack", *_PARTS), quiet=True) as stack:
            headers = {"Authorization": f"Bearer {stack.token('engineer')}"}
            base = stack.urls.dataset
            async with httpx.AsyncClient(headers=headers, timeout=120) as client:
                for size, title in ((12_000, "warm-up"), (rows, "build")):
                    source = folder / f"{title}-{size}"
                    corpus.write(source, rows=size, seed=size)
                    await measure_one(client, base, source / "corpus.jsonl", f"{title} of {size:,} rows")


async def measure_one(client: httpx.AsyncClient, base: str, path: Path, title: str) -> None:
    latencies: list[float] = []
    watching = asyncio.create_task(watch(client, base + _DATASETS, latencies))
    await asyncio.sleep(3)
    say(line("idle", latencies))
    latencies.clear()
    began = time.perf_counter()
    state = await build(client, base, path)
    seconds = time.perf_counter() - began
    watching.cancel()
    await asyncio.gather(watching, return_exceptions=True)
    size = path.stat().st_size / 1e6  # noqa: ASYNC240 - nobody waits
    say(f"{title}, {size:.1f} MB: {state['state']} after {seconds:.2f} s, {size / seconds:.1f} MB/s")
    say(line("while it lasts", latencies))


def say(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=200_000)
    asyncio.run(measure(parser.parse_args().rows))


if __name__ == "__main__":
    main()
