"""Who is let in, and how often; and that nothing of a prompt is seen where it should not be."""

import hashlib
import json
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from openai import AuthenticationError, PermissionDeniedError, RateLimitError
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from structlog.testing import capture_logs

from loopwright.contracts.registry import INFERENCE_COMPLETED
from loopwright.testing.waiting import eventually

pytestmark = pytest.mark.integration
KEY, NARROW = "lw_" + "k" * 43, "lw_" + "n" * 43
MARKER = "zebra-7731-prompt"


@pytest.fixture
def keys(tmp_path: Path) -> Path:
    def entry(secret: str, **fields: object) -> dict[str, object]:
        return {"id": secret[:4], "sha256": hashlib.sha256(secret.encode()).hexdigest()} | fields

    path = tmp_path / "keys.json"
    entries = [entry(KEY, tenant="acme", requests_per_min=3), entry(NARROW, tasks=["another"], max_tokens=5)]
    path.write_text(json.dumps({"keys": entries}))
    return path


@pytest.fixture
async def guarded(start_router, bootstrap: str, keys: Path):
    router = await start_router(bootstrap, auth="required", api_keys_file=keys)
    await router.ready()
    return router


async def known(router, task, key: str = KEY) -> None:
    """Waits until the router has read what was announced; `Router.knows` has no key."""

    async def look() -> bool:
        async with router.http as http:
            headers = {"Authorization": f"Bearer {key}"}
            return (await http.get(f"/v1/models/{task.task_id}", headers=headers)).status_code == 200

    await eventually(look)


def asked(model: str, text: str = "disk failed", **fields: object) -> dict[str, object]:
    return {"model": model, "messages": [{"role": "user", "content": text}], **fields}


async def test_a_key_opens_the_door_for_its_tenant_and_no_key_does_not(guarded, task, model_server, log) -> None:
    await task.define(model_server.url)
    await known(guarded, task)
    async with guarded.openai as client:
        client.api_key = "unused"
        with pytest.raises(AuthenticationError) as refused:
            await client.chat.completions.create(**asked(task.task_id))
        assert refused.value.code == "auth.key-unknown"
        client.api_key = KEY
        answer = await client.chat.completions.create(**asked(task.task_id))
    assert answer.choices[0].message.content == "hello"
    [record] = await log.events(INFERENCE_COMPLETED, task.task_id)
    assert json.loads(record.value)["tenant"] == "acme"
    assert all("authorization" not in {name.lower() for name in one.headers} for one in model_server.asked)


async def test_a_token_is_the_unit_that_it_names(guarded, task, model_server, mint, log) -> None:
    await task.define(model_server.url)
    await known(guarded, task)
    async with guarded.openai as client:
        for _ in range(2):
            client.api_key = mint.token(sub="ada", tenant="acme")
            await client.chat.completions.create(**asked(task.task_id))
    first, second = [
        json.loads(record.value) for record in await log.events(INFERENCE_COMPLETED, task.task_id, count=2)
    ]
    assert first["unit_hash"] == second["unit_hash"]
    assert first["tenant"] == "acme"


async def test_a_key_is_kept_to_its_tasks_and_its_limits(guarded, task, model_server) -> None:
    await task.define(model_server.url)
    await known(guarded, task)
    async with guarded.openai as client:
        client.api_key = NARROW
        with pytest.raises(PermissionDeniedError):
            await client.chat.completions.create(**asked(task.task_id))
        client.api_key = KEY
        for _ in range(3):
            await client.chat.completions.create(**asked(task.task_id))
        with pytest.raises(RateLimitError) as refused:
            await client.chat.completions.create(**asked(task.task_id))
    assert 0 < int(refused.value.response.headers["retry-after"]) <= 21


async def test_a_key_hears_of_its_tasks_only_and_nobody_without_one_of_any(guarded, task, model_server) -> None:
    await task.define(model_server.url)
    await known(guarded, task)
    async with guarded.http as http:

        async def listed(key: str) -> list[str]:
            answer = await http.get("/v1/models", headers={"Authorization": f"Bearer {key}"})
            return [model["id"] for model in answer.json()["data"]]

        assert task.task_id in await listed(KEY)
        assert await listed(NARROW) == []
        assert (await http.get("/v1/models")).status_code == 401


async def test_ratings_need_a_key_too(guarded) -> None:
    async with guarded.http as http:
        body = {"inference_id": "inf_x", "value": 5}
        assert (await http.post("/v1/ratings", json=body)).status_code == 401
        known = await http.post("/v1/ratings", json=body, headers={"Authorization": f"Bearer {NARROW}"})
        assert (known.status_code, known.json()["code"]) == (403, "rating.forged-id")


async def test_operators_of_one_address_are_counted_and_proxies_are_believed_if_trusted(
    start_router, bootstrap: str, mint
) -> None:
    router = await start_router(bootstrap, admin_requests_per_min=2, trusted_proxies=["127.0.0.0/8"])
    async with router.http as http:

        async def status(client: str) -> httpx.Response:
            headers = mint.header("viewer") | {"X-Forwarded-For": client}
            return await http.get("/api/v1/router/snapshot", headers=headers)

        answers = [await status("203.0.113.9") for _ in range(3)]
        assert [answer.status_code for answer in answers] == [200, 200, 429]
        assert answers[2].headers["content-type"] == "application/problem+json"
        assert int(answers[2].headers["retry-after"]) > 0
        assert (await status("203.0.113.10")).status_code == 200


@pytest.fixture
def spans() -> Iterator[InMemorySpanExporter]:
    exporter = InMemorySpanExporter()
    provider = trace.get_tracer_provider()
    assert isinstance(provider, TracerProvider)
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    yield exporter
    exporter.shutdown()


async def test_no_prompt_is_seen_in_logs_metrics_or_traces(
    start_router, bootstrap: str, task, model_server, spans, capfd, tmp_path: Path
) -> None:
    router = await start_router(bootstrap, trace_dir=tmp_path, max_body_bytes=2000)
    await router.ready()
    await task.define(model_server.url)
    await router.knows(task.task_id)
    with capture_logs() as logs:
        async with router.http as http:

            async def post(**body: object) -> int:
                return (await http.post("/v1/chat/completions", json=body)).status_code

            statuses = [await post(**asked(task.task_id, MARKER), user=MARKER)]
            statuses += [await post(**asked(task.task_id, MARKER), stream=True)]
            statuses += [await post(model=MARKER, messages=[]), await post(model=task.task_id, messages=[MARKER])]
            statuses += [await post(**asked(task.task_id, MARKER * 200))]
            statuses += [(await http.post("/v1/chat/completions", content=f'{{"model": "{MARKER}')).status_code]
            statuses += [(await http.post("/analyze", json={"text": MARKER})).status_code]
            statuses += [(await http.post("/analyze", json={"text": [MARKER]})).status_code]
            model_server.on("base", status=400)
            statuses += [await post(**asked(task.task_id, MARKER))]
            model_server.on("base", status=500)
            statuses += [await post(**asked(task.task_id, MARKER))]
            model_server.on("base", drop_after=1)
            statuses += [await post(**asked(task.task_id, MARKER), stream=True)]
            metrics = (await http.get("/metrics")).text
    assert statuses == [200, 200, 404, 400, 413, 400, 200, 422, 400, 503, 200]
    finished = spans.get_finished_spans()
    assert finished
    everything = [repr(logs), metrics, *capfd.readouterr(), *(span.to_json() for span in finished)]
    assert not [text for text in everything if MARKER in text]
