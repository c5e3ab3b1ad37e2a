"""Test suites and comparisons through the HTTP door: files in, versions that stay, evaluations on them, side by side."""

import json
from collections.abc import AsyncGenerator
from pathlib import Path

import httpx
import pytest
import pytest_asyncio
from pydantic import SecretStr

from loopwright.settings import CommonSettings
from loopwright.testing.tokens import AUDIENCE, ISSUER, TokenMint
from loopwright.testing.waiting import eventually
from registry_svc.main import build
from registry_svc.settings import Settings

pytestmark = pytest.mark.integration
MINT = TokenMint()
ADMIN = "/api/v1/admin"
SUITES = f"{ADMIN}/suites"
ENGINEER, VIEWER = (MINT.header(role) for role in ("engineer", "viewer"))
CSV = ENGINEER | {"content-type": "text/csv; charset=utf-8"}
JSONL = ENGINEER | {"content-type": "application/x-ndjson"}
RIGHT = '{"status": "alert"}'


def cases(count: int) -> list[dict[str, object]]:
    return [{"input": f"case {number}", "expected": {"status": "alert"}} for number in range(1, count + 1)]


def lines(count: int) -> str:
    return "\n".join(json.dumps(case) for case in cases(count))


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
        tasks_dir=tmp_path, base_models={base_model: Path("/models/base")}, suite_most_cases=200,
        suite_most_bytes=1 << 16,
    )  # fmt: skip
    service = build(common, settings)
    transport = httpx.ASGITransport(service.app)
    async with httpx.AsyncClient(transport=transport, base_url="http://registry") as client:
        yield client
    assert service.database is not None
    await service.database.close()
    await service.app.state.doorway.serving.servers.close()


@pytest_asyncio.fixture(loop_scope="session")
async def tried(world, base_model):
    """A world whose first adapter waits for live traffic beside its base model."""
    await world.declare_and_serve()
    candidate, champion = f"{world.task_id}:1", f"{base_model}:1"
    world.list_variants(candidate, champion)
    world.router.answers = lambda variant, _: RIGHT if variant == candidate else '{"status": "normal"}'
    await world.release_job(await world.a_finished_job())
    return world


class TestSuites:
    async def test_an_engineer_makes_a_suite_and_its_next_versions_from_any_format(self, client, world):
        await world.declare()
        body = {"name": "smoke", "task_id": world.task_id, "description": "before every release", "cases": cases(3)}

        made = await client.post(SUITES, json=body, headers=ENGINEER)
        again = await client.post(SUITES, json=body, headers=ENGINEER)
        same = await client.post(f"{SUITES}/smoke/versions/import", content=lines(3), headers=JSONL)
        table = 'case_id,input,expected\na,"one, two","{""status"": ""normal""}"\n'
        renewed = await client.post(f"{SUITES}/smoke/versions/import", content=table, headers=CSV)
        by_json = await client.post(f"{SUITES}/smoke/versions", json={"cases": cases(1)}, headers=ENGINEER)

        assert [one.status_code for one in (made, again, same, renewed, by_json)] == [201, 409, 201, 201, 201]
        assert (made.json()["suite_id"], made.json()["cases"]) == ("smoke@1", 3)
        assert same.json() == made.json(), "equal content is no new version"
        assert [renewed.json()["suite_id"], by_json.json()["suite_id"]] == ["smoke@2", "smoke@3"]
        page = (await client.get(f"{SUITES}/smoke/versions", headers=VIEWER)).json()
        assert [(one["version"], one["cases"]) for one in page["items"]] == [(3, 1), (2, 1), (1, 3)]
        assert len({one["sha256"] for one in page["items"]}) == 3
        (case,) = (await client.get(f"{SUITES}/smoke/versions/2/cases", headers=VIEWER)).json()["items"]
        assert case == {"number": 1, "case_id": "a", "input": "one, two", "expected": '{"status": "normal"}'}
        first = (await client.get(f"{SUITES}/smoke/versions/1/cases?limit=2&offset=1", headers=VIEWER)).json()
        assert ([one["number"] for one in first["items"]], first["total"]) == ([2, 3], 3)

    async def test_two_hundred_cases_fit_and_what_is_too_much_is_refused(self, client, world):
        await world.declare()
        url = f"{SUITES}/import?name=full&task_id={world.task_id}"

        fits = await client.post(url, content=lines(200), headers=JSONL)
        many = await client.post(url.replace("full", "many"), content=lines(201), headers=JSONL)
        huge = await client.post(url.replace("full", "huge"), content="x" * ((1 << 16) + 1), headers=JSONL)
        huge_json = await client.post(SUITES, content=b" " * ((1 << 16) + 1), headers=ENGINEER)

        assert (fits.status_code, fits.json()["cases"]) == (201, 200)
        assert (many.status_code, many.json()["facts"]) == (422, {"file": "holds more than 200 cases"})
        assert (huge.status_code, huge_json.status_code) == (413, 413)
        assert huge.headers["content-type"] == "application/problem+json"

    async def test_a_refusal_names_every_wrong_line(self, client, world):
        await world.declare()
        url = f"{SUITES}/import?name=bad&task_id={world.task_id}"
        content = (
            '{"input": "a", "expected": {"status": "alert"}}\n{"input": 1}\nnonsense\n{"input": "b", "expected": "c"}'
        )

        answer = await client.post(url, content=content, headers=JSONL)

        assert (answer.status_code, answer.json()["code"]) == (422, "suite.cases-refused")
        assert set(answer.json()["facts"]) == {"line 2", "line 3", "line 4"}
        assert (await client.get(f"{SUITES}/bad", headers=VIEWER)).status_code == 404
        strange = await client.post(url, content=content, headers=ENGINEER | {"content-type": "application/xml"})
        assert (strange.status_code, strange.json()["code"]) == (422, "suite.format-unknown")
        unknown = await client.post(url.replace(world.task_id, "nothing"), content=content, headers=JSONL)
        assert unknown.status_code == 404

    @pytest.mark.parametrize(
        ("method", "path"),
        [("POST", ""), ("POST", "/import?name=x&task_id=x"), ("DELETE", "/x"), ("POST", "/x/archive")],
    )
    async def test_a_viewer_changes_nothing(self, client, world, method, path):
        body = {"name": "x", "task_id": "x", "cases": cases(1)}
        assert (await client.request(method, SUITES + path, json=body, headers=VIEWER)).status_code == 403


