"""Experiments from the gate's verdict to the conclusion, over real rows."""

import asyncio
from datetime import UTC, datetime, timedelta

import pytest
import sqlalchemy as sa
from feedback_world import (
    BASE,
    CANDIDATE,
    TASK,
    World,
    a_deployment,
    a_rating,
    a_task,
    an_evaluation,
    an_inference,
    rated,
)
from pydantic import JsonValue
from scipy import stats

from feedback_svc.domain.terms import Terms
from feedback_svc.handlers.people import CreateExperiment, Request, create_experiment, ramp_experiment
from loopwright.contracts.base import Event, JsonObject
from loopwright.contracts.experiments import (
    ExperimentChanged,
    ExperimentConcluded,
    ExperimentKind,
    ExperimentState,
    GuardrailState,
    Outcome,
)
from loopwright.contracts.inferences import InferenceRated
from loopwright.contracts.records import AlertRaised
from loopwright.contracts.registry import ALERT_RAISED, EXPERIMENT_CHANGED, EXPERIMENT_CONCLUDED

TRACE = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
TRACE_ID = TRACE.split("-")[1]


async def changes(world: World) -> list[ExperimentChanged]:
    return [event for event in await world.announced(EXPERIMENT_CHANGED) if isinstance(event, ExperimentChanged)]


async def conclusions(world: World) -> list[ExperimentConcluded]:
    return [event for event in await world.announced(EXPERIMENT_CONCLUDED) if isinstance(event, ExperimentConcluded)]


async def alerts(world: World) -> list[AlertRaised]:
    return [event for event in await world.announced(ALERT_RAISED) if isinstance(event, AlertRaised)]


def crowd(
    experiment_id: str, users: int, *, champion: float = 1, candidate: float = 5, epoch: int | None = None
) -> list[InferenceRated]:
    """Ratings of `users` units in each arm; every second unit says one star more (or less, at the top)."""
    ratings: list[InferenceRated] = []
    for unit in range(users):
        for variant, value in ((BASE, champion), (CANDIDATE, candidate)):
            heard = rated(experiment_id, variant, unit, value + (unit % 2) * (1 if value < 5 else -1))
            ratings.append(heard.model_copy(update={"epoch": epoch}))
    return ratings


def seen(experiment_id: str, users: int, **more: object) -> list[Event]:
    """Requests of as many units in each arm; `more` is for the candidate's."""
    events: list[Event] = []
    for unit in range(users):
        for variant, changed in ((BASE, {}), (CANDIDATE, more)):
            request = an_inference(
                unit, inference_id=f"inf-{variant}-{unit}-0", experiment_id=experiment_id, variant_id=variant,
                unit_hash=f"unit-{variant}-{unit}", latency_ms=100 + unit % 3,
            )  # fmt: skip
            events.append(request.model_copy(update=changed))
    return events


