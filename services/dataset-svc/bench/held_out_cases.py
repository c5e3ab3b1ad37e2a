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
import numpy as np

from dataset_svc.domain.candidates import CandidateBatch, Candidates, Rows, candidates_of
from dataset_svc.domain.kept_lines import LinesInMemory
from dataset_svc.domain.likeness.held_out import Cases, CaseVersion, own_cases, without_giveaways
from dataset_svc.domain.samples import Sample, SplitName, Turn
from dataset_svc.domain.texts.same_texts import Texts
from loopwright.contracts.datasets import SampleSource

_HELD_OUT_0_1 = 0.2
_BATCH = 1000  # samples, about as many as a build takes at once
Parts = dict[SplitName, Rows]


def read(folder: Path) -> Candidates:
    """The corpus without its planted copies, which a build has dropped by then."""
    with (folder / "copies.jsonl").open(encoding="utf-8") as file:
        copies = {json.loads(line)["row"] for line in file}
    with (folder / "corpus.jsonl").open(encoding="utf-8") as file:
        rows = [json.loads(line)["messages"] for line in file]
    samples = [sample(number, turns[-2]["content"]) for number, turns in enumerate(rows) if number not in copies]
    lines = LinesInMemory()
    return Candidates.of([batch(samples[first : first + _BATCH], lines) for first in range(0, len(samples), _BATCH)])


def sample(number: int, question: str) -> Sample:
    return Sample(
        sample_id=f"s{number:07}",
        task_id="bench",
        input=question,
        messages=(Turn("user", question), Turn("assistant", "yes")),
        source=SampleSource.UPLOAD,
        inference_id=None,
        rating_ids=(),
        unit_hash=None,
        weight_0_1=1.0,
    )


def batch(samples: Sequence[Sample], lines: LinesInMemory) -> CandidateBatch:
    questions, answers = (one.question for one in samples), (one.answer for one in samples)
    return candidates_of(samples, Texts.of(questions), Texts.of(answers), lines)


def split(count: int) -> Parts:
    source = random.Random(1)  # noqa: S311 - not for secrets
    held_out = np.array([source.random() < _HELD_OUT_0_1 for _ in range(count)], dtype=np.bool_)
    parts = {SplitName.HELD_OUT: np.flatnonzero(held_out), SplitName.TRAIN: np.flatnonzero(~held_out)}
    return {name: parts.get(name, np.zeros(0, dtype=np.int64)) for name in SplitName}


def lent(samples: Candidates, rows: Rows) -> Cases:
    return Cases(
        version=CaseVersion(dataset_name="other", number=1, version_id="dsv-1"),
        sample_ids=tuple(samples.sample_ids[row] for row in rows.tolist()),
        questions=tuple(samples.questions_of(rows)),
    )


def measure(name: str, samples: Candidates, parts: Parts, others: Sequence[Cases], *, threads: int) -> None:
    began, used = time.perf_counter(), time.process_time()
    sources = (own_cases(samples, parts[SplitName.HELD_OUT]), *others)
    cleaned = without_giveaways(samples, parts, sources, dataset_name="bench", threshold_0_1=0.9, threads=threads)
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
    few = split(min(2000, len(samples)))
    measure("warming", samples, few, [lent(samples, few[SplitName.HELD_OUT])], threads=arguments.threads)
    parts = split(len(samples))
    measure("own cases", samples, parts, (), threads=arguments.threads)
    own, others = np.split(parts[SplitName.HELD_OUT], [len(parts[SplitName.HELD_OUT]) // 2])
    halved = parts | {SplitName.HELD_OUT: own}
    measure("half are lent", samples, halved, [lent(samples, others)], threads=arguments.threads)


if __name__ == "__main__":
    main()
