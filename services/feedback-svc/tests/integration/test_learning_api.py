"""Learning and feedback over HTTP, as users know them."""

import json
from collections.abc import AsyncGenerator

import httpx
import pytest
import pytest_asyncio
from feedback_world import BASE, CANDIDATE, TASK, World, a_deployment, a_rating, a_task, an_evaluation, an_inference
from pydantic import JsonValue
from upstream_world import Upstream, an_answer, an_incident, sources

from feedback_svc.main import build
from feedback_svc.settings import Settings
from loopwright.contracts.base import JsonObject
from loopwright.contracts.registry import DATASET_REQUESTED, EXPERIMENT_CONCLUDED, FEEDBACK_RECEIVED
from loopwright.settings import CommonSettings
from loopwright.testing.tokens import TokenMint

LEARN, FEEDBACK, EXPORTS = "/api/v1/learn", "/api/v1/feedback", "/api/v1/exports"


@pytest.fixture
def upstream(world: World) -> Upstream:
    return Upstream(world)


@pytest.fixture
def admin(api: httpx.AsyncClient, mint: TokenMint) -> httpx.AsyncClient:
    api.headers.update(mint.header("admin"))
    return api


def problem(response: httpx.Response) -> tuple[int, str]:
    return response.status_code, str(response.json()["code"])


class TestRoles:
    @pytest.mark.parametrize(
        ("method", "path", "weak"),
        [
            ("POST", f"{LEARN}/train", "engineer"), ("POST", f"{LEARN}/rollback", "engineer"),
            ("POST", f"{LEARN}/collect", "viewer"), ("POST", FEEDBACK, "viewer"),
            ("GET", f"{EXPORTS}/req-1/download", "viewer"), ("GET", f"{EXPORTS}/evidence/evi-1/download", "viewer"),
        ],
    )  # fmt: skip
    async def test_are_needed(self, api: httpx.AsyncClient, mint: TokenMint, method: str, path: str, weak: str) -> None:
        assert problem(await api.request(method, path, json={})) == (401, "auth.token-missing")
        refused = await api.request(method, path, json={}, headers=mint.header(weak))
        assert problem(refused) == (403, "auth.role-too-weak")

    @pytest.mark.parametrize(
        "path",
        [f"{LEARN}/history", f"{LEARN}/quality", f"{LEARN}/collections", FEEDBACK, EXPORTS, f"{EXPORTS}/evidence"],
    )
    async def test_viewers_may_read(self, world: World, api: httpx.AsyncClient, mint: TokenMint, path: str) -> None:
        assert problem(await api.get(path)) == (401, "auth.token-missing")
        assert (await api.get(path, headers=mint.header("viewer"))).status_code == 200