class TestStart:
    async def test_a_candidate_that_passed_its_gate_meets_live_traffic(self, world: World) -> None:
        await world.hand(a_task(rollout={"coverage_0_1": 0.8, "hold_out_share_0_1": 0.05}))
        await world.hand_in_trace(an_evaluation(), TRACE)

        row = await world.experiment()
        (event,) = await changes(world)
        assert (event.experiment_id, event.revision, event.state) == (row["experiment_id"], 1, ExperimentState.RUNNING)
        assert (event.champion.variant_id, event.champion.weight_0_1) == (BASE, 0.5)
        assert (event.candidate.variant_id, event.candidate.weight_0_1) == (CANDIDATE, 0.5)
        assert (event.epoch, event.kind, event.coverage_0_1) == (1, ExperimentKind.AB, 0.8)
        assert event.hold_out is not None
        assert (event.hold_out.from_0_1, event.hold_out.to_0_1) == (0, 0.05)
        assert len(event.salt) == 32
        assert await world.traces(EXPERIMENT_CHANGED) == [TRACE_ID]

    async def test_two_experiments_never_share_a_salt(self, world: World) -> None:
        await world.hand(a_task(), an_evaluation(1), an_evaluation(2, candidate="mood:2"))
        assert len({row["salt"] for row in await world.table("experiments")}) == 2

    async def test_a_candidate_that_failed_its_gate_is_reported_to_people(self, world: World) -> None:
        failed = an_evaluation(passed=False, reasons=["0.5 of 60 cases right"])
        await world.hand(a_task(), failed, failed)
        assert await world.table("experiments") == []
        (alert,) = await alerts(world)
        assert (alert.kind, alert.task_id) == ("model.gate-failed", TASK)
        assert "0.5 of 60 cases right" in alert.detail

    async def test_a_second_evaluation_of_the_same_candidate_starts_nothing(self, world: World) -> None:
        await world.hand(a_task(), an_evaluation(1), an_evaluation(2))
        assert len(await world.table("experiments")) == 1

    async def test_a_second_candidate_waits_until_the_first_experiment_has_ended(self, world: World) -> None:
        first = await world.start_experiment()
        await world.hand(an_evaluation(2, candidate="mood:2"))
        assert [event.experiment_id for event in await changes(world)] == [first]

        await world.hand(*crowd(first, 8, champion=5, candidate=1))
        await world.decide()
        (ended,) = await conclusions(world)
        assert ended.outcome is Outcome.ROLLBACK
        started = (await changes(world))[-1]
        assert (started.candidate.variant_id, started.champion.variant_id) == ("mood:2", BASE)
        assert started.state is ExperimentState.RUNNING

    async def test_the_next_one_starts_against_the_promoted_winner_once_it_is_in_charge(self, world: World) -> None:
        first = await world.start_experiment()
        await world.hand(a_deployment(2, BASE, CANDIDATE, "mood:2", minute=1))
        await world.hand(an_evaluation(2, candidate="mood:2", minute=2), *crowd(first, 8))
        await world.decide()
        assert [event.outcome for event in await conclusions(world)] == [Outcome.PROMOTE]
        assert len(await changes(world)) == 2  # started, ended; the next one still waits

        await world.hand(a_deployment(3, CANDIDATE, "mood:2", minute=9))
        started = (await changes(world))[-1]
        assert (started.champion.variant_id, started.candidate.variant_id) == (CANDIDATE, "mood:2")

    async def test_two_evaluations_at_the_same_time_start_one_experiment(self, world: World) -> None:
        await world.hand(a_task())
        await asyncio.gather(*(world.hand(an_evaluation(n, candidate=f"mood:{n}")) for n in range(1, 6)))
        states = [row["state"] for row in await world.table("experiments")]
        assert sorted(states) == ["draft", "draft", "draft", "draft", "running"]


