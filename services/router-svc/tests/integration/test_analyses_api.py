"""/analyze and /label through the whole router: the shipped tasks are asked as anybody's would be, and can be rated."""

import json

import pytest

from loopwright.contracts.registry import INFERENCE_COMPLETED, INFERENCE_RATED

pytestmark = pytest.mark.integration
LABELS = {"대분류": "대수", "중분류": "방정식", "하위 분류": "이차방정식"}


async def test_a_text_is_analysed_by_every_task_and_each_answer_can_be_rated(
    router, make_task, bootstrap: str, model_server, log
) -> None:
    model_server.on("base", words=('{"sentiment":', '"negative"}'))
    for task_id in ("log-sentiment", "log-summary"):
        task = make_task(bootstrap)
        task.task_id = task_id
        await task.define(model_server.url)
        await router.knows(task_id)
    async with router.http as http:
        answer = await http.post("/analyze", json={"texts": ["disk failed", "all is well"], "user": "ada"})
        items = answer.json()["items"]
        assert [item["sentiment"]["answer"] for item in items] == [{"sentiment": "negative"}] * 2
        assert [item["summary"]["variant_id"] for item in items] == ["base-model:1"] * 2
        assert [item["anomaly"]["error"]["code"] for item in items] == ["router.unknown-model"] * 2
        rated = {"inference_id": items[0]["sentiment"]["inference_id"], "value": 5}
        assert (await http.post("/v1/ratings", json=rated)).status_code == 202
    records = await log.events(INFERENCE_COMPLETED, "log-sentiment", count=2)
    assert {json.loads(record.value)["input"] for record in records} == {"disk failed", "all is well"}
    assert len({json.loads(record.value)["unit_hash"] for record in records}) == 1
    assert await log.events(INFERENCE_RATED, "log-sentiment")


async def test_problems_get_their_labels_and_those_that_the_server_refuses_say_so(
    router, make_task, bootstrap: str, model_server
) -> None:
    task = make_task(bootstrap)
    task.task_id = "math-label"
    await task.define(model_server.url)
    await router.knows("math-label")
    model_server.on("base", words=(json.dumps(LABELS),))
    async with router.http as http:
        [item] = (await http.post("/label", json={"problem_id": "p-1", "text": "x^2=4"})).json()["items"]
        assert (item["problem_id"], item["labels"]) == ("p-1", LABELS)
        model_server.on("base", status=400)
        [item] = (await http.post("/label", json={"text": "x^2=4"})).json()["items"]
        assert item["error"]["code"] == "router.refused-by-server"
        model_server.on("base", status=500)
        assert (await http.post("/label", json={"text": "x^2=4"})).status_code == 503