class TestLearn:
    async def test_from_a_preview_to_a_download(
        self, world: World, upstream: Upstream, admin: httpx.AsyncClient
    ) -> None:
        await world.hand(a_task(sources=sources("knowledge-assistant", "incident-evidence")))
        await world.hand(
            *(an_answer(f"k{number}", rating=4 + number % 2) for number in range(24)), an_answer("bad", rating=1)
        )
        await world.hand(*an_incident("INC-1"))
        await upstream.inspect()
        seen = (await admin.post(f"{LEARN}/collect", json={"task_id": TASK})).json()
        assert seen["counts"]["knowledge-assistant"] == {
            "seen": {"knowledge.rated": 25}, "used": {"knowledge.rated": 24}, "filtered": {"rated-too-low": 1},
            "formed": 24, "withdrawn": 0,
        }  # fmt: skip
        assert len(seen["samples"]) == 3
        assert await world.table("samples") == []

        asked = await admin.post(f"{LEARN}/collect", json={"task_id": TASK, "preview": False})
        assert [run["state"] for run in asked.json()["runs"]] == ["open", "open"]
        await upstream.collect()
        status = (await admin.get(f"{LEARN}/status", params={"task_id": TASK})).json()
        assert [(one["source"], one["ready"]) for one in status["samples"]] == [
            ("incident-evidence", 1), ("knowledge-assistant", 24),
        ]  # fmt: skip
        assert (status["new_samples"], status["high_quality_samples"], status["ready"]) == (25, 25, True)
        assert (status["due"], status["last_run"]) == (None, None)
        assert {one["source"]: one["last_run"]["state"] for one in status["sources"]} == {
            "knowledge-assistant": "succeeded", "incident-evidence": "succeeded",
        }  # fmt: skip

        trained = await admin.post(f"{LEARN}/train", json={"task_id": TASK})
        assert (trained.status_code, trained.json()["state"]) == (202, "requested")
        request_id = trained.json()["run"]["request_id"]
        assert trained.json()["run"]["reason"] == "25 new samples since the last request: somebody asked for it"
        assert problem(await admin.get(f"{EXPORTS}/{request_id}/download")) == (409, "export.not-written")
        assert await world.exporter.export_next()
        assert len(await world.announced(DATASET_REQUESTED)) == 1
        file = await admin.get(f"{EXPORTS}/{request_id}/download")
        assert file.headers["content-type"] == "application/jsonl"
        assert len([json.loads(line) for line in file.text.splitlines()]) == 25
        assert (await admin.get(f"{EXPORTS}/{request_id}")).json()["sample_count"] == 25
        await world.hand(an_evaluation(minute=60 * 24 * 3650))
        (run,) = (await admin.get(f"{LEARN}/history", params={"task_id": TASK})).json()["items"]
        assert (run["request_id"], run["passed"], run["candidate_variant_id"]) == (request_id, True, CANDIDATE)

    async def test_training_needs_ten_samples_and_waits_for_what_is_under_way(
        self, world: World, upstream: Upstream, admin: httpx.AsyncClient
    ) -> None:
        await world.hand(a_task(sources=sources("knowledge-assistant"), retraining={"patience_s": 3600}))
        await world.hand(*(an_answer(f"k{number}") for number in range(9)))
        await upstream.collect()
        few = await admin.post(f"{LEARN}/train", json={"task_id": TASK})
        assert problem(few) == (409, "learn.too-few-samples")
        assert "there are 9 new samples" in few.json()["detail"]
        await world.hand(*(an_answer(f"l{number}") for number in range(3)))
        await upstream.collect()
        assert (await admin.post(f"{LEARN}/train", json={"task_id": TASK})).json()["state"] == "requested"
        await world.hand(*(an_answer(f"m{number}") for number in range(12)))
        await upstream.collect()
        await world.exporter.export_next()
        second = (await admin.post(f"{LEARN}/train", json={"task_id": TASK})).json()
        assert second == {"state": "waiting", "run": None}
        assert not await world.timer.look()
        status = (await admin.get(f"{LEARN}/status", params={"task_id": TASK})).json()
        assert (status["under_way"], status["signals"]) == (True, ["somebody asked for it"])
        await world.hand(an_evaluation(minute=60 * 24 * 3650))  # the model of the first request was judged
        assert await world.timer.look()
        assert [row["number"] for row in await world.table("dataset_requests")] == [1, 2]
        assert problem(await admin.post(f"{LEARN}/train", json={"task_id": "none"})) == (404, "task.not-found")

    async def test_says_what_is_wrong_with_what_a_task_declares(self, world: World, admin: httpx.AsyncClient) -> None:
        await world.hand(a_task())
        assert problem(await admin.post(f"{LEARN}/collect", json={"task_id": TASK})) == (404, "learn.no-source")
        for number, (source, options, code) in enumerate(
            [("nobody", {}, "learn.unknown-source"), ("log-batches", {"aspekt": "x"}, "learn.wrong-options")], 2
        ):
            declared: list[JsonValue] = [{"source": source, "options": options}]
            await world.hand(a_task(number, sources=declared))
            for preview in (True, False):
                body = {"task_id": TASK, "preview": preview}
                assert problem(await admin.post(f"{LEARN}/collect", json=body)) == (422, code)

    async def test_quality_has_the_grades_that_users_know(self, world: World, admin: httpx.AsyncClient) -> None:
        await world.hand(a_task(), a_task(task_id="other"))
        today: JsonObject = {"rated_at": "2026-11-21T12:00:00Z"}
        for number, value in enumerate((5, 5, 4, 2)):
            await world.hand(a_rating(number, value, **today))
        await world.hand(a_rating(9, 1, task_id="other", variant_id="x:1", rated_at="2026-11-20T23:59:00Z"))
        await world.hand(a_rating(10, 1, task_id="other", metric="thumb", variant_id="x:1", **today))
        found = (await admin.get(f"{LEARN}/quality", params={"days": 365})).json()
        assert (found["overall"]["total"], found["overall"]["average"], found["overall"]["grade"]) == (
            6, pytest.approx(22 / 6), "B",
        )  # fmt: skip
        assert {part["name"]: (part["average"], part["grade"]) for part in found["by_task"]} == {
            TASK: (4.0, "B"), "other": (3.0, "C"),
        }  # fmt: skip
        assert {part["name"]: part["positive_rate_0_1"] for part in found["by_variant"]} == {BASE: 0.75, "x:1": 0.5}
        assert [(part["name"], part["total"], part["grade"]) for part in found["by_day"]] == [
            ("2026-11-20", 1, "D"), ("2026-11-21", 5, "B"),
        ]  # fmt: skip
        none = (await admin.get(f"{LEARN}/quality", params={"task_id": "nothing"})).json()
        assert none["overall"] == {"total": 0, "positive_rate_0_1": None, "average": None, "grade": None}


