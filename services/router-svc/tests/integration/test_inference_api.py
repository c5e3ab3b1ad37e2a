"""The inference API as the plain `openai` client uses it, and what it leaves on Kafka."""

import asyncio
import json
from contextlib import suppress

import httpx
import openai
import pytest

from loopwright.contracts.inferences import InferenceCompleted
from loopwright.contracts.registry import INFERENCE_COMPLETED
from loopwright.testing.waiting import eventually

pytestmark = pytest.mark.integration

CHAMPION, CANDIDATE = "base-model:1", "tuned-model:1"
TRACE_ID = "0af7651916cd43dd8448eb211c80319c"
TRACEPARENT = f"00-{TRACE_ID}-b7ad6b7169203331-01"


class TestOneAnswer:
    async def test_a_plain_client_gets_the_answer_and_kafka_the_event(self, router, task, log, model_server) -> None:
        await task.define(model_server.url)
        await router.knows(task.task_id)
        answer = await router.complete(task.task_id, user="ada")
        assert answer.choices[0].message.content == "hello"
        assert answer.id.startswith("inf_")

        (record,) = await log.events(INFERENCE_COMPLETED, task.task_id)
        event = InferenceCompleted.model_validate_json(record.value)
        assert record.key == answer.id.encode()
        assert event.inference_id == answer.id
        assert (event.variant_id, event.served_variant_id, event.fallback) == (CHAMPION, CHAMPION, False)
        assert (event.experiment_id, event.pinned, event.task_version) == (None, False, 3)
        assert (event.input, event.answer) == ("disk failed", "hello")
        assert [(turn.role, turn.content[:9]) for turn in event.messages] == [
            ("system", "You read "),
            ("user", "Log line:"),
        ]
        assert (event.http_status, event.finish_reason) == (200, "stop")
        assert (event.prompt_tokens, event.completion_tokens) == (7, 2)
        assert 0 <= event.first_byte_ms <= event.latency_ms
        headers = dict(record.headers)
        assert headers["ce_type"] == b"loopwright.inference.completed.v1"
        assert headers["ce_source"] == b"/loopwright/router-svc"

    async def test_what_cannot_be_stored_is_replaced_in_the_event_alone(self, router, task, log, model_server) -> None:
        await task.define(model_server.url)
        await router.knows(task.task_id)
        async with router.openai as client:
            await client.chat.completions.create(model=task.task_id, messages=[{"role": "user", "content": "a\0b"}])
        (record,) = await log.events(INFERENCE_COMPLETED, task.task_id)
        assert InferenceCompleted.model_validate_json(record.value).input == "a\ufffdb"

    async def test_a_stream_arrives_piece_by_piece_under_one_id(self, router, task, log, model_server) -> None:
        model_server.on("base", words=tuple("abcde"), gap_s=0.02)
        await task.define(model_server.url)
        await router.knows(task.task_id)
        async with router.openai as client:
            stream = await client.chat.completions.create(
                model=task.task_id, messages=[{"role": "user", "content": "x"}], stream=True
            )
            chunks = [chunk async for chunk in stream]
        assert "".join(chunk.choices[0].delta.content for chunk in chunks) == "abcde"
        assert all(chunk.choices for chunk in chunks), "token counts were not asked for"
        assert chunks[-1].choices[0].finish_reason == "stop"
        (inference_id,) = {chunk.id for chunk in chunks}
        event = await log.completed(task.task_id)
        assert event["inference_id"] == inference_id
        assert (event["answer"], event["finish_reason"], event["http_status"]) == ("abcde", "stop", 200)
        assert (event["prompt_tokens"], event["completion_tokens"]) == (7, 5)
        assert event["latency_ms"] - event["first_byte_ms"] > 80  # four gaps of 20 ms: it was not gathered first

    async def test_token_counts_are_passed_on_to_who_asks(self, router, task, model_server) -> None:
        await task.define(model_server.url)
        await router.knows(task.task_id)
        async with router.openai as client:
            stream = await client.chat.completions.create(
                model=task.task_id, messages=[{"role": "user", "content": "x"}], stream=True,
                stream_options={"include_usage": True},
            )  # fmt: skip
            chunks = [chunk async for chunk in stream]
        assert chunks[-1].usage.completion_tokens == 2

    async def test_bare_completions_work_too(self, router, task, log, model_server) -> None:
        await task.define(model_server.url)
        await router.knows(task.task_id)
        async with router.openai as client:
            answer = await client.completions.create(model=task.task_id, prompt="disk failed")
        assert (answer.id[:4], answer.choices[0].text) == ("inf_", "hello")
        assert (await log.completed(task.task_id))["answer"] == "hello"
        assert model_server.asked[0].path == "/v1/completions"

    async def test_headers_say_id_variant_and_trace_and_the_trace_goes_on(
        self, router, task, log, model_server
    ) -> None:
        await task.define(model_server.url)
        await router.knows(task.task_id)
        async with router.http as http:
            body = {"model": task.task_id, "messages": [{"role": "user", "content": "x"}]}
            headers = {"traceparent": TRACEPARENT, "x-loopwright-unit": "ada", "authorization": "Bearer secret"}
            response = await http.post("/v1/chat/completions", json=body, headers=headers)
        assert response.headers["x-loopwright-inference-id"] == response.json()["id"]
        assert response.headers["x-loopwright-variant"] == CHAMPION
        assert TRACE_ID in response.headers["traceparent"]
        seen = model_server.asked[0].headers
        assert TRACE_ID in seen["traceparent"]
        assert "Authorization" not in seen
        (record,) = await log.events(INFERENCE_COMPLETED, task.task_id)
        assert TRACE_ID in dict(record.headers)["traceparent"].decode()

    async def test_only_the_id_of_the_body_changes(self, router, task, model_server) -> None:
        await task.define(model_server.url)
        await router.knows(task.task_id)
        body = {"model": "base", "messages": [{"role": "user", "content": "x"}]}
        async with httpx.AsyncClient() as http:
            direct = await http.post(f"{model_server.url}/v1/chat/completions", json=body)
        async with router.http as http:
            routed = await http.post("/v1/chat/completions", json=body | {"model": task.task_id})
        inference_id = routed.headers["x-loopwright-inference-id"]
        assert routed.content == direct.content.replace(b"upstream-1", inference_id.encode())

    async def test_a_private_task_keeps_its_conversations_at_home(self, router, task, log, model_server) -> None:
        await task.define(model_server.url, privacy={"store_content": False})
        await router.knows(task.task_id)
        await router.complete(task.task_id, text="my secret")
        event = await log.completed(task.task_id)
        assert (event["input"], event["messages"], event["answer"]) == (None, None, None)
        assert event["completion_tokens"] == 2


