# ruff: noqa: INP001 (a script)
"""How many events a second the real service takes in, beside Kafka and PostgreSQL on the same machine; and the limit.

Run: python services/feedback-svc/bench/ingest.py [--events 60000]

The events lie in Kafka when the service starts. Counted is from the first committed event to the last.
"""

import argparse
import asyncio
import logging
import os
import re
import sys
import tempfile
import time
from collections.abc import Generator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import asyncpg
import httpx
import psutil
from aiokafka import AIOKafkaProducer
from bare import copy_all
from signals import Traffic, a_task, an_evaluation, traffic

from loopwright.broker import KafkaRecord
from loopwright.contracts.base import Event
from loopwright.contracts.registry import INFERENCE_COMPLETED, INFERENCE_RATED
from loopwright.testing.records import a_record
from loopwright_local.settings import free_ports
from loopwright_local.stack import LocalStack
from loopwright_local.testing import settings_for_tests

_PARTS = ("postgres", "kafka", "migrations", "topics")
_GOAL = 5000
_EVERY_S = 0.25
_WINDOW_S = 5.0
_LONGEST_S = 500.0
_HANDLED = re.compile(
    r'^loopwright_events_handled_total\{outcome="(\w[\w-]*)",topic="inference\.\w+"\} (\S+)$', re.MULTILINE
)


@dataclass(frozen=True)
class Reading:
    """How far the service was at a moment.

    Attributes:
        cpu_s: Processor time that each part had used.
    """

    at_s: float
    handled: float
    cpu_s: dict[str, float]


@contextmanager
def service(stack: LocalStack, log: Path) -> Generator[tuple[str, psutil.Popen]]:
    """The real service: where it answers, and its process."""
    (port,) = free_ports(1)
    env = {**os.environ, **stack.plan.env, "FEEDBACK_PORT": str(port)}  # noqa: TID251 - a child's environment
    with log.open("ab") as output:
        process = psutil.Popen([sys.executable, "-m", "feedback_svc.main"], env=env, stdout=output, stderr=output)
    try:
        yield f"http://127.0.0.1:{port}", process
    finally:
        process.terminate()
        process.wait(timeout=60)


async def publish(stack: LocalStack, records: list[KafkaRecord]) -> None:
    producer = AIOKafkaProducer(bootstrap_servers=stack.urls.kafka_bootstrap, linger_ms=20)
    await producer.start()
    for record in records:
        await producer.send(record.topic, value=record.value, key=record.key, headers=list(record.headers))
    await producer.stop()


async def start_experiment(stack: LocalStack, log: Path) -> str:
    """Lets the service open an experiment, as it does for any candidate that passed its gate; returns its id."""
    events: tuple[Event, ...] = (a_task(), an_evaluation())
    with service(stack, log):
        await publish(stack, [a_record(event) for event in events])
        async with asyncio.timeout(120):
            while not (found := await ask(stack, "SELECT experiment_id FROM feedback.experiments")):  # noqa: ASYNC110 - the service opens it
                await asyncio.sleep(0.2)
    return str(found)


async def ask(stack: LocalStack, query: str) -> object:
    connection = await asyncpg.connect(stack.urls.database.replace("+asyncpg", ""))
    try:
        return await connection.fetchval(query)
    finally:
        await connection.close()


async def watch(url: str, process: psutil.Popen, pids: dict[str, int], *, records: int) -> list[Reading]:
    """How far the service was, four times a second, until it has handled everything."""
    readings: list[Reading] = []
    async with httpx.AsyncClient(timeout=30) as client, asyncio.timeout(_LONGEST_S):
        while not readings or readings[-1].handled < records:
            await asyncio.sleep(_EVERY_S)
            try:
                text = (await client.get(f"{url}/metrics")).text
            except httpx.TransportError as error:
                if process.poll() is not None:
                    raise SystemExit(f"the service ended with {process.poll()}") from error
                continue
            handled = sum(float(value) for _, value in _HANDLED.findall(text))
            if handled:
                cpu_s = {part: cpu_seconds(pid) for part, pid in pids.items()}
                readings.append(Reading(at_s=time.perf_counter(), handled=handled, cpu_s=cpu_s))
    return readings


