# ruff: noqa: INP001, T201 (a script that prints)
"""What it costs a build to leave out samples that give held-out cases away, and how many go: the check alone.

The corpus chains sentences, so that most of them are in several rows: no real set has so many passages in common.

Run: python services/dataset-svc/bench/held_out_cases.py [--rows 200000] [--threads 2]
"""

import argparse
import json
import random
import resource
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import corpus

from dataset_svc.domain.candidates import Candidate, candidate_of
from dataset_svc.domain.kept_lines import LinesInMemory
from dataset_svc.domain.likeness.clusters import Cluster
from dataset_svc.domain.likeness.held_out import Cases, CaseVersion, without_giveaways
from dataset_svc.domain.samples import Sample, SplitName, Turn
from loopwright.contracts.datasets import SampleSource

_HELD_OUT_0_1 = 0.2
_LINES = LinesInMemory()
Parts = dict[SplitName, list[Cluster]]


def read(folder: Path) -> list[Candidate]:
    """The corpus without its planted copies, which a build has dropped by then."""
    with (folder / "copies.jsonl").open(encoding="utf-8") as file:
        copies = {json.loads(line)["row"] for line in file}
    with (folder / "corpus.jsonl").open(encoding="utf-8") as file:
        rows = [json.loads(line)["messages"] for line in file]
    return [sample(number, turns[-2]["content"]) for number, turns in enumerate(rows) if number not in copies]


def sample(number: int, question: str) -> Candidate:
    return candidate_of(
        Sample(
            sample_id=f"s{number:07}",
            task_id="bench",
            input=question,
            messages=(Turn("user", question), Turn("assistant", "yes")),
            source=SampleSource.UPLOAD,
            inference_id=None,
            rating_ids=(),
            unit_hash=None,
            weight_0_1=1.0,
        ),
        _LINES,
    )


def split(samples: Sequence[Candidate]) -> Parts:
    source = random.Random(1)  # noqa: S311 - not for secrets
    parts: Parts = {name: [] for name in SplitName}
    for one in samples:
        name = SplitName.HELD_OUT if source.random() < _HELD_OUT_0_1 else SplitName.TRAIN
        parts[name].append(Cluster(samples=[one]))
    return parts


def lent(clusters: Sequence[Cluster]) -> Cases:
    samples = [one for cluster in clusters for one in cluster.samples]
    return Cases(
        version=CaseVersion(dataset_name="other", number=1, version_id="dsv-1"),
        sample_ids=tuple(one.sample_id for one in samples),
        questions=tuple(one.question for one in samples),
    )


def measure(name: str, parts: Parts, others: Sequence[Cases], *, threads: int) -> None:
    began, used = time.perf_counter(), time.process_time()
    cleaned = without_giveaways(parts, others, dataset_name="bench", threshold_0_1=0.9, threads=threads)
    seconds, used = time.perf_counter() - began, time.process_time() - used
    learned = sum(len(parts[part]) for part in (SplitName.TRAIN, SplitName.VALIDATION))
    cases = [source.cases for source in cleaned.contamination.sources]
    print(f"{name:<20}{learned:>9,} rows{sum(cases):>9,} cases{seconds:>8.2f} s{used:>8.2f} core-s", end="")
    print(f"{cleaned.contamination.samples:>8,} went ({cleaned.contamination.samples / learned:.2%})", end="")
    print(f"   peak {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:,.0f} MB")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=200_000)
    parser.add_argument("--threads", type=int, default=2)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        corpus.write(Path(folder), rows=arguments.rows, seed=2)
        samples = read(Path(folder))
    few = split(samples[:2000])
    measure("warming", few, [lent(few[SplitName.HELD_OUT])], threads=arguments.threads)
    parts = split(samples)
    measure("own cases", parts, (), threads=arguments.threads)
    half = len(parts[SplitName.HELD_OUT]) // 2
    others = [lent(parts[SplitName.HELD_OUT][half:])]
    measure("half are lent", parts | {SplitName.HELD_OUT: parts[SplitName.HELD_OUT][:half]}, others, threads=arguments.threads)  # fmt: skip


if __name__ == "__main__":
    main()
