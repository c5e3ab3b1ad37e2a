# ruff: noqa: INP001, S603 (a script; the program that it starts is the peers' own Python)
"""Near-duplicate stage against its peers, in one run: texts in memory to rows to remove, and what was found and lost.

Run: python services/dataset-svc/bench/near_duplicates.py [--rows 50000 200000] [--peers .venv-bench/bin/python]
"""

import argparse
import json
import os
import random
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import corpus
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from datasketch import MinHash

from dataset_svc.domain.likeness.minhash import Grams, packed, signatures_of
from dataset_svc.domain.likeness.near_pairs import Likeness, near_duplicates
from dataset_svc.domain.likeness.similarity import shingles_of

_THRESHOLD: Final = 0.7
_THREADS: Final = 2
_GOALS: Final = {"datasketch": 12.0, "gaoya": 2.5, "rensa": 4.0}
_LOW_32: Final = np.uint64(0xFFFFFFFF)


@dataclass(frozen=True, kw_only=True)
class Planted:
    """The texts, and which of them were planted as copies, with their true Jaccard index to the row copied."""

    texts: list[str]
    copies: dict[int, float]


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What one engine did."""

    name: str
    seconds: float
    removed: frozenset[int]


def read(folder: Path) -> Planted:
    with (folder / "corpus.jsonl").open(encoding="utf-8") as file:
        texts = ["\n".join(turn["content"] for turn in json.loads(line)["messages"][1:]) for line in file]
    with (folder / "copies.jsonl").open(encoding="utf-8") as file:
        copies = {copy["row"]: copy["jaccard"] for copy in map(json.loads, file)}
    return Planted(texts=texts, copies=copies)


def ours(texts: Sequence[str]) -> Outcome:
    likeness = Likeness(threshold_0_1=_THRESHOLD)
    near_duplicates(texts[:100], likeness, threads=_THREADS)
    began = time.perf_counter()
    found = near_duplicates(texts, likeness, threads=_THREADS)
    seconds = time.perf_counter() - began
    return Outcome(name="ours", seconds=seconds, removed=frozenset(found.dropped.tolist()))


def of_peer(name: str, python: Path, path: Path) -> Outcome:
    script = Path(__file__).with_name("near_duplicate_peers.py")
    environment = {**os.environ, "RAYON_NUM_THREADS": str(_THREADS)}  # noqa: TID251 - the child inherits the rest
    done = subprocess.run(
        [str(python), str(script), name, str(path)], env=environment, stdout=subprocess.PIPE, check=True, text=True
    )
    said = json.loads(done.stdout.splitlines()[-1])
    return Outcome(name=name, seconds=said["seconds"], removed=frozenset(said["removed"]))


def differing_signatures(texts: Sequence[str], *, count: int = 300) -> int:
    """Rows whose signature is not datasketch's own for the same grams."""
    chosen = random.Random(3).sample(texts, min(count, len(texts)))  # noqa: S311 - not for secrets
    signatures = signatures_of(packed(chosen), Grams.WORDS_3)
    differing = 0
    for text, signature in zip(chosen, signatures, strict=True):
        sketch = MinHash(num_perm=128, scheme="affine32", hashfunc=int)
        for gram in shingles_of(text, Grams.WORDS_3):
            sketch.update(gram & _LOW_32)
        differing += not np.array_equal(sketch.hashvalues, signature)
    return differing


def line(outcome: Outcome, planted: Planted, own: Outcome) -> str:
    """One row of the table; recall counts planted copies by their true index."""
    alike = [row for row, jaccard in planted.copies.items() if jaccard >= _THRESHOLD]
    recall = sum(row in outcome.removed for row in alike) / max(1, len(alike))
    wrong = sum(row not in planted.copies for row in outcome.removed)
    rate = len(planted.texts) / outcome.seconds
    text = f"{outcome.name:<12}{rate:>12,.0f}{outcome.seconds:>9.2f}{recall:>9.4f}{wrong:>12}"
    if outcome.name not in _GOALS:
        return text
    ratio, goal = outcome.seconds / own.seconds, _GOALS[outcome.name]
    return f"{text}{ratio:>9.1f} x  goal {goal:g} x {'met' if ratio >= goal else 'MISSED'}"


def measure(rows: int, folder: Path, python: Path | None) -> None:
    corpus.write(folder, rows=rows, seed=20261121)
    planted = read(folder)
    path = folder / "texts.parquet"
    pq.write_table(pa.table({"text": pa.array(planted.texts, type=pa.large_string())}), path)
    own = ours(planted.texts)
    say(f"\n{rows:,} rows, {_THREADS} threads or processes; signatures unlike datasketch's: ")
    say(f"{differing_signatures(planted.texts)} of 300; peak of our process, texts included: {peak_mb():,.0f} MB\n")
    say(f"{'':<12}{'docs/s':>12}{'s':>9}{'recall':>9}{'not planted':>12}{'ratio':>11}\n")
    say(line(own, planted, own) + "\n")
    for name in _GOALS if python else ():
        say(line(of_peer(name, python, path), planted, own) + "\n")


def peak_mb() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def say(text: str) -> None:
    sys.stdout.write(text)
    sys.stdout.flush()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, nargs="+", default=[50_000, 200_000])
    parser.add_argument(
        "--peers", type=Path, help="Python that has the peers installed; without it only ours is measured"
    )
    arguments = parser.parse_args()
    for rows in arguments.rows:
        with tempfile.TemporaryDirectory() as folder:
            measure(rows, Path(folder), arguments.peers)


if __name__ == "__main__":
    main()
