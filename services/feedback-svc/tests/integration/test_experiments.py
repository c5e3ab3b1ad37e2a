"""Experiments from the gate's verdict to the conclusion, over real rows."""

import asyncio
import math
from datetime import datetime

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
    at,
    rated,
)
from scipy import stats

from feedback_svc.domain.statistics import ArmStatistics
from feedback_svc.handlers.measuring import recomputed
from feedback_svc.store.experiments import get_experiment
from loopwright.contracts.base import Event
from loopwright.contracts.experiments import ExperimentChanged, ExperimentConcluded, ExperimentState, Outcome
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


def crowd(experiment_id: str, users: int, *, champion: float = 1, candidate: float = 5) -> list[InferenceRated]:
    """Ratings of `users` units in each arm; every second unit says one star more (or less, at the top)."""
    ratings: list[InferenceRated] = []
    for unit in range(users):
        for variant, value in ((BASE, champion), (CANDIDATE, candidate)):
            ratings.append(rated(experiment_id, variant, unit, value + (unit % 2) * (1 if value < 5 else -1)))
    return ratings


class TestStart:
    async def test_a_candidate_that_passed_its_gate_meets_live_traffic(self, world: World) -> None:
        await world.hand(a_task())
        await world.hand_in_trace(an_evaluation(), TRACE)

        row = await world.experiment()
        (event,) = await changes(world)
        assert (event.experiment_id, event.revision, event.state) == (row["experiment_id"], 1, ExperimentState.RUNNING)
        assert (event.champion.variant_id, event.champion.weight_0_1) == (BASE, 0.5)
        assert (event.candidate.variant_id, event.candidate.weight_0_1) == (CANDIDATE, 0.5)
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
        (ended,) = await conclusions(world)
        assert ended.outcome is Outcome.ROLLBACK
        started = (await changes(world))[-1]
        assert (started.candidate.variant_id, started.champion.variant_id) == ("mood:2", BASE)
        assert started.state is ExperimentState.RUNNING

    async def test_the_next_one_starts_against_the_promoted_winner_once_it_is_in_charge(self, world: World) -> None:
        first = await world.start_experiment()
        await world.hand(a_deployment(2, BASE, CANDIDATE, "mood:2", minute=1))
        await world.hand(an_evaluation(2, candidate="mood:2", minute=2), *crowd(first, 8))
        assert [event.outcome for event in await conclusions(world)] == [Outcome.PROMOTE]
        assert len(await changes(world)) == 2  # started, ended; the next one still waits

        await world.hand(a_deployment(3, CANDIDATE, "mood:2", minute=9))
        started = (await changes(world))[-1]
        assert (started.champion.variant_id, started.candidate.variant_id) == (CANDIDATE, "mood:2")

    async def test_two_evaluations_at_the_same_time_start_one_experiment(self, world: World) -> None:
        await world.hand(a_task())
        await asyncio.gather(*(world.hand(an_evaluation(n, candidate=f"mood:{n}")) for n in range(1, 6)))
        states = [row["state"] for row in await world.table("experiments")]
        assert sorted(states) == ["running", "waiting", "waiting", "waiting", "waiting"]


class TestCounting:
    async def test_users_are_the_unit_and_the_latest_rating_counts(self, world: World) -> None:
        experiment_id = await world.start_experiment()
        await world.hand(
            rated(experiment_id, BASE, 1, 5, turn=1), rated(experiment_id, BASE, 1, 1, turn=2),
            rated(experiment_id, BASE, 2, 2, minute=1), rated(experiment_id, BASE, 2, 4, minute=3),
            rated(experiment_id, BASE, 2, 1, minute=2),
        )  # fmt: skip
        arm = (await world.experiment())["champion"]
        assert (arm["units"], arm["users"], arm["ratings"]) == (2, 2, 3)
        assert arm["origin"] + arm["total"] / arm["users"] == pytest.approx((3 + 4) / 2)

    async def test_only_the_success_metric_of_assigned_variants_counts(self, world: World) -> None:
        experiment_id = await world.start_experiment()
        good = rated(experiment_id, BASE, 1, 5)
        await world.hand(
            good.model_copy(update={"rating_id": "a", "metric": "speed"}),
            good.model_copy(update={"rating_id": "b", "variant_id": "mood:7"}),
            good.model_copy(update={"rating_id": "c", "experiment_id": "exp-other"}),
            good.model_copy(update={"rating_id": "d", "experiment_id": None}),
            good.model_copy(update={"rating_id": "e", "value": 17}),
            good.model_copy(update={"rating_id": "f", "value": math.inf}),
            good.model_copy(update={"rating_id": "g", "value": None, "correction": "x"}),
        )
        row = await world.experiment()
        assert row["champion"]["users"] == row["candidate"]["users"] == 0

    async def test_a_correction_after_the_stars_leaves_the_stars_counted(self, world: World) -> None:
        experiment_id = await world.start_experiment()
        bad = rated(experiment_id, BASE, 1, 1)
        later = bad.model_copy(
            update={"rating_id": "c", "value": None, "correction": "x", "rated_at": datetime.fromisoformat(at(9))}
        )
        await world.hand(bad, later)
        assert (await world.experiment())["champion"]["ratings"] == 1

    async def test_a_unit_counts_as_seen_once_by_inference_or_rating(self, world: World) -> None:
        experiment_id = await world.start_experiment()

        def seen(number: int, **more: str | bool) -> Event:
            return an_inference(number, unit_hash=f"unit-{BASE}-1", **({"experiment_id": experiment_id} | more))

        await world.hand(seen(1), seen(2), rated(experiment_id, BASE, 1, 5), rated(experiment_id, BASE, 2, 5))
        await world.hand(an_inference(3, unit_hash=f"unit-{BASE}-2", experiment_id=experiment_id))
        await world.hand(an_inference(4, unit_hash="pinned", experiment_id=experiment_id, pinned=True))
        arm = (await world.experiment())["champion"]
        assert (arm["units"], arm["users"]) == (2, 2)

    async def test_incremental_statistics_equal_those_recomputed_from_the_ratings(self, world: World) -> None:
        experiment_id = await world.start_experiment(max_users=10_000, min_users_per_arm=5000)
        ratings = [
            rated(experiment_id, (BASE, CANDIDATE)[unit % 2], unit % 7, 1 + (unit * 7 + turn) % 5, turn=turn % 4, minute=turn)
            for unit in range(14)
            for turn in range(4)
        ]  # fmt: skip
        shuffled = sorted(ratings, key=lambda rating: rating.rating_id)  # ids are random
        await asyncio.gather(*(world.hand(*shuffled[start::4]) for start in range(4)))
        await world.hand(*ratings[:15])

        async with world.work() as unit:
            kept = await get_experiment(unit.session, experiment_id)
            anew = await recomputed(kept, unit)
        for one, other in ((kept.champion, anew.champion), (kept.candidate, anew.candidate)):
            assert one.users > 0
            assert (one.users, one.ratings, one.units) == (other.users, other.ratings, other.units)
            assert one.mean == pytest.approx(other.mean, rel=1e-12)
            assert one.variance == pytest.approx(other.variance, rel=1e-9)


