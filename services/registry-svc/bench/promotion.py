# ruff: noqa: INP001, T201 - a script that prints
"""Promotion and rollback under load, a killed vLLM, a whole model: real Kafka, PostgreSQL, MLflow, router, registry, vLLM.

Run: python services/registry-svc/bench/promotion.py [--rate 50] [--settle 4] [--steps load kill whole]
"""

import argparse
import asyncio
import json
import sys
import tempfile
import time
from asyncio.subprocess import DEVNULL
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import httpx
import tiny
import yaml
from aiokafka import AIOKafkaProducer

from loopwright.contracts.base import Artifact
from loopwright.contracts.jobs import JobFinished
from loopwright.contracts.registry import JOB_FINISHED
from loopwright.settings import CommonSettings
from loopwright.storage import open_storage
from loopwright.testing.examples import an_event
from loopwright.testing.records import a_record
from loopwright_local.parts.vllm import vllm_part
from loopwright_local.settings import free_ports
from loopwright_local.stack import LocalStack
from loopwright_local.steady_load import SteadyLoad
from loopwright_local.testing import settings_for_tests

_BASE, _TASK = "tiny-bench", "bench"
_PARTS = ("postgres", "kafka", "mlflow", "vllm", "migrations", "topics", "registry", "router")
_STEPS = ("load", "kill", "whole")
_LIMIT_S = 2.0
# on CPU; the whole model's arguments beside those that registry-svc adds
_VLLM = ("--enforce-eager", "--max-model-len", "512", "--dtype", "float32", "--distributed-executor-backend", "uni")
_ADMIN = "/api/v1/admin"
_PACK = {
    "task_id": _TASK,
    "title": "Bench",
    "base_model": _BASE,
    "prompt": {"system": "", "user": "{input}"},
    "generation": {"temperature": 0.0, "max_tokens": 1},
    "success_metric": {"name": "stars", "kind": "stars"},
    "gate": {"min_cases": 1, "min_accuracy_0_1": 0.0, "max_regression_0_1": 1.0},
}


@dataclass(frozen=True)
class Bench:
    """What every step needs."""

    stack: LocalStack
    client: httpx.AsyncClient
    load: SteadyLoad

    async def deployment(self) -> dict[str, object]:
        answer = await self.client.get(f"{self.stack.urls.registry}{_ADMIN}/deployments/{_TASK}")
        return answer.json() if answer.is_success else {}

    async def change(self, path: str, **more: object) -> None:
        """Changes the deployment."""
        body = {"reason": "bench", **more}
        answer = await self.client.post(f"{self.stack.urls.registry}{_ADMIN}/{path}", json=body)
        if not answer.is_success:
            raise SystemExit(f"{path}: {answer.status_code} {answer.text}")

    async def loaded(self) -> set[str]:
        """Adapters that vLLM lists; none while it is away."""
        try:
            answer = await self.client.get(f"{self.stack.urls.vllm[0]}/v1/models")
        except httpx.HTTPError:
            return set()
        return {model["id"] for model in answer.json()["data"] if model.get("parent")} if answer.is_success else set()


async def until(condition: Callable[[], Awaitable[bool]], *, timeout_s: float = 120) -> float:
    """Seconds until a condition holds."""
    begun = time.monotonic()
    async with asyncio.timeout(timeout_s):
        while not await condition():  # noqa: ASYNC110 - other processes change it
            await asyncio.sleep(0.05)
    return time.monotonic() - begun


async def publish(stack: LocalStack, products: list[tuple[str, bytes]]) -> None:
    """Says what trainer-svc would say: jobs of some kinds that ended with files."""
    env = {name.removeprefix("LOOPWRIGHT_").lower(): value for name, value in stack.plan.env.items()}
    storage = open_storage(CommonSettings.model_validate(env))
    case = {
        "sample_id": "s1", "task_id": _TASK, "input": "hello", "source": "rating",
        "messages": [{"role": "user", "content": "hello"}, {"role": "assistant", "content": "hello"}],
    }  # fmt: skip
    held_out = await storage.put_bytes(json.dumps(case).encode(), kind="splits", suffix=".jsonl", media_type="x/y")
    producer = AIOKafkaProducer(bootstrap_servers=stack.urls.kafka_bootstrap)
    await producer.start()
    for kind, content in products:
        artifact = await storage.put_bytes(content, kind="adapters", suffix=".tar", media_type="application/x-tar")
        record = a_record(finished(kind, artifact, held_out))
        await producer.send_and_wait(record.topic, value=record.value, key=record.key, headers=list(record.headers))
    await producer.stop()


