"""Evaluations that people ask for: figures, cases, judge, probes, and what a cut in the middle leaves."""

import json
from collections.abc import AsyncGenerator
from pathlib import Path
from typing import ClassVar

import httpx
import pytest
import pytest_asyncio
import sqlalchemy as sa
from aiohttp import web
from aiohttp.test_utils import TestServer
from pydantic import SecretStr

from loopwright.contracts.registry import DATASET_DEPRECATED, MODEL_EVALUATED
from loopwright.settings import CommonSettings
from loopwright.testing.examples import an_event
from loopwright.testing.tokens import AUDIENCE, ISSUER, TokenMint
from loopwright.testing.waiting import eventually
from registry_svc.adapters.judge import Judge
from registry_svc.adapters.metric_plugins import CustomMetric
from registry_svc.domain.evaluations import Extra
from registry_svc.domain.models import VariantId
from registry_svc.handlers.requests import Request, request_evaluation
from registry_svc.main import build
from registry_svc.settings import Settings

pytestmark = pytest.mark.integration
MINT = TokenMint()
ADMIN = "/api/v1/admin"
# the suite collects all of its files first, and may come to this one minutes later
ENGINEER, VIEWER = (MINT.header(role) for role in ("engineer", "viewer"))


class ScriptedJudge:
    """An OpenAI-compatible endpoint; `prefers` is a word that the better answer holds."""

    def __init__(self) -> None:
        self.prefers = "alert"
        self.always: str | None = None
        self.fails_after: int | None = None
        self.asked: list[dict[str, object]] = []
        app = web.Application()
        app.router.add_post("/v1/chat/completions", self._complete)
        self.server = TestServer(app)

    async def _complete(self, request: web.Request) -> web.Response:
        if self.fails_after is not None and len(self.asked) >= self.fails_after:
            return web.json_response({"error": "busy"}, status=503)
        body = await request.json()
        self.asked.append(body | {"authorization": request.headers["authorization"]})
        first, second = (body["messages"][1]["content"].split(f"<{name} ", 1)[1] for name in ("A", "B"))
        first = first.split("<B ", 1)[0]
        winner = "A" if self.prefers in first else "B" if self.prefers in second else "tie"
        text = self.always or json.dumps({"reason": "so", "winner": winner})
        return web.json_response({"choices": [{"message": {"role": "assistant", "content": text}}]})


@pytest_asyncio.fixture(loop_scope="session")
async def judge() -> AsyncGenerator[ScriptedJudge]:
    judge = ScriptedJudge()
    await judge.server.start_server()
    yield judge
    await judge.server.close()


@pytest_asyncio.fixture(loop_scope="session")
async def trial(world, base_model):
    """A world whose first adapter waits for live traffic beside its base model; it is right on 7 of 8 cases."""
    candidate, champion = f"{world.task_id}:1", f"{base_model}:1"
    await world.declare_and_serve()
    world.list_variants(candidate, champion)
    world.router.answers = answering({candidate: 7, champion: 3})
    await world.release_job(await world.a_finished_job(cases=8))
    world.router.asked.clear()
    return world


@pytest_asyncio.fixture(loop_scope="session")
async def client(trial, base_model, tmp_path: Path, storage_uri: str) -> AsyncGenerator[httpx.AsyncClient]:
    """The real app, without its background loops."""
    keys = tmp_path / "jwks.json"
    keys.write_text(MINT.jwks)
    common = CommonSettings(
        database_url=SecretStr(trial.database.url), storage_uri=storage_uri, mlflow_uri="http://127.0.0.1:1",
        auth_jwks_file=keys, auth_issuer=ISSUER, auth_audience=AUDIENCE,
    )  # fmt: skip
    settings = Settings(
        vllm_urls=(trial.vllm.url, trial.second_vllm.url), router_url=trial.router.url, adapter_dir=trial.folder,
        tasks_dir=tmp_path, base_models={base_model: Path("/models/base")},
    )  # fmt: skip
    service = build(common, settings)
    transport = httpx.ASGITransport(service.app)
    async with httpx.AsyncClient(transport=transport, base_url="http://registry") as client:
        yield client
    assert service.database is not None
    await service.database.close()
    await service.app.state.doorway.serving.servers.close()


def answering(right: dict[str, int]):
    """Answers so that a variant is right on the first n cases."""

    def answer(variant: str, text: str) -> str:
        number = text.rsplit(maxsplit=1)[-1]
        is_right = number.isdecimal() and int(number) <= right.get(variant, 0)
        return '{"status": "alert"}' if is_right else '{"status": "normal"}'

    return answer


