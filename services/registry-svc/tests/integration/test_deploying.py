"""Versions beside the champion: loaded and probed before anybody hears of them, unloaded when nothing needs them."""

import asyncio
from types import SimpleNamespace

import pytest
import pytest_asyncio

from loopwright.contracts.registry import DEPLOYMENT_CHANGED
from loopwright.errors import Conflict, ServingUnavailable
from registry_svc.adapters.serving import ServerFull, Serving
from registry_svc.adapters.vllm import AdapterRefused
from registry_svc.domain.models import VariantId
from registry_svc.handlers.promotions import Order, promote, roll_back
from registry_svc.handlers.room import Means, bring_up, hold_adapter
from registry_svc.handlers.standby import deploy, undeploy
from registry_svc.queries.deployments import read_deployment
from registry_svc.store.models import get_model

pytestmark = pytest.mark.integration


@pytest_asyncio.fixture(loop_scope="session")
async def family(world):
    """A world with three versions that their gate rejected, so that none of them is deployed."""
    await world.declare_and_serve()
    for _ in range(3):
        await world.release_job(await world.a_finished_job(cases=3))
        world.list_variants(*(f"{world.task_id}:{number}" for number in range(1, 4)), "tiny-base:1")
        while any(row["state"] != "rejected" for row in await world.rows("releases")):
            await world.pipeline.step()  # one that waits for a server that is slow to answer is not due at once
    world.router.models.clear()
    for server in (world.vllm, world.second_vllm):
        server.restart()
        server.asked.clear()
    return world


def version(world, number: int) -> VariantId:
    return VariantId(world.task_id, number)


async def order(world, reason: str = "to be asked by name") -> Order:
    async with world.work() as unit:
        revision = (await read_deployment(unit, world.task_id)).revision
    return Order(task_id=world.task_id, revision=revision, reason=reason, by="somebody")


async def put_up(world, *numbers: int) -> None:
    for number in numbers:
        await deploy(version(world, number), await order(world), world.means)


class TestDeploy:
    async def test_every_server_answers_for_it_before_anybody_hears_of_it(self, family):
        name = f"{family.task_id}-v1"
        await put_up(family, 1)

        for server in (family.vllm, family.second_vllm):
            assert name in server.adapters
            assert server.asked == [name]
        last = (await family.announced(DEPLOYMENT_CHANGED))[-1]
        assert [one.variant.served_name for one in last.candidates] == [name]
        assert (last.changed_by, last.reason) == ("somebody", "to be asked by name")

    async def test_an_adapter_that_is_listed_and_does_not_answer_is_not_announced(self, family):
        said = await family.announced(DEPLOYMENT_CHANGED)
        family.second_vllm.silent.add(f"{family.task_id}-v1")
        with pytest.raises(AdapterRefused, match="does not answer for it: 500"):
            await put_up(family, 1)
        assert await family.announced(DEPLOYMENT_CHANGED) == said

    async def test_nothing_changes_when_it_is_deployed_already(self, family):
        await put_up(family, 1)
        said = await family.announced(DEPLOYMENT_CHANGED)
        await put_up(family, 1)
        assert await family.announced(DEPLOYMENT_CHANGED) == said

    async def test_who_is_not_deployed_or_in_charge_cannot_be_taken_away(self, family, base_model):
        with pytest.raises(Conflict, match="not deployed"):
            await undeploy(version(family, 1), await order(family), family.means)
        with pytest.raises(Conflict, match="in charge"):
            await undeploy(VariantId(base_model, 1), await order(family), family.means)


class TestUnload:
    async def test_an_adapter_leaves_when_the_router_has_forgotten_it_and_the_grace_is_over(self, family):
        family.grace_s = 0.3
        await family.reconnect()
        name = f"{family.task_id}-v1"
        await put_up(family, 1)
        family.list_variants(str(version(family, 1)))
        await undeploy(version(family, 1), await order(family), family.means)

        await family.restoring.step()
        await asyncio.sleep(0.4)
        await family.restoring.step()
        assert name in family.vllm.adapters  # the router still sends requests to it

        family.router.models.clear()
        await family.restoring.step()
        assert name in family.vllm.adapters  # answers may be on their way
        await asyncio.sleep(0.4)
        await family.restoring.step()
        assert name not in family.vllm.adapters
        assert name not in family.second_vllm.adapters

    async def test_nothing_is_unloaded_while_the_router_cannot_be_asked(self, family):
        await put_up(family, 1)
        await undeploy(version(family, 1), await order(family), family.means)
        await family.router.stop()
        for _ in range(2):
            await family.restoring.step()
        assert f"{family.task_id}-v1" in family.vllm.adapters

    async def test_what_somebody_is_about_to_deploy_stays(self, family):
        await put_up(family, 1)
        await undeploy(version(family, 1), await order(family), family.means)
        async with family.work() as unit:
            await hold_adapter(version(family, 1), unit)
        for _ in range(2):
            await family.restoring.step()
        assert f"{family.task_id}-v1" in family.vllm.adapters

    async def test_ours_that_nobody_knows_leaves_and_foreign_ones_stay_and_are_reported(self, family):
        family.vllm.adapters |= {"forgotten-v7": str(family.folder.resolve() / ("a" * 64)), "guest": "/elsewhere/guest"}
        for _ in range(2):
            await family.restoring.step()

        assert set(family.vllm.adapters) == {"guest"}
        async with family.work() as unit:
            view = await read_deployment(unit, family.task_id)
        (seen,) = [one for one in view.replicas if one.url == family.vllm.url]
        assert seen.drift == ("guest is not ours, and is left alone",)