class TestExperiment:
    async def test_users_are_split_stickily_and_counted_by_arm(self, router, task, log, model_server) -> None:
        model_server.on("base", words=("champion",))
        model_server.on("tuned", words=("candidate",))
        await task.define(model_server.url)
        experiment_id = await task.experiment(0.5)
        await router.knows(task.task_id)

        async def ask(user: str) -> str:
            return (await router.complete(task.task_id, user=user)).choices[0].message.content

        users = [f"user-{number}" for number in range(20)]
        await eventually(lambda: _is_split(ask, users))
        first = [await ask(user) for user in users]
        assert [await ask(user) for user in users] == first
        records = await log.events(INFERENCE_COMPLETED, task.task_id, count=40)
        events = [InferenceCompleted.model_validate_json(record.value) for record in records]
        counted = [event for event in events if event.experiment_id == experiment_id]
        arms = {(event.unit_hash, event.variant_id) for event in counted}
        assert len(arms) == len({unit for unit, _ in arms}) == len(users)

    async def test_a_pinned_variant_answers_outside_the_experiment(self, router, task, log, model_server) -> None:
        await task.define(model_server.url)
        await task.experiment(0.0)
        await router.knows(f"{task.task_id}@{CANDIDATE}")
        await router.complete(f"{task.task_id}@{CANDIDATE}")
        event = await log.completed(task.task_id)
        assert (event["pinned"], event["experiment_id"], event["served_variant_id"]) == (True, None, CANDIDATE)
        assert model_server.asked[0].body["model"] == "tuned"


async def _is_split(ask, users: list[str]) -> bool:
    return {await ask(user) for user in users[:8]} == {"champion", "candidate"}