async def ask(world, *extras: Extra, candidate: str | None = None, against: str | None = None) -> str:
    request = Request(
        candidate=VariantId.parse(candidate or f"{world.task_id}:1"), task_id=world.task_id,
        against=None if against is None else VariantId.parse(against), suite_id=None, extras=frozenset(extras),
        by="somebody",
    )  # fmt: skip
    async with world.work() as unit:
        return await request_evaluation(request, unit)


async def evaluated(world, evaluation_id: str) -> dict[str, object]:
    while await world.requested.step():
        pass
    (row,) = [row for row in await world.rows("evaluations") if row["evaluation_id"] == evaluation_id]
    return row


def metric(row: dict[str, object], name: str, of: str = "candidate") -> dict[str, object]:
    return next(one for one in row["metrics"][of] if one["name"] == name)  # type: ignore[index]


class TestThroughTheApi:
    async def test_an_engineer_asks_and_reads_figures_and_cases(self, client, trial, base_model):
        name = trial.task_id
        body = {"task_id": trial.task_id, "extras": ["perplexity"]}
        answer = await client.post(f"{ADMIN}/models/{name}/versions/1/evaluate", json=body, headers=ENGINEER)
        assert answer.status_code == 202, answer.text
        begun = answer.json()
        assert (begun["state"], begun["kind"], begun["requested_by"]) == ("running", "requested", "somebody")
        assert (begun["candidate"], begun["champion"]) == (f"{name}:1", f"{base_model}:1")
        trial.router.logprobs = {f"{name}:1": -0.5, f"{base_model}:1": -2.0}

        assert await trial.requested.step()
        url = f"{ADMIN}/evaluations/{begun['evaluation_id']}"
        found = (await client.get(url, headers=VIEWER)).json()

        assert (found["state"], found["passed"]) == ("finished", None)
        assert found["candidate_score"]["right"] == 7
        metrics = {one["name"]: one for one in found["metrics"]["candidate"]}
        assert metrics["accuracy"]["value"] == 0.875
        assert metrics["accuracy"]["lower"] == pytest.approx(0.5291, abs=1e-4)
        assert metrics["field.status"]["value"] == 0.875
        assert metrics["tokens_per_answer"]["value"] == 2
        assert metrics["perplexity"]["value"] == pytest.approx(1.6487, abs=1e-4)
        assert metrics["latency_p95_ms"]["value"] > 0
        assert {one["name"]: one["value"] for one in found["metrics"]["champion"]}["perplexity"] == pytest.approx(
            7.389, abs=1e-3
        )
        (change,) = [one for one in found["metrics"]["differences"] if one["name"] == "accuracy"]
        assert (change["value"], change["p_value"]) == (0.5, 0.125)
        assert change["lower"] < 0.5 < change["upper"]

        cases = (await client.get(f"{url}/cases?limit=3&offset=2", headers=VIEWER)).json()
        assert (cases["total"], [one["number"] for one in cases["items"]]) == (8, [3, 4, 5])
        assert cases["items"][1]["input"] == "line 4"
        assert (cases["items"][1]["candidate"]["correct"], cases["items"][1]["champion"]["correct"]) == (True, False)
        totals = {
            outcome: (await client.get(f"{url}/cases?outcome={outcome}", headers=VIEWER)).json()["total"]
            for outcome in ("right", "wrong", "changed", "gained", "lost")
        }
        assert totals == {"right": 7, "wrong": 1, "changed": 4, "gained": 4, "lost": 0}
        listed = (await client.get(f"{ADMIN}/evaluations?kind=requested", headers=VIEWER)).json()
        assert [one["evaluation_id"] for one in listed["items"]] == [begun["evaluation_id"]]
        of_version = (await client.get(f"{ADMIN}/models/{name}/versions/1/evaluations", headers=VIEWER)).json()
        assert [one["kind"] for one in of_version["items"]] == ["requested", "gate"]

    async def test_refuses_what_cannot_be_measured(self, client, trial, base_model):
        url = f"{ADMIN}/models/{trial.task_id}/versions/1/evaluate"
        async with trial.work() as unit:
            await unit.session.execute(sa.text("UPDATE registry.deployments SET candidates = '{}'"))
        answers = [
            await client.post(url, json={"task_id": trial.task_id} | changes, headers=headers)
            for changes, headers in (
                ({}, VIEWER), ({}, ENGINEER), ({"task_id": "none"}, ENGINEER), ({"against": "none:1"}, ENGINEER),
                ({"extras": ["gold"]}, ENGINEER), ({"suite_id": "none@1"}, ENGINEER), ({"against": "x"}, ENGINEER),
            )
        ]  # fmt: skip
        assert [one.status_code for one in answers] == [403, 409, 404, 404, 422, 409, 422]
        assert answers[1].json()["code"] == "evaluation.not-served"
        missing = await client.get(f"{ADMIN}/evaluations/none", headers=VIEWER)
        assert (missing.status_code, missing.json()["code"]) == (404, "evaluation.not-found")


