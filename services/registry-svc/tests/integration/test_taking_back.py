"""Promotions that break a guardrail are taken back without a person, and somebody is called."""

import pytest

from loopwright.contracts.registry import ALERT_RAISED, DEPLOYMENT_CHANGED
from registry_svc.queries.deployments import read_deployment

pytestmark = pytest.mark.integration


def answered(world, *, well: int, failed: int) -> None:
    """What the router counts for the first adapter since it started."""
    labels = f'task="{world.task_id}",variant="{world.task_id}:1"'
    world.router.metrics = "".join(
        f'loopwright_router_inferences_total{{{labels},outcome="{outcome}"}} {count}\n'
        for outcome, count in (("answered", well), ("failed", failed), ("refused", 500))
    )


async def state(world) -> tuple[str, str]:
    async with world.work() as unit:
        view = await read_deployment(unit, world.task_id)
    assert view.watch is not None
    return view.champion, view.watch.state


async def test_errors_after_a_promotion_bring_the_champion_before_back(promoted, base_model):
    answered(promoted, well=100, failed=20)  # from the time on trial: not counted
    await promoted.watcher.step()
    answered(promoted, well=115, failed=35)
    for _ in range(2):
        await promoted.watcher.step()

    assert await state(promoted) == (f"{base_model}:1", "ended")
    last = (await promoted.announced(DEPLOYMENT_CHANGED))[-1]
    assert "15 of 30 requests failed" in last.reason
    assert last.changed_by == "registry-svc"
    (alert,) = await promoted.announced(ALERT_RAISED)
    assert (alert.kind, alert.severity, alert.task_id) == ("deployment.rolled-back", "critical", promoted.task_id)


async def test_a_good_champion_stays(promoted):
    answered(promoted, well=0, failed=0)
    await promoted.watcher.step()
    answered(promoted, well=100, failed=1)
    for _ in range(2):
        await promoted.watcher.step()
    assert await state(promoted) == (f"{promoted.task_id}:1", "watching")


async def test_the_rollback_waits_for_the_servers_and_is_not_forgotten(promoted, base_model):
    answered(promoted, well=0, failed=0)
    await promoted.watcher.step()
    answered(promoted, well=0, failed=30)
    await promoted.second_vllm.stop()
    for _ in range(3):
        await promoted.watcher.step()
    assert await state(promoted) == (f"{promoted.task_id}:1", "harmful")

    promoted.second_vllm = type(promoted.second_vllm)()
    await promoted.second_vllm.start()
    await promoted.reconnect()
    await promoted.restoring.step()
    await promoted.watcher.step()
    assert await state(promoted) == (f"{base_model}:1", "ended")


async def test_a_router_that_cannot_be_asked_decides_nothing(promoted):
    await promoted.router.stop()
    for _ in range(2):
        await promoted.watcher.step()
    assert await state(promoted) == (f"{promoted.task_id}:1", "watching")


async def test_slow_answers_of_another_variant_are_not_held_against_the_champion(promoted):
    def answers(variant: str, *, quick: int, all_of_them: int) -> str:
        labels = f'task="{promoted.task_id}",variant="{variant}"'
        return "".join(
            f'loopwright_router_answer_seconds_bucket{{{labels},le="{bound}"}} {count}\n'
            for bound, count in (("1.0", quick), ("+Inf", all_of_them))
        )

    champion = f"{promoted.task_id}:1"
    promoted.router.metrics = answers(champion, quick=9, all_of_them=10) + answers("other:1", quick=0, all_of_them=500)

    figures = await promoted.figures.of(promoted.task_id, champion)
    assert figures.within_s == {1.0: 9, float("inf"): 10}