class TestConclusion:
    async def test_promotes_on_evidence_in_full_and_in_the_trace_that_led_to_it(self, world: World) -> None:
        await world.hand(a_task(), a_deployment(1, BASE, CANDIDATE, minute=-1))
        await world.hand_in_trace(an_evaluation(), TRACE)
        experiment_id = str((await world.experiment())["experiment_id"])
        await world.hand(*crowd(experiment_id, 8))
        await world.decide()

        (event,) = await conclusions(world)
        assert (event.outcome, event.winner_variant_id, event.concluded_by) == (Outcome.PROMOTE, CANDIDATE, "evidence")
        evidence = event.evidence
        assert evidence.lower is not None
        assert evidence.lower > 0
        assert (evidence.champion.users, evidence.candidate.users) == (8, 8)
        champion, candidate = [1 + unit % 2 for unit in range(8)], [5 - unit % 2 for unit in range(8)]
        assert evidence.welch_p == pytest.approx(stats.ttest_ind(candidate, champion, equal_var=False).pvalue)
        ranks = stats.mannwhitneyu(candidate, champion, method="asymptotic")
        assert evidence.mann_whitney_p == pytest.approx(ranks.pvalue)
        states = [change.state for change in await changes(world)]
        assert states == [ExperimentState.RUNNING, ExperimentState.ENDED]
        assert [change.revision for change in await changes(world)] == [1, 2]
        assert await world.traces(EXPERIMENT_CHANGED) == [TRACE_ID, TRACE_ID]
        assert await world.traces(EXPERIMENT_CONCLUDED) == [TRACE_ID]

    async def test_decides_not_before_each_arm_has_its_users(self, world: World) -> None:
        experiment_id = await world.start_experiment(min_users_per_arm=6)
        ratings = crowd(experiment_id, 6, champion=3)
        await world.hand(*ratings[:-1])
        await world.decide()
        assert await conclusions(world) == []
        await world.hand(ratings[-1])
        await world.decide()
        assert len(await conclusions(world)) == 1

    async def test_a_promotion_waits_for_the_least_run_time_and_harm_does_not(self, world: World) -> None:
        first = await world.start_experiment(min_run_s=3600)
        await world.hand(*crowd(first, 8))
        await world.decide()
        assert await conclusions(world) == []
        await world.make_older(timedelta(hours=2))
        await world.decide()
        assert [event.outcome for event in await conclusions(world)] == [Outcome.PROMOTE]

    async def test_harm_is_acted_on_at_once(self, world: World) -> None:
        experiment_id = await world.start_experiment(min_run_s=3600)
        await world.hand(*crowd(experiment_id, 8, champion=5, candidate=1))
        await world.decide()
        (event,) = await conclusions(world)
        assert (event.outcome, event.winner_variant_id) == (Outcome.ROLLBACK, BASE)

    async def test_what_comes_after_the_end_changes_no_evidence(self, world: World) -> None:
        experiment_id = await world.start_experiment()
        await world.hand(*crowd(experiment_id, 8))
        await world.decide()
        before = await world.experiment()
        await world.hand(*(rated(experiment_id, BASE, unit, 5, turn=9) for unit in range(5)))
        await world.hand(*seen(experiment_id, 3))
        await world.decide()
        assert dict(await world.experiment()) == dict(before)
        assert before["findings"]["users"] == 16
        assert len(await conclusions(world)) == 1

    async def test_ends_without_a_winner_at_the_most_users(self, world: World) -> None:
        experiment_id = await world.start_experiment(max_users=12)
        await world.hand(*crowd(experiment_id, 6, champion=3, candidate=3))
        await world.decide()
        (event,) = await conclusions(world)
        assert (event.outcome, event.equivalent, event.winner_variant_id) == (Outcome.INCONCLUSIVE, False, None)
        assert event.evidence.champion.users + event.evidence.candidate.users == 12

    async def test_says_so_when_no_difference_that_matters_is_left(self, world: World) -> None:
        experiment_id = await world.start_experiment(smallest_effect=3)
        await world.hand(*crowd(experiment_id, 8, champion=3, candidate=3))
        await world.decide()
        (event,) = await conclusions(world)
        assert (event.outcome, event.equivalent) == (Outcome.INCONCLUSIVE, True)
        assert (await world.experiment())["verdict"] == "equivalent"

    async def test_ends_without_a_winner_when_its_time_is_over(self, world: World) -> None:
        await world.start_experiment(max_run_s=3600)
        await world.decide()
        assert await conclusions(world) == []
        await world.make_older(timedelta(hours=2))
        await world.decide()
        (event,) = await conclusions(world)
        assert event.outcome is Outcome.INCONCLUSIVE

    async def test_a_split_that_is_off_ends_it_as_invalid_and_alarms(self, world: World) -> None:
        experiment_id = await world.start_experiment()
        await world.hand(*(an_inference(unit, experiment_id=experiment_id) for unit in range(40)))
        await world.decide()
        (event,) = await conclusions(world)
        assert (event.outcome, event.winner_variant_id) == (Outcome.INVALID, None)
        (alert,) = await alerts(world)
        assert (alert.kind, alert.severity) == ("experiment.invalid", "critical")
        assert experiment_id in alert.detail

    async def test_many_replicas_reach_one_conclusion(self, world: World) -> None:
        experiment_id = await world.start_experiment()
        await world.hand(*crowd(experiment_id, 8))
        await asyncio.gather(*(world.a_decider().look() for _ in range(6)))
        assert len(await conclusions(world)) == 1
        assert [change.state for change in await changes(world)] == [ExperimentState.RUNNING, ExperimentState.ENDED]

    async def test_keeps_who_did_what_when_and_why(self, world: World) -> None:
        experiment_id = await world.start_experiment()
        await world.hand(*crowd(experiment_id, 8))
        await world.decide()
        rows = sorted(await world.table("experiment_changes"), key=lambda row: row["number"])
        assert [(row["from_state"], row["to_state"], row["changed_by"]) for row in rows] == [
            (None, "draft", "evidence"), ("draft", "running", "evidence"), ("running", "concluded", "evidence"),
        ]  # fmt: skip
        assert all(row["reason"] for row in rows)


STEPS: JsonObject = {
    "candidate_share_0_1": 0.2,
    "max_users": 400,
    "ramp": [{"share_0_1": 0.4, "after_users": 6}, {"share_0_1": 0.5, "after_s": 3600}],
}


