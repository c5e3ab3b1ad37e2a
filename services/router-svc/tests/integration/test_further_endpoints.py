"""/v1/responses and /v1/embeddings, as the official client asks them."""

import json

import pytest
import pytest_asyncio
from aiohttp import web
from openai import NotFoundError

from loopwright.contracts.registry import INFERENCE_COMPLETED

pytestmark = pytest.mark.integration
USAGE = {"input_tokens": 7, "output_tokens": 2, "total_tokens": 9}


def response(status: str) -> dict:
    content = [{"type": "output_text", "text": "hello", "annotations": []}]
    message = {"type": "message", "id": "msg_1", "role": "assistant", "status": status, "content": content}
    return {
        "id": "resp_theirs", "object": "response", "created_at": 1, "status": status, "model": "base", "tools": [],
        "output": [message] if status == "completed" else [], "parallel_tool_calls": True, "tool_choice": "auto",
        "usage": USAGE if status == "completed" else None,
    }  # fmt: skip


class FurtherServer:
    """Answers both endpoints as vLLM does."""

    def __init__(self) -> None:
        self.asked: list[dict] = []
        self.url = ""
        self.has_embeddings = True

    async def respond(self, request: web.Request) -> web.StreamResponse:
        body = await request.json()
        self.asked.append(body)
        if not body.get("stream"):
            return web.json_response(response("completed"))
        stream = web.StreamResponse(headers={"Content-Type": "text/event-stream; charset=utf-8"})
        await stream.prepare(request)
        delta = {"item_id": "msg_1", "output_index": 0, "content_index": 0, "logprobs": []}
        for number, event in enumerate([
            {"type": "response.created", "response": response("in_progress")},
            *({"type": "response.output_text.delta", "delta": word, **delta} for word in ("hel", "lo")),
            {"type": "response.completed", "response": response("completed")},
        ]):  # fmt: skip
            written = json.dumps(event | {"sequence_number": number})
            await stream.write(f"event: {event['type']}\ndata: {written}\n\n".encode())
        return stream

    async def embed(self, request: web.Request) -> web.Response:
        if not self.has_embeddings:
            return web.json_response({"detail": "Not Found"}, status=404)
        self.asked.append(await request.json())
        vector = {"object": "embedding", "index": 0, "embedding": [0.5, -0.5]}
        usage = {"prompt_tokens": 4, "total_tokens": 4}
        return web.json_response({"object": "list", "data": [vector], "model": "base", "usage": usage})


@pytest_asyncio.fixture
async def server():
    further = FurtherServer()
    app = web.Application()
    app.router.add_post("/v1/responses", further.respond)
    app.router.add_post("/v1/embeddings", further.embed)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    further.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    yield further
    await runner.cleanup()


async def test_a_response_has_the_task_around_it_and_an_id_to_rate_it_by(router, task, server, log) -> None:
    await task.define(server.url, prompt={"system": "Be brief.", "user": "Log: {input}"}, answer_schema=None)
    await router.knows(task.task_id)
    async with router.openai as client:
        answer = await client.responses.create(model=task.task_id, input="disk failed", user="ada")
    assert (answer.output_text, answer.id[:4]) == ("hello", "inf_")
    [asked] = server.asked
    assert (asked["input"], asked["instructions"], asked["model"]) == ("Log: disk failed", "Be brief.", "base")
    completed = await log.completed(task.task_id)
    assert (completed["inference_id"], completed["input"], completed["answer"]) == (answer.id, "disk failed", "hello")
    assert (completed["prompt_tokens"], completed["completion_tokens"]) == (7, 2)
    assert completed["finish_reason"] == "stop"


async def test_a_streamed_response_has_our_id_in_every_event_that_names_one(router, task, server, log) -> None:
    await task.define(server.url)
    await router.knows(task.task_id)
    ids, text = set(), ""
    async with router.openai as client:
        async for event in await client.responses.create(model=task.task_id, input="disk failed", stream=True):
            if event.type == "response.output_text.delta":
                text += event.delta
            elif event.type in {"response.created", "response.completed"}:
                ids.add(event.response.id)
    completed = await log.completed(task.task_id)
    assert (text, ids) == ("hello", {completed["inference_id"]})
    assert (completed["answer"], completed["completion_tokens"]) == ("hello", 2)


async def test_embeddings_pass_through_and_their_text_is_on_record(router, task, server, log) -> None:
    await task.define(server.url)
    await router.knows(task.task_id)
    async with router.openai as client:
        answer = await client.embeddings.create(model=task.task_id, input=["one", "two"], encoding_format="float")
    assert answer.data[0].embedding == [0.5, -0.5]
    assert server.asked == [{"model": "base", "input": ["one", "two"], "encoding_format": "float"}]
    record = (await log.events(INFERENCE_COMPLETED, task.task_id))[0]
    completed = json.loads(record.value)
    assert (completed["input"], completed["prompt_tokens"], completed["answer"]) == ("one\ntwo", 4, None)


async def test_a_server_without_an_endpoint_is_named_as_such_and_is_asked_for_others_as_before(
    router, task, server
) -> None:
    await task.define(server.url)
    await router.knows(task.task_id)
    server.has_embeddings = False
    async with router.openai as client:
        for _ in range(12):
            with pytest.raises(NotFoundError) as refused:
                await client.embeddings.create(model=task.task_id, input="one")
            assert refused.value.code == "router.endpoint-not-served"
        assert (await client.responses.create(model=task.task_id, input="disk failed")).output_text == "hello"
