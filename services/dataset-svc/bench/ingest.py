# ruff: noqa: INP001, T201 (a script that prints)
"""A whole build as the service does it: file to parts, report and statistics, in the builder's process with helpers.

Memory is proportional (PSS): a page that n processes share counts for an nth in each of them. The helpers are forked from
the builder, so that sums of resident pages count what they share three times.

Run: python services/dataset-svc/bench/ingest.py [--rows 200000] [--helpers 2] [--tokenizer FOLDER] [--peers PYTHON]
With peers, the sum of the stock libraries' seconds for four of the stages is measured before and after, in the same run.
"""

import argparse
import asyncio
import json
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path

from dataset_svc.adapters.build_process import BuildFiles, BuildOrder, BuildProcess
from dataset_svc.adapters.source_files import SourceLimits
from dataset_svc.domain.building import Memory, Recipe
from dataset_svc.domain.report import QualityReport
from dataset_svc.domain.sources.reading import ReadingRules
from loopwright.contracts.tasks import DataPolicy

_LIMIT_S = 8.0
_STOCK_GOAL = 10.0  # times the stock libraries' sum

_LOOK_0_1 = 0.02  # of the time, for the kernel walks all pages of a process to tell how many processes share them


class Memories(threading.Thread):
    """Watches the proportional memory of this process and all below it."""

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self.peak: list[int] = []

    def run(self) -> None:
        while True:
            began = time.perf_counter()
            found = [_proportional_bytes(folder) for folder in _processes()]
            self.peak = max(self.peak, found, key=sum)
            time.sleep(max(0.1, (time.perf_counter() - began) / _LOOK_0_1))


def _proportional_bytes(process: Path) -> int:
    try:
        lines = (process / "smaps_rollup").read_text().splitlines()
    except OSError:  # it ended meanwhile
        return 0
    return sum(int(line.split()[1]) << 10 for line in lines if line.startswith("Pss:"))


def _processes() -> Iterator[Path]:
    """This process and all below it, parents before their children."""
    waiting = [Path("/proc/self")]
    while waiting:
        folder = waiting.pop(0)
        yield folder
        with suppress(OSError):
            for task in (folder / "task").iterdir():
                waiting += [Path("/proc") / child for child in (task / "children").read_text().split()]


def order_for(source: Path, rejects: Path, tokenizer: Path | None) -> BuildOrder:
    return BuildOrder(
        files=BuildFiles(source=source, rejects=rejects, parts=rejects.with_name("parts")),
        source_name=source.name,
        size_bytes=source.stat().st_size,
        limits=SourceLimits(max_unpacked_bytes=4 << 30, max_record_bytes=1 << 20),
        recipe=Recipe(
            request_id="bench",
            dataset_name="bench",
            reading=ReadingRules(task_id="bench"),
            policy=DataPolicy(),
            expected_lines=None,
        ),
        memory=Memory(),
        pseudonym_key=None,
        tokenizer=tokenizer,
        title="bench",
    )


def write_corpus(folder: Path, *, rows: int, seed: int) -> None:
    """In a process of its own, for what it takes is no part of a build's memory."""
    arguments = ("--out", str(folder), "--rows", str(rows), "--seed", str(seed))
    subprocess.run((sys.executable, Path(__file__).with_name("corpus.py"), *arguments), check=True)  # noqa: S603


def stock_seconds(corpus: Path, rows: int, peers: Path, tokenizer: Path) -> dict[str, float]:
    """In processes of their own as well."""
    command = (sys.executable, Path(__file__).with_name("stock_libraries.py"), corpus, str(rows), peers, tokenizer)
    return json.loads(subprocess.run(command, stdout=subprocess.PIPE, check=True).stdout)  # noqa: S603


def print_ratio(stock: Sequence[dict[str, float]], built_s: float) -> None:
    mean = {name: sum(one[name] for one in stock) / len(stock) for name in stock[0]}
    parts = ", ".join(f"{name} {seconds:.1f}" for name, seconds in mean.items())
    whole, all_s = sum(mean.values()), [f"{sum(one.values()):.0f}" for one in stock]
    print(f"stock libraries for four of its stages {whole:.1f} s ({parts}; before and after {', '.join(all_s)})")
    print(f"ratio {whole / built_s:.1f} x, goal {_STOCK_GOAL:g} x")


async def measure(folder: Path, *, rows: int, helpers: int, tokenizer: Path | None, peers: Path | None) -> None:
    process = BuildProcess(helpers=helpers)
    small = folder / "small"
    write_corpus(small, rows=12_000, seed=1)
    await process.build(order_for(small / "corpus.jsonl", folder / "rejects", tokenizer))  # starts and warms everybody
    write_corpus(folder, rows=rows, seed=2)
    source = folder / "corpus.jsonl"
    stock: list[dict[str, float]] = []
    if peers and tokenizer:
        stock.append(stock_seconds(source, rows, peers, tokenizer))
    memories = Memories()
    memories.start()
    started = time.perf_counter()
    built = await process.build(order_for(source, folder / "rejects", tokenizer))
    built_s = time.perf_counter() - started
    process.close()
    if peers and tokenizer:
        stock.append(stock_seconds(source, rows, peers, tokenizer))
    size = source.stat().st_size
    print(f"{rows:,} rows, {size / 1e6:.1f} MB, {helpers} helpers, tokens {'counted' if tokenizer else 'not counted'}")
    print(f"build with page {built_s:.2f} s: {size / built_s / 1e6:.1f} MB/s, {rows / built_s:,.0f} rows/s")
    print(f"limit {_LIMIT_S:g} s for 200,000 rows: {built_s / (_LIMIT_S * rows / 200_000):.2f} of it")
    if stock:
        print_ratio(stock, built_s)
    each = ", ".join(f"{size / 1e6:,.0f}" for size in memories.peak)
    print(f"peak of proportional memory {sum(memories.peak) / 1e9:.2f} GB: caller, builder, others {each} MB")
    for check in QualityReport.model_validate_json(built.report).checks:
        print(f"  {check.check:20} {check.dropped:8,} dropped, {check.passed:9,} passed")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=200_000)
    parser.add_argument("--helpers", type=int, default=2)
    parser.add_argument("--tokenizer", type=Path)
    parser.add_argument("--peers", type=Path, help="Python that has the stock libraries; they need the tokenizer too")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        work = measure(
            Path(folder), rows=asked.rows, helpers=asked.helpers, tokenizer=asked.tokenizer, peers=asked.peers
        )
        asyncio.run(work)


if __name__ == "__main__":
    main()
