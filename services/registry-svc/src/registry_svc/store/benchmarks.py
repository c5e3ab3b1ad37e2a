"""Runs of benchmarks with their figures."""

from datetime import datetime

import sqlalchemy as sa
from pydantic import TypeAdapter
from sqlalchemy.ext.asyncio import AsyncSession

from loopwright.errors import NotFound
from loopwright.pages import Window
from registry_svc.domain.benchmarks import BenchmarkResult, BenchmarkRun, RunState
from registry_svc.domain.models import VariantId
from registry_svc.store.pages import Paged, Row, fetch_page
from registry_svc.store.tables import benchmark_runs

_results = TypeAdapter(tuple[BenchmarkResult, ...])
_columns = benchmark_runs.c


def read_run(row: Row) -> BenchmarkRun:
    return BenchmarkRun(
        run_id=row.run_id,
        variant=VariantId(row.model_name, row.version),
        benchmarks=tuple(row.benchmarks),
        most_cases=row.most_cases,
        shots=row.shots,
        state=RunState(row.state),
        attempts=row.attempts,
        reason=row.reason,
        results=_results.validate_python(row.results),
        harness=row.harness,
        requested_by=row.requested_by,
        due_at=row.due_at,
        requested_at=row.requested_at,
        finished_at=row.finished_at,
    )


def _progress(run: BenchmarkRun) -> dict[str, object]:
    return {
        "state": run.state,
        "attempts": run.attempts,
        "reason": run.reason,
        "results": _results.dump_python(run.results, mode="json"),
        "harness": run.harness,
        "due_at": run.due_at,
        "finished_at": run.finished_at,
    }


async def add_benchmark_run(session: AsyncSession, run: BenchmarkRun) -> None:
    await session.execute(
        sa.insert(benchmark_runs).values(
            run_id=run.run_id,
            model_name=run.variant.model_name,
            version=run.variant.version,
            benchmarks=list(run.benchmarks),
            most_cases=run.most_cases,
            shots=run.shots,
            requested_by=run.requested_by,
            requested_at=run.requested_at,
            **_progress(run),
        )
    )


async def save_benchmark_run(session: AsyncSession, run: BenchmarkRun) -> None:
    await session.execute(sa.update(benchmark_runs).where(_columns.run_id == run.run_id).values(**_progress(run)))


async def get_benchmark_run(session: AsyncSession, run_id: str, *, lock: bool = False) -> BenchmarkRun:
    """One run.

    Raises:
        NotFound: there is no such run.
    """
    query = sa.select(benchmark_runs).where(_columns.run_id == run_id)
    row = (await session.execute(query.with_for_update() if lock else query)).one_or_none()
    if row is None:
        raise NotFound("benchmark.run-not-found", f"there is no benchmark run {run_id}", run_id=run_id)
    return read_run(row)


async def find_due_benchmark_run(session: AsyncSession, now: datetime) -> BenchmarkRun | None:
    """The oldest run that is to be worked on; one that a crash left running among them."""
    open_states = (RunState.QUEUED, RunState.RUNNING)
    query = (
        sa.select(benchmark_runs)
        .where(_columns.state.in_(open_states), _columns.due_at <= now)
        .order_by(_columns.requested_at)
        .limit(1)
    )
    row = (await session.execute(query)).one_or_none()
    return None if row is None else read_run(row)


async def page_benchmark_runs(session: AsyncSession, variant: VariantId, window: Window) -> Paged[BenchmarkRun]:
    """Runs for a version, newest first."""
    query = (
        sa.select(benchmark_runs)
        .where(_columns.model_name == variant.model_name, _columns.version == variant.version)
        .order_by(_columns.requested_at.desc(), _columns.run_id)
    )
    return await fetch_page(session, query, window, build=read_run)
