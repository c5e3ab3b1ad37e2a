"""What operators see: the snapshot behind a viewer's token, and the metrics."""

import pytest

pytestmark = pytest.mark.integration

PATH = "/api/v1/router/snapshot"


async def test_shows_tasks_deployments_experiments_and_the_spool(router, task, model_server, mint) -> None:
    await task.define(model_server.url)
    experiment_id = await task.experiment(0.25)
    await task.define(model_server.url, version=4)  # read after the experiment? topics have no order among them
    await router.knows(task.task_id)
    async with router.http as http:
        view = (await http.get(PATH, headers=mint.header("viewer"))).json()
    (shown,) = [one for one in view["tasks"] if one["task_id"] == task.task_id]
    assert shown["structured"]
    (deployment,) = [one for one in view["deployments"] if one["task_id"] == task.task_id]
    assert deployment["champion"]["variant_id"] == "base-model:1"
    assert deployment["candidates"][0]["backend_urls"] == [model_server.url]
    assert view["loaded"]
    assert view["spool"]["limit_bytes"] == 2 << 30
    shares = {one["experiment_id"]: one["candidate_weight_0_1"] for one in view["experiments"]}
    assert shares.get(experiment_id, 0.25) == 0.25


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
    assert f'loopwright_router_first_byte_seconds_count{{task="{task.task_id}"}} 1.0' in metrics
    assert 'route="/v1/chat/completions"' in metrics