class TestFallback:
    @pytest.mark.parametrize("behaviour", [{"status": 500}, {"status": 404}, {"drop_after": 0}])
    @pytest.mark.parametrize("stream", [False, True])
    async def test_the_champion_answers_for_a_candidate_that_fails_before_its_first_byte(
        self, router, task, log, model_server, behaviour, stream
    ) -> None:
        model_server.on("tuned", **behaviour)
        await task.define(model_server.url)
        await task.experiment(1.0)
        await router.knows(task.task_id)
        await eventually(lambda: _was_asked(router, task, model_server, "tuned", stream=stream))
        records = await log.events(INFERENCE_COMPLETED, task.task_id)
        event = json.loads(records[-1].value)
        assert (event["variant_id"], event["served_variant_id"], event["fallback"]) == (CANDIDATE, CHAMPION, True)
        assert (event["http_status"], event["answer"]) == (200, "hello")

    async def test_another_replica_answers_for_a_dead_one(self, router, task, log, model_server) -> None:
        await task.define(model_server.url)
        await task.deploy(["http://127.0.0.1:9", model_server.url], [])
        await router.knows(task.task_id)
        answers = [await router.complete(task.task_id) for _ in range(4)]
        assert [answer.choices[0].message.content for answer in answers] == ["hello"] * 4
        records = await log.events(INFERENCE_COMPLETED, task.task_id, count=4)
        assert not any(json.loads(record.value)["fallback"] for record in records)

    async def test_a_pinned_variant_that_fails_is_told_so(self, router, task, log, model_server) -> None:
        model_server.on("tuned", status=500)
        await task.define(model_server.url)
        await router.knows(f"{task.task_id}@{CANDIDATE}")
        with pytest.raises(openai.InternalServerError) as failed:
            await router.complete(f"{task.task_id}@{CANDIDATE}")
        assert failed.value.status_code == 503
        assert failed.value.code == "router.backend-failed"
        assert failed.value.response.headers["retry-after"] == "2"
        event = await log.completed(task.task_id)
        assert (event["http_status"], event["answer"], event["first_byte_ms"]) == (503, None, None)

    async def test_a_server_that_is_too_slow_counts_as_failed(
        self, start_router, bootstrap, task, model_server
    ) -> None:
        router = await start_router(bootstrap, first_byte_timeout_s=0.2)
        await router.ready()
        model_server.on("tuned", wait_s=5)
        await task.define(model_server.url)
        await router.knows(f"{task.task_id}@{CANDIDATE}")
        with pytest.raises(openai.InternalServerError):
            await router.complete(f"{task.task_id}@{CANDIDATE}")
        assert (await router.complete(task.task_id)).choices[0].message.content == "hello"
        await eventually(lambda: asyncio.sleep(0, model_server.asked[0].cancelled))

    async def test_what_is_the_clients_fault_is_passed_on_and_not_retried(
        self, router, task, model_server, log
    ) -> None:
        model_server.on("base", status=400)
        await task.define(model_server.url)
        await router.knows(task.task_id)
        with pytest.raises(openai.BadRequestError):
            await router.complete(task.task_id)
        assert len(model_server.asked) == 1
        assert (await log.completed(task.task_id))["http_status"] == 400


async def _was_asked(router, task, model_server, model: str, *, stream: bool) -> bool:
    async with router.http as http:
        body = {"model": task.task_id, "messages": [{"role": "user", "content": "x"}], "stream": stream}
        response = await http.post("/v1/chat/completions", json=body)
    assert response.status_code == 200
    assert b"hel" in response.content
    return any(asked.body["model"] == model for asked in model_server.asked)


async def _stream_into(seen: list[str], router, model: str) -> None:
    async with router.openai as client:
        messages = [{"role": "user", "content": "x"}]
        stream = await client.chat.completions.create(model=model, messages=messages, stream=True)
        async for chunk in stream:
            seen.append(chunk.choices[0].delta.content)  # noqa: PERF401 - what came before the error counts


async def _leave_early(router, body: dict) -> None:
    """Reads one piece, or waits half a second for it, and hangs up."""
    async with (
        httpx.AsyncClient(base_url=router.url, timeout=0.5) as http,
        http.stream("POST", "/v1/chat/completions", json=body) as response,
    ):
        await anext(response.aiter_bytes())


