"""`experiment.concluded`: the winner is put in charge, anything else takes the candidate away."""

import pytest
import pytest_asyncio
from pydantic import JsonValue

from loopwright.broker import Consumer, ConsumerStopped, RetryPolicy
from loopwright.contracts.experiments import ComparedArm, ExperimentConcluded
from loopwright.contracts.registry import ALERT_RAISED, DEPLOYMENT_CHANGED, EXPERIMENT_CONCLUDED, Party
from loopwright.database import Database
from loopwright.testing.examples import an_event
from loopwright.testing.records import a_raw_record, a_record
from registry_svc.domain.models import VariantId
from registry_svc.events import events
from registry_svc.handlers.promotions import Order, promote
from registry_svc.queries.lineage import read_lineage
from registry_svc.store.tables import messaging, metadata

pytestmark = pytest.mark.integration


@pytest_asyncio.fixture(loop_scope="session")
async def trial(world, base_model):
    """A world with a candidate that passed its gate."""
    await world.declare_and_serve()
    candidate, champion = f"{world.task_id}:1", f"{base_model}:1"
    world.list_variants(candidate, champion)
    world.router.answers = lambda variant, _: f'{{"status": "{"alert" if variant == candidate else "normal"}"}}'
    await world.release_job(await world.a_finished_job())
    return world


def concluded(world, base_model: str, **changes: JsonValue) -> ExperimentConcluded:
    standard: dict[str, JsonValue] = {
        "task_id": world.task_id,
        "champion_variant_id": f"{base_model}:1",
        "candidate_variant_id": f"{world.task_id}:1",
        "winner_variant_id": f"{world.task_id}:1",
    }
    return an_event(EXPERIMENT_CONCLUDED, **(standard | changes))


async def statuses(world) -> dict[str, str]:
    return {row["model_name"]: row["status"] for row in await world.rows("model_versions")}


async def release_state(world) -> str:
    (row,) = await world.rows("releases", "state")
    return row["state"]


class TestPromotion:
    async def test_puts_the_winner_in_charge_and_says_why_in_figures(self, trial, base_model):
        await trial.handle(concluded(trial, base_model))

        last = (await trial.announced(DEPLOYMENT_CHANGED))[-1]
        assert last.champion.variant.variant_id == f"{trial.task_id}:1"
        assert last.candidates == ()
        assert last.revision == 3
        assert set(last.champion.backend_urls) == {trial.vllm.url, trial.second_vllm.url}
        for words in ("exp-5d2a41", "effect +1.910 [+1.220, +2.600]", "58 users with the candidate", "61"):
            assert words in last.reason
        assert await statuses(trial) == {base_model: "archived", trial.task_id: "production"}
        assert await release_state(trial) == "promoted"

    async def test_the_lineage_names_job_data_proof_experiment_and_deployments(self, trial, base_model):
        await trial.handle(concluded(trial, base_model))
        async with trial.work() as unit:
            lineage = await read_lineage(unit, VariantId(trial.task_id, 1))

        assert lineage.job is not None
        assert lineage.job.release_state == "promoted"
        assert lineage.training_data is not None
        assert lineage.training_data.version_id == "d1v1"
        assert lineage.adapter == lineage.model.artifact
        assert lineage.mlflow_uri == f"models:/{trial.task_id}/1"
        assert [evaluation.passed for evaluation in lineage.evaluations] == [True]
        assert [(one.experiment_id, one.applied) for one in lineage.experiments] == [("exp-5d2a41", True)]
        assert [change.revision for change in lineage.deployments] == [3, 2]

    async def test_a_base_model_that_serves_another_task_stays_in_production(self, trial, base_model):
        first = trial.task_id
        trial.task_id = f"{first}-other"
        await trial.declare_and_serve()
        trial.task_id = first

        await trial.handle(concluded(trial, base_model))
        assert await statuses(trial) == {base_model: "production", first: "production"}


class TestOtherOutcomes:
    @pytest.mark.parametrize("outcome", ["rollback", "inconclusive", "invalid", "stopped"])
    async def test_the_candidate_leaves_and_the_champion_stays(self, trial, base_model, outcome):
        await trial.handle(concluded(trial, base_model, outcome=outcome, winner_variant_id=None))

        last = (await trial.announced(DEPLOYMENT_CHANGED))[-1]
        assert (last.champion.variant.variant_id, last.candidates) == (f"{base_model}:1", ())
        assert outcome in last.reason
        assert await statuses(trial) == {base_model: "production", trial.task_id: "archived"}
        assert await release_state(trial) == "retired"

    @pytest.mark.parametrize(
        ("changes", "words"),
        [
            ({"task_id": "nobody-knows"}, "nothing serves the task"),
            ({"candidate_variant_id": "other:1", "winner_variant_id": "other:1"}, "not among the candidates"),
            ({"candidate_variant_id": "no-variant-at-all"}, "not among the candidates"),
        ],
    )
    async def test_what_does_not_speak_of_the_deployment_is_recorded_and_ignored(
        self, trial, base_model, changes, words
    ):
        before = await trial.announced(DEPLOYMENT_CHANGED)
        await trial.handle(concluded(trial, base_model, **changes))

        (row,) = await trial.rows("conclusions")
        assert not row["applied"]
        assert words in row["note"]
        assert await trial.announced(DEPLOYMENT_CHANGED) == before
        assert await release_state(trial) == "on_trial"

    @pytest.mark.parametrize(
        ("changes", "words"),
        [
            ({"champion_variant_id": "other:1"}, "other:1 is no longer in charge"),
            ({"winner_variant_id": None}, "must name the candidate"),
        ],
    )
    async def test_a_conclusion_that_no_longer_fits_leaves_no_candidate_deployed(
        self, trial, base_model, changes, words
    ):
        await trial.handle(concluded(trial, base_model, **changes))

        (row,) = await trial.rows("conclusions")
        assert not row["applied"]
        assert words in row["note"]
        last = (await trial.announced(DEPLOYMENT_CHANGED))[-1]
        assert (last.champion.variant.variant_id, last.candidates) == (f"{base_model}:1", ())
        assert await release_state(trial) == "retired"


