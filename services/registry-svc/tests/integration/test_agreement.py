"""MLflow and our rows say the same, whatever either of them lost and wherever the process that changed them was killed."""

import asyncio
import json
import os
import signal
import sys
from collections.abc import AsyncGenerator
from pathlib import Path

import pytest
import pytest_asyncio

from loopwright.errors import TrackingUnavailable
from registry_svc.adapters.mlflow import Registration
from registry_svc.domain.agreement import FindingKind
from registry_svc.handlers.deployments import change_deployment
from registry_svc.store.deployments import get_deployment

pytestmark = pytest.mark.integration
SCRIPT = Path(__file__).with_name("killed_steps.py")
CLIENT, MLFLOW = "registry_svc.adapters.mlflow:MlflowClient", "registry_svc.adapters.mlflow:MlflowRegistry"
STEPS_OF_A_REGISTRATION = [
    ("registry_svc.adapters.adapter_files:AdapterFiles.ensure", "after"),
    (f"{CLIENT}.create_registered_model", "after"),
    (f"{CLIENT}.create_run", "after"),
    (f"{CLIENT}.create_model_version", "before"),
    (f"{CLIENT}.create_model_version", "after"),
    ("registry_svc.handlers.admission:add_model", "after"),
    ("registry_svc.handlers.releases:admit", "after"),
    ("registry_svc.jobs.releases:register_release", "after"),
    ("registry_svc.jobs.releases:ReleasePipeline._register", "after"),
]
STEPS_OF_A_PROMOTION = [
    ("registry_svc.adapters.vllm:VllmServers.load_adapter", "after"),
    ("registry_svc.handlers.promotions:bring_up", "after"),
    ("registry_svc.handlers.uses:save_status", "before"),
    ("registry_svc.handlers.uses:save_status", "after"),
    ("registry_svc.handlers.deployments:save_deployment", "after"),
    ("registry_svc.handlers.deployments:end_release", "after"),
    ("registry_svc.handlers.promotions:promote", "after"),
]
STEPS_OF_AN_AGREEMENT = [
    (f"{MLFLOW}.everything", "after"),
    (f"{MLFLOW}.set_alias", "before"),
    (f"{MLFLOW}.set_alias", "after"),
    (f"{MLFLOW}.set_tag", "before"),
    (f"{MLFLOW}.set_tag", "after"),
    (f"{CLIENT}.log_text", "after"),
    (f"{MLFLOW}.log_card", "after"),
]


class Dying:
    """A registry-svc that dies where it is told to."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process

    async def does(self, act: str, *, target: str = "", at: tuple[str, str] | None = None) -> int:
        """Exit status of an act; negative if it was killed."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        order = {"act": act, "target": target} | ({} if at is None else {"place": at[0], "when": at[1]})
        self._process.stdin.write(json.dumps(order).encode() + b"\n")
        return int(await self._process.stdout.readline())

    async def is_killed(self, act: str, *, at: tuple[str, str], target: str = "") -> None:
        assert await self.does(act, target=target, at=at) == -signal.SIGKILL, at


@pytest_asyncio.fixture(loop_scope="session")
async def dying(tracked_world, mlflow_uri: str, storage_uri: str) -> AsyncGenerator[Dying]:
    world = tracked_world
    settings = {
        "task_id": world.task_id, "database_url": world.database.url, "mlflow_uri": mlflow_uri,
        "storage_uri": storage_uri, "folder": str(world.folder), "router_url": world.router.url,
        "vllm_urls": json.dumps([world.vllm.url, world.second_vllm.url]),
    }  # fmt: skip
    process = await asyncio.create_subprocess_exec(
        sys.executable, str(SCRIPT), json.dumps(settings), env=dict(os.environ),  # noqa: TID251 - a child's environment
        stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE,
    )  # fmt: skip
    yield Dying(process)
    process.stdin.close()
    await process.wait()


async def check_agreement(world, *, at: object) -> None:
    """Rows and MLflow say the same, and rows do so among themselves."""
    left = await world.agreeing.differences()
    assert left.none_left, (at, left)
    assert [one for one in left.findings if one.model_name == world.task_id] == [], at
    (deployment,) = await world.rows("deployments", "champion")
    in_charge = [
        f"{row['model_name']}:{row['version']}"
        for row in await world.rows("model_versions", "model_name, version, status")
        if row["status"] == "production"
    ]
    assert in_charge == [deployment["champion"]], at


async def aliases(world, name: str) -> dict[str, int]:
    return dict((await world.mlflow.everything()).aliases[name])


