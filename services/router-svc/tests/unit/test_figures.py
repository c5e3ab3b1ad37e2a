"""What the workers count is shown as one, and no counter ever falls."""

import asyncio
import os
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

from router_svc.adapters import figures as module
from router_svc.adapters.figures import SharedFigures


class Worker:
    """One worker's own figures, and the sum as it shows it."""

    def __init__(self, folder: Path, number: int) -> None:
        self.own = CollectorRegistry()
        self.answers = Counter("answers", "Answers", ["variant"], registry=self.own)
        self.seconds = Histogram("seconds", "Seconds", buckets=(1, 2), registry=self.own)
        self.in_flight = Gauge("in_flight", "In flight", registry=self.own)
        self.started = Gauge("process_start_time_seconds", "Start", registry=self.own)
        self.shared = SharedFigures(folder, number=number, own=self.own)

    def shown(self) -> dict[str, float]:
        lines = generate_latest(self.shared).decode().splitlines()  # pyright: ignore[reportArgumentType] - it collects
        return {name: float(value) for name, _, value in (line.rpartition(" ") for line in lines if line[0] != "#")}


@pytest.fixture
def workers(tmp_path: Path) -> list[Worker]:
    return [Worker(tmp_path, number) for number in range(2)]


def test_counts_and_distributions_of_all_workers_are_added(workers: list[Worker]) -> None:
    for number, worker in enumerate(workers):
        worker.answers.labels("a").inc(3)
        worker.answers.labels(f"only-{number}").inc()
        worker.seconds.observe(1.5)
        worker.in_flight.set(2)
        worker.started.set(1000 + number)
        worker.shown()
    shown = workers[0].shown()
    assert shown == workers[1].shown()
    assert shown['answers_total{variant="a"}'] == 6
    assert (shown['answers_total{variant="only-0"}'], shown['answers_total{variant="only-1"}']) == (1, 1)
    assert (shown['seconds_bucket{le="1.0"}'], shown['seconds_bucket{le="2.0"}'], shown["seconds_count"]) == (0, 2, 2)
    assert shown["seconds_sum"] == 3
    assert (shown["in_flight"], shown["process_start_time_seconds"]) == (4, 1000)


def test_a_worker_shows_its_own_newest_counts_at_once(workers: list[Worker]) -> None:
    workers[0].shown()
    workers[0].answers.labels("a").inc()
    assert workers[0].shown()['answers_total{variant="a"}'] == 1


def test_what_was_shown_stays_when_its_worker_dies_and_its_successor_goes_on_from_there(
    tmp_path: Path, workers: list[Worker], monkeypatch: pytest.MonkeyPatch
) -> None:
    living, dying = workers
    dying.answers.labels("a").inc(5)
    dying.in_flight.set(2)
    dying.shown()
    written = (tmp_path / "1.json").read_text()
    (tmp_path / "1.json").write_text(written.replace(f'"pid":{os.getpid()}', '"pid":4194999'))
    monkeypatch.setattr(module, "_lives", lambda pid: pid == os.getpid())
    assert living.shown()['answers_total{variant="a"}'] == 5
    assert living.shown()["in_flight"] == 0
    successor = Worker(tmp_path, 1)
    assert living.shown()['answers_total{variant="a"}'] == 5
    successor.answers.labels("a").inc()
    assert successor.shown()['answers_total{variant="a"}'] == 6
    assert living.shown()['answers_total{variant="a"}'] == 6


async def test_figures_that_are_written_bit_by_bit_never_replace_newer_ones(
    tmp_path: Path, workers: list[Worker]
) -> None:
    slow, other = workers
    slow.answers.labels("a").inc()
    writing = asyncio.create_task(slow.shared.run())
    await asyncio.sleep(0)
    slow.answers.labels("a").inc(5)
    assert slow.shown()['answers_total{variant="a"}'] == 6
    for _ in range(20):
        await asyncio.sleep(0)
    assert other.shown()['answers_total{variant="a"}'] == 6
    slow.answers.labels("a").inc()
    writing.cancel()
    await asyncio.gather(writing, return_exceptions=True)
    assert other.shown()['answers_total{variant="a"}'] == 7


def test_a_disk_that_refuses_costs_no_answer(tmp_path: Path, workers: list[Worker]) -> None:
    workers[0].shown()
    workers[0].shared._path = tmp_path / "nowhere" / "0.json"
    assert workers[1].shown()["in_flight"] == 0
    assert workers[0].shown()["in_flight"] == 0