class TestFeedback:
    async def test_records_take_the_way_of_all_records(
        self, world: World, upstream: Upstream, admin: httpx.AsyncClient
    ) -> None:
        await world.hand(a_task(sources=sources("knowledge-assistant")))
        good = {"kind": "knowledge.rated", "record": {"query": "q", "answer": "a", "rating": 5}}
        sent = await admin.post(FEEDBACK, json=good)
        assert sent.status_code == 202
        again = await admin.post(FEEDBACK, json={"records": [good, good | {"record_id": "k2", "unit_hash": "u1"}]})
        assert again.json()["record_ids"] == [*sent.json()["record_ids"], "k2"]
        announced = await world.announced(FEEDBACK_RECEIVED)
        assert len(announced) == 3
        await world.hand(*announced)
        assert (await admin.get(FEEDBACK, params={"state": "unchecked"})).json()["total"] == 2
        await upstream.collect()
        assert sorted(await upstream.samples()) == sorted(again.json()["record_ids"])
        page = (await admin.get(FEEDBACK, params={"kind": "knowledge.rated", "state": "fits"})).json()
        assert (page["total"], page["items"][0]["source"]) == (2, "knowledge-assistant")

    async def test_what_does_not_fit_is_refused_whole(self, world: World, admin: httpx.AsyncClient) -> None:
        good = {"kind": "knowledge.rated", "record": {"query": "q", "answer": "a", "rating": 5}}
        bad = {"kind": "knowledge.rated", "record": {"query": "q", "rating": 5}}
        refused = await admin.post(FEEDBACK, json={"records": [good, bad]})
        assert problem(refused) == (422, "feedback.misfit")
        assert "record 1: answer: Field required" in refused.json()["detail"]
        assert problem(await admin.post(FEEDBACK, json=good | {"kind": "odd"})) == (422, "feedback.unknown-kind")
        assert problem(await admin.post(FEEDBACK, json={"records": [good] * 501}))[0] == 422
        huge = {
            "kind": "knowledge.rated",
            "record": {"query": "q", "answer": "a", "rating": 5, "more": "x" * 1_000_000},
        }
        assert problem(await admin.post(FEEDBACK, json=huge)) == (422, "event.too-large")
        assert await world.announced(FEEDBACK_RECEIVED) == []


@pytest_asyncio.fixture
async def service(common: CommonSettings) -> AsyncGenerator[httpx.AsyncClient]:
    service = build(common, Settings(registry_url="http://127.0.0.1:9"))
    async with httpx.AsyncClient(transport=httpx.ASGITransport(service.app), base_url="http://feedback") as client:
        yield client
    assert service.database is not None
    await service.database.close()


class TestRollback:
    async def test_ends_what_is_on_trial_with_the_champion_as_winner(
        self, world: World, admin: httpx.AsyncClient
    ) -> None:
        await world.hand(a_task(), a_deployment(1, BASE, CANDIDATE, minute=-1), an_evaluation())
        body = {"task_id": TASK, "reason": "bad answers"}
        answer = (await admin.post(f"{LEARN}/rollback", json=body)).json()
        assert (answer["undone"], len(answer["experiment_ids"])) == ("trial", 1)
        (concluded,) = await world.announced(EXPERIMENT_CONCLUDED)
        assert concluded.model_dump()["winner_variant_id"] == BASE

    async def test_without_a_registry_it_says_to_try_later(
        self, world: World, service: httpx.AsyncClient, mint: TokenMint
    ) -> None:
        await world.hand(a_task(), an_inference())
        body = {"task_id": TASK, "reason": "bad answers"}
        refused = await service.post(f"{LEARN}/rollback", json=body, headers=mint.header("admin"))
        assert problem(refused) == (503, "registry.unavailable")
        unknown = await service.post(f"{LEARN}/rollback", json=body | {"task_id": "no"}, headers=mint.header("admin"))
        assert problem(unknown) == (404, "task.not-found")
