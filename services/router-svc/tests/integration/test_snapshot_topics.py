"""The snapshot: whole before the service is ready, newest first, deaf to nonsense, kept while Kafka is away."""

from pathlib import Path

import pytest
import pytest_asyncio

from loopwright.contracts.registry import INFERENCE_COMPLETED, TASK_DEFINED
from loopwright.testing.examples import an_event
from loopwright.testing.records import a_raw_record, a_record
from loopwright.testing.waiting import eventually
from loopwright.topics import create_missing_topics
from loopwright_local.stack import LocalStack
from loopwright_local.testing import settings_for_tests

pytestmark = pytest.mark.integration


async def readiness(router) -> tuple[int, dict[str, str]]:
    async with router.http as http:
        response = await http.get("/ready")
    return response.status_code, response.json()["parts"]


class TestReading:
    async def test_everything_that_was_announced_before_is_known_when_ready(
        self, start_router, bootstrap, task, model_server
    ) -> None:
        await task.define(model_server.url)
        router = await start_router(bootstrap)
        await router.ready()
        assert (await router.complete(task.task_id)).choices[0].message.content == "hello"

    async def test_an_older_version_that_comes_later_changes_nothing(
        self, router, task, log, model_server, mint
    ) -> None:
        await task.define(model_server.url)
        newer = an_event(TASK_DEFINED, task_id=task.task_id, version=9, title="newer")
        older = an_event(TASK_DEFINED, task_id=task.task_id, version=8, title="older")
        await log.announce(newer, older)
        last = an_event(TASK_DEFINED, task_id=f"{task.task_id}-last")
        await log.announce(last)

        async def look() -> dict[str, str] | None:
            async with router.http as http:
                view = (await http.get("/api/v1/router/snapshot", headers=mint.header("viewer"))).json()
            titles = {one["task_id"]: one["title"] for one in view["tasks"]}
            return titles if last.task_id in titles else None

        assert (await eventually(look))[task.task_id] == "newer"

    async def test_a_change_reaches_requests_within_a_second(
        self, router, task, model_server, start_model_server
    ) -> None:
        other = await start_model_server()
        other.on("base", words=("other",))
        await task.define(model_server.url)
        await router.knows(task.task_id)
        await task.deploy([other.url], [])

        async def look() -> bool:
            return (await router.complete(task.task_id)).choices[0].message.content == "other"

        await eventually(look, timeout_s=1)


class TestNonsense:
    async def test_is_set_aside_with_its_reason_once_and_does_not_stop_the_rest(
        self, start_router, bootstrap, task, log, model_server
    ) -> None:
        marker = task.task_id.encode()
        good = a_record(an_event(TASK_DEFINED, task_id=task.task_id))
        too_long = an_event(TASK_DEFINED, task_id=f"{task.task_id}-{'x' * 40}")
        await log.write(
            a_raw_record(TASK_DEFINED, b"not json", headers=list(good.headers), key=marker + b"-1"),
            a_raw_record(TASK_DEFINED, good.value, key=marker + b"-2"),
            a_record(too_long),
        )
        await task.define(model_server.url)
        for _ in range(2):  # a restart reads the same records again
            router = await start_router(bootstrap)
            await router.ready()
            assert (await router.complete(task.task_id)).choices[0].message.content == "hello"
            # events leave in order: when this one is there, so is what came before it
            await log.events(INFERENCE_COMPLETED, task.task_id)
            await router.stop()

        letters = await log.read(TASK_DEFINED.dead_letter_name, lambda record: record.key.startswith(marker))
        headers = [dict(letter.headers) for letter in letters]
        assert [one["dlq_code"].decode() for one in headers] == [
            "event.invalid-payload", "event.no-envelope", "router.name-too-long",
        ]  # fmt: skip
        assert letters[0].value == b"not json"
        assert headers[0]["ce_id"] == dict(good.headers)["ce_id"]
        assert headers[0]["dlq_group"] == b"router-svc.task.defined"
        assert headers[0]["dlq_position"].startswith(b"task.defined:0:")
        assert headers[0]["dlq_reason"]


@pytest_asyncio.fixture
async def broker_settings(tmp_path):
    """Settings of a broker that a test starts and stops itself."""
    return settings_for_tests(tmp_path / "broker", "kafka")


class TestKafkaAway:
    async def test_is_not_ready_before_kafka_was_there_and_serves_on_and_starts_again_without_it(
        self, start_router, broker_settings, model_server, make_task, spool_dir
    ) -> None:
        bootstrap = f"127.0.0.1:{broker_settings.kafka_port}"
        router = await start_router(bootstrap)
        status, parts = await readiness(router)
        assert status == 503
        assert "snapshot.not-loaded" in parts["snapshot"]
        async with router.http as http:
            body = {"model": "any", "messages": []}
            early = await http.post("/v1/chat/completions", json=body)
        assert (early.status_code, early.json()["error"]["code"]) == (503, "router.not-ready")

        async with LocalStack(broker_settings, quiet=True) as stack:
            await stack.wait_ready()
            await create_missing_topics(bootstrap, replication=1)
            task = make_task(bootstrap)
            await task.define(model_server.url)
            await router.ready()
            await router.knows(task.task_id)
            await eventually(lambda: _kept(spool_dir, task.task_id))

        status, parts = await eventually(lambda: _troubled(router))
        assert status == 200
        answer = await router.complete(task.task_id)
        async with router.http as http:
            rated = await http.post("/v1/ratings", json={"inference_id": answer.id, "value": 5})
        assert rated.status_code == 202
        started_without = await start_router(bootstrap)
        status, parts = await eventually(lambda: _troubled(started_without))
        assert status == 200
        assert (await started_without.complete(task.task_id)).choices[0].message.content == "hello"

        async with LocalStack(broker_settings, quiet=True) as stack:
            await stack.wait_ready()
            records = await task.log.events(INFERENCE_COMPLETED, task.task_id, count=2)
            assert answer.id.encode() in {record.key for record in records}
            assert (await task.log.rated(task.task_id))["inference_id"] == answer.id
            other = make_task(bootstrap)
            await other.define(model_server.url)
            for one in (router, started_without):
                await one.knows(other.task_id)
                await eventually(lambda one=one: _well(one))
                await one.stop()

    async def test_waits_for_topics_that_do_not_exist_yet(self, start_router, broker_settings) -> None:
        bootstrap = f"127.0.0.1:{broker_settings.kafka_port}"
        async with LocalStack(broker_settings, quiet=True) as stack:
            await stack.wait_ready()
            router = await start_router(bootstrap)
            await eventually(lambda: _misses_topics(router))
            await create_missing_topics(bootstrap, replication=1)
            await router.ready()
            await router.stop()


async def _troubled(router) -> tuple[int, dict[str, str]] | None:
    status, parts = await readiness(router)
    return (status, parts) if parts["snapshot"].startswith("serving from the last snapshot") else None


async def _kept(spool_dir: Path, task_id: str) -> bool:
    """Whether the file of the last snapshot holds the task and its deployment."""
    file = spool_dir / "snapshot.jsonl"
    return file.exists() and file.read_text().count(f'"task_id":"{task_id}"') >= 2


async def _well(router) -> bool:
    return (await readiness(router)) == (200, {"snapshot": "ok", "events": "ok"})


async def _misses_topics(router) -> bool:
    status, parts = await readiness(router)
    return status == 503 and "snapshot.topic-missing" in parts["snapshot"]
