"""Public benchmarks: what can be run, runs of it, and the figures that came out."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Final

from loopwright.errors import Conflict, Invalid
from registry_svc.domain.models import VariantId
from registry_svc.domain.paired import Interval

MOST_ATTEMPTS: Final = 3
_Z95: Final = 1.959964  # of the normal distribution


class RunState(StrEnum):
    """Where a run stands; a running one is taken up again after a crash."""

    QUEUED = "queued"
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"


@dataclass(frozen=True, kw_only=True)
class Benchmark:
    """A task file of lm-evaluation-harness.

    Attributes:
        task_version: What it calls itself; figures of different versions are not comparable.
        data_file: Where its cases are looked for, below the data folder.
        problem: Why it cannot be run; None if it can.
    """

    name: str
    task_version: str
    data_file: str
    problem: str | None


@dataclass(frozen=True, kw_only=True)
class BenchmarkMetric:
    """One figure, with its standard error where the harness knows one."""

    name: str
    value: float
    stderr: float | None
    higher_is_better: bool | None

    @property
    def interval(self) -> Interval | None:
        """Normal interval at 95%."""
        if self.stderr is None:
            return None
        return Interval(self.value - _Z95 * self.stderr, self.value + _Z95 * self.stderr)


@dataclass(frozen=True, kw_only=True)
class BenchmarkResult:
    """What a variant reached in one benchmark.

    Attributes:
        cases: How many were asked.
        of_cases: How many there are.
    """

    name: str
    task_version: str
    cases: int
    of_cases: int
    metrics: tuple[BenchmarkMetric, ...]


@dataclass(frozen=True, kw_only=True)
class BenchmarkRun:
    """Some benchmarks for one variant.

    Attributes:
        most_cases: Of each benchmark, its first ones; None for all.
        shots: Solved cases before each question.
        reason: Why it stands where it stands, or what it waits for.
        harness: Version of lm-evaluation-harness; None until there are results.
    """

    run_id: str
    variant: VariantId
    benchmarks: tuple[str, ...]
    most_cases: int | None
    shots: int
    state: RunState
    attempts: int
    reason: str | None
    results: tuple[BenchmarkResult, ...]
    harness: str | None
    requested_by: str
    due_at: datetime
    requested_at: datetime
    finished_at: datetime | None


def check_can_run(wanted: Sequence[str], catalogue: Sequence[Benchmark]) -> None:
    """Checks that benchmarks are there, with their data.

    Raises:
        Invalid: one is unknown.
        Conflict: one cannot be run.
    """
    known = {benchmark.name: benchmark for benchmark in catalogue}
    for name in wanted:
        if name not in known:
            names = ", ".join(sorted(known)) or "none"
            raise Invalid("benchmark.unknown", f"no benchmark {name} is known (known: {names})", benchmark=name)
        problem = known[name].problem
        if problem is not None:
            raise Conflict("benchmark.cannot-run", f"{name} cannot be run: {problem}", benchmark=name)