class TestRamp:
    async def test_begins_an_epoch_at_each_step_and_moves_no_salt(self, world: World) -> None:
        experiment_id = await world.start_experiment(**STEPS)
        await world.hand(*crowd(experiment_id, 3, champion=3, candidate=3))
        await world.decide()
        first, second = await changes(world)
        assert [(event.epoch, event.candidate.weight_0_1) for event in (first, second)] == [
            (1, pytest.approx(0.2)), (2, pytest.approx(0.4)),
        ]  # fmt: skip
        assert (first.salt, second.revision) == (second.salt, 2)
        assert (await world.experiment())["state"] == "ramping"

        await world.make_older(timedelta(hours=2))
        await world.decide()
        assert (await changes(world))[-1].candidate.weight_0_1 == pytest.approx(0.5)
        assert (await world.experiment())["state"] == "running"

    async def test_combines_epochs_in_which_both_arms_drifted_alike(self, world: World) -> None:
        """Pooled, the candidate would win by its larger share of the better days."""
        experiment_id = await world.start_experiment(**STEPS)
        early = crowd(experiment_id, 4, champion=1, candidate=1, epoch=1)
        await world.hand(*early[:7])
        await world.decide()
        late = [event.model_copy(update={"unit_hash": f"late-{event.unit_hash}", "rater_hash": f"late-{event.unit_hash}",
                "inference_id": f"late-{event.inference_id}"})
                for event in crowd(experiment_id, 12, champion=4, candidate=4, epoch=2)]  # fmt: skip
        await world.hand(*(event for event in late if event.variant_id == CANDIDATE), *late[::6])
        await world.decide()
        assert await conclusions(world) == []

    async def test_a_person_skips_steps_that_the_share_has_passed(self, world: World) -> None:
        await world.start_experiment(**STEPS)
        async with world.work() as unit:
            experiment_id = str((await world.experiment())["experiment_id"])
            request = Request(experiment_id=experiment_id, by="ann", at=datetime.now(UTC), revision=1)
            await ramp_experiment(request, unit, share_0_1=0.45)
        await world.hand(*crowd(experiment_id, 3, champion=3, candidate=3))
        await world.decide()
        assert [event.candidate.weight_0_1 for event in await changes(world)] == pytest.approx([0.2, 0.45])


class TestGuardrails:
    async def test_rolls_a_candidate_back_that_fails_too_often_whatever_its_ratings(self, world: World) -> None:
        experiment_id = await world.start_experiment(margins={"max_error_rise_0_1": 0.1}, min_run_s=3600)
        await world.hand(*seen(experiment_id, 14, http_status=500), *crowd(experiment_id, 5))
        await world.decide()
        (event,) = await conclusions(world)
        assert event.outcome is Outcome.ROLLBACK
        (guardrail,) = event.evidence.guardrails
        assert (guardrail.name, guardrail.state, guardrail.worse_by) == ("error_rate", GuardrailState.BREACHED, 1)
        assert "error_rate" in event.reason

    async def test_rolls_a_candidate_back_that_refuses(self, world: World) -> None:
        experiment_id = await world.start_experiment(margins={"max_refusal_rise_0_1": 0.2})
        await world.hand(*seen(experiment_id, 14, answer="죄송하지만 그 질문에는 답변을 드릴 수 없습니다."))
        await world.decide()
        (event,) = await conclusions(world)
        assert [(one.name, one.state) for one in event.evidence.guardrails] == [
            ("refusal_rate", GuardrailState.BREACHED)
        ]

    async def test_rolls_a_candidate_back_that_is_too_slow(self, world: World) -> None:
        experiment_id = await world.start_experiment(margins={"max_latency_rise_ms": 50})
        await world.hand(*seen(experiment_id, 10, latency_ms=900.0))
        await world.decide()
        assert [event.outcome for event in await conclusions(world)] == [Outcome.ROLLBACK]

    async def test_promotes_nothing_while_a_guardrail_that_was_asked_for_cannot_be_computed(self, world: World) -> None:
        experiment_id = await world.start_experiment(margins={"max_toxicity_rise_0_1": 0.1}, max_users=24)
        await world.hand(*crowd(experiment_id, 8))
        await world.decide()
        assert await conclusions(world) == []
        await world.hand(*crowd(experiment_id, 12))
        await world.decide()
        (event,) = await conclusions(world)
        assert event.outcome is Outcome.INCONCLUSIVE
        assert "toxicity" in event.reason