class TestCapacity:
    async def full(self, world, most: int) -> Means:
        serving = Serving(world.serving.files, world.servers, max_loras=most)
        world.means = Means(work=world.work, serving=serving, figures=world.figures)
        return world.means

    async def test_the_least_used_makes_room(self, family):
        await self.full(family, 2)
        await put_up(family, 1, 2)
        family.router.metrics = "".join(
            f'loopwright_router_inferences_total{{task="{family.task_id}",variant="{version(family, number)}",'
            f'outcome="answered"}} {uses}\n'
            for number, uses in ((1, 7), (2, 3))
        )
        with pytest.raises(ServingUnavailable, match=f"{version(family, 2)} leaves it to make room"):
            await put_up(family, 3)
        last = (await family.announced(DEPLOYMENT_CHANGED))[-1]
        assert [one.variant.model_version for one in last.candidates] == [1]
        assert "least used (3 answers" in last.reason

        for _ in range(2):
            await family.restoring.step()
        await put_up(family, 3)
        assert set(family.vllm.adapters) == {f"{family.task_id}-v1", f"{family.task_id}-v3"}

    async def test_what_is_in_charge_is_never_evicted(self, family):
        means = await self.full(family, 1)
        await promote(version(family, 1), await order(family), means)
        with pytest.raises(ServerFull) as refused:
            await put_up(family, 2)
        assert refused.value.code == "serving.capacity-exhausted"
        assert refused.value.facts["capacity"] == 1
        assert list(family.vllm.adapters) == [f"{family.task_id}-v1"]

    async def test_the_server_itself_says_how_many_it_holds(self, family):
        family.vllm.max_loras = family.second_vllm.max_loras = 1
        await promote(version(family, 1), await order(family), family.means)
        async with family.work() as unit:
            model = await get_model(unit.session, version(family, 2))
        with pytest.raises(ServerFull):
            await bring_up(model, family.means)
        await family.restoring.step()
        async with family.work() as unit:
            view = await read_deployment(unit, family.task_id)
        assert {(one.capacity, one.capacity_source, one.adapters) for one in view.replicas} == {(1, "metrics", 1)}


class TestRealState:
    async def test_says_what_each_server_has_and_when_it_last_answered(self, family, base_model):
        await put_up(family, 1)
        await family.restoring.step()
        family.vllm.restart()
        away_url = family.second_vllm.url
        await family.second_vllm.stop()
        family.vllm.broken = "no memory"
        await family.restoring.step()
        async with family.work() as unit:
            view = await read_deployment(unit, family.task_id)

        name = f"{family.task_id}-v1"
        assert view.wanted == (base_model, name)
        states = {one.url: one for one in view.replicas}
        lost, away = states[family.vllm.url], states[away_url]
        assert (lost.answers, lost.drift) == (True, (f"{name} is not loaded",))
        assert [model.name for model in lost.models if model.probe_ms is not None] == [base_model]
        assert not away.answers
        assert "cannot be asked" in away.drift[0]

        family.vllm.broken = None
        await eventually_restored(family, name)

    async def test_a_refused_load_is_tried_again_later_and_later(self, family, monkeypatch):
        clock = {"now": 1000.0}
        monkeypatch.setattr("registry_svc.jobs.serving.time", SimpleNamespace(monotonic=lambda: clock["now"]))
        await put_up(family, 1)
        family.vllm.restart()
        family.vllm.broken = "no memory"
        refusals = []
        for seconds in (0, 0.5, 0.6, 1, 1.1):
            clock["now"] += seconds
            await family.restoring.step()
            refusals.append(family.vllm.refusals)
        assert refusals == [1, 1, 2, 2, 3]  # after 1 s, then 2 s


async def eventually_restored(world, name: str) -> None:
    async with asyncio.timeout(10):
        while name not in world.vllm.adapters:
            await world.restoring.step()
            await asyncio.sleep(0.1)


class TestRollback:
    async def test_to_any_earlier_champion_in_one_call(self, family, base_model):
        for number in (1, 2):
            await promote(version(family, number), await order(family, f"try {number}"), family.means)
        await roll_back(await order(family, "all bad"), family.means, to=VariantId(base_model, 1))

        async with family.work() as unit:
            view = await read_deployment(unit, family.task_id)
        assert (view.champion, view.reason, view.changed_by) == (f"{base_model}:1", "all bad", "somebody")
        assert view.watch is not None
        assert (view.watch.state, view.watch.champion) == ("ended", str(version(family, 2)))

    async def test_not_to_what_never_was_in_charge(self, family):
        await put_up(family, 1)
        with pytest.raises(Conflict, match="never in charge"):
            await roll_back(await order(family), family.means, to=version(family, 1))
