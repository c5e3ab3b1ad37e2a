"""What was acknowledged reaches Kafka, under one event id, however often the router or one of its workers is killed."""

import asyncio
import json
import os
import signal
import time
from collections import defaultdict
from collections.abc import Iterator

import httpx
import pytest
from confluent_kafka.admin import AdminClient, AlterConfigOpType, ConfigEntry, ConfigResource
from prometheus_client import REGISTRY

from loopwright.contracts.registry import INFERENCE_COMPLETED, INFERENCE_RATED
from loopwright.outbox import OutboxRecord
from loopwright.testing.waiting import eventually
from router_svc.adapters.frames import Verdict, decode_frame
from router_svc.adapters.spool import Spool, SpoolLimits
from router_svc.domain.inference_ids import InferenceFacts, InferenceIds

pytestmark = pytest.mark.integration

IDS = InferenceIds(b"k" * 32)
LIMITS = SpoolLimits(segment_bytes=1 << 20, total_bytes=1 << 30)


def an_id(task_id: str, number: int) -> str:
    facts = InferenceFacts(
        task_id=task_id, task_version=1, experiment_id=None, variant_id="base-model:1",
        unit_hash=IDS.hash_unit(f"user-{number}"), issued_ms=time.time_ns() // 1_000_000,
    )  # fmt: skip
    return IDS.sign(facts, nonce=number.to_bytes(5, "big"))


async def _rate_until_killed(url: str, task_id: str, acknowledged: list[str], numbers: list[int]) -> None:
    async with httpx.AsyncClient(base_url=url) as http:
        for number in numbers:
            body = {"inference_id": an_id(task_id, number), "value": 1 + number % 5}
            try:
                response = await http.post("/v1/ratings", json=body)
            except httpx.TransportError:
                return
            if response.status_code == 202:
                acknowledged.append(response.json()["items"][0]["rating_id"])


async def test_kill_9_loses_no_acknowledged_rating_and_gives_no_event_two_ids(
    router_process, spool_dir, log, task
) -> None:
    acknowledged: list[str] = []
    for round_number in range(2):
        async with router_process() as (url, pid):
            # every start publishes again from the last place that it had noted down
            (spool_dir / "worker-0" / "position").unlink(missing_ok=True)
            senders = [
                asyncio.create_task(
                    _rate_until_killed(url, task.task_id, acknowledged, list(range(sender * 1000, sender * 1000 + 400)))
                )
                for sender in range(round_number * 4, round_number * 4 + 4)
            ]
            goal = len(acknowledged) + 100
            await eventually(lambda goal=goal: asyncio.sleep(0, len(acknowledged) >= goal))
            os.kill(pid, signal.SIGKILL)
            await asyncio.gather(*senders)
    async with router_process():
        ids = await eventually(lambda: _all_arrived(log, task.task_id, set(acknowledged)))
    assert len(acknowledged) >= 200
    assert {len(event_ids) for event_ids in ids.values()} == {1}


async def _all_arrived(log, task_id: str, acknowledged: set[str]) -> dict[str, set[bytes]] | None:
    """Event ids by rating, once every acknowledged rating is on Kafka."""
    ids: dict[str, set[bytes]] = defaultdict(set)
    for record in await log.read(INFERENCE_RATED.name, lambda record: task_id.encode() in record.value):
        ids[json.loads(record.value)["rating_id"]].add(dict(record.headers)["ce_id"])
    return ids if acknowledged <= ids.keys() else None


async def test_an_answer_that_a_client_has_is_on_kafka_after_kill_9(router_process, log, task, model_server) -> None:
    await task.define(model_server.url)
    answered: list[str] = []
    async with router_process() as (url, pid):
        await eventually(lambda: _knows(url, task.task_id))
        body = {"model": task.task_id, "messages": [{"role": "user", "content": "x"}]}
        async with httpx.AsyncClient(base_url=url) as http:
            for number in range(40):
                response = await http.post("/v1/chat/completions", json=body | {"stream": number % 2 == 0})
                answered.append(response.headers["x-loopwright-inference-id"])
        os.kill(pid, signal.SIGKILL)
    async with router_process():
        records = await log.events(INFERENCE_COMPLETED, task.task_id, count=40)
    assert {record.key.decode() for record in records} == set(answered)


async def _knows(url: str, model: str) -> bool:
    async with httpx.AsyncClient(base_url=url) as http:
        return (await http.get(f"/v1/models/{model}")).status_code == 200


async def test_a_resent_batch_keeps_its_event_ids(start_router, bootstrap, spool_dir, log, task) -> None:
    """The crash between Kafka's acknowledgement and our note of it, made certain."""
    router = await start_router(bootstrap)
    async with router.http as http:
        for number in range(5):
            await http.post("/v1/ratings", json={"inference_id": an_id(task.task_id, number), "value": 3})
    first = await log.events(INFERENCE_RATED, task.task_id, count=5)
    await router.stop()
    (spool_dir / "worker-0" / "position").unlink()
    await start_router(bootstrap)
    again = await log.events(INFERENCE_RATED, task.task_id, count=10)
    assert len(again) == 10
    ids = {dict(record.headers)["ce_id"] for record in again}
    assert ids == {dict(record.headers)["ce_id"] for record in first}