class TestEvaluationOnASuite:
    async def test_asks_its_cases_and_keeps_the_suite(self, client, tried, base_model):
        variant = f"{tried.task_id}:1"
        await client.post(f"{SUITES}/import?name=smoke&task_id={tried.task_id}", content=lines(5), headers=JSONL)
        body = {"task_id": tried.task_id, "suite_id": "smoke@1"}

        asked = await client.post(f"{ADMIN}/models/{tried.task_id}/versions/1/evaluate", json=body, headers=ENGINEER)
        assert asked.status_code == 202, asked.text
        assert await eventually(tried.requested.step)

        seen = (await client.get(f"{ADMIN}/evaluations?suite_id=smoke@1", headers=VIEWER)).json()
        (evaluation,) = seen["items"]
        assert (evaluation["kind"], evaluation["state"], evaluation["candidate"]) == ("suite", "finished", variant)
        assert (evaluation["candidate_score"]["right"], evaluation["champion_score"]["right"]) == (5, 0)
        assert {text for _, text in tried.router.asked} >= {f"case {number}" for number in range(1, 6)}
        deleted = await client.delete(f"{SUITES}/smoke", headers=ENGINEER)
        assert (deleted.status_code, deleted.json()["code"]) == (409, "suite.in-use")
        archived = (await client.post(f"{SUITES}/smoke/archive", headers=ENGINEER)).json()
        assert archived["archived_at"] is not None
        assert (await client.get(SUITES, headers=VIEWER)).json()["total"] == 0
        assert (await client.get(f"{SUITES}?archived=true", headers=VIEWER)).json()["total"] == 1
        refused = await client.post(f"{ADMIN}/models/{tried.task_id}/versions/1/evaluate", json=body, headers=ENGINEER)
        assert (refused.status_code, refused.json()["code"]) == (409, "suite.archived")
        await client.post(f"{SUITES}/smoke/restore", headers=ENGINEER)
        other = await client.post(
            f"{ADMIN}/models/{base_model}/versions/1/evaluate", json=body | {"suite_id": "smoke@9"}, headers=ENGINEER
        )
        assert other.status_code == 404

    async def test_a_suite_that_nothing_used_can_be_deleted(self, client, world):
        await world.declare()
        await client.post(f"{SUITES}/import?name=gone&task_id={world.task_id}", content=lines(1), headers=JSONL)

        assert (await client.delete(f"{SUITES}/gone", headers=ENGINEER)).status_code == 204
        assert (await client.get(f"{SUITES}/gone/versions/1/cases", headers=VIEWER)).status_code == 404
        assert await world.rows("suite_cases") == []


