"""From `job.finished` to the gate's verdict, with each part failing in turn."""

import asyncio

import pytest

from loopwright.broker import Consumer, ConsumerStopped, RetryPolicy
from loopwright.contracts.registry import (
    DEPLOYMENT_CHANGED,
    JOB_FINISHED,
    MODEL_EVALUATED,
    MODEL_REGISTERED,
    Party,
)
from loopwright.database import Database
from loopwright.telemetry import continued_span
from loopwright.testing.records import a_raw_record, a_record
from loopwright.testing.waiting import eventually
from registry_svc.adapters.mlflow import MlflowRegistry
from registry_svc.domain.models import VariantId
from registry_svc.events import events
from registry_svc.handlers.deployments import put_in_charge
from registry_svc.jobs.releases import ReleasePipeline
from registry_svc.store.deployments import get_deployment
from registry_svc.store.tables import messaging, metadata

pytestmark = pytest.mark.integration
TRACE = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


def answering(right: dict[str, int]):
    """Answers so that a variant is right on the first n cases."""

    def answer(variant: str, text: str) -> str:
        number = int(text.rsplit(maxsplit=1)[-1])
        return '{"status": "alert"}' if number <= right.get(variant, 0) else '{"status": "normal"}'

    return answer


async def state_of(world) -> tuple[str, str | None]:
    (row,) = await world.rows("releases", "state, reason")
    return row["state"], row["reason"]


class TestHappyWay:
    async def test_a_better_candidate_waits_for_live_traffic(self, world, base_model):
        await world.declare_and_serve()
        candidate, champion = f"{world.task_id}:1", f"{base_model}:1"
        world.list_variants(candidate, champion)
        world.router.answers = answering({candidate: 7, champion: 3})
        event = await world.a_finished_job(cases=8)

        await world.release_job(event)

        assert (await state_of(world))[0] == "on_trial"
        (registered,) = [e for e in await world.announced(MODEL_REGISTERED) if e.job_id == event.job_id]
        assert (registered.model_name, registered.model_version, registered.format) == (world.task_id, 1, "lora")
        assert registered.mlflow_uri == f"models:/{world.task_id}/1"
        first, second = await world.announced(DEPLOYMENT_CHANGED)
        assert first.champion.variant.served_name == base_model
        (deployed,) = second.candidates
        assert deployed.variant.served_name == f"{world.task_id}-v1"
        assert deployed.variant.adapter == event.adapter
        assert set(deployed.backend_urls) == {world.vllm.url, world.second_vllm.url}
        assert (second.champion, second.revision) == (first.champion, 2)
        folder = str(world.folder.resolve() / event.adapter.sha256)
        assert world.vllm.adapters == world.second_vllm.adapters == {f"{world.task_id}-v1": folder}

        (evaluated,) = await world.announced(MODEL_EVALUATED)
        assert evaluated.passed
        assert (evaluated.candidate_score.accuracy_0_1, evaluated.champion_score.accuracy_0_1) == (0.875, 0.375)
        assert evaluated.candidate_score.cases == 8
        assert evaluated.mcnemar_p == pytest.approx(0.125)
        assert evaluated.held_out_sha256 == event.training_data.held_out.artifact.sha256
        assert len(world.router.asked) == 16
        assert world.router.temperatures == {0.25}
        answers = await world.rows("evaluation_answers")
        assert sum(row["correct"] for row in answers) == 10
        assert all(row["inference_id"] for row in answers)

    async def test_a_candidate_that_fails_the_gate_leaves_the_deployment(self, world, base_model):
        await world.declare_and_serve()
        candidate, champion = f"{world.task_id}:1", f"{base_model}:1"
        world.list_variants(candidate, champion)
        world.router.answers = answering({candidate: 2, champion: 6})

        await world.release_job(await world.a_finished_job(cases=8))

        state, reason = await state_of(world)
        assert state == "rejected"
        assert "FAILED: candidate accuracy 0.250 (2 of 8)" in reason
        (evaluated,) = await world.announced(MODEL_EVALUATED)
        assert not evaluated.passed
        assert evaluated.reasons[2].startswith("FAILED: candidate is -0.500")
        last = (await world.announced(DEPLOYMENT_CHANGED))[-1]
        assert (last.candidates, last.champion.variant.variant_id, last.revision) == ((), champion, 3)
        statuses = {row["model_name"]: row["status"] for row in await world.rows("model_versions")}
        assert statuses == {base_model: "production", world.task_id: "archived"}

    async def test_the_next_adapter_is_the_next_version(self, world, base_model):
        await world.declare_and_serve()
        world.list_variants(f"{world.task_id}:1", f"{world.task_id}:2", f"{base_model}:1")
        for _ in range(2):
            await world.release_job(await world.a_finished_job())

        assert [e.model_version for e in await world.announced(MODEL_REGISTERED) if e.job_id] == [1, 2]

    async def test_everything_said_continues_the_trace_of_the_job(self, world, base_model):
        await world.declare_and_serve()
        world.list_variants(f"{world.task_id}:1", f"{base_model}:1")
        with continued_span("training", traceparent=TRACE):
            record = a_record(await world.a_finished_job())
        record.headers += (("traceparent", TRACE.encode()),)
        await world.consume(record)
        while await world.pipeline.step():
            pass

        for topic in (MODEL_REGISTERED, MODEL_EVALUATED):
            said = (await world.headers(topic.name))[-1]
            assert said["traceparent"].split("-")[1] == TRACE.split("-")[1]