def rate_of(earlier: Reading, later: Reading) -> float:
    """Events a second."""
    return (later.handled - earlier.handled) / (later.at_s - earlier.at_s)


def slowest_of(readings: list[Reading]) -> float:
    """Events a second in the slowest stretch of five seconds."""
    longest_s = _WINDOW_S + 2 * _EVERY_S
    stretches = [
        (one, other) for one in readings for other in readings if _WINDOW_S <= other.at_s - one.at_s < longest_s
    ]
    return min((rate_of(one, other) for one, other in stretches), default=rate_of(readings[0], readings[-1]))


def costs_of(first: Reading, last: Reading) -> str:
    """Processor time of an event in each part."""
    events = last.handled - first.handled
    costs = (f"{part} {(last.cpu_s[part] - first.cpu_s[part]) / events * 1e6:.0f} us" for part in first.cpu_s)
    return ", ".join(costs)


def cpu_seconds(pid: int) -> float:
    """Processor time of a process and its children so far."""
    found = 0.0
    for process in (psutil.Process(pid), *psutil.Process(pid).children(recursive=True)):
        with suppress(psutil.NoSuchProcess):  # it has ended since it was listed
            times = process.cpu_times()
            found += times.user + times.system
    return found


async def check_exact(stack: LocalStack, sent: Traffic) -> None:
    """Everything is there, once."""
    for table, wanted in (("inferences", sent.inferences), ("ratings", sent.ratings)):
        rows = await ask(stack, f"SELECT count(*) FROM feedback.{table}")  # noqa: S608 - one of two names
        if rows != wanted:
            raise SystemExit(f"{rows} rows in {table}, {wanted} sent")
    counted = await ask(stack, "SELECT sum(exposures) FROM feedback.experiment_users")
    say(f"exact: {sent.inferences:,} inferences, {sent.ratings:,} ratings, {counted:,} exposures counted")


async def measure(events: int) -> bool:
    with tempfile.TemporaryDirectory(prefix="bench") as name:
        folder = Path(name)
        settings = settings_for_tests(folder / "stack", *_PARTS).model_copy(update={"postgres_fsync": True})
        async with LocalStack(settings, quiet=True) as stack:
            await stack.wait_ready()
            sent = traffic(events, await start_experiment(stack, folder / "log"), seed=1)
            await publish(stack, sent.records)
            size = sum(len(record.value or b"") for record in sent.records) / len(sent.records)
            say(
                f"{len(sent.records):,} records of {size:.0f} bytes, {sent.events:,} different ones, {os.cpu_count()} cores"
            )
            with service(stack, folder / "log") as (url, process):
                pids = {"service": process.pid, "PostgreSQL": stack.pid("postgres"), "Kafka": stack.pid("kafka")}
                readings = await watch(url, process, pids, records=len(sent.records))
            await check_exact(stack, sent)
            topics = (INFERENCE_COMPLETED.name, INFERENCE_RATED.name)
            bare = await copy_all(stack.urls.kafka_bootstrap, topics, stack.urls.database, records=len(sent.records))
    rate = rate_of(readings[0], readings[-1])
    say(f"service        {rate:>8,.0f} events/s, in the slowest {_WINDOW_S:g} s {slowest_of(readings):,.0f}")
    say(f"processor      {costs_of(readings[0], readings[-1])} an event")
    say(f"bare COPY      {bare:>8,.0f} events/s: the service does {rate / bare:.0%} of it")
    say(f"goal           {_GOAL:>8,} events/s: {'reached' if rate >= _GOAL else 'missed'}")
    return rate >= _GOAL


def say(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def main() -> None:
    logging.getLogger("aiokafka").setLevel(logging.CRITICAL)  # it tells of every partition that has no leader yet
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--events", type=int, default=60_000)
    sys.exit(not asyncio.run(measure(parser.parse_args().events)))


if __name__ == "__main__":
    main()
