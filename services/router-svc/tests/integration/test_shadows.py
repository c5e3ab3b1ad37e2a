"""Shadows: asked after the user has the answer, recorded but not shown, and never in the user's way."""

import json
import time

import pytest

from loopwright.contracts.registry import INFERENCE_COMPLETED
from loopwright.testing.waiting import eventually

pytestmark = pytest.mark.integration


async def listens(router, mint, experiment_id: str) -> bool:
    """Whether the router has read of the experiment."""
    async with router.http as http:
        view = (await http.get("/api/v1/router/snapshot", headers=mint.header("viewer"))).json()
    return experiment_id in {one["experiment_id"] for one in view["experiments"]}


async def shadowed(router, task, model_server, mint) -> None:
    """A task whose every request is copied to the candidate."""
    await task.define(model_server.url)
    experiment_id = await task.experiment(1, kind="shadow", epoch=2)
    await router.knows(task.task_id)
    await eventually(lambda: listens(router, mint, experiment_id))


async def said(router, model: str, *, stream: bool) -> str:
    """What the user reads."""
    if not stream:
        return (await router.complete(model)).choices[0].message.content
    async with router.openai as client:
        messages = [{"role": "user", "content": "disk failed"}]
        chunks = await client.chat.completions.create(model=model, messages=messages, stream=True)
        return "".join([chunk.choices[0].delta.content or "" async for chunk in chunks if chunk.choices])


async def both_events(log, task) -> tuple[dict, dict]:
    """What the user got, and its copy."""
    records = await log.events(INFERENCE_COMPLETED, task.task_id, count=2)
    shown, copy = sorted((json.loads(record.value) for record in records), key=lambda one: one["shadow_of"] is not None)
    return shown, copy


async def outcome(router, name: str) -> float:
    async with router.http as http:
        lines = (await http.get("/metrics")).text.splitlines()
    wanted = f'loopwright_router_shadows_total{{outcome="{name}"}} '
    return next((float(line.removeprefix(wanted)) for line in lines if line.startswith(wanted)), 0.0)


@pytest.mark.parametrize("stream", [False, True])
async def test_a_copy_is_recorded_but_the_champion_is_shown_uncounted(
    router, task, log, model_server, mint, stream
) -> None:
    model_server.on("tuned", words=("from ", "the ", "shadow"))
    await shadowed(router, task, model_server, mint)
    assert await said(router, task.task_id, stream=stream) == "hello"
    shown, copy = await both_events(log, task)
    nothing = dict.fromkeys(("experiment_id", "epoch", "arm", "propensity_0_1", "shadow_of"))
    assert {name: shown[name] for name in nothing} == nothing
    assert (shown["variant_id"], shown["answer"]) == ("base-model:1", "hello")
    assert copy["shadow_of"] == shown["inference_id"] != copy["inference_id"]
    assert (copy["variant_id"], copy["served_variant_id"], copy["answer"]) == (
        "tuned-model:1", "tuned-model:1", "from the shadow",
    )  # fmt: skip
    assert (copy["experiment_id"], copy["epoch"], copy["arm"], copy["propensity_0_1"]) == (
        f"exp-{task.task_id}", 2, 1, 1.0,
    )  # fmt: skip
    assert (copy["unit_hash"], copy["messages"]) == (shown["unit_hash"], shown["messages"])
    asked = [one.body["messages"] for one in model_server.asked]
    assert asked[0] == asked[1]


async def test_a_shadow_that_fails_is_recorded_and_nobody_notices(router, task, log, model_server, mint) -> None:
    model_server.on("tuned", status=500)
    await shadowed(router, task, model_server, mint)
    assert (await router.complete(task.task_id)).choices[0].message.content == "hello"
    shown, copy = await both_events(log, task)
    assert (shown["http_status"], copy["http_status"], copy["fallback"]) == (200, 503, False)


async def test_slow_shadows_hold_up_nobody_and_what_is_too_many_is_dropped_and_counted(
    start_router, bootstrap, task, model_server, mint
) -> None:
    model_server.on("tuned", wait_s=60)
    router = await start_router(bootstrap, shadows_in_flight=1)
    await router.ready()
    await shadowed(router, task, model_server, mint)
    before = await outcome(router, "copied"), await outcome(router, "dropped")
    started = time.monotonic()
    for _ in range(3):
        await router.complete(task.task_id)
    assert time.monotonic() - started < 60
    after = await outcome(router, "copied"), await outcome(router, "dropped")
    assert (after[0] - before[0], after[1] - before[1]) == (1, 2)