@pytest.mark.timeout(400)
async def test_rows_and_mlflow_agree_after_a_kill_at_every_step_on_the_way_into_charge(
    tracked_world, dying, base_model
):
    world = tracked_world
    await world.declare_and_serve()
    for _ in range(2):
        await world.handle(await world.a_finished_job())
    for step in STEPS_OF_A_REGISTRATION:
        await dying.is_killed("release", at=step)
        assert await dying.does("agree") == 0, step
        await check_agreement(world, at=step)
    assert await dying.does("release") == 0
    assert await dying.does("agree") == 0
    versions = [row for row in await world.rows("model_versions") if row["job_id"]]
    there = [one for one in (await world.mlflow.everything()).versions if one.name == world.task_id]
    assert [row["version"] for row in versions] == [1, 2]
    assert sorted(one.version for one in there) == [row["mlflow_version"] for row in versions]  # none was made twice

    targets = [f"{world.task_id}:1", f"{world.task_id}:2"]
    for number, step in enumerate(STEPS_OF_A_PROMOTION):
        target = targets[number % 2]
        await dying.is_killed("promote", target=target, at=step)
        assert await dying.does("agree") == 0, step
        await check_agreement(world, at=step)
        assert await dying.does("settle", target=target) == 0
        await check_agreement(world, at=(step, "done"))
        assert (await aliases(world, world.task_id))["production"] == number % 2 + 1

    for number, step in enumerate(STEPS_OF_AN_AGREEMENT, start=len(STEPS_OF_A_PROMOTION)):
        target = targets[number % 2]
        await dying.is_killed("settle", target=target, at=step)
        assert await dying.does("agree") == 0, step
        await check_agreement(world, at=step)
        assert (await aliases(world, world.task_id))["production"] == number % 2 + 1

    uses = await world.rows("model_uses", "kind")
    changes = len(STEPS_OF_A_PROMOTION) + len(STEPS_OF_AN_AGREEMENT)
    taken = [use["kind"] for use in uses if use["kind"] in {"promoted", "rolled_back_to"}]
    assert len(taken) == 1 + changes  # each once, and the base model at first
    assert taken.count("promoted") == 3


class TestLoss:
    async def registered(self, world) -> None:
        await world.declare_and_serve()
        await world.handle(await world.a_finished_job())
        await world.pipeline.step()
        await world.agreeing.step()

    async def test_a_version_that_mlflow_lost_is_registered_again(self, tracked_world):
        world = tracked_world
        await self.registered(world)
        client = world.mlflow._client
        client.delete_model_version(world.task_id, "1")

        assert await world.agreeing.step()
        await world.agreeing.step()
        (row,) = [row for row in await world.rows("model_versions") if row["job_id"]]
        assert (row["version"], row["mlflow_version"]) == (1, 2)
        assert await aliases(world, world.task_id) == {"staging": 2}
        assert (await world.agreeing.differences()).none_left
        assert "tracked_again" in [use["kind"] for use in await world.rows("model_uses", "kind")]
        files = {item.path for item in client.list_artifacts(row["mlflow_run_id"], "model")}
        assert "model/adapter_model.safetensors" in files

    async def test_the_whole_model_too(self, tracked_world):
        world = tracked_world
        await self.registered(world)
        world.mlflow._client.delete_registered_model(world.task_id)
        while await world.agreeing.step():
            pass
        assert await aliases(world, world.task_id) == {"staging": 1}
        assert (await world.agreeing.differences()).none_left

    async def test_what_only_mlflow_knows_is_marked_and_reported_and_never_deleted(self, tracked_world):
        world = tracked_world
        await self.registered(world)
        lost = Registration(
            name=world.task_id, subject="job:of-another-time", run_id=None, reference={}, files=None, tags={},
            description="",
        )  # fmt: skip
        await world.mlflow.register(lost)
        for _ in range(2):
            await world.agreeing.step()

        findings = [row for row in await world.rows("mlflow_findings") if row["model_name"] == world.task_id]
        assert [(row["mlflow_version"], row["kind"]) for row in findings] == [(2, FindingKind.ROW_LOST)]
        version = world.mlflow._client.get_model_version(world.task_id, "2")
        assert "no row is left" in version.tags["loopwright.unknown"]
        assert await aliases(world, world.task_id) == {"staging": 1}

    async def test_the_card_is_in_mlflow_and_follows_the_facts(self, tracked_world):
        world = tracked_world
        await self.registered(world)
        client = world.mlflow._client
        assert f"# {world.task_id}:1" in client.get_model_version(world.task_id, "1").description
        async with world.work() as unit:
            deployment = await get_deployment(unit.session, world.task_id, lock=True)
            same = deployment.with_backends(deployment.backend_urls)
            await change_deployment(same, unit, reason="nothing of the version changed", by="test")
        (before,) = [row["card_logged_at"] for row in await world.rows("model_versions") if row["job_id"]]
        await world.agreeing.step()
        (after,) = [row["card_logged_at"] for row in await world.rows("model_versions") if row["job_id"]]
        assert after == before
        files = {
            item.path for item in client.list_artifacts(client.get_model_version(world.task_id, "1").run_id, "model")
        }
        assert {"model/MODEL_CARD.md", "model/model_card.json"} <= files

    async def test_a_server_that_is_away_changes_nothing(self, tracked_world, monkeypatch):
        world = tracked_world
        await self.registered(world)
        before = await world.rows("model_versions")

        async def away() -> None:
            raise TrackingUnavailable("mlflow.unavailable", "away")

        monkeypatch.setattr(world.mlflow, "everything", away)
        with pytest.raises(TrackingUnavailable):
            await world.agreeing.step()
        assert await world.rows("model_versions") == before
