"""The HTTP door: who may do what, what is shown, and what two people at once are told."""

import asyncio
import json
import math
from collections.abc import AsyncGenerator
from pathlib import Path

import httpx
import pytest
import pytest_asyncio
from pydantic import SecretStr

from loopwright.contracts.registry import DEPLOYMENT_CHANGED
from loopwright.settings import CommonSettings
from loopwright.testing.tokens import AUDIENCE, ISSUER, TokenMint
from registry_svc.main import build
from registry_svc.settings import Settings

pytestmark = pytest.mark.integration
MINT = TokenMint()
ADMIN = "/api/v1/admin"


@pytest_asyncio.fixture(loop_scope="session")
async def client(world, base_model, tmp_path: Path, storage_uri: str) -> AsyncGenerator[httpx.AsyncClient]:
    """The real app, without its background loops."""
    keys = tmp_path / "jwks.json"
    keys.write_text(MINT.jwks)
    common = CommonSettings(
        database_url=SecretStr(world.database.url), storage_uri=storage_uri, mlflow_uri="http://127.0.0.1:1",
        auth_jwks_file=keys, auth_issuer=ISSUER, auth_audience=AUDIENCE,
    )  # fmt: skip
    settings = Settings(
        vllm_urls=(world.vllm.url, world.second_vllm.url), router_url=world.router.url, adapter_dir=world.folder,
        tasks_dir=tmp_path, base_models={base_model: Path("/models/base")},
    )  # fmt: skip
    service = build(common, settings)
    transport = httpx.ASGITransport(service.app)
    async with httpx.AsyncClient(transport=transport, base_url="http://registry") as client:
        yield client
    assert service.database is not None
    await service.database.close()
    await service.app.state.doorway.serving.servers.close()


class TestWhoMayAsk:
    async def test_nobody_expired_forged_and_too_weak(self, client, world):
        url = f"{ADMIN}/deployments/{world.task_id}/rollback"
        body = {"revision": 1, "reason": "x"}
        headers = [
            {},
            {"Authorization": f"Bearer {MINT.token('admin', ttl_s=-60)}"},
            TokenMint().header("admin"),
            MINT.header("engineer"),
        ]
        answers = [await client.post(url, json=body, headers=one) for one in headers]

        assert [answer.status_code for answer in answers] == [401, 401, 401, 403]
        assert {answer.headers["content-type"] for answer in answers} == {"application/problem+json"}
        assert [answer.json()["code"] for answer in answers] == [
            "auth.token-missing", "auth.token-expired", "auth.token-invalid", "auth.role-too-weak",
        ]  # fmt: skip

    @pytest.mark.parametrize(
        ("method", "path", "least"),
        [
            ("GET", "/tasks", "viewer"),
            ("GET", "/task-packs", "viewer"),
            ("GET", "/models", "viewer"),
            ("GET", "/releases", "viewer"),
            ("GET", "/deployments", "viewer"),
            ("POST", "/tasks", "engineer"),
            ("PUT", "/tasks/x?seen_version=1", "engineer"),
            ("GET", "/evaluations", "viewer"),
            ("POST", "/models/x/versions/1/evaluate", "engineer"),
            ("POST", "/models/x/versions/1/promote", "admin"),
            ("GET", "/models/x/versions/1/uses", "viewer"),
            ("GET", "/models/x/versions/1/card", "viewer"),
            ("GET", "/registrations", "viewer"),
            ("GET", "/mlflow-findings", "viewer"),
            ("POST", "/models", "engineer"),
            ("POST", "/model-files", "engineer"),
            ("PATCH", "/models/x/versions/1", "engineer"),
            ("GET", "/models/x/versions/1/download", "engineer"),
            ("POST", "/models/x/versions/1/archive", "admin"),
            ("POST", "/models/x/versions/1/deploy", "admin"),
            ("POST", "/models/x/versions/1/undeploy", "admin"),
            ("POST", "/deployments/x/rollback", "admin"),
        ],
    )
    async def test_every_route_needs_its_role(self, client, world, method, path, least):
        declaration = world.pack().model_dump(mode="json") | {"revision": 1, "reason": "x"}
        weaker = {"viewer": "nobody", "engineer": "viewer", "admin": "engineer"}[least]

        for roles, status in (((), 401), ((weaker,), 403)):
            headers = MINT.header(*roles) if roles else {}
            answer = await client.request(method, ADMIN + path, json=declaration, headers=headers)
            assert answer.status_code == status, answer.text
        answer = await client.request(method, ADMIN + path, headers=MINT.header(least))
        assert answer.status_code not in {401, 403}


