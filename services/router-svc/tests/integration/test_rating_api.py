"""Ratings: attributed by the signed id alone, on disk before they are acknowledged, one trace from here on."""

import json
import secrets
import time

import pytest

from loopwright.contracts.inferences import InferenceRated
from loopwright.contracts.registry import INFERENCE_RATED
from router_svc.domain.inference_ids import NONCE_BYTES, InferenceFacts, InferenceIds

pytestmark = pytest.mark.integration

IDS = InferenceIds(b"k" * 32)
DAY_MS = 86_400_000
TRACE_ID = "0af7651916cd43dd8448eb211c80319c"
TRACEPARENT = f"00-{TRACE_ID}-b7ad6b7169203331-01"


def an_id(task_id: str, *, age_days: float = 0, ids: InferenceIds = IDS) -> str:
    facts = InferenceFacts(
        task_id=task_id,
        task_version=3,
        experiment_id="exp-1",
        variant_id="tuned-model:1",
        unit_hash=IDS.hash_unit("ada"),
        issued_ms=time.time_ns() // 1_000_000 - int(age_days * DAY_MS),
        epoch=2,
        arm=1,
    )
    return ids.sign(facts, nonce=secrets.token_bytes(NONCE_BYTES))


async def rate(router, body: object, **headers: str):
    async with router.http as http:
        return await http.post("/v1/ratings", json=body, headers=headers)


async def test_a_rating_is_attributed_from_its_id_and_continues_the_trace(router, task, log) -> None:
    inference_id = an_id(task.task_id)
    body = {"inference_id": inference_id, "value": 4, "comment": "좋아요", "correction": '{"label": "normal"}'}
    response = await rate(router, body, traceparent=TRACEPARENT)
    assert response.status_code == 202
    assert TRACE_ID in response.headers["traceparent"]
    (accepted,) = response.json()["items"]
    (record,) = await log.events(INFERENCE_RATED, task.task_id)
    event = InferenceRated.model_validate_json(record.value)
    assert (accepted["rating_id"], record.key) == (event.rating_id, inference_id.encode())
    assert (event.experiment_id, event.variant_id) == ("exp-1", "tuned-model:1")
    assert (event.epoch, event.arm) == (2, 1)
    assert event.rater_hash == event.unit_hash == IDS.hash_unit("ada")
    assert (event.metric, event.value, event.comment) == ("stars", 4, "좋아요")
    assert event.correction == '{"label": "normal"}'
    headers = dict(record.headers)
    assert TRACE_ID in headers["traceparent"].decode()
    assert headers["ce_type"] == b"loopwright.inference.rated.v1"


async def test_a_rating_needs_no_knowledge_of_its_task(router, task, log) -> None:
    # the id speaks of a task, an experiment and a variant that this router has never heard of
    await rate(router, {"inference_id": an_id(task.task_id), "metric": "thumb", "value": 1, "rater": "grace"})
    event = await log.rated(task.task_id)
    assert event["rater_hash"] == IDS.hash_unit("grace") != event["unit_hash"]


async def test_what_the_model_answered_can_be_rated_at_once(router, task, log, model_server) -> None:
    await task.define(model_server.url)
    await router.knows(task.task_id)
    answer = await router.complete(task.task_id, user="ada")
    assert (await rate(router, {"inference_id": answer.id, "value": 5})).status_code == 202
    rated, completed = await log.rated(task.task_id), await log.completed(task.task_id)
    assert rated["inference_id"] == completed["inference_id"]
    assert rated["unit_hash"] == completed["unit_hash"] == IDS.hash_unit("ada")


async def test_a_batch_is_taken_as_a_whole(router, task, log) -> None:
    ratings = [{"inference_id": an_id(task.task_id), "value": value} for value in (1, 2, 3)]
    response = await rate(router, {"ratings": ratings})
    assert response.json()["total"] == 3
    records = await log.events(INFERENCE_RATED, task.task_id, count=3)
    assert sorted(json.loads(record.value)["value"] for record in records) == [1, 2, 3]


async def test_a_batch_with_one_forged_id_is_refused_as_a_whole(router, task, log) -> None:
    forged = an_id(task.task_id, ids=InferenceIds(b"x" * 32))
    ratings = [{"inference_id": an_id(task.task_id), "value": 1}, {"inference_id": forged, "value": 1}]
    refused = await rate(router, {"ratings": ratings})
    assert (refused.status_code, refused.json()["facts"]["ratings"]) == (403, "1")
    malformed = await rate(router, {"ratings": [ratings[0], ratings[0] | {"value": 9}, ratings[0], {}]})
    places = {error["place"].removeprefix("body.batch.")[:9] for error in malformed.json()["errors"]}
    assert (malformed.status_code, places) == (422, {"ratings.1", "ratings.3"})
    await rate(router, {"inference_id": an_id(task.task_id), "value": 5})  # whatever came before it is on Kafka too
    assert (await log.rated(task.task_id))["value"] == 5


async def test_forged_and_expired_ids_are_refused_as_problems(router, task) -> None:
    good = an_id(task.task_id)
    forged = good[:30] + ("A" if good[30] != "A" else "B") + good[31:]
    for inference_id, status, code in (
        (forged, 403, "rating.forged-id"),
        ("chatcmpl-123", 403, "rating.forged-id"),
        (an_id(task.task_id, age_days=91), 410, "rating.id-expired"),
    ):
        response = await rate(router, {"inference_id": inference_id, "value": 3})
        assert (response.status_code, response.json()["code"]) == (status, code)
        assert response.headers["content-type"] == "application/problem+json"


async def test_only_the_tenant_that_asked_may_rate(router, task, log, model_server, mint) -> None:
    await task.define(model_server.url)
    await router.knows(task.task_id)
    async with router.openai as client:
        client.api_key = mint.token(sub="ada", tenant="acme")
        messages = [{"role": "user", "content": "disk failed"}]
        answer = await client.chat.completions.create(model=task.task_id, messages=messages)
    body = {"inference_id": answer.id, "value": 5}
    other = f"Bearer {mint.token(sub='ada', tenant='other')}"
    for refused in (await rate(router, body), await rate(router, body, Authorization=other)):
        assert (refused.status_code, refused.json()["code"]) == (403, "rating.other-tenant")
    accepted = await rate(router, body, Authorization=f"Bearer {mint.token(sub='bob', tenant='acme')}")
    assert accepted.status_code == 202
    rated = await log.rated(task.task_id)
    assert (rated["tenant"], rated["inference_id"]) == ("acme", answer.id)


@pytest.mark.parametrize("body", [{"value": 9}, {}, {"ratings": []}, [], "x"])
async def test_what_is_no_rating_is_malformed(router, task, body) -> None:
    if isinstance(body, dict) and "ratings" not in body:
        body = {"inference_id": an_id(task.task_id), **body}
    response = await rate(router, body)
    assert (response.status_code, response.json()["code"]) == (422, "request.malformed")


async def test_ratings_are_refused_when_nothing_more_can_be_kept(start_router, task) -> None:
    # nobody listens there: what is spooled stays
    router = await start_router("127.0.0.1:9", spool_limit_bytes=65_536, spool_segment_bytes=4096)
    body = {"inference_id": an_id(task.task_id), "value": 3, "correction": "x" * 10_000}
    statuses = [(await rate(router, body)).status_code for _ in range(8)]
    assert statuses == [202] * 5 + [503] * 3
    refused = await rate(router, body)
    assert (refused.json()["code"], refused.headers["retry-after"]) == ("spool.full", "2")
