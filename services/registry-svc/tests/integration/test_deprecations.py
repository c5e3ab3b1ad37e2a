"""`dataset.deprecated`: models are marked in whatever order events arrive, and erased data serves nobody new."""

import asyncio

import pytest
import pytest_asyncio
from pydantic import JsonValue

from loopwright.broker import Consumer, ConsumerStopped, RetryPolicy
from loopwright.contracts.datasets import DatasetDeprecated
from loopwright.contracts.registry import (
    ALERT_RAISED,
    DATASET_DEPRECATED,
    DEPLOYMENT_CHANGED,
    EXPERIMENT_CONCLUDED,
    MODEL_EVALUATED,
    Party,
)
from loopwright.database import Database
from loopwright.errors import Conflict
from loopwright.testing.examples import an_event
from loopwright.testing.records import a_raw_record, a_record
from registry_svc.domain.models import VariantId
from registry_svc.events import events
from registry_svc.handlers.promotions import Order, promote, roll_back
from registry_svc.queries.models import read_model
from registry_svc.store.deployments import get_deployment
from registry_svc.store.tables import messaging, metadata

pytestmark = pytest.mark.integration


def deprecated(**changes: JsonValue) -> DatasetDeprecated:
    """The version of which the jobs of these tests learn."""
    return an_event(DATASET_DEPRECATED, **({"version_id": "d1v1", "detail": "somebody left"} | changes))


def concluded(world, base_model: str, **changes: JsonValue):
    variants = {"champion_variant_id": f"{base_model}:1", "candidate_variant_id": f"{world.task_id}:1"}
    winner = {"winner_variant_id": f"{world.task_id}:1", "task_id": world.task_id}
    return an_event(EXPERIMENT_CONCLUDED, **(variants | winner | changes))


@pytest_asyncio.fixture(loop_scope="session")
async def served(world, base_model):
    """A world whose candidates are always better."""
    await world.declare_and_serve()
    world.list_variants(f"{base_model}:1", *(f"{world.task_id}:{number}" for number in (1, 2)))
    right, wrong = (f'{{"status": "{status}"}}' for status in ("alert", "normal"))
    world.router.answers = lambda variant, _: right if variant.startswith(world.task_id) else wrong
    return world


@pytest_asyncio.fixture(loop_scope="session")
async def trial(served):
    """A candidate of the data that passed its gate."""
    await served.release_job(await served.a_finished_job())
    assert (await release_of(served))[0] == "on_trial"
    return served


async def release_of(world) -> tuple[str, str | None]:
    (row,) = await world.rows("releases", "state, reason")
    return row["state"], row["reason"]


async def model_of(world, version: int = 1):
    async with world.work() as unit:
        return await read_model(unit, VariantId(world.task_id, version))


async def deployment_of(world):
    async with world.work() as unit:
        return await get_deployment(unit.session, world.task_id)


async def order_of(world) -> Order:
    return Order(task_id=world.task_id, revision=(await deployment_of(world)).revision, reason="I want to", by="me")


class TestMarks:
    async def test_every_model_of_the_data_says_why_and_since_when(self, trial):
        event = deprecated(reason="operator")
        await trial.handle(event)
        mark = (await model_of(trial)).training_data_deprecated
        assert mark is not None
        assert (mark.reason, mark.detail, mark.deprecated_at) == ("operator", "somebody left", event.deprecated_at)

    async def test_an_operators_decision_takes_nothing_away(self, trial):
        before = await deployment_of(trial)
        await trial.handle(deprecated(reason="operator"))
        assert await deployment_of(trial) == before
        assert (await release_of(trial))[0] == "on_trial"
        assert await trial.announced(ALERT_RAISED) == []

    async def test_models_of_other_data_are_not_touched(self, trial):
        await trial.handle(deprecated(version_id="other"))
        assert (await model_of(trial)).training_data_deprecated is None


class TestErasedCandidate:
    async def test_leaves_the_deployment_with_the_reason(self, trial, base_model):
        await trial.handle(deprecated())

        deployment = await deployment_of(trial)
        assert (str(deployment.champion), deployment.candidates) == (f"{base_model}:1", ())
        state, reason = await release_of(trial)
        assert (state, "learned from data that was erased: somebody left" in reason) == ("retired", True)
        model = await model_of(trial)
        assert (model.status, model.training_data_deprecated.reason) == ("archived", "erasure")
        assert reason in (await trial.announced(DEPLOYMENT_CHANGED))[-1].reason

    async def test_an_experiment_that_it_won_puts_it_in_charge_no_more(self, trial, base_model):
        await trial.handle(deprecated())
        await trial.handle(concluded(trial, base_model))
        assert str((await deployment_of(trial)).champion) == f"{base_model}:1"

    async def test_no_person_can_put_it_in_charge(self, trial):
        await trial.handle(deprecated())
        variant = VariantId(trial.task_id, 1)
        with pytest.raises(Conflict) as refused:
            await promote(variant, await order_of(trial), trial.means)
        assert refused.value.code == "model.data-erased"

    async def test_one_that_waits_for_its_gate_goes_no_further(self, served):
        await served.handle(await served.a_finished_job())
        await served.pipeline.step()  # registered
        await served.pipeline.step()  # loaded
        assert (await release_of(served))[0] == "loaded"

        await served.handle(deprecated())

        assert not await served.pipeline.step()
        assert ((await release_of(served))[0], (await deployment_of(served)).candidates) == ("failed", ())
        assert await served.announced(MODEL_EVALUATED) == []

    async def test_an_evaluation_that_is_going_on_ends_without_effect(self, served):
        served.router.delay_s = 0.2
        await served.handle(await served.a_finished_job())
        for _ in range(2):
            await served.pipeline.step()
        evaluating = asyncio.create_task(served.pipeline.step())
        await asyncio.sleep(0.1)

        await served.handle(deprecated())
        await evaluating

        assert (await release_of(served))[0] == "failed"
        assert await served.announced(MODEL_EVALUATED) == []
        assert (await deployment_of(served)).candidates == ()