class TestSeveralCandidates:
    @pytest.mark.parametrize(
        ("outcome", "winner", "in_charge"), [("promote", 2, 2), ("inconclusive", None, None), ("promote", None, None)]
    )
    async def test_everything_that_was_tried_leaves_but_the_winner(self, trial, base_model, outcome, winner, in_charge):
        first, second = f"{trial.task_id}:1", f"{trial.task_id}:2"
        trial.list_variants(second)
        trial.router.answers = lambda variant, _: (
            f'{{"status": "{"normal" if variant == f"{base_model}:1" else "alert"}"}}'
        )
        await trial.release_job(await trial.a_finished_job())
        assert len((await trial.announced(DEPLOYMENT_CHANGED))[-1].candidates) == 2

        event = concluded(
            trial, base_model, outcome=outcome, candidate_variant_id=second,
            winner_variant_id=f"{trial.task_id}:{winner}" if winner else None,
        )  # fmt: skip
        beside = ComparedArm(variant_id=first, figures=event.evidence.candidate, effect=None, lower=None, upper=None)
        evidence = event.evidence.model_copy(update={"further_candidates": (beside,)})
        await trial.handle(event.model_copy(update={"evidence": evidence}))

        last = (await trial.announced(DEPLOYMENT_CHANGED))[-1]
        champion = f"{trial.task_id}:{in_charge}" if in_charge else f"{base_model}:1"
        assert (last.champion.variant.variant_id, last.candidates) == (champion, ())
        rows = sorted(await trial.rows("releases", "model_version, state"), key=lambda row: row["model_version"])
        assert [row["state"] for row in rows] == ["retired", "promoted" if in_charge else "retired"]
        (row,) = await trial.rows("conclusions")
        assert f"{first} left as well" in row["note"]


class TestHarm:
    async def test_a_candidate_that_did_harm_leaves_and_somebody_is_called(self, trial, base_model):
        await trial.handle(concluded(trial, base_model, outcome="rollback", winner_variant_id=f"{base_model}:1"))

        (alert,) = await trial.announced(ALERT_RAISED)
        assert (alert.kind, alert.task_id) == ("experiment.candidate-harmful", trial.task_id)
        assert (await trial.announced(DEPLOYMENT_CHANGED))[-1].candidates == ()

    async def test_one_that_is_in_charge_by_then_is_rolled_back(self, trial, base_model):
        candidate = f"{trial.task_id}:1"
        order = Order(task_id=trial.task_id, revision=2, reason="I could not wait", by="somebody")
        await promote(VariantId.parse(candidate), order, trial.means)

        await trial.handle(concluded(trial, base_model, outcome="rollback", winner_variant_id=f"{base_model}:1"))
        await trial.watcher.step()

        last = (await trial.announced(DEPLOYMENT_CHANGED))[-1]
        assert (last.champion.variant.variant_id, last.changed_by) == (f"{base_model}:1", "registry-svc")
        assert "exp-5d2a41 ended as rollback" in last.reason
        (alert,) = await trial.announced(ALERT_RAISED)
        assert (alert.kind, alert.severity) == ("deployment.rolled-back", "critical")


class TestDuplicate:
    async def test_an_experiment_ends_once(self, trial, base_model):
        record = a_record(concluded(trial, base_model))
        await trial.consume(record)
        said = await trial.announced(DEPLOYMENT_CHANGED)

        await trial.consume(record)  # delivered again
        await trial.handle(concluded(trial, base_model, outcome="rollback"))  # said again, and otherwise

        assert await trial.announced(DEPLOYMENT_CHANGED) == said
        assert len(await trial.rows("conclusions")) == 1
        assert await trial.headers("experiment.concluded.dlq") == []


class TestPoison:
    async def test_what_is_no_conclusion_goes_to_the_dead_letters(self, trial, base_model):
        headers = list(a_record(concluded(trial, base_model)).headers)
        await trial.consume(a_raw_record(EXPERIMENT_CONCLUDED, b'{"outcome": "victory"}', headers=headers))

        (letter,) = await trial.headers("experiment.concluded.dlq")
        assert letter["dlq_code"] == "event.invalid-payload"
        assert await trial.rows("conclusions") == []


class TestDependencyDown:
    async def test_the_consumer_stops_without_a_database_and_follows_afterwards(self, trial, base_model):
        record = a_record(concluded(trial, base_model))
        away = Database("postgresql+asyncpg://nobody@127.0.0.1:1/none", metadata, messaging)
        policy = RetryPolicy(attempts=2, first_delay_s=0.01)
        consumer = Consumer(Party.REGISTRY, away, policy=policy, on_stop=trial.stopped.append)
        subscription = next(one for one in events.subscriptions if one.topic.name == EXPERIMENT_CONCLUDED.name)
        with pytest.raises(ConsumerStopped):
            await consumer.consume_record(subscription, record)
        await away.close()

        await trial.consume(record)
        assert await release_state(trial) == "promoted"