class TestTasks:
    async def test_an_engineer_declares_and_changes_a_task(self, client, world):
        engineer, viewer = MINT.header("engineer"), MINT.header("viewer")
        declared = world.pack().model_dump(mode="json")
        url = f"{ADMIN}/tasks/{world.task_id}"

        created = await client.post(f"{ADMIN}/tasks", json=declared, headers=engineer)
        again = await client.post(f"{ADMIN}/tasks", json=declared, headers=engineer)
        changed = await client.put(f"{url}?seen_version=1", json=declared | {"title": "New"}, headers=engineer)
        stale = await client.put(f"{url}?seen_version=1", json=declared | {"title": "Old"}, headers=engineer)

        assert [one.status_code for one in (created, again, changed, stale)] == [201, 409, 200, 409]
        assert stale.json()["facts"] == {"version": 2}
        assert (await client.get(url, headers=viewer)).json()["declaration"]["title"] == "New"
        assert (await client.get(f"{ADMIN}/tasks", headers=viewer)).json()["total"] == 1
        history = (await client.get(f"{url}/history?limit=1", headers=viewer)).json()
        assert (history["total"], history["limit"], history["offset"]) == (2, 1, 0)
        assert [(one["version"], one["defined_by"]) for one in history["items"]] == [(2, "somebody")]

    async def test_a_refusal_names_every_wrong_field(self, client, world):
        declared = world.pack().model_dump(mode="json") | {"gate": {"min_acuracy": 1}, "answer_field": "mood"}
        answer = await client.post(f"{ADMIN}/tasks", json=declared, headers=MINT.header("engineer"))

        assert answer.status_code == 422
        assert answer.json()["facts"] == {"gate.min_acuracy": "no such field; is min_accuracy_0_1 meant?"}

    async def test_a_declaration_of_another_task_is_refused(self, client, world):
        declared = world.pack().model_dump(mode="json")
        answer = await client.put(f"{ADMIN}/tasks/other?seen_version=1", json=declared, headers=MINT.header("engineer"))
        assert answer.status_code == 422

    async def test_what_no_database_takes_is_refused(self, client, world):
        viewer, engineer = MINT.header("viewer"), MINT.header("engineer") | {"content-type": "application/json"}
        for path in ("/tasks/a%00b", "/deployments/a%00b", "/models/a%00b/versions", "/models/a%00b/versions/1"):
            answer = await client.get(ADMIN + path, headers=viewer)
            assert (answer.status_code, answer.json()["code"]) == (422, "request.malformed")
        declared = world.pack().model_dump(mode="json")
        for changes in (
            {"title": "a\0"}, {"answer_schema": {"x": "\ud800"}}, {"answer_schema": {"x": math.nan}},
            {"answer_schema": {"$schema": [1]}},
        ):  # fmt: skip
            content = json.dumps(declared | {"answer_field": None} | changes)
            answer = await client.post(f"{ADMIN}/tasks", content=content, headers=engineer)
            assert (answer.status_code, answer.json()["code"]) == (422, "task.declaration-refused")

    async def test_what_is_not_there_is_404(self, client):
        for path in ("/tasks/x", "/tasks/x/history", "/deployments/x", "/models/x/versions/1"):
            answer = await client.get(ADMIN + path, headers=MINT.header("viewer"))
            assert (answer.status_code, answer.headers["content-type"]) == (404, "application/problem+json")


class TestModels:
    async def test_versions_are_listed_by_status(self, client, promoted, base_model):
        viewer = MINT.header("viewer")
        page = (await client.get(f"{ADMIN}/models?status=production", headers=viewer)).json()
        assert [one["variant_id"] for one in page["items"]] == [f"{promoted.task_id}:1"]
        page = (await client.get(f"{ADMIN}/models?limit=1", headers=viewer)).json()
        assert (len(page["items"]), page["total"]) == (1, 2)
        page = (await client.get(f"{ADMIN}/models/{base_model}/versions", headers=viewer)).json()
        assert [(one["version"], one["status"]) for one in page["items"]] == [(1, "archived")]

    async def test_an_evaluation_shows_every_answer(self, client, promoted):
        url = f"{ADMIN}/models/{promoted.task_id}/versions/1/evaluations"
        page = (await client.get(url, headers=MINT.header("viewer"))).json()

        (evaluation,) = page["items"]
        assert evaluation["passed"]
        assert evaluation["candidate_score"]["accuracy_0_1"] == 1
        assert len(evaluation["answers"]) == 16
        assert evaluation["answers"][0]["answer"] in {'{"status": "alert"}', '{"status": "normal"}'}
        short = (await client.get(f"{url}?answers=false", headers=MINT.header("viewer"))).json()
        assert short["items"][0]["answers"] == []

    async def test_the_lineage_leads_back_to_data_and_forward_to_deployments(self, client, promoted):
        url = f"{ADMIN}/models/{promoted.task_id}/versions/1/lineage"
        lineage = (await client.get(url, headers=MINT.header("viewer"))).json()

        assert lineage["training_data"]["version_id"] == "d1v1"
        assert lineage["adapter"]["sha256"]
        assert lineage["experiments"][0]["applied"]

    async def test_releases_show_jobs_that_came_to_nothing(self, client, promoted):
        await promoted.handle(await promoted.a_finished_job(state="failed", reason="no memory", adapter=None))
        page = (await client.get(f"{ADMIN}/releases", headers=MINT.header("viewer"))).json()

        assert [one["state"] for one in page["items"]] == ["failed", "promoted"]
        assert page["items"][0]["reason"] == "the job ended as failed: no memory"