def finished(kind: str, artifact: Artifact, held_out: Artifact) -> JobFinished:
    split = {"artifact": held_out.model_dump(mode="json"), "samples": 1}
    made = {"adapter" if kind == "train" else "product": artifact.model_dump(mode="json")}
    data = {"dataset_id": "d1", "version_id": "d1v1", "train": split, "validation": split, "held_out": split}
    return an_event(
        JOB_FINISHED, job_id=f"job-{artifact.sha256[:12]}", kind=kind, task_id=_TASK, base_model=_BASE,
        mlflow_run_id=None, training_data=data, **({"adapter": None} | made),
    )  # fmt: skip


async def timed(bench: Bench, title: str, variant: str, change: Callable[[object], Awaitable[None]]) -> float:
    """Changes who is in charge under load; seconds from the call to the first answer of the new champion."""
    seen = (await bench.deployment())["revision"]
    begun = time.monotonic()
    await change(seen)
    answered_s = time.monotonic() - begun
    first_s = await bench.load.first_by(variant, since=begun)
    print(f"{title:<34}{answered_s:8.3f} s until the call answered{first_s:8.3f} s until {variant} answered a user")
    return first_s


async def promote_and_roll_back(bench: Bench, *, settle_s: float) -> list[float]:
    first, second = f"{_TASK}:1", f"{_TASK}:2"
    steps = (
        ("promote the first adapter", first, f"models/{_TASK}/versions/1/promote", {"task_id": _TASK}),
        ("promote the second adapter", second, f"models/{_TASK}/versions/2/promote", {"task_id": _TASK}),
        ("roll back to the one before", first, f"deployments/{_TASK}/rollback", {}),
        ("roll back to the base, by name", f"{_BASE}:1", f"deployments/{_TASK}/rollback", {"variant_id": f"{_BASE}:1"}),
        ("promote what was unloaded", second, f"models/{_TASK}/versions/2/promote", {"task_id": _TASK}),
    )
    took: list[float] = []
    async with bench.load.running():
        await asyncio.sleep(settle_s)
        for title, variant, path, more in steps:
            if title == "promote what was unloaded":
                left_s = await until(lambda: _is_empty(bench))
                print(f"{'both adapters left vLLM':<34}{left_s:8.3f} s after the rollback settled")
            took.append(await timed(bench, title, variant, partial(_change, bench, path, more)))
            await asyncio.sleep(settle_s)
    return took


async def _change(bench: Bench, path: str, more: dict[str, str], revision: object) -> None:
    await bench.change(path, revision=revision, **more)


async def _is_empty(bench: Bench) -> bool:
    return not await bench.loaded()


async def kill_vllm(bench: Bench) -> None:
    """Kills the server; its supervisor starts it again, registry-svc gives its adapters back."""
    wanted = await bench.loaded()
    begun = time.monotonic()
    await bench.stack.kill("vllm")
    await bench.stack.wait_ready("vllm")
    up_s = time.monotonic() - begun

    async def restored() -> bool:
        return await bench.loaded() == wanted

    back_s = await until(restored)
    print(f"vLLM killed: up again after {up_s:.1f} s, {len(wanted)} adapter(s) back {back_s:.2f} s after that")


async def serve_whole_model(bench: Bench, folder: Path) -> None:
    """Has registry-svc start a vLLM for a merged model, asks it through the router, and takes it away again."""
    begun = time.monotonic()
    await publish(bench.stack, [("merge", (folder / "whole.tar").read_bytes())])
    version, seen = 3, (await bench.deployment())["revision"]
    body = {"reason": "bench", "task_id": _TASK, "revision": seen}
    url = f"{bench.stack.urls.registry}{_ADMIN}/models/{_TASK}/versions/{version}"

    async def deployed() -> bool:
        return (await bench.client.post(f"{url}/deploy", json=body)).is_success

    await until(deployed, timeout_s=240)
    deployed_s = time.monotonic() - begun
    question = {"model": f"{_TASK}@{_TASK}:{version}", "messages": [{"role": "user", "content": "x"}], "max_tokens": 1}

    async def answered() -> bool:
        answer = await bench.client.post(f"{bench.stack.urls.router}/v1/chat/completions", json=question)
        return answer.is_success and answer.headers["x-loopwright-variant"] == f"{_TASK}:{version}"

    await until(answered)
    print(f"whole model: registered, started and deployed after {deployed_s:.1f} s, then answered through the router")
    (server,) = (await bench.deployment())["own_servers"]
    await bench.change(f"models/{_TASK}/versions/{version}/undeploy", task_id=_TASK, revision=seen + 1)

    async def gone() -> bool:
        try:
            await bench.client.get(f"{server['url']}/health")
        except httpx.HTTPError:
            return True
        return False

    print(f"whole model: its vLLM ended {await until(gone):.1f} s after it was undeployed")