class TestComparison:
    async def test_shows_figures_intervals_and_the_cases_that_changed(self, client, tried, base_model):
        """The base is right on the first three of six cases, the candidate on the last five."""
        candidate, champion = f"{tried.task_id}:1", f"{base_model}:1"
        first, last = {f"case {number}" for number in (1, 2, 3)}, {f"case {number}" for number in range(2, 7)}
        tried.router.answers = lambda variant, text: (
            RIGHT if text in (last if variant == candidate else first) else '{"status": "normal"}'
        )
        await client.post(f"{SUITES}/import?name=six&task_id={tried.task_id}", content=lines(6), headers=JSONL)
        body = {"task_id": tried.task_id, "suite_id": "six@1"}
        await client.post(f"{ADMIN}/models/{tried.task_id}/versions/1/evaluate", json=body, headers=ENGINEER)
        await eventually(tried.requested.step)
        url = f"{ADMIN}/models/compare"
        pair = f"variant={champion}&variant={candidate}"

        seen = (await client.get(f"{url}?{pair}", headers=VIEWER)).json()

        assert [one["variant_id"] for one in seen["variants"]] == [champion, candidate]
        assert (seen["suite_id"], seen["why_no_cases"], len(seen["other_cases"])) == ("six@1", None, 1)
        base, trained = seen["figures"]
        accuracy = {one["name"]: one for one in trained["metrics"]}["accuracy"]
        assert accuracy["value"] == pytest.approx(5 / 6)
        assert accuracy["lower"] < accuracy["value"] < accuracy["upper"]
        assert (trained["lost"], trained["gained"], base["less_first"]) == (1, 3, [])
        less = {one["name"]: one for one in trained["less_first"]}["accuracy"]
        assert (less["value"], less["p_value"]) == (pytest.approx(2 / 6), pytest.approx(0.625))
        assert [(one["name"], one["differs"]) for one in seen["parameters"]] == [
            ("base_model", False),
            ("format", True),
        ]
        assert seen["data"][1]["dataset_version_id"] == "d1v1"

        lost = (await client.get(f"{url}/cases?{pair}&change=lost", headers=VIEWER)).json()
        (case,) = lost["items"]
        assert (case["input"], [one["correct"] for one in case["answers"]]) == ("case 1", [True, False])
        assert [one["variant_id"] for one in case["answers"]] == [champion, candidate]
        gained = (await client.get(f"{url}/cases?{pair}&change=gained&limit=1&offset=1", headers=VIEWER)).json()
        assert ([one["number"] for one in gained["items"]], gained["total"]) == ([5], 3)
        assert (await client.get(f"{url}/cases?{pair}", headers=VIEWER)).json()["total"] == 6
        held_out = seen["other_cases"][0]["sha256"]
        chosen = (await client.get(f"{url}?{pair}&cases={held_out}", headers=VIEWER)).json()
        assert (chosen["cases"]["sha256"], chosen["suite_id"]) == (held_out, None)

    async def test_says_why_there_is_nothing_to_compare(self, client, world, base_model):
        await world.declare_and_serve()
        await world.release_job(await world.a_finished_job(held_out=await world.held_out(0)))
        url = f"{ADMIN}/models/compare"
        pair = f"variant={base_model}:1&variant={world.task_id}:1"

        seen = (await client.get(f"{url}?{pair}&cases={'0' * 64}", headers=VIEWER)).json()

        assert (seen["cases"], seen["figures"]) == (None, [])
        assert "cases" in seen["why_no_cases"]
        assert (await client.get(f"{url}/cases?{pair}&cases={'0' * 64}", headers=VIEWER)).json()["total"] == 0
        one = f"variant={base_model}:1"
        for query, status in (
            (one, 422),
            (f"{one}&{one}", 422),
            (f"{one}&variant=nobody:1", 404),
            (f"{one}&variant=x", 422),
        ):
            assert (await client.get(f"{url}?{query}", headers=VIEWER)).status_code == status


class TestBenchmarksDoor:
    async def test_lists_what_can_be_run_and_refuses_what_cannot(self, client, world, base_model):
        await world.declare_and_serve()
        listed = (await client.get(f"{ADMIN}/benchmarks", headers=VIEWER)).json()
        url = f"{ADMIN}/models/{base_model}/versions/1/benchmarks"
        refused = await client.post(url, json={"benchmarks": ["klue_nli"]}, headers=ENGINEER)
        unknown = await client.post(url, json={"benchmarks": ["mmlu"]}, headers=ENGINEER)

        assert {one["name"]: one["problem"] for one in listed["items"]}["klue_nli"] is not None
        assert (refused.status_code, refused.json()["code"]) == (409, "benchmark.cannot-run")
        assert (unknown.status_code, unknown.json()["code"]) == (422, "benchmark.unknown")
        assert (await client.post(url, json={"benchmarks": ["klue_nli"]}, headers=VIEWER)).status_code == 403
        assert (await client.get(url, headers=VIEWER)).json()["total"] == 0
        assert (await client.get(f"{ADMIN}/benchmarks/runs/none", headers=VIEWER)).status_code == 404
