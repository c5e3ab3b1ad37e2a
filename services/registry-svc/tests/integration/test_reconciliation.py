"""What our rows say comes true outside: base models in charge, adapters loaded again."""

import pytest

from loopwright.contracts.registry import DEPLOYMENT_CHANGED, MODEL_REGISTERED
from loopwright.errors import ServingUnavailable
from registry_svc.adapters.vllm import AdapterRefused, VllmServers

pytestmark = pytest.mark.integration


class TestBaseModels:
    async def test_a_task_waits_until_a_server_serves_its_base_model(self, world, base_model):
        await world.declare()
        world.vllm.base_model = world.second_vllm.base_model = "something-else"
        await world.base_models.step()
        assert await world.announced(DEPLOYMENT_CHANGED) == []

        world.vllm.base_model = base_model
        await world.base_models.step()
        (event,) = await world.announced(DEPLOYMENT_CHANGED)
        assert event.champion.variant.variant_id == f"{base_model}:1"
        assert event.champion.variant.adapter is None
        assert event.champion.backend_urls == (world.vllm.url,)

    async def test_a_base_model_is_registered_once_for_all_tasks(self, world, base_model):
        for number in range(2):
            world.task_id = f"{world.task_id}-{number}"
            await world.declare()
        for _ in range(2):
            await world.base_models.step()

        (event,) = await world.announced(MODEL_REGISTERED)
        assert (event.model_name, event.model_version, event.format) == (base_model, 1, "huggingface")
        assert event.artifact is None
        assert len(await world.announced(DEPLOYMENT_CHANGED)) == 2


class TestAdapters:
    async def served(self, world, base_model) -> str:
        await world.declare_and_serve()
        await world.release_job(await world.a_finished_job())
        return f"{world.task_id}-v1"

    async def test_a_restarted_server_gets_its_adapters_back(self, world, base_model):
        name = await self.served(world, base_model)
        folder = world.vllm.adapters[name]
        world.vllm.restart()

        await world.restoring.step()
        assert world.vllm.adapters == {name: folder}
        assert world.second_vllm.loads == 1

    async def test_also_when_the_disk_has_lost_them(self, world, base_model):
        name = await self.served(world, base_model)
        world.vllm.restart()
        for path in next(world.folder.iterdir()).iterdir():
            path.unlink()
        next(world.folder.iterdir()).rmdir()

        await world.restoring.step()
        assert name in world.vllm.adapters

    async def test_a_server_that_is_away_does_not_keep_the_others_waiting(self, world, base_model):
        name = await self.served(world, base_model)
        await world.vllm.stop()
        world.second_vllm.restart()

        await world.restoring.step()
        assert name in world.second_vllm.adapters
        assert len(await world.announced(DEPLOYMENT_CHANGED)) == 2

    async def test_servers_that_moved_are_announced(self, world, base_model):
        name = await self.served(world, base_model)
        await world.second_vllm.stop()
        world.second_vllm = type(world.second_vllm)()
        await world.second_vllm.start()
        await world.reconnect()

        await world.restoring.step()
        last = (await world.announced(DEPLOYMENT_CHANGED))[-1]
        assert set(last.champion.backend_urls) == {world.vllm.url, world.second_vllm.url}
        assert last.revision == 3
        assert name in world.second_vllm.adapters

    async def test_another_adapter_under_the_same_name_is_replaced(self, world, base_model):
        name = await self.served(world, base_model)
        folder = world.vllm.adapters[name]
        world.vllm.adapters[name] = "/elsewhere"

        await world.restoring.step()
        assert world.vllm.adapters[name] == folder


class TestVllm:
    async def test_loading_twice_is_loading_once(self, world, tmp_path):
        (tmp_path / "adapter_config.json").touch()

        assert await world.servers.load_adapter(world.vllm.url, "a", folder=tmp_path)
        assert not await world.servers.load_adapter(world.vllm.url, "a", folder=tmp_path)

    async def test_somebody_faster_is_no_refusal(self, world, tmp_path, monkeypatch):
        async def nothing_loaded(_: str) -> list[object]:
            return []

        world.vllm.adapters["a"] = str(tmp_path)
        monkeypatch.setattr(world.servers, "models", nothing_loaded)
        assert not await world.servers.load_adapter(world.vllm.url, "a", folder=tmp_path)

    async def test_a_refusal_carries_what_the_server_said(self, world, tmp_path):
        with pytest.raises(AdapterRefused, match="No adapter found"):
            await world.servers.load_adapter(world.vllm.url, "a", folder=tmp_path)

    async def test_what_is_no_vllm_is_unavailable(self, world):
        servers = VllmServers([world.router.url + "/nothing"], timeout_s=5)
        with pytest.raises(ServingUnavailable, match="404"):
            await servers.backends_of("x")
        await servers.close()