class TestRollbackAndPromotion:
    async def test_a_rollback_brings_the_champion_before_back(self, client, promoted, base_model):
        url = f"{ADMIN}/deployments/{promoted.task_id}"
        answer = await client.post(
            f"{url}/rollback", json={"revision": 3, "reason": "users complain"}, headers=MINT.header("admin")
        )

        assert answer.status_code == 200, answer.text
        assert (answer.json()["champion"], answer.json()["revision"]) == (f"{base_model}:1", 4)
        said = (await promoted.announced(DEPLOYMENT_CHANGED))[-1]
        assert (said.champion.variant.served_name, said.reason) == (base_model, "users complain")
        assert said.changed_by == "somebody"
        history = (await client.get(f"{url}/history", headers=MINT.header("viewer"))).json()
        assert [one["revision"] for one in history["items"]] == [4, 3, 2, 1]

    async def test_a_version_is_deployed_beside_the_champion_and_taken_out_again(self, client, promoted):
        admin, task = MINT.header("admin"), promoted.task_id
        body = {"revision": 3, "reason": "back"}
        await client.post(f"{ADMIN}/deployments/{task}/rollback", json=body, headers=admin)
        for change, revision, candidates in (("deploy", 4, [f"{task}:1"]), ("undeploy", 5, [])):
            answer = await client.post(
                f"{ADMIN}/models/{task}/versions/1/{change}",
                json={"task_id": task, "revision": revision, "reason": "a look"}, headers=admin,
            )  # fmt: skip
            assert answer.status_code == 200, answer.text
            assert (answer.json()["candidates"], answer.json()["revision"]) == (candidates, revision + 1)

    async def test_an_archived_version_is_loaded_again_before_it_is_promoted(self, client, promoted, base_model):
        admin = MINT.header("admin")
        body = {"revision": 3, "reason": "back"}
        await client.post(f"{ADMIN}/deployments/{promoted.task_id}/rollback", json=body, headers=admin)
        promoted.vllm.restart()
        answer = await client.post(
            f"{ADMIN}/models/{promoted.task_id}/versions/1/promote",
            json={"task_id": promoted.task_id, "revision": 4, "reason": "and forth"}, headers=admin,
        )  # fmt: skip

        assert answer.status_code == 200, answer.text
        assert answer.json()["champion"] == f"{promoted.task_id}:1"
        assert f"{promoted.task_id}-v1" in promoted.vllm.adapters

    async def test_of_two_people_at_once_one_wins_and_the_other_is_told(self, client, promoted, base_model):
        url = f"{ADMIN}/deployments/{promoted.task_id}/rollback"
        body, admin = {"revision": 3, "reason": "x"}, MINT.header("admin")
        answers = await asyncio.gather(*(client.post(url, json=body, headers=admin) for _ in range(2)))

        assert sorted(answer.status_code for answer in answers) == [200, 409]
        loser = next(answer for answer in answers if answer.status_code == 409)
        assert loser.json()["code"] == "deployment.changed-meanwhile"
        assert loser.json()["facts"] == {"revision": 4, "changed_by": "somebody", "champion": f"{base_model}:1"}
        assert len(await promoted.announced(DEPLOYMENT_CHANGED)) == 4

    async def test_is_refused_without_a_server_or_a_reason_to(self, client, promoted, base_model):
        admin = MINT.header("admin")
        promote = f"{ADMIN}/models/{promoted.task_id}/versions/1/promote"
        body = {"task_id": promoted.task_id, "revision": 3, "reason": "x"}
        assert (await client.post(promote, json=body, headers=admin)).json()["code"] == "deployment.already-in-charge"
        assert (await client.post(promote, json=body | {"reason": ""}, headers=admin)).status_code == 422
        assert (await client.post(promote.replace("/1/", "/9/"), json=body, headers=admin)).status_code == 404

        await promoted.vllm.stop()
        url = f"{ADMIN}/deployments/{promoted.task_id}/rollback"
        away = await client.post(url, json={"revision": 3, "reason": "x"}, headers=admin)
        assert (away.status_code, away.headers["retry-after"]) == (503, "2")
        assert len(await promoted.announced(DEPLOYMENT_CHANGED)) == 3

    async def test_a_version_of_another_task_is_refused(self, client, promoted):
        first = promoted.task_id
        promoted.task_id = f"{first}-other"
        await promoted.declare_and_serve()
        answer = await client.post(
            f"{ADMIN}/models/{first}/versions/1/promote",
            json={"task_id": promoted.task_id, "revision": 1, "reason": "x"}, headers=MINT.header("admin"),
        )  # fmt: skip
        assert answer.json()["code"] == "deployment.foreign-model"

    async def test_nothing_to_roll_back_to(self, client, world):
        await world.declare_and_serve()
        answer = await client.post(
            f"{ADMIN}/deployments/{world.task_id}/rollback", json={"revision": 1, "reason": "x"},
            headers=MINT.header("admin"),
        )  # fmt: skip
        assert (answer.status_code, answer.json()["code"]) == (409, "deployment.no-previous-champion")