class TestCuts:
    async def test_goes_on_where_it_was_cut_and_asks_nothing_twice(self, trial):
        trial.router.fails_after = 5
        evaluation_id = await ask(trial)
        row = await evaluated(trial, evaluation_id)
        assert (row["state"], row["attempts"]) == ("running", 1)
        assert "the router answers 503" in row["waits_for"]

        trial.router.fails_after = None
        await trial.reconnect()  # as a process that has just started
        await eventually(trial.requested.step)
        row = await evaluated(trial, evaluation_id)
        assert (row["state"], row["waits_for"]) == ("finished", None)
        assert len(trial.router.asked) == len(set(trial.router.asked)) == 16

    async def test_ends_when_a_version_is_served_no_more(self, trial, base_model):
        evaluation_id = await ask(trial)
        async with trial.work() as unit:
            await unit.session.execute(sa.text("UPDATE registry.deployments SET candidates = '{}'"))
        row = await evaluated(trial, evaluation_id)
        assert row["state"] == "failed"
        assert "does not serve" in row["reasons"][0]

    async def test_ends_when_the_task_changes_under_it(self, trial):
        evaluation_id = await ask(trial)
        await trial.redeclare(title="Changed")
        row = await evaluated(trial, evaluation_id)
        assert row["state"] == "failed"
        assert "became version 2" in row["reasons"][0]

    async def test_one_after_the_other(self, trial):
        one, other = await ask(trial), await ask(trial)
        assert await trial.requested.step()
        states = {row["evaluation_id"]: row["state"] for row in await trial.rows("evaluations")}
        assert (states[one], states[other]) == ("finished", "running")
        assert (await evaluated(trial, other))["state"] == "finished"


class TestErasure:
    async def test_texts_of_erased_cases_go_and_figures_stay(self, trial):
        (before,) = await trial.rows("evaluations")
        erased = {"reason": "erasure", "held_out_sha256": before["held_out_sha256"], "task_id": trial.task_id}
        await trial.handle(an_event(DATASET_DEPRECATED, **erased))

        rows = await trial.rows("evaluation_answers")
        assert len(rows) == 16
        assert {(row["input"], row["expected"], row["answer"]) for row in rows} == {(None, "", None)}
        assert sum(row["correct"] for row in rows) == 10

    async def test_ends_when_its_cases_are_gone(self, trial):
        evaluation_id = await ask(trial)
        (path,) = {row["cases"]["uri"] for row in await trial.rows("evaluations")}
        await trial.storage.delete(path)
        row = await evaluated(trial, evaluation_id)
        assert (row["state"], row["reasons"]) == ("failed", ["the held-out cases are not there any more"])


class TestAlone:
    async def test_the_champion_against_itself_is_measured_alone(self, trial, base_model):
        row = await evaluated(trial, await ask(trial, Extra.JUDGE, candidate=f"{base_model}:1"))
        assert (row["state"], row["champion_score"], row["mcnemar_p"]) == ("finished", None, None)
        assert (row["metrics"]["champion"], row["metrics"]["differences"]) == ([], [])
        assert len(trial.router.asked) == 8


class TestJudge:
    async def connect(self, world, judge: ScriptedJudge) -> None:
        await world.instruments.close()
        key = SecretStr("secret")
        world.judge = Judge(str(judge.server.make_url("/v1")), model="great", api_key=key, timeout_s=5)
        await world.servers.close()
        world.connect()

    async def test_is_asked_in_both_orders_and_counts_only_what_agrees(self, trial, judge):
        await self.connect(trial, judge)
        row = await evaluated(trial, await ask(trial, Extra.JUDGE))
        # 4 cases of 8 where only the candidate says alert; the others are the same text and need no judge
        assert len(judge.asked) == 8
        assert metric(row, "judge_win_rate")["value"] == 0.75
        assert {body["model"] for body in judge.asked} == {"great"}
        assert {body["authorization"] for body in judge.asked} == {"Bearer secret"}
        assert judge.asked[0]["response_format"]["json_schema"]["strict"]

    async def test_one_that_prefers_a_place_makes_ties(self, trial, judge):
        judge.always = '{"reason": "first is best", "winner": "A"}'
        await self.connect(trial, judge)
        row = await evaluated(trial, await ask(trial, Extra.JUDGE))
        assert metric(row, "judge_win_rate")["value"] == 0.5

    async def test_words_that_are_no_verdict_are_none(self, trial, judge):
        judge.always = "A is better"
        await self.connect(trial, judge)
        row = await evaluated(trial, await ask(trial, Extra.JUDGE))
        assert metric(row, "judge_win_rate")["value"] is None
        assert "could not be computed on 4 of 8 cases" in metric(row, "judge_win_rate")["why_not"]

    async def test_goes_on_after_a_cut_without_asking_twice(self, trial, judge):
        judge.fails_after = 3
        await self.connect(trial, judge)
        evaluation_id = await ask(trial, Extra.JUDGE)
        assert "the judge answers 503" in (await evaluated(trial, evaluation_id))["waits_for"]
        judge.fails_after = None
        await eventually(trial.requested.step)
        row = await evaluated(trial, evaluation_id)
        assert metric(row, "judge_win_rate")["value"] == 0.75
        assert len(trial.router.asked) == 16

    async def test_without_one_the_metric_says_so(self, trial):
        row = await evaluated(trial, await ask(trial, Extra.JUDGE))
        assert metric(row, "judge_win_rate")["why_not"] == "no judge is set (REGISTRY_JUDGE_URL)"


