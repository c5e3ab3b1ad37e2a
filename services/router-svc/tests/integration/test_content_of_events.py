"""Similar cases beside a question, and what of a conversation leaves the router."""

import json
import time
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import pytest_asyncio
from aiohttp import web

from loopwright.contracts.inferences import InferenceCompleted
from loopwright.sealed_content import open_content
from loopwright.sealing import KeyFile

pytestmark = pytest.mark.integration
RETRIEVAL = {"collection": "cases", "top_k": 2, "timeout_s": 1}


@dataclass
class Library:
    """dataset-svc's knowledge bases, as far as the router asks them."""

    url: str = ""
    wait_s: float = 0
    asked: list[tuple[str, dict, str]] = field(default_factory=list)

    async def indexes(self, _request: web.Request) -> web.Response:
        items = [{"index_id": "index-1", "name": "others"}, {"index_id": "index-2", "name": "cases"}]
        return web.json_response({"items": items, "total": 2, "limit": 500, "offset": 0})

    async def search(self, request: web.Request) -> web.Response:
        self.asked.append((request.match_info["id"], await request.json(), request.headers.get("Authorization", "")))
        hit = {"record_id": "r", "title": "", "text": "cable loose", "metadata": {"label": "alert"}, "score": 0.9}
        return web.json_response({"version": 1, "items": [hit], "total": 1, "limit": 2, "offset": 0})


@pytest_asyncio.fixture
async def library():
    held = Library()
    app = web.Application()
    app.router.add_get("/api/v1/knowledge/indexes", held.indexes)
    app.router.add_post("/api/v1/knowledge/indexes/{id}/search", held.search)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    held.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    yield held
    await runner.cleanup()


async def test_similar_cases_stand_beside_the_question_and_what_the_user_sent_stays_what_it_was(
    start_router, bootstrap: str, task, model_server, library, log, tmp_path: Path
) -> None:
    token = tmp_path / "token"
    token.write_text("secret-token\n")
    router = await start_router(bootstrap, knowledge_url=library.url, knowledge_token_file=token)
    await router.ready()
    await task.define(model_server.url, retrieval=RETRIEVAL, prompt={"system": "", "user": "Log: {input}"})
    await router.knows(task.task_id)
    await router.complete(task.task_id, "disk failed")
    assert library.asked == [("index-2", {"query": "disk failed", "limit": 2}, "Bearer secret-token")]
    [asked] = model_server.asked
    assert asked.body["messages"][-1]["content"] == "cable loose\nlabel: alert\n\nLog: disk failed"
    completed = await log.completed(task.task_id)
    assert completed["input"] == "disk failed"
    assert "cable loose" in completed["messages"][-1]["content"]


async def test_without_the_knowledge_base_the_model_is_asked_all_the_same(
    start_router, bootstrap: str, task, model_server
) -> None:
    router = await start_router(bootstrap, knowledge_url="http://127.0.0.1:9")
    await router.ready()
    await task.define(model_server.url, retrieval=RETRIEVAL, prompt={"system": "", "user": "{input}"})
    await router.knows(task.task_id)
    started = time.monotonic()
    for _ in range(5):
        await router.complete(task.task_id, "disk failed")
    assert time.monotonic() - started < 5
    assert {asked.body["messages"][-1]["content"] for asked in model_server.asked} == {"disk failed"}
    async with router.http as http:
        metrics = (await http.get("/metrics")).text
    assert 'loopwright_router_retrievals_total{collection="cases",outcome="away"}' in metrics
    assert 'loopwright_router_retrievals_total{collection="cases",outcome="resting"}' in metrics


async def test_personal_data_is_masked_before_it_leaves_where_the_task_says_so(router, task, model_server, log) -> None:
    model_server.on("base", words=("mailed ", "ada@example.com"))
    await task.define(model_server.url, privacy={"mask_content": True})
    await router.knows(task.task_id)
    answer = await router.complete(task.task_id, "call 010-1234-5678")
    assert answer.choices[0].message.content == "mailed ada@example.com"
    completed = await log.completed(task.task_id)
    assert (completed["input"], completed["answer"]) == ("call [전화번호]", "mailed [이메일]")
    assert "010-1234-5678" not in json.dumps(completed)


async def test_a_sealed_conversation_leaves_for_those_alone_who_hold_the_key(
    start_router, bootstrap: str, task, model_server, log, tmp_path: Path
) -> None:
    keys = tmp_path / "storage-keys.json"
    keys.write_text('{"current": "a", "keys": {"a": "' + "QUFB" * 10 + 'QUE="}}')
    router = await start_router(bootstrap, storage_keys_file=keys)
    await router.ready()
    await task.define(model_server.url, privacy={"seal_content": True})
    await router.knows(task.task_id)
    await router.complete(task.task_id, "disk failed")
    completed = await log.completed(task.task_id)
    assert (completed["input"], completed["messages"], completed["answer"]) == (None, None, None)
    assert "disk failed" not in json.dumps(completed)
    opened = open_content(InferenceCompleted.model_validate(completed), KeyFile(keys).ring())
    assert (opened.input, opened.answer) == ("disk failed", "hello")
