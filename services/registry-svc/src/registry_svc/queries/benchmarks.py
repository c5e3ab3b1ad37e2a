"""Runs of benchmarks for readers."""

from datetime import datetime

from pydantic import Field

from loopwright.pages import Page, Window
from loopwright.unit_of_work import Work
from registry_svc.domain.benchmarks import BenchmarkMetric, BenchmarkResult, BenchmarkRun, RunState
from registry_svc.domain.models import VariantId
from registry_svc.queries.pages import View, page_of
from registry_svc.store.benchmarks import get_benchmark_run, page_benchmark_runs
from registry_svc.store.models import get_model


class BenchmarkView(View):
    """A benchmark that can be run, or cannot."""

    name: str
    task_version: str
    data_file: str = Field(description="where its cases are looked for, below the data folder")
    problem: str | None = Field(description="why it cannot be run; none if it can")


class BenchmarkMetricView(View):
    """One figure with its interval at 95%."""

    name: str
    value: float
    stderr: float | None
    lower: float | None
    upper: float | None
    higher_is_better: bool | None


class BenchmarkResultView(View):
    """What a version reached in one benchmark."""

    name: str
    task_version: str = Field(description="figures of different versions are not comparable")
    cases: int = Field(description="how many were asked")
    of_cases: int = Field(description="how many there are")
    metrics: tuple[BenchmarkMetricView, ...]


class BenchmarkRunView(View):
    """Some benchmarks for one version."""

    run_id: str
    variant_id: str
    benchmarks: tuple[str, ...]
    most_cases: int | None
    shots: int
    state: RunState
    attempts: int
    reason: str | None = Field(description="why it failed, or what it waits for")
    harness: str | None = Field(description="version of lm-evaluation-harness")
    results: tuple[BenchmarkResultView, ...]
    requested_by: str
    requested_at: datetime
    finished_at: datetime | None


def _view_metric(metric: BenchmarkMetric) -> BenchmarkMetricView:
    interval = metric.interval
    return BenchmarkMetricView(
        name=metric.name,
        value=metric.value,
        stderr=metric.stderr,
        lower=None if interval is None else interval.lower,
        upper=None if interval is None else interval.upper,
        higher_is_better=metric.higher_is_better,
    )


def view_benchmark_result(result: BenchmarkResult) -> BenchmarkResultView:
    return BenchmarkResultView(
        name=result.name,
        task_version=result.task_version,
        cases=result.cases,
        of_cases=result.of_cases,
        metrics=tuple(_view_metric(metric) for metric in result.metrics),
    )


def view_benchmark_run(run: BenchmarkRun) -> BenchmarkRunView:
    return BenchmarkRunView(
        run_id=run.run_id,
        variant_id=str(run.variant),
        benchmarks=run.benchmarks,
        most_cases=run.most_cases,
        shots=run.shots,
        state=run.state,
        attempts=run.attempts,
        reason=run.reason,
        harness=run.harness,
        results=tuple(view_benchmark_result(result) for result in run.results),
        requested_by=run.requested_by,
        requested_at=run.requested_at,
        finished_at=run.finished_at,
    )


async def list_benchmark_runs(work: Work, variant: VariantId, window: Window) -> Page[BenchmarkRunView]:
    """Runs for a version, newest first.

    Raises:
        NotFound: there is no such version.
    """
    await get_model(work.session, variant)
    return page_of(await page_benchmark_runs(work.session, variant, window), window, view_benchmark_run)


async def read_benchmark_run(work: Work, run_id: str) -> BenchmarkRunView:
    """One run.

    Raises:
        NotFound: there is no such run.
    """
    return view_benchmark_run(await get_benchmark_run(work.session, run_id))