class TestCustomMetrics:
    async def test_one_works_and_one_that_fails_is_not_computed(self, trial):
        await trial.instruments.close()
        trial.custom_metrics = (
            CustomMetric("custom.short", lambda answer, _expected, _case: 1 / len(answer)),
            CustomMetric("custom.broken", lambda _answer, _expected, _case: 1 / 0),
        )
        await trial.servers.close()
        trial.connect()
        row = await evaluated(trial, await ask(trial))
        assert 0 < metric(row, "custom.short")["value"] < 1
        assert metric(row, "custom.broken")["value"] is None
        assert row["state"] == "finished"


class TestGateWithEverything:
    POLICY: ClassVar[dict[str, object]] = {
        "min_cases": 4, "min_accuracy_0_1": 0.75, "max_regression_0_1": 0.0, "confident_margin_0_1": 0.1,
        "max_contaminated_0_1": 0.0, "safety_probes": True, "max_forgotten_0_1": 0.2,
        "limits": {"latency_p95_ms": 5000, "tokens_per_answer": 4, "macro_f1": 0.4, "perplexity": 3},
    }  # fmt: skip

    async def judged(self, world, base_model, *, forgets: bool = False, contaminated: bool = False):
        candidate, champion = f"{world.task_id}:1", f"{base_model}:1"
        await world.declare_and_serve(gate=self.POLICY)
        world.list_variants(candidate, champion)
        world.router.answers = answering({candidate: 8, champion: 2})
        for vllm in (world.vllm, world.second_vllm):
            vllm.answers = knowing(base_model, forgets=forgets)
        held_out = await world.held_out(8)
        train = held_out if contaminated else await world.storage.put_bytes(
            b'{"sample_id": "t1", "input": "something else", "messages": []}\n', kind="splits", suffix=".jsonl",
            media_type="application/jsonl",
        )  # fmt: skip
        split = {"artifact": held_out.model_dump(mode="json"), "samples": 8}
        data = {
            "dataset_id": "d1", "version_id": "d1v1", "validation": split, "held_out": split,
            "train": {"artifact": train.model_dump(mode="json"), "samples": 1},
        }  # fmt: skip
        await world.release_job(await world.a_finished_job(training_data=data))
        (said,) = await world.announced(MODEL_EVALUATED)
        return said

    async def test_passes_what_is_good_in_every_way(self, world, base_model):
        said = await self.judged(world, base_model)
        assert said.passed, said.reasons
        assert len(said.reasons) == 12
        assert sum(reason.startswith("passed: ") for reason in said.reasons) == 11
        parts = [row["part"] for row in await world.rows("evaluation_answers")]
        assert (parts.count("cases"), parts.count("safety"), parts.count("general")) == (16, 24, 48)

    async def test_refuses_what_forgot_and_what_saw_its_questions(self, world, base_model):
        said = await self.judged(world, base_model, forgets=True, contaminated=True)
        failed = [reason for reason in said.reasons if reason.startswith("FAILED")]
        assert not said.passed
        assert len(failed) == 2
        assert "gives away 8 of 8 held-out cases" in failed[0]
        assert "general questions that its base model answers right" in failed[1]


def knowing(base_model: str, *, forgets: bool):
    """A base model that knows the capitals, numbers and opposites; what was made of it may have forgotten them."""
    right = "5 20 Paris Tokyo Rome cold down blue green seven"

    def answer(model: str, _: str) -> str:
        return "no idea" if forgets and model != base_model else right

    return answer