async def test_what_another_worker_left_behind_is_published_too(start_router, bootstrap, spool_dir, log, task) -> None:
    workers = [Spool.claim(spool_dir, limits=LIMITS) for _ in range(3)]
    for number, worker in enumerate(workers):
        value = json.dumps({"task_id": task.task_id, "number": number}).encode()
        worker.append([OutboxRecord(topic=INFERENCE_RATED.name, key=b"k", value=value, headers=())])
        worker.close()
    await start_router(bootstrap)
    records = await log.events(INFERENCE_RATED, task.task_id, count=3)
    assert {json.loads(record.value)["number"] for record in records} == {0, 1, 2}


def published_and_refused() -> tuple[float, float]:
    """Ratings that Kafka has, and records that it will never have, as the metrics count them."""
    published = REGISTRY.get_sample_value("loopwright_router_events_published_total", {"topic": INFERENCE_RATED.name})
    return published or 0, REGISTRY.get_sample_value("loopwright_router_events_refused_total") or 0


async def test_a_record_that_kafka_never_takes_blocks_nothing_and_is_kept(
    start_router, bootstrap, spool_dir, log, task
) -> None:
    published, refused = published_and_refused()
    spool = Spool.claim(spool_dir, limits=LIMITS)
    small = json.dumps({"task_id": task.task_id}).encode()
    large = OutboxRecord(topic=INFERENCE_RATED.name, key=b"k", value=b"x" * 2_000_000, headers=())
    spool.append([large, OutboxRecord(topic=INFERENCE_RATED.name, key=b"k", value=small, headers=())])
    folder = spool.folder
    spool.close()
    await start_router(bootstrap)
    await log.events(INFERENCE_RATED, task.task_id)
    frame = decode_frame((folder / "refused").read_bytes(), 0)
    assert (frame.verdict, frame.record) == (Verdict.WHOLE, large)

    async def are_counted() -> bool:
        return published_and_refused() == (published + 1, refused + 1)

    await eventually(are_counted)


@pytest.fixture
def small_ratings(bootstrap: str) -> Iterator[None]:
    """The broker takes no rating of more than some bytes."""
    admin = AdminClient({"bootstrap.servers": bootstrap})

    def alter(entry: ConfigEntry) -> None:
        topic = ConfigResource(ConfigResource.Type.TOPIC, INFERENCE_RATED.name, incremental_configs=[entry])
        for done in admin.incremental_alter_configs([topic]).values():
            done.result(timeout=10)

    alter(ConfigEntry("max.message.bytes", "5000", incremental_operation=AlterConfigOpType.SET))
    yield
    alter(ConfigEntry("max.message.bytes", "", incremental_operation=AlterConfigOpType.DELETE))


@pytest.mark.usefixtures("small_ratings")
async def test_a_record_that_the_broker_refuses_is_kept_and_those_beside_it_arrive(
    start_router, bootstrap, spool_dir, log, task
) -> None:
    spool = Spool.claim(spool_dir, limits=LIMITS)
    small = json.dumps({"task_id": task.task_id}).encode()
    fine = OutboxRecord(topic=INFERENCE_RATED.name, key=b"k", value=small, headers=())
    refused = OutboxRecord(topic=INFERENCE_RATED.name, key=b"k", value=b"x" * 20_000, headers=(("a", "b"),))
    spool.append([fine, refused, fine])
    folder = spool.folder
    spool.close()
    await start_router(bootstrap)
    await log.events(INFERENCE_RATED, task.task_id, count=2)
    frames = (folder / "refused").read_bytes()
    frame = decode_frame(frames, 0)
    assert (frame.verdict, frame.record, frame.size) == (Verdict.WHOLE, refused, len(frames))


async def test_an_event_that_is_too_large_leaves_without_its_conversation(
    start_router, bootstrap, log, task, model_server
) -> None:
    router = await start_router(bootstrap, max_event_bytes=10_000)
    await router.ready()
    await task.define(model_server.url)
    await router.knows(task.task_id)
    answer = await router.complete(task.task_id, text="x" * 20_000)
    event = await log.completed(task.task_id)
    assert (event["inference_id"], event["input"], event["answer"]) == (answer.id, None, None)
    assert event["completion_tokens"] == 2


async def test_a_full_spool_sheds_inferences_and_goes_on_answering(
    start_router, bootstrap, log, task, model_server, mint
) -> None:
    router = await start_router(bootstrap, spool_limit_bytes=65_536, spool_segment_bytes=60_000)
    await router.ready()
    await task.define(model_server.url)
    await router.knows(task.task_id)
    # an answer whose event alone is larger than what is left for inferences
    shed_before = _shed()
    answer = await router.complete(task.task_id, text="x" * 40_000)
    async with router.http as http:
        view = (await http.get("/api/v1/router/snapshot", headers=mint.header("viewer"))).json()
    assert answer.choices[0].message.content == "hello"
    assert _shed() == shed_before + 1
    assert view["spool"]["pending_events"] == 0


def _shed() -> float:
    return REGISTRY.get_sample_value("loopwright_router_events_shed_total", {"topic": "inference.completed"}) or 0
