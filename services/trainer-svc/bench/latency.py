# ruff: noqa: INP001 - a script, no package
"""From the request of a job to its first step, with real PostgreSQL and Kafka, beside a bare TRL script from its start.

python services/trainer-svc/bench/latency.py MODEL_FOLDER [--jobs N]
"""

import argparse
import asyncio
import json
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import httpx
from aiokafka import AIOKafkaProducer
from overhead import describe

from loopwright.contracts.registry import TASK_DEFINED
from loopwright.testing.examples import an_event
from loopwright.testing.records import a_record
from loopwright_local.stack import LocalStack
from loopwright_local.testing import settings_for_tests

ANSWER_LIMIT_MS = 100.0  # for the answer to a request, where users asked for 5 s
_PARTS = ("postgres", "kafka", "migrations", "topics", "dataset", "trainer")
_TASK = "latency"
_JOBS, _DATASETS = "/api/v1/admin/finetuning/jobs", "/api/v1/admin/training/datasets"
_SETTINGS = {"lora_rank": 8, "batch_size": 4, "num_epochs": 1, "max_seq_length": 256}
_STEPS = 8
_LONGEST_S = 300.0


async def define_task(bootstrap: str, base_model: str) -> None:
    """Tells the service of a task whose datasets start no job by themselves."""
    event = an_event(TASK_DEFINED, task_id=_TASK, base_model=base_model, training={"auto": False})
    record = a_record(event)
    async with AIOKafkaProducer(bootstrap_servers=bootstrap) as producer:
        await producer.send_and_wait(record.topic, record.value, key=record.key, headers=list(record.headers))


async def upload(client: httpx.AsyncClient, base: str, lines: str) -> str:
    """The dataset version that a file becomes."""
    form = {"task_id": _TASK, "dataset_name": _TASK}
    answer = await client.post(base + _DATASETS, data=form, files={"file": ("train.jsonl", lines.encode())})
    answer.raise_for_status()
    while True:
        state = (await client.get(base + answer.headers["location"])).raise_for_status().json()
        if state["version_id"] is not None:
            return str(state["version_id"])
        if state["rejected_because"]:
            raise RuntimeError("; ".join(state["rejected_because"]))
        await asyncio.sleep(0.2)


async def until(client: httpx.AsyncClient, url: str, field: str, least: object) -> float:
    """Seconds on the clock at which a job's field was first seen as it is to be."""
    while True:
        job = (await client.get(url)).raise_for_status().json()
        if job[field] == least or (isinstance(least, int) and job[field] >= least):
            return time.perf_counter()
        if job["state"] == "failed":
            raise RuntimeError(job["reason"])
        await asyncio.sleep(0.02)


async def measure_job(client: httpx.AsyncClient, base: str, *, dataset: str, model: str) -> tuple[float, float, float]:
    """Seconds from the request to its answer, to the start of the attempt, and to its first step."""
    body = {"job_name": "latency", "base_model": model, "dataset_id": dataset, "hyperparameters": _SETTINGS}
    began = time.perf_counter()
    answer = await client.post(base + _JOBS, json=body)
    answered = time.perf_counter()
    answer.raise_for_status()
    url = f"{base}{_JOBS}/{answer.json()['job_id']}"
    started = await until(client, url, "state", "running")
    stepped = await until(client, url, "step", 1)
    (await client.post(url + "/stop")).raise_for_status()
    await until(client, url, "state", "stopped")
    return answered - began, started - began, stepped - began


def bare_first_step(model: Path) -> float:
    """Seconds from the start of a bare TRL script to its first step."""
    with tempfile.TemporaryDirectory() as folder:
        job = describe(model, Path(folder), steps=2, batch=4)
        began = time.perf_counter()
        command = [sys.executable, "-u", str(Path(__file__).with_name("bare_trl.py")), str(job)]
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as process:  # noqa: S603 - this interpreter
            assert process.stdout is not None
            for line in process.stdout:
                if line.startswith("{'loss'"):
                    first = time.perf_counter() - began
                    process.kill()
                    return first
    message = "the bare script ended without a step"
    raise RuntimeError(message)


async def measure(model: Path, jobs: int) -> int:
    with tempfile.TemporaryDirectory(prefix="bench") as name:
        folder = Path(name)
        settings = settings_for_tests(folder / "stack", *_PARTS).model_copy(update={"base_model_dir": model})
        describe(model, folder, steps=_STEPS * 4, batch=4)
        async with (
            LocalStack(settings, quiet=True) as stack,
            httpx.AsyncClient(headers={"Authorization": f"Bearer {stack.token('engineer')}"}, timeout=60) as client,
            asyncio.timeout(_LONGEST_S * jobs),
        ):
            await define_task(stack.urls.kafka_bootstrap, settings.base_model)
            lines = varied((folder / "train.jsonl").read_text())
            dataset = await upload(client, stack.urls.dataset, lines)
            await known(client, stack.urls.trainer, dataset, settings.base_model)
            seen = [
                await measure_job(client, stack.urls.trainer, dataset=dataset, model=settings.base_model)
                for _ in range(jobs)
            ]
    bare = [bare_first_step(model) for _ in range(jobs)]
    return report(seen, bare)


def varied(lines: str) -> str:
    """The samples as an upload: messages alone."""
    return "\n".join(json.dumps({"messages": json.loads(line)["messages"]}) for line in lines.splitlines()) + "\n"


async def known(client: httpx.AsyncClient, base: str, dataset: str, model: str) -> None:
    """Waits until the trainer has heard of a dataset."""
    body = {"job_name": "latency", "base_model": model, "dataset_id": dataset, "hyperparameters": _SETTINGS}
    while True:
        if (await client.post(f"{base}{_JOBS}/estimate", json=body)).is_success:
            return
        await asyncio.sleep(0.2)


def report(seen: list[tuple[float, float, float]], bare: list[float]) -> int:
    answers, starts, steps = (sorted(column) for column in zip(*seen, strict=True))
    slowest_ms = answers[-1] * 1000
    sys.stdout.write(
        f"{len(seen)} jobs: answered within {slowest_ms:.0f} ms (limit {ANSWER_LIMIT_MS:g} ms), "
        f"taken from the queue after {statistics.median(starts):.2f} s, "
        f"first step after {statistics.median(steps):.2f} s (medians)\n"
        f"a bare TRL script: first step {statistics.median(bare):.2f} s after its start; "
        f"ratio {min(steps) / min(bare):.2f} of the quickest\n"
    )
    return 0 if slowest_ms <= ANSWER_LIMIT_MS else 1


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", type=Path, help="folder of an instruction-tuned model")
    parser.add_argument("--jobs", type=int, default=3, help="jobs, one after the other")
    chosen = parser.parse_args()
    return asyncio.run(measure(chosen.model.resolve(), chosen.jobs))


if __name__ == "__main__":
    sys.exit(main())