class TestErasedChampion:
    async def test_stays_in_charge_and_a_person_is_called(self, trial, base_model):
        await trial.handle(concluded(trial, base_model))
        before = await deployment_of(trial)

        await trial.handle(deprecated())

        assert await deployment_of(trial) == before
        assert str(before.champion) == f"{trial.task_id}:1"
        model = await model_of(trial)
        assert (model.status, model.training_data_deprecated.reason) == ("production", "erasure")
        (alert,) = await trial.announced(ALERT_RAISED)
        assert (alert.kind, alert.severity, alert.task_id) == ("model.training-data-erased", "critical", trial.task_id)
        assert f"{trial.task_id}:1 learned from data that was erased: somebody left" in alert.detail

    async def test_is_not_brought_back_once_it_left(self, trial, base_model):
        await trial.handle(concluded(trial, base_model))
        await promote(VariantId(base_model, 1), await order_of(trial), trial.means)
        await trial.handle(deprecated())
        with pytest.raises(Conflict) as refused:
            await roll_back(await order_of(trial), trial.means)
        assert refused.value.code == "model.data-erased"


class TestOrder:
    async def test_a_job_that_finishes_later_becomes_a_marked_model_that_is_never_deployed(self, served, base_model):
        await served.handle(deprecated())
        await served.release_job(await served.a_finished_job())

        model = await model_of(served)
        assert (model.status, model.training_data_deprecated.reason) == ("archived", "erasure")
        state, reason = await release_of(served)
        assert (state, "learned from data that was erased" in reason) == ("failed", True)
        deployment = await deployment_of(served)
        assert (str(deployment.champion), deployment.candidates, deployment.revision) == (f"{base_model}:1", (), 1)

    async def test_a_job_that_finishes_after_an_operators_decision_is_marked_and_goes_its_way(self, served):
        await served.handle(deprecated(reason="operator"))
        await served.release_job(await served.a_finished_job())
        assert (await model_of(served)).training_data_deprecated.reason == "operator"
        assert (await release_of(served))[0] == "on_trial"

    async def test_an_erasure_outweighs_an_operator_whichever_comes_first(self, trial):
        await trial.handle(deprecated(reason="operator"))
        await trial.handle(deprecated())
        assert (await model_of(trial)).training_data_deprecated.reason == "erasure"
        await trial.handle(deprecated(reason="operator"))
        assert (await model_of(trial)).training_data_deprecated.reason == "erasure"

    async def test_a_job_that_finished_before_and_is_not_registered_yet_is_marked_too(self, served):
        await served.handle(await served.a_finished_job())
        await served.handle(deprecated())
        while await served.pipeline.step():
            pass
        assert (await model_of(served)).training_data_deprecated.reason == "erasure"
        assert (await release_of(served))[0] == "failed"


class TestDuplicate:
    async def test_a_deprecation_counts_once(self, trial, base_model):
        await trial.handle(concluded(trial, base_model))
        record = a_record(deprecated())
        await trial.consume(record)
        before = await trial.rows("model_versions")

        await trial.consume(record)  # delivered again
        await trial.handle(deprecated(erasure_id="another", detail="somebody else left"))  # and said of another person

        assert await trial.rows("model_versions") == before
        assert len(await trial.announced(ALERT_RAISED)) == 1


class TestPoison:
    async def test_what_is_no_deprecation_goes_to_the_dead_letters(self, world):
        headers = list(a_record(deprecated()).headers)
        await world.consume(a_raw_record(DATASET_DEPRECATED, b'{"version_id": 5}', headers=headers))
        (letter,) = await world.headers("dataset.deprecated.dlq")
        assert letter["dlq_code"] == "event.invalid-payload"
        assert await world.rows("deprecated_data") == []


class TestDependencyDown:
    async def test_the_consumer_stops_without_a_database_and_marks_afterwards(self, trial):
        record = a_record(deprecated())
        away = Database("postgresql+asyncpg://nobody@127.0.0.1:1/none", metadata, messaging)
        policy = RetryPolicy(attempts=2, first_delay_s=0.01)
        consumer = Consumer(Party.REGISTRY, away, policy=policy, on_stop=trial.stopped.append)
        subscription = next(one for one in events.subscriptions if one.topic.name == DATASET_DEPRECATED.name)
        with pytest.raises(ConsumerStopped):
            await consumer.consume_record(subscription, record)
        await away.close()

        await trial.consume(record)
        assert (await model_of(trial)).training_data_deprecated.reason == "erasure"