class TestDuplicate:
    async def test_a_job_is_released_once_however_often_it_is_announced(self, world, base_model):
        await world.declare_and_serve()
        world.list_variants(f"{world.task_id}:1", f"{base_model}:1")
        event = await world.a_finished_job()
        record = a_record(event)
        await world.consume(record)
        while await world.pipeline.step():
            pass
        said = len(await world.announced(MODEL_REGISTERED)), len(await world.announced(MODEL_EVALUATED))

        await world.consume(record)  # delivered again
        await world.handle(event)  # said again
        while await world.pipeline.step():
            pass

        assert (len(await world.announced(MODEL_REGISTERED)), len(await world.announced(MODEL_EVALUATED))) == said
        assert len(await world.rows("releases")) == 1


class TestResumedJobs:
    async def test_a_job_that_failed_and_was_resumed_is_released_when_it_succeeds(self, world, base_model):
        await world.declare_and_serve()
        world.list_variants(f"{world.task_id}:1", f"{base_model}:1")
        succeeded = await world.a_finished_job()
        failed = await world.a_finished_job(job_id=succeeded.job_id, state="failed", adapter=None, reason="no memory")
        await world.release_job(failed)
        assert (await state_of(world))[0] == "failed"

        await world.release_job(succeeded)

        assert [e.model_version for e in await world.announced(MODEL_REGISTERED) if e.job_id] == [1]
        assert (await state_of(world))[0] not in {"failed", "received"}


class TestTrials:
    async def test_what_is_made_of_an_adapter_is_no_candidate(self, world):
        await world.declare_and_serve()
        await world.release_job(await world.a_finished_job(kind="merge"))
        assert await world.rows("releases") == []

    async def test_a_trial_of_a_study_is_no_candidate(self, world):
        await world.declare_and_serve()
        await world.release_job(await world.a_finished_job(study_id="study-1"))
        assert await world.rows("releases") == []
        assert [event for event in await world.announced(MODEL_REGISTERED) if event.job_id] == []


