"""Times commits, differences and checkouts of versions, beside DVC's in the same run if `.venv-bench/bin/dvc` is there.

.venv/bin/python services/dataset-svc/bench/versions.py [--rows 200000]
"""
# ruff: noqa: INP001, T201 - a program that prints

import argparse
import asyncio
import json
import os
import random
import subprocess
import tempfile
import time
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import TypeVar

from dataset_svc.adapters.version_packs import Committed, VersionPacks
from dataset_svc.domain.samples import SplitName
from dataset_svc.domain.versions.version_diff import ChangeKind, VersionDiff
from loopwright.contracts.base import Artifact
from loopwright.contracts.datasets import Split
from loopwright.storage import Storage

DVC = Path(__file__).parents[3] / ".venv-bench" / "bin" / "dvc"
REPEATS = 5
_WORDS = [
    f"{root}{ending}" for root in ("서버", "디스크", "node", "job", "알림", "queue", "로그") for ending in range(90)
]
Parts = dict[SplitName, bytes]
R = TypeVar("R")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=200_000)
    rows = parser.parse_args().rows
    first, second = corpora(rows)
    size = sum(len(content) for content in first.values())
    print(f"{rows} rows, {size / 1e6:.1f} MB of JSON Lines; the second version changes {rows // 100} rows")
    with tempfile.TemporaryDirectory(prefix="bench-versions-") as folder:
        ours = asyncio.run(own(Path(folder), first, second))
        theirs = dvc(Path(folder) / "dvc", first, second) if DVC.exists() else None
    if theirs is None:
        print("DVC is not installed beside this project: no ratio")
        return
    print(f"against DVC: second commit {theirs[0] / ours[0]:.1f} x as fast, {theirs[1] / ours[1]:.1f} x less added")