class TestConclusion:
    async def test_promotes_on_evidence_in_full_and_in_the_trace_that_led_to_it(self, world: World) -> None:
        await world.hand(a_task(), a_deployment(1, BASE, CANDIDATE, minute=-1))
        await world.hand_in_trace(an_evaluation(), TRACE)
        experiment_id = str((await world.experiment())["experiment_id"])
        await world.hand(*crowd(experiment_id, 8))

        (event,) = await conclusions(world)
        assert (event.outcome, event.winner_variant_id, event.concluded_by) == (Outcome.PROMOTE, CANDIDATE, "evidence")
        evidence = event.evidence
        assert evidence.lower is not None
        assert evidence.lower > 0
        assert min(evidence.champion.users, evidence.candidate.users) >= 4
        champion = [1 + unit % 2 for unit in range(evidence.champion.users)]
        candidate = [5 - unit % 2 for unit in range(evidence.candidate.users)]
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
        ratings = crowd(experiment_id, 6)
        await world.hand(*ratings[:-1])
        assert await conclusions(world) == []
        await world.hand(ratings[-1])
        assert len(await conclusions(world)) == 1

    async def test_ratings_after_the_end_change_nothing(self, world: World) -> None:
        experiment_id = await world.start_experiment()
        await world.hand(*crowd(experiment_id, 8))
        before = await world.experiment()
        await world.hand(*(rated(experiment_id, BASE, unit, 5, turn=9) for unit in range(5)))
        assert dict(await world.experiment()) == dict(before)
        assert len(await conclusions(world)) == 1

    async def test_ends_without_a_winner_at_the_most_users(self, world: World) -> None:
        experiment_id = await world.start_experiment(max_users=12)
        await world.hand(*crowd(experiment_id, 8, champion=3, candidate=3))
        (event,) = await conclusions(world)
        assert (event.outcome, event.winner_variant_id) == (Outcome.INCONCLUSIVE, None)
        assert event.evidence.champion.users + event.evidence.candidate.users == 12

    async def test_a_split_that_is_off_ends_it_as_invalid_and_alarms(self, world: World) -> None:
        experiment_id = await world.start_experiment()
        for unit in range(40):
            await world.hand(an_inference(unit, experiment_id=experiment_id))
        (event,) = await conclusions(world)
        assert (event.outcome, event.winner_variant_id) == (Outcome.INVALID, None)
        (alert,) = await alerts(world)
        assert (alert.kind, alert.severity) == ("experiment.invalid", "critical")
        assert experiment_id in alert.detail

    async def test_many_consumers_at_once_reach_one_conclusion(self, world: World) -> None:
        experiment_id = await world.start_experiment()
        ratings = crowd(experiment_id, 16)
        await asyncio.gather(*(world.hand(*ratings[start::8]) for start in range(8)))

        (event,) = await conclusions(world)
        assert [change.state for change in await changes(world)] == [ExperimentState.RUNNING, ExperimentState.ENDED]
        row = await world.experiment()
        counted = sum(row[arm]["ratings"] for arm in ("champion", "candidate"))
        assert counted == event.evidence.champion.ratings + event.evidence.candidate.ratings
        users = sa.text("SELECT coalesce(sum(ratings), 0) AS ratings FROM feedback.experiment_users")
        async with world.direct.engine.connect() as connection:
            assert (await connection.execute(users)).scalar_one() == counted

    async def test_rounding_in_the_running_sums_cannot_tip_a_decision(self, world: World) -> None:
        experiment_id = await world.start_experiment()
        ratings = crowd(experiment_id, 8, champion=3, candidate=3)
        await world.hand(*ratings[:-1])
        wrong = ArmStatistics(units=7, users=7, ratings=7, origin=5.0)
        spoiled = "UPDATE feedback.experiments SET candidate = jsonb_set(candidate, '{origin}', :origin)"
        async with world.direct.engine.begin() as connection:
            await connection.execute(sa.text(spoiled), {"origin": str(wrong.origin)})

        await world.hand(ratings[-1])

        assert await conclusions(world) == []
        arm = (await world.experiment())["candidate"]
        assert arm["origin"] + arm["total"] / arm["users"] == pytest.approx(3.5)


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