def report(bench: Bench, took: list[float]) -> int:
    load = bench.load
    failed, count = load.failures(), len(load.answers)
    times = sorted(one.answered_at - one.asked_at for one in load.answers)
    for one in load.answers:
        if one.problem is not None:
            print(
                f"failed {one.asked_at - load.answers[0].asked_at:.2f} s after the first: {one.variant} {one.problem}"
            )
    seconds = max(one.answered_at for one in load.answers) - min(one.asked_at for one in load.answers)
    print(
        f"{count} requests in {seconds:.1f} s ({count / seconds:.1f} a second), {failed.total()} failed {dict(failed)}"
    )
    print(f"answers: median {times[count // 2] * 1000:.0f} ms, 99 % within {times[int(count * 0.99)] * 1000:.0f} ms")
    print(f"answered by {dict(load.by_variant())}")
    good = failed.total() == 0 and max(took) < _LIMIT_S
    print(f"slowest change {max(took):.3f} s of {_LIMIT_S:g} s allowed: {'kept' if good else 'NOT KEPT'}")
    return 0 if good else 1


async def measure(rate_hz: float, settle_s: float, steps: Sequence[str]) -> int:
    with tempfile.TemporaryDirectory(prefix="bench") as name:
        folder = Path(name)
        # in a process of its own: torch's threads and memory stay out of what is measured
        making = await asyncio.create_subprocess_exec(sys.executable, tiny.__file__, str(folder), stderr=DEVNULL)
        if await making.wait() != 0:
            raise SystemExit("the tiny model could not be made")
        (folder / "tasks").mkdir()
        (folder / "tasks" / "bench.yaml").write_text(yaml.safe_dump(_PACK))
        settings = settings_for_tests(folder / "stack", *_PARTS).model_copy(
            update={
                "base_model": _BASE,
                "base_model_dir": folder / "base",
                "tasks_dir": folder / "tasks",
                "service_env": {"REGISTRY_UNLOAD_GRACE_S": "10", "REGISTRY_RECONCILE_S": "1"},
            }
        )
        vllm = vllm_part(settings)
        launching = {
            "REGISTRY_LAUNCH_COMMAND": json.dumps(vllm.command[:3]),
            "REGISTRY_LAUNCH_ARGUMENTS": json.dumps(_VLLM),
            "REGISTRY_LAUNCH_ENV": json.dumps(vllm.env),
            "REGISTRY_LAUNCH_LOG_DIR": str(folder / "servers"),
            "REGISTRY_LAUNCH_FIRST_PORT": str(free_ports(1)[0]),
        }
        settings = settings.model_copy(update={"service_env": settings.service_env | launching})
        async with LocalStack(settings, quiet=True) as stack:
            headers = {"Authorization": f"Bearer {stack.token('admin')}"}
            async with httpx.AsyncClient(headers=headers, timeout=60) as client:
                bench = Bench(stack, client, SteadyLoad(stack.urls.router, _TASK, rate_hz))
                return await run(bench, folder, settle_s=settle_s, steps=steps)


async def run(bench: Bench, folder: Path, *, settle_s: float, steps: Sequence[str]) -> int:
    async def has_candidates() -> bool:
        candidates = (await bench.deployment()).get("candidates")
        return isinstance(candidates, list) and len(candidates) == 2

    await until(lambda: _has_champion(bench))
    await publish(bench.stack, [("train", (folder / f"{number}.tar").read_bytes()) for number in (1, 2)])
    print(f"two adapters registered, loaded and evaluated after {await until(has_candidates):.1f} s")
    took = await promote_and_roll_back(bench, settle_s=settle_s) if "load" in steps else []
    if "kill" in steps:
        await kill_vllm(bench)
    if "whole" in steps:
        await serve_whole_model(bench, folder)
    return report(bench, took) if took else 0


async def _has_champion(bench: Bench) -> bool:
    return bool(await bench.deployment())


if __name__ == "__main__":
    arguments = argparse.ArgumentParser()
    arguments.add_argument("--rate", type=float, default=50.0)
    arguments.add_argument("--settle", type=float, default=4.0, help="seconds of load between two changes")
    arguments.add_argument("--steps", nargs="+", choices=_STEPS, default=_STEPS)
    given = arguments.parse_args()
    sys.exit(asyncio.run(measure(given.rate, given.settle, given.steps)))