def corpora(rows: int) -> tuple[Parts, Parts]:
    """Seeded chat rows of about a kilobyte in three parts, and the same with every hundredth row changed."""
    chance = random.Random(1)  # noqa: S311 - the same corpus every time
    lines = [a_line(number, chance) for number in range(rows)]
    changed = list(lines)
    for number in chance.sample(range(rows), rows // 100):
        changed[number] = a_line(number, chance)
    return in_parts(lines), in_parts(changed)


def a_line(number: int, chance: random.Random) -> bytes:
    question, answer = (" ".join(chance.choices(_WORDS, k=words)) for words in (40, 45))
    said = {
        "sample_id": f"s{number:07d}",
        "task_id": "bench",
        "input": question,
        "messages": [{"role": "user", "content": question}, {"role": "assistant", "content": answer}],
        "source": "upload",
        "weight_0_1": 1.0,
    }
    return json.dumps(said, ensure_ascii=False, separators=(",", ":")).encode() + b"\n"


def in_parts(lines: list[bytes]) -> Parts:
    bounds = (0, len(lines) * 7 // 10, len(lines) * 8 // 10, len(lines))
    return {
        name: b"".join(lines[first:last]) for name, first, last in zip(SplitName, bounds[:-1], bounds[1:], strict=True)
    }


async def commit(
    packs: VersionPacks, parts: Parts, splits: Mapping[SplitName, Split], *, parent: Artifact | None
) -> Committed:
    return await packs.commit(await packs.grow(parts, parent=parent), splits)


async def own(folder: Path, first: Parts, second: Parts) -> tuple[float, int]:
    """Seconds of the second commit, and bytes that it added."""
    storage = Storage(f"file://{folder / 'own'}")
    packs = VersionPacks(storage)
    warm = {name: content[: content.find(b"\n") + 1] for name, content in first.items()}
    await commit(packs, warm, await files(storage, warm), parent=None)
    files_s, first_files = await timed(lambda: files(storage, first))
    second_files = await files(storage, second)
    first_s, one = await timed(lambda: commit(packs, first, first_files, parent=None))
    print(f"first version: {first_s:.2f} s, {one.stored_bytes / 1e6:.1f} MB (its files for training: {files_s:.2f} s)")

    async def grow(opened: VersionPacks) -> Committed:
        return await commit(opened, second, second_files, parent=one.manifest)

    second_s, two = await best(lambda: grow(packs))
    cold_s, _ = await best(lambda: grow(VersionPacks(storage)))
    share = two.stored_bytes / one.stored_bytes
    print(f"second version: {second_s:.3f} s ({cold_s:.3f} s with nothing in memory), {two.rows_added} rows,"
          f" {two.stored_bytes / 1e6:.2f} MB more = {share:.2%} of the first")  # fmt: skip
    await compare(storage, packs, one, two)
    await checkout(storage, two, second)
    return second_s, two.stored_bytes


async def compare(storage: Storage, packs: VersionPacks, one: Committed, two: Committed) -> None:
    async def diff(opened: VersionPacks) -> VersionDiff:
        before, after = await opened.open(one.manifest), await opened.open(two.manifest)
        return VersionDiff(before.snapshot, after.snapshot)

    warm_s, found = await best(lambda: diff(packs))
    cold_s, _ = await best(lambda: diff(VersionPacks(storage)))
    print(
        f"row diff: {warm_s:.3f} s ({cold_s:.3f} s with nothing in memory), {found.count(ChangeKind.CHANGED)} changed"
    )


async def checkout(storage: Storage, two: Committed, second: Parts) -> None:
    async def read() -> Parts:
        version = await VersionPacks(storage).open(two.manifest)
        return {name: b"".join([piece async for piece in version.lines(name)]) for name in SplitName}

    seconds, parts = await timed(read)
    assert parts == second
    print(f"checkout of the second version: {seconds:.2f} s, byte for byte")


async def files(storage: Storage, parts: Parts) -> dict[SplitName, Split]:
    return {
        name: Split(
            artifact=await storage.put_bytes(content, kind="datasets", suffix=".jsonl", media_type="application/jsonl"),
            samples=content.count(b"\n"),
        )
        for name, content in parts.items()
    }


def dvc(folder: Path, first: Parts, second: Parts) -> tuple[float, int]:
    """Seconds of DVC's second `add`, and bytes that its cache grew by; its start is not counted."""
    folder.mkdir()
    home = {"HOME": str(folder), "DVC_NO_ANALYTICS": "1", "PATH": os.defpath}

    def run(*words: str) -> float:
        started = time.perf_counter()
        subprocess.run([DVC, *words], cwd=folder, env=home, check=True, capture_output=True)  # noqa: S603
        return time.perf_counter() - started

    run("init", "--no-scm", "--quiet")
    idle_s = min(run("version") for _ in range(3))
    seconds: list[float] = []
    sizes: list[int] = []
    for parts in (first, second):
        data = folder / "data"
        data.mkdir(exist_ok=True)
        for name, content in parts.items():
            (data / f"{name}.jsonl").unlink(missing_ok=True)
            (data / f"{name}.jsonl").write_bytes(content)
        seconds.append(max(run("add", "data", "--quiet") - idle_s, 0.001))
        sizes.append(sum(file.stat().st_size for file in (folder / ".dvc" / "cache").rglob("*") if file.is_file()))
    print(f"DVC: first {seconds[0]:.2f} s, {sizes[0] / 1e6:.1f} MB; second {seconds[1]:.2f} s,"
          f" {(sizes[1] - sizes[0]) / 1e6:.1f} MB more; no row diff")  # fmt: skip
    return seconds[1], sizes[1] - sizes[0]


async def timed(work: Callable[[], Awaitable[R]]) -> tuple[float, R]:
    started = time.perf_counter()
    result = await work()
    return time.perf_counter() - started, result


async def best(work: Callable[[], Awaitable[R]]) -> tuple[float, R]:
    """The fastest of some runs: what else the machine does can only slow one down."""
    runs = [await timed(work) for _ in range(REPEATS)]
    return min(runs, key=lambda run: run[0])


if __name__ == "__main__":
    main()