class TestBrokenStreams:
    async def test_a_server_that_stops_in_a_stream_is_reported_in_it(self, router, task, log, model_server) -> None:
        model_server.on("base", words=tuple("abcde"), drop_after=2, gap_s=0.02)
        await task.define(model_server.url)
        await router.knows(task.task_id)
        seen: list[str] = []
        with pytest.raises(openai.APIError) as broken:
            await _stream_into(seen, router, task.task_id)
        assert seen == ["a", "b"]
        assert broken.value.code == "router.stream-broken"
        event = await log.completed(task.task_id)
        assert (event["http_status"], event["answer"], event["finish_reason"]) == (502, "ab", None)

    async def test_silence_between_two_pieces_ends_a_stream(self, start_router, bootstrap, task, model_server) -> None:
        router = await start_router(bootstrap, between_chunks_timeout_s=0.2)
        await router.ready()
        model_server.on("base", gap_s=5)
        await task.define(model_server.url)
        await router.knows(task.task_id)
        async with router.http as http:
            body = {"model": task.task_id, "messages": [{"role": "user", "content": "x"}], "stream": True}
            response = await http.post("/v1/chat/completions", json=body)
        assert b"router.stream-broken" in response.content

    @pytest.mark.parametrize("stream", [False, True])
    async def test_a_client_that_leaves_stops_the_model(self, router, task, log, model_server, stream) -> None:
        model_server.on("base", words=("x",) * 1000, gap_s=0.05, wait_s=0 if stream else 60)
        await task.define(model_server.url)
        await router.knows(task.task_id)
        body = {"model": task.task_id, "messages": [{"role": "user", "content": "x"}], "stream": stream}
        with suppress(httpx.ReadTimeout):
            await _leave_early(router, body)
        await eventually(lambda: asyncio.sleep(0, model_server.asked[0].cancelled))
        event = await log.completed(task.task_id)
        assert event["http_status"] == 499
        assert (event["answer"] or "").startswith("x") is stream


class TestRefusals:
    async def test_an_unknown_model_is_not_found_in_openais_words(self, router) -> None:
        with pytest.raises(openai.NotFoundError) as missing:
            await router.complete("nothing-like-it")
        assert missing.value.code == "model_not_found"
        assert missing.value.param == "model"
        assert missing.value.type == "invalid_request_error"

    async def test_a_body_that_cannot_be_read_is_a_bad_request(self, router) -> None:
        async with router.http as http:
            response = await http.post("/v1/chat/completions", content=b"{")
        assert response.status_code == 400
        assert response.json()["error"]["code"] == "router.malformed-request"

    async def test_a_question_that_kills_model_servers_is_a_bad_request(self, router) -> None:
        async with router.http as http:
            response = await http.post(
                "/v1/chat/completions", json={"model": "x", "messages": [], "prompt_logprobs": 0}
            )
        assert response.status_code == 400
        assert response.json()["error"]["code"] == "router.prompt-likelihoods-refused"

    async def test_a_body_over_the_limit_is_too_large(self, start_router, bootstrap) -> None:
        router = await start_router(bootstrap, max_body_bytes=1024)
        async with router.http as http:
            response = await http.post("/v1/chat/completions", content=b"x" * 2000)
        assert response.status_code == 413
        assert response.json()["error"]["code"] == "router.body-too-large"

    async def test_one_request_too_many_is_asked_to_come_back(
        self, start_router, bootstrap, task, model_server
    ) -> None:
        router = await start_router(bootstrap, concurrency_limit=1, queue_limit=0)
        await router.ready()
        model_server.on("base", wait_s=1)
        await task.define(model_server.url)
        await router.knows(task.task_id)
        slow = asyncio.create_task(router.complete(task.task_id))
        await eventually(lambda: asyncio.sleep(0, bool(model_server.asked)))
        with pytest.raises(openai.InternalServerError) as refused:
            await router.complete(task.task_id)
        assert refused.value.code == "router.overloaded"
        assert refused.value.response.headers["retry-after"] == "2"
        assert (await slow).choices[0].message.content == "hello"
        assert (await router.complete(task.task_id)).choices[0].message.content == "hello"

    async def test_the_clients_own_retries_bridge_an_overload(
        self, start_router, bootstrap, task, model_server
    ) -> None:
        router = await start_router(bootstrap, concurrency_limit=1, queue_limit=0)
        await router.ready()
        model_server.on("base", wait_s=0.5)
        await task.define(model_server.url)
        await router.knows(task.task_id)
        async with openai.AsyncOpenAI(base_url=f"{router.url}/v1", api_key="unused", max_retries=3) as client:
            messages = [{"role": "user", "content": "x"}]
            answers = await asyncio.gather(
                *(client.chat.completions.create(model=task.task_id, messages=messages) for _ in range(2))
            )
        assert [answer.choices[0].message.content for answer in answers] == ["hello"] * 2


class TestModels:
    async def test_lists_tasks_and_their_variants(self, router, task, model_server) -> None:
        await task.define(model_server.url)
        await router.knows(task.task_id)
        async with router.openai as client:
            listed = {model.id for model in (await client.models.list()).data}
            one = await client.models.retrieve(f"{task.task_id}@{CANDIDATE}")
            with pytest.raises(openai.NotFoundError):
                await client.models.retrieve("nothing-like-it")
        assert {task.task_id, f"{task.task_id}@{CHAMPION}", f"{task.task_id}@{CANDIDATE}"} <= listed
        assert one.owned_by == "loopwright"
