"""Fifty requests a second through the real router while champions change: nobody notices but by the answers."""

import asyncio
import time
from collections.abc import AsyncGenerator
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest
import pytest_asyncio
import yaml
from aiokafka import AIOKafkaProducer

from loopwright.settings import CommonSettings
from loopwright.storage import open_storage
from loopwright.testing.records import a_record
from loopwright.testing.waiting import eventually
from loopwright_local.settings import LocalSettings
from loopwright_local.stack import LocalStack
from loopwright_local.steady_load import SteadyLoad

pytestmark = pytest.mark.integration
ADMIN = "/api/v1/admin"


@dataclass
class Loaded:
    """The registry and the router as processes, with scripted servers in vLLM's place."""

    stack: LocalStack
    world: object
    client: httpx.AsyncClient
    task_id: str

    async def deployment(self) -> dict[str, object]:
        answer = await self.client.get(f"{self.stack.urls.registry}{ADMIN}/deployments/{self.task_id}")
        return answer.json() if answer.is_success else {}

    async def change(self, path: str, **more: object) -> None:
        body = {"revision": (await self.deployment())["revision"], "reason": "test", **more}
        answer = await self.client.post(f"{self.stack.urls.registry}{ADMIN}/{path}", json=body)
        assert answer.is_success, answer.text

    async def train(self) -> None:
        """What trainer-svc would say: a job that ended with an adapter."""
        env = {name.removeprefix("LOOPWRIGHT_").lower(): value for name, value in self.stack.plan.env.items()}
        self.world.storage = open_storage(CommonSettings.model_validate(env))
        record = a_record(await self.world.a_finished_job(cases=4))
        producer = AIOKafkaProducer(bootstrap_servers=self.stack.urls.kafka_bootstrap)
        await producer.start()
        await producer.send_and_wait(record.topic, value=record.value, key=record.key, headers=list(record.headers))
        await producer.stop()


@pytest_asyncio.fixture(loop_scope="session")
async def loaded(world, base_model, mlflow_uri, tmp_path: Path) -> AsyncGenerator[Loaded]:
    (tmp_path / "packs").mkdir()
    gate = {"min_cases": 1, "min_accuracy_0_1": 0.0, "max_regression_0_1": 1.0}
    pack = world.pack(gate=gate, answer_schema=None, answer_field=None)
    (tmp_path / "packs" / "mood.yaml").write_text(yaml.safe_dump(pack.model_dump(mode="json")))
    settings = LocalSettings(
        dir=tmp_path / "stack", postgres_fsync=False, mlflow_uri=mlflow_uri,
        vllm_urls=(world.vllm.url, world.second_vllm.url), tasks_dir=tmp_path / "packs", base_model=base_model,
        service_env={
            "REGISTRY_ARTEFACT_POLICY": "off", "REGISTRY_RECONCILE_S": "0.2", "REGISTRY_PACK_SCAN_S": "0.2",
            "REGISTRY_UNLOAD_GRACE_S": "1",
        },
    )  # fmt: skip
    # a broker of its own: what registries with other databases said elsewhere is not this router's to follow
    parts = ("postgres", "kafka", "migrations", "topics", "registry", "router")
    settings = settings.with_free_ports().with_only(*parts)
    async with LocalStack(settings, quiet=True) as stack:
        headers = {"Authorization": f"Bearer {stack.token('admin')}"}
        async with httpx.AsyncClient(headers=headers, timeout=30) as client:
            yield Loaded(stack, world, client, world.task_id)


async def changed(loaded: Loaded, load: SteadyLoad, variant: str, path: str, **more: object) -> None:
    """Changes who is in charge, and waits for the first answer by it; how long that takes, bench/promotion.py shows."""
    begun = time.monotonic()
    await loaded.change(path, **more)
    await load.first_by(variant, since=begun)
    await asyncio.sleep(0.5)


@pytest.mark.timeout(400)
async def test_promotion_and_rollback_lose_no_request_and_a_server_that_forgot_gets_its_adapter_back(
    loaded, base_model
):
    candidate, base = f"{loaded.task_id}:1", f"{base_model}:1"
    await eventually(loaded.deployment)
    await loaded.train()

    async def deployed() -> bool:
        return (await loaded.deployment())["candidates"] == [candidate]

    await eventually(deployed, timeout_s=120)
    load = SteadyLoad(loaded.stack.urls.router, loaded.task_id, rate_hz=50)
    promote, name = f"models/{loaded.task_id}/versions/1/promote", f"{loaded.task_id}-v1"
    async with load.running():
        await changed(loaded, load, candidate, promote, task_id=loaded.task_id)
        await changed(loaded, load, base, f"deployments/{loaded.task_id}/rollback")

        async def unloaded() -> bool:
            return not loaded.world.vllm.adapters

        await eventually(unloaded)
        await changed(loaded, load, candidate, promote, task_id=loaded.task_id)
        loaded.world.vllm.restart()

        async def restored() -> bool:
            return name in loaded.world.vllm.adapters

        await eventually(restored)
    assert load.failures() == {}
    assert set(load.by_variant()) == {candidate, base}