class TestPoison:
    async def test_what_is_no_finished_job_goes_to_the_dead_letters_with_its_reason(self, world):
        good = a_record(await world.a_finished_job())
        await world.consume(a_raw_record(JOB_FINISHED, b'{"job_id": 3}', headers=list(good.headers)))

        (letter,) = await world.headers("job.finished.dlq")
        assert letter["dlq_code"] == "event.invalid-payload"
        assert await world.rows("releases") == []

    @pytest.mark.parametrize(
        "files",
        [
            {"../evil": b"x", "adapter_config.json": b"{}", "adapter_model.safetensors": b"x"},
            {"/etc/evil": b"x", "adapter_config.json": b"{}", "adapter_model.safetensors": b"x"},
            {"adapter_config.json": b"{}"},
            {"adapter_config.json": b"{}", "adapter_model.bin": b"pickle"},
        ],
    )
    async def test_an_adapter_that_is_none_is_never_unpacked_nor_registered(self, world, files):
        await world.declare_and_serve()
        adapter = await world.an_adapter(files)
        await world.release_job(await world.a_finished_job(adapter=adapter.model_dump(mode="json")))

        state, reason = await state_of(world)
        assert state == "failed"
        assert "archive" in reason or "lacks" in reason
        assert list(world.folder.iterdir()) == []
        assert not (world.folder.parent / "evil").exists()
        assert [e for e in await world.announced(MODEL_REGISTERED) if e.job_id] == []

    async def test_an_adapter_that_is_not_a_tar_fails_the_release(self, world):
        await world.declare_and_serve()
        adapter = await world.storage.put_bytes(b"no tar", kind="adapters", suffix=".tar", media_type="x/y")
        await world.release_job(await world.a_finished_job(adapter=adapter.model_dump(mode="json")))

        assert (await state_of(world))[0] == "failed"

    @pytest.mark.parametrize(
        ("changes", "words"),
        [
            ({"state": "failed", "reason": "out of memory", "adapter": None}, "ended as failed: out of memory"),
            ({"state": "stopped", "adapter": None}, "ended as stopped"),
            ({"task_id": "nobody-knows"}, "not defined"),
        ],
    )
    async def test_jobs_without_a_result_are_recorded(self, world, changes, words):
        await world.declare()
        await world.release_job(await world.a_finished_job(**changes))

        state, reason = await state_of(world)
        assert state == "failed"
        assert words in reason

    async def test_held_out_cases_that_cannot_be_read_fail_the_gate(self, world, base_model):
        await world.declare_and_serve()
        world.list_variants(f"{world.task_id}:1", f"{base_model}:1")
        broken = await world.storage.put_bytes(b"{}\n", kind="splits", suffix=".jsonl", media_type="x/y")
        await world.release_job(await world.a_finished_job(held_out=broken))

        (evaluated,) = await world.announced(MODEL_EVALUATED)
        assert not evaluated.passed
        assert "held-out line 1" in evaluated.reasons[0]
        assert (await state_of(world))[0] == "rejected"

    async def test_too_few_cases_fail_the_gate(self, world, base_model):
        await world.declare_and_serve()
        candidate, champion = f"{world.task_id}:1", f"{base_model}:1"
        world.list_variants(candidate, champion)
        world.router.answers = answering({candidate: 3})
        await world.release_job(await world.a_finished_job(cases=3))

        (evaluated,) = await world.announced(MODEL_EVALUATED)
        assert evaluated.reasons[0] == "FAILED: 3 held-out cases, at least 4 are needed"

    async def test_a_case_that_the_router_refuses_for_good_is_a_wrong_answer(self, world, base_model):
        await world.declare_and_serve()
        candidate, champion = f"{world.task_id}:1", f"{base_model}:1"
        world.list_variants(candidate, champion)
        world.router.answers = answering({candidate: 8})
        world.router.refuses = {"line 8"}
        await world.release_job(await world.a_finished_job(cases=8))

        (evaluated,) = await world.announced(MODEL_EVALUATED)
        assert evaluated.candidate_score.accuracy_0_1 == 0.875
        refused = [row for row in await world.rows("evaluation_answers") if row["answer"] is None]
        assert len(refused) == 2
        assert refused[0]["error"].startswith("400 ")


