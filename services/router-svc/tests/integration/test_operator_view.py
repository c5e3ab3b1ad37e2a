"""What operators see: the snapshot behind a viewer's token, and the metrics."""

import pytest

from loopwright.testing.waiting import eventually

pytestmark = pytest.mark.integration

PATH = "/api/v1/router/snapshot"


async def shown(router, mint, path: str, **query: str):
    async with router.http as http:
        response = await http.get(path, params=query, headers=mint.header("viewer"))
    assert response.status_code == 200, response.text
    return response.json()


async def known_experiment(router, mint, experiment_id: str):
    """The experiment as the router shows it, once it has read of it."""

    async def look():
        view = await shown(router, mint, PATH)
        return next((one for one in view["experiments"] if one["experiment_id"] == experiment_id), None)

    return await eventually(look)


async def test_shows_tasks_deployments_and_the_spool(router, task, model_server, mint) -> None:
    await task.define(model_server.url)
    await router.knows(task.task_id)
    view = await shown(router, mint, PATH)
    (one,) = [one for one in view["tasks"] if one["task_id"] == task.task_id]
    assert one["structured"]
    (deployment,) = [one for one in view["deployments"] if one["task_id"] == task.task_id]
    assert deployment["champion"]["variant_id"] == "base-model:1"
    assert deployment["candidates"][0]["backend_urls"] == [model_server.url]
    assert view["loaded"]
    assert view["spool"]["limit_bytes"] == 2 << 30


async def test_shows_how_an_experiment_divides_its_units_and_how_often_it_did(router, task, model_server, mint) -> None:
    await task.define(model_server.url)
    layer = {"name": "prompt", "salt": "salt-of-layer", "from_0_1": 0, "to_0_1": 1}
    experiment_id = await task.experiment(0.25, epoch=3, layer=layer, excluded_units=["a", "b"])
    await router.knows(task.task_id)
    before = await known_experiment(router, mint, experiment_id)
    assert (before["kind"], before["epoch"], before["coverage_0_1"], before["hold_out"]) == ("ab", 3, 1.0, None)
    assert before["layer"] == {"name": "prompt", "from_0_1": 0.0, "to_0_1": 1.0}
    assert (before["excluded_units"], before["forced_units"]) == (2, 0)
    assert [(arm["weight_0_1"], arm["propensity_0_1"]) for arm in before["arms"]] == [(0.75, 0.75), (0.25, 0.25)]
    answered = [await router.complete(task.task_id, user=f"user-{number}") for number in range(6)]
    after = await known_experiment(router, mint, experiment_id)
    assert sum(arm["assigned"] for arm in after["arms"]) == len(answered)


async def test_tells_what_a_unit_gets_and_why(router, task, log, model_server, mint) -> None:
    await task.define(model_server.url)
    experiment_id = await task.experiment(0.5, coverage_0_1=0.5)
    await router.knows(task.task_id)
    await known_experiment(router, mint, experiment_id)
    path = "/api/v1/router/assignments"
    told = {
        user: await shown(router, mint, path, task_id=task.task_id, unit=user)
        for user in (f"user-{number}" for number in range(12))
    }
    (step,) = told["user-0"]["steps"]
    assert (step["experiment_id"], step["coverage_0_1"]) == (experiment_id, 0.5)
    covered = {user for user, one in told.items() if one["steps"][0]["coverage_point_0_1"] < 0.5}
    assert covered == {user for user, one in told.items() if one["experiment_id"] == experiment_id}
    user = min(covered)
    await router.complete(task.task_id, user=user)
    event = await log.completed(task.task_id)
    same = ("variant_id", "experiment_id", "epoch", "arm", "propensity_0_1", "unit_hash")
    assert {name: event[name] for name in same} == {name: told[user][name] for name in same}
    async with router.http as http:
        unknown = await http.get(path, params={"task_id": "none", "unit": "u"}, headers=mint.header("viewer"))
        nobody = await http.get(path, params={"task_id": task.task_id, "unit": "u"})
    assert (unknown.status_code, unknown.json()["code"]) == (404, "router.unknown-task")
    assert nobody.status_code == 401


async def test_is_for_viewers_only(router, mint) -> None:
    async with router.http as http:
        responses = [
            await http.get(PATH),
            await http.get(PATH, headers={"Authorization": f"Bearer {mint.token('viewer', ttl_s=-60)}"}),
            await http.get(PATH, headers={"Authorization": "Bearer forged"}),
            await http.get(PATH, headers=mint.header("nobody")),
        ]
    assert [response.status_code for response in responses] == [401, 401, 401, 403]
    assert {response.headers["content-type"] for response in responses} == {"application/problem+json"}


async def test_metrics_count_what_happened(router, task, model_server) -> None:
    await task.define(model_server.url)
    await router.knows(task.task_id)
    await router.complete(task.task_id)
    async with router.http as http:
        metrics = (await http.get("/metrics")).text
    counted = (
        f'loopwright_router_inferences_total{{outcome="answered",task="{task.task_id}",variant="base-model:1"}} 1.0'
    )
    assert counted in metrics
    labels = f'{{task="{task.task_id}",variant="base-model:1"}}'
    assert f"loopwright_router_first_byte_seconds_count{labels} 1.0" in metrics
    assert 'route="/v1/chat/completions"' in metrics
