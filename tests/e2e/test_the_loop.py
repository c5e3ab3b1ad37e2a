"""The loop itself, with real Kafka, PostgreSQL, MLflow, vLLM and training, while parts of it are killed."""

import asyncio
from collections import Counter
from collections.abc import AsyncGenerator
from dataclasses import dataclass

import httpx
import pytest
import pytest_asyncio

from loopwright.contracts.experiments import ExperimentConcluded, Outcome
from loopwright.contracts.jobs import JobFinished
from loopwright_local.demo.__main__ import kill_at
from loopwright_local.demo.documents import use_document
from loopwright_local.demo.loop import Limits, LoopResult, turn_loop
from loopwright_local.demo.raters import Raters
from loopwright_local.demo.records import own_records
from loopwright_local.demo.report import tracing_rating_to_promotion
from loopwright_local.demo.watch import Watcher
from loopwright_local.lineage import walk_back
from loopwright_local.stack import LocalStack
from loopwright_local.traces import spans_of

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(1800)]

TASK = "log-anomaly"
KILLS = {"feedback": "rated", "trainer": "training", "postgres": "dataset requested", "kafka": "experiment"}


@dataclass(frozen=True)
class Turn:
    """One turn of the loop, over."""

    result: LoopResult
    watcher: Watcher


@pytest_asyncio.fixture(scope="module")
async def turn(stack: LocalStack) -> AsyncGenerator[Turn]:
    watcher = Watcher(stack.urls.kafka_bootstrap, TASK, say=print)
    raters = Raters(stack.urls.router, TASK, seed=3)
    watching = asyncio.create_task(watcher.run())
    killing = [asyncio.create_task(kill_at(stack, watcher, part, stage, say=print)) for part, stage in KILLS.items()]
    try:
        result = await turn_loop(watcher, raters, own_records(600), limits=Limits(), say=print)
        await asyncio.gather(*killing)
        await stack.wait_ready()
        yield Turn(result, watcher)
    finally:
        for task in (watching, *killing):
            task.cancel()
        await asyncio.gather(watching, *killing, return_exceptions=True)
        await raters.close()


async def _read(stack: LocalStack, url: str, role: str = "viewer") -> dict[str, object]:
    async with httpx.AsyncClient(headers={"Authorization": f"Bearer {stack.token(role)}"}, timeout=30) as client:
        response = await client.get(url)
        return response.raise_for_status().json()


class TestTheLoop:
    async def test_promotes_a_model_that_is_clearly_better_on_held_out_cases(self, turn: Turn) -> None:
        evaluated = turn.result.evaluated
        assert evaluated.passed
        assert evaluated.candidate_score.accuracy_0_1 >= evaluated.champion_score.accuracy_0_1 + 0.1
        assert turn.result.deployed.champion.variant.variant_id == evaluated.candidate.variant_id
        assert {answer.variant for answer in turn.result.confirmations} == {evaluated.candidate.variant_id}

    async def test_decided_on_evidence_from_enough_users(self, turn: Turn) -> None:
        concluded = turn.watcher.last[ExperimentConcluded]
        assert isinstance(concluded, ExperimentConcluded)
        assert concluded.outcome is Outcome.PROMOTE
        assert concluded.evidence.lower is not None
        assert concluded.evidence.lower > 0

    async def test_does_nothing_twice_although_parts_were_killed(self, turn: Turn) -> None:
        counts = turn.watcher.counts
        once = (
            "dataset.requested",
            "dataset.validated",
            "job.requested",
            "job.finished",
            "model.evaluated",
            "experiment.concluded",
        )
        assert {topic: counts[topic] for topic in once} == dict.fromkeys(once, 1)
        assert turn.watcher.dead_letters == 0

    async def test_resumed_training_after_its_worker_was_killed(self, turn: Turn) -> None:
        finished = turn.watcher.last[JobFinished]
        assert isinstance(finished, JobFinished)
        assert finished.attempts == 2

    async def test_loses_no_rating_although_parts_were_killed(self, stack: LocalStack, turn: Turn) -> None:
        async with asyncio.timeout(60):
            while True:
                page = await _read(stack, f"{stack.urls.feedback}/api/v1/feedback/ratings?limit=1")
                if page["total"] == turn.result.ratings_sent:
                    return
                await asyncio.sleep(1)

    async def test_walks_one_answer_back_to_ratings(self, stack: LocalStack, turn: Turn) -> None:
        lineage = await walk_back(stack.settings, turn.result.confirmations[0].inference_id)
        assert lineage.model.training_data is not None
        assert lineage.ratings
        assert all(rating.rating_id in sample.rating_ids for sample, rating in lineage.ratings)

    async def test_one_trace_leads_from_a_rating_to_the_promotion(self, stack: LocalStack, turn: Turn) -> None:
        trace_id = tracing_rating_to_promotion(turn.watcher)
        assert trace_id is not None
        services = Counter(span.service for span in spans_of(trace_id, stack.settings.dir / "traces"))
        assert set(services) >= {"router-svc", "feedback-svc", "dataset-svc", "trainer-svc", "registry-svc"}


class TestDocuments:
    async def test_a_document_is_found_again_and_what_the_served_model_writes_of_it_is_whole(
        self, stack: LocalStack, turn: Turn
    ) -> None:
        result = await use_document(stack.settings, task_id=TASK, say=print)
        assert turn.result.evaluated.passed  # after the loop: what the model writes is work beside it
        assert result.quality["fused"].recall_at[3] == 1
        assert not {"not-json", "wrong-shape", "endpoint"} & result.written.refused.keys()


class TestAdminRoutes:
    @pytest.mark.parametrize(
        ("service", "path"),
        [
            ("dataset", "/api/v1/admin/training/datasets"),
            ("trainer", "/api/v1/admin/finetuning/jobs"),
            ("registry", "/api/v1/admin/models"),
            ("feedback", "/api/v1/admin/ab-tests"),
            ("router", "/api/v1/router/snapshot"),
        ],
    )
    async def test_refuses_callers_it_cannot_trust(self, stack: LocalStack, service: str, path: str) -> None:
        url = getattr(stack.urls, service) + path
        good = stack.token("viewer")
        forged = good[:-6] + ("AAAAAA" if good[-6:] != "AAAAAA" else "BBBBBB")
        async with httpx.AsyncClient() as client:
            for token in (None, stack.token("viewer", ttl_s=-60), forged):
                headers = {"Authorization": f"Bearer {token}"} if token else {}
                response = await client.get(url, headers=headers)
                assert response.status_code == 401
                assert response.headers["content-type"] == "application/problem+json"
            assert (await client.get(url, headers={"Authorization": f"Bearer {good}"})).status_code == 200

    async def test_refuses_a_role_that_is_too_weak(self, stack: LocalStack) -> None:
        url = f"{stack.urls.registry}/api/v1/admin/tasks"
        async with httpx.AsyncClient() as client:
            response = await client.post(url, json={}, headers={"Authorization": f"Bearer {stack.token('viewer')}"})
        assert response.status_code == 403
        assert response.json()["code"] == "auth.role-too-weak"