class TestDependencyDown:
    async def test_the_consumer_stops_without_a_database_and_handles_the_event_afterwards(self, world):
        await world.declare()
        record = a_record(await world.a_finished_job())
        away = Database("postgresql+asyncpg://nobody@127.0.0.1:1/none", metadata, messaging)
        policy = RetryPolicy(attempts=2, first_delay_s=0.01)
        consumer = Consumer(Party.REGISTRY, away, policy=policy, on_stop=world.stopped.append)
        subscription = next(one for one in events.subscriptions if one.topic.name == JOB_FINISHED.name)
        with pytest.raises(ConsumerStopped):
            await consumer.consume_record(subscription, record)
        await away.close()

        await world.consume(record)
        assert (await state_of(world))[0] == "received"

    async def test_waits_for_mlflow(self, world):
        await world.declare_and_serve()
        await world.handle(await world.a_finished_job())
        away = ReleasePipeline(
            world.means, mlflow=MlflowRegistry("http://127.0.0.1:1"), evaluator=world.pipeline._evaluator
        )
        assert await away.step()
        state, reason = await state_of(world)
        assert state == "received"
        assert "MLflow" in reason

        await eventually(world.pipeline.step)
        assert (await state_of(world))[0] in {"registered", "loaded"}

    async def test_waits_for_vllm_and_the_router_and_says_what_for(self, world, base_model):
        await world.declare_and_serve()
        await world.handle(await world.a_finished_job())
        await world.pipeline.step()
        await world.second_vllm.stop()
        await world.pipeline.step()
        state, reason = await state_of(world)
        assert state == "registered"
        assert "does not answer" in reason
        assert len(await world.announced(DEPLOYMENT_CHANGED)) == 1

        world.second_vllm = type(world.second_vllm)()
        await world.second_vllm.start()
        await world.reconnect()
        await eventually(world.pipeline.step)
        assert (await state_of(world))[0] == "loaded"
        await world.pipeline.step()
        assert "does not list" in (await state_of(world))[1]

        world.list_variants(f"{world.task_id}:1", f"{base_model}:1")
        await eventually(world.pipeline.step)
        assert (await state_of(world))[0] == "rejected"

    async def test_an_interrupted_evaluation_goes_on_where_it_was(self, world, base_model):
        await world.declare_and_serve()
        world.list_variants(f"{world.task_id}:1", f"{base_model}:1")
        world.router.fails_after = 5
        await world.release_job(await world.a_finished_job(cases=8))
        assert (await state_of(world))[0] == "loaded"
        assert len(await world.rows("evaluation_answers")) == 5  # of those that were being asked, none is lost

        world.router.fails_after = None
        await world.reconnect()
        await eventually(world.pipeline.step)
        assert len(world.router.asked) == len(set(world.router.asked)) == 16
        assert len(await world.rows("evaluations")) == len(await world.announced(MODEL_EVALUATED)) == 1

    async def test_an_answer_of_another_variant_is_not_taken_for_the_candidates(self, world, base_model):
        await world.declare_and_serve()
        world.list_variants(f"{world.task_id}:1", f"{base_model}:1")
        world.router.served_by = f"{base_model}:1"
        await world.release_job(await world.a_finished_job())

        state, reason = await state_of(world)
        assert state == "loaded"
        assert "in place of" in reason

    async def test_a_server_that_refuses_the_adapter_thrice_ends_the_release(self, world):
        await world.declare_and_serve()
        world.vllm.broken = "LoRA rank 64 is greater than max_lora_rank 16."
        await world.release_job(await world.a_finished_job())

        async def ended() -> bool:
            await world.pipeline.step()
            return (await state_of(world))[0] == "failed"

        await eventually(ended)
        assert "LoRA rank 64" in (await state_of(world))[1]
        statuses = {row["model_name"]: row["status"] for row in await world.rows("model_versions")}
        assert statuses[world.task_id] == "archived"


class TestChampionChanged:
    """A verdict on who is in charge no more is none: the evaluation begins again with the new champion."""

    async def promote_first(self, world) -> None:
        async with world.work() as unit:
            before = await get_deployment(unit.session, world.task_id, lock=True)
            after = before.with_champion(VariantId(world.task_id, 1), before.backend_urls)
            await put_in_charge(before, after, unit, reason="test", by="test")

    async def two_candidates(self, world, base_model) -> None:
        """The first passed its gate, the second is loaded."""
        first, second, base = f"{world.task_id}:1", f"{world.task_id}:2", f"{base_model}:1"
        await world.declare_and_serve()
        world.list_variants(first, second, base)
        world.router.answers = answering({first: 8, second: 8})
        await world.release_job(await world.a_finished_job())
        await world.handle(await world.a_finished_job())
        for _ in range(2):
            await world.pipeline.step()

    async def check_ended(self, world) -> None:
        verdicts = await world.announced(MODEL_EVALUATED)
        assert [event.candidate.model_version for event in verdicts] == [1, 2]
        assert verdicts[1].champion.variant_id == f"{world.task_id}:1"
        states = sorted(row["state"] for row in await world.rows("evaluations"))
        assert states == ["finished", "finished", "superseded"]

    async def test_while_an_evaluation_is_interrupted(self, world, base_model):
        await self.two_candidates(world, base_model)
        world.router.fails_after = len(world.router.asked) + 3
        await world.pipeline.step()
        await self.promote_first(world)
        world.router.fails_after = None

        await eventually(world.pipeline.step)
        await self.check_ended(world)

    async def test_while_an_evaluation_runs(self, world, base_model):
        await self.two_candidates(world, base_model)
        asked_before, world.router.delay_s = len(world.router.asked), 0.2
        step = asyncio.create_task(world.pipeline.step())

        async def some_asked() -> bool:
            return len(world.router.asked) > asked_before

        await eventually(some_asked)
        await self.promote_first(world)
        await step
        assert len(await world.announced(MODEL_EVALUATED)) == 1

        await world.pipeline.step()
        await self.check_ended(world)