class TestPreludes:
    async def test_an_aa_check_and_a_shadow_come_before_the_experiment(self, world: World) -> None:
        preludes: list[JsonValue] = [{"kind": "aa", "units": 10}, {"kind": "shadow", "units": 4}]
        check = await world.start_experiment(preludes=preludes)
        (event,) = await changes(world)
        assert (event.kind, event.candidate.variant_id) == (ExperimentKind.AA, BASE)
        arms = ({"arm": arm, "variant_id": BASE} for _ in range(5) for arm in (0, 1))
        heard = [
            event.model_copy(update=arm)
            for event, arm in zip(crowd(check, 5, champion=3, candidate=3), arms, strict=True)
        ]
        await world.hand(*heard)
        await world.decide()
        shadow = (await changes(world))[-1]
        assert (shadow.kind, shadow.candidate.variant_id) == (ExperimentKind.SHADOW, CANDIDATE)
        assert shadow.experiment_id != check

        shown = [an_inference(unit) for unit in range(4)]
        copies = [an_inference(unit, inference_id=f"copy-{unit}", shadow_of=f"inf-{unit}", experiment_id=shadow.experiment_id,
                  variant_id=CANDIDATE, arm=1, epoch=1) for unit in range(4)]  # fmt: skip
        await world.hand(*shown, *copies)
        await world.decide()
        last = (await changes(world))[-1]
        assert (last.kind, last.state, last.candidate.variant_id) == (
            ExperimentKind.AB, ExperimentState.RUNNING, CANDIDATE,
        )  # fmt: skip
        assert await conclusions(world) == []

    async def test_an_aa_check_that_finds_a_difference_ends_as_invalid(self, world: World) -> None:
        check = await world.start_experiment(preludes=[{"kind": "aa", "units": 1000}])
        arms = ({"arm": arm, "variant_id": BASE} for _ in range(8) for arm in (0, 1))
        heard = [event.model_copy(update=arm) for event, arm in zip(crowd(check, 8), arms, strict=True)]
        await world.hand(*heard)
        await world.decide()
        (event,) = await conclusions(world)
        assert event.outcome is Outcome.INVALID
        assert len(await alerts(world)) == 1


class TestSideBySide:
    async def test_disjoint_parts_of_a_layer_run_at_once_and_others_wait(self, world: World) -> None:
        await world.hand(a_task(), a_deployment(1, BASE, "mood:1", "mood:2", "mood:3", minute=0))
        parts = [("mood:1", 0.0, 0.5), ("mood:2", 0.5, 1.0), ("mood:3", 0.4, 0.6)]
        for candidate, low, high in parts:
            wish = CreateExperiment(
                name="n", task_id=TASK, champion_id=None, candidate_ids=(candidate,), terms=Terms(), by="ann",
                layer=("main", low, high),
            )  # fmt: skip
            async with world.work() as unit:
                await create_experiment(wish, unit, now=datetime.now(UTC))
        states = {row["candidate_variant_id"]: row["state"] for row in await world.table("experiments")}
        assert states == {"mood:1": "running", "mood:2": "running", "mood:3": "draft"}
        layers = [event.layer for event in await changes(world)]
        assert [(layer.name, layer.from_0_1, layer.to_0_1) for layer in layers if layer] == [
            ("main", 0, 0.5), ("main", 0.5, 1),
        ]  # fmt: skip
        assert len({layer.salt for layer in layers if layer}) == 1


class TestDeployments:
    async def test_an_experiment_ends_when_its_candidate_is_taken_away(self, world: World) -> None:
        experiment_id = await world.start_experiment()
        await world.hand(a_deployment(2, BASE, minute=5))
        (event,) = await conclusions(world)
        assert (event.experiment_id, event.outcome) == (experiment_id, Outcome.STOPPED)
        assert event.reason == f"{CANDIDATE} is no longer deployed"

    async def test_a_waiting_experiment_ends_without_the_router_hearing_of_it(self, world: World) -> None:
        await world.start_experiment()
        await world.hand(an_evaluation(2, candidate="mood:2", minute=1))
        await world.hand(a_deployment(2, BASE, CANDIDATE, minute=5))
        (event,) = await conclusions(world)
        assert event.candidate_variant_id == "mood:2"
        assert len(await changes(world)) == 1

    async def test_a_deployment_that_is_older_than_the_experiment_changes_nothing(self, world: World) -> None:
        await world.hand(a_task(), an_evaluation(minute=3), a_deployment(1, BASE, minute=2))
        assert await conclusions(world) == []


async def test_ratings_of_tasks_without_experiments_cost_no_lock_on_the_task(world: World) -> None:
    await world.hand(a_task(), an_inference())
    async with world.work() as unit:
        await unit.session.execute(sa.text("SELECT 1 FROM feedback.tasks FOR UPDATE"))
        async with asyncio.timeout(5):
            await world.hand(a_rating())
    assert len(await world.ready_samples()) == 1
