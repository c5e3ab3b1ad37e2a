"""Runs of benchmarks: asked for, begun, put off, ended."""

import uuid
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from loopwright.unit_of_work import Work
from registry_svc.domain.benchmarks import (
    Benchmark,
    BenchmarkResult,
    BenchmarkRun,
    RunState,
    check_can_run,
)
from registry_svc.domain.deprecations import check_may_serve
from registry_svc.domain.models import ModelVersion, VariantId
from registry_svc.domain.releases import retry_delay
from registry_svc.store.benchmarks import (
    add_benchmark_run,
    find_due_benchmark_run,
    get_benchmark_run,
    save_benchmark_run,
)
from registry_svc.store.models import get_model

_OPEN = frozenset({RunState.QUEUED, RunState.RUNNING})


@dataclass(frozen=True, kw_only=True)
class BenchmarkWish:
    """What somebody wants to be measured."""

    variant: VariantId
    benchmarks: tuple[str, ...]
    most_cases: int | None
    shots: int
    by: str


@dataclass(frozen=True, kw_only=True)
class OpenRun:
    """A run that is worked on, and the version that it measures."""

    run: BenchmarkRun
    model: ModelVersion


async def request_benchmarks(wish: BenchmarkWish, work: Work, *, catalogue: Sequence[Benchmark]) -> str:
    """Puts a run into the queue.

    Returns:
        Its id.

    Raises:
        NotFound: there is no such version.
        Invalid: a benchmark is unknown.
        Conflict: a benchmark cannot be run, or the version learned from erased data.
    """
    check_can_run(wish.benchmarks, catalogue)
    model = await get_model(work.session, wish.variant)
    check_may_serve(str(wish.variant), model.training_data_deprecated)
    now = datetime.now(UTC)
    run = BenchmarkRun(
        run_id=str(uuid.uuid4()),
        variant=wish.variant,
        benchmarks=wish.benchmarks,
        most_cases=wish.most_cases,
        shots=wish.shots,
        state=RunState.QUEUED,
        attempts=0,
        reason=None,
        results=(),
        harness=None,
        requested_by=wish.by,
        due_at=now,
        requested_at=now,
        finished_at=None,
    )
    await add_benchmark_run(work.session, run)
    return run.run_id


async def begin_due_run(work: Work) -> OpenRun | None:
    """The run that is to be worked on now, marked as running."""
    due = await find_due_benchmark_run(work.session, datetime.now(UTC))
    if due is None:
        return None
    run = replace(due, state=RunState.RUNNING)
    await save_benchmark_run(work.session, run)
    return OpenRun(run=run, model=await get_model(work.session, run.variant))


async def finish_run(run_id: str, results: tuple[BenchmarkResult, ...], work: Work, *, harness: str) -> None:
    """Keeps the figures of a run."""
    run = await get_benchmark_run(work.session, run_id, lock=True)
    if run.state in _OPEN:
        done = replace(
            run, state=RunState.SUCCEEDED, results=results, harness=harness, reason=None, finished_at=datetime.now(UTC)
        )
        await save_benchmark_run(work.session, done)


async def postpone_run(run_id: str, work: Work, *, reason: str) -> None:
    """Puts a run off, longer after every fruitless try."""
    run = await get_benchmark_run(work.session, run_id, lock=True)
    if run.state in _OPEN:
        due_at = datetime.now(UTC) + retry_delay(run.attempts)
        later = replace(run, state=RunState.QUEUED, attempts=run.attempts + 1, reason=reason, due_at=due_at)
        await save_benchmark_run(work.session, later)


async def fail_run(run_id: str, work: Work, *, reason: str) -> None:
    """Ends a run that comes to no figures."""
    run = await get_benchmark_run(work.session, run_id, lock=True)
    if run.state in _OPEN:
        failed = replace(run, state=RunState.FAILED, reason=reason, finished_at=datetime.now(UTC))
        await save_benchmark_run(work.session, failed)
