"""Other metrics and the effect of novelty are told from stored ratings, beside the metric that decides."""

import random

import httpx
import pytest
from feedback_world import BASE, CANDIDATE, World, a_deployment, a_rating, a_task, at, rated
from feedback_world import an_inference as an_answer
from sqlalchemy.ext.asyncio import AsyncSession
from test_experiments import conclusions, crowd

from feedback_svc.store.experiments import find_experiment
from feedback_svc.store.rated_metrics import find_first_ratings
from loopwright.contracts.experiments import Outcome
from loopwright.contracts.inferences import InferenceCompleted, InferenceRated
from loopwright.testing.tokens import TokenMint

DAY = 24 * 60
SECOND = "mood:2"
AB = "/api/v1/admin/ab-tests"


def also(experiment_id: str, variant: str, unit: int, value: float, *, metric: str) -> InferenceRated:
    return rated(experiment_id, variant, unit, value).model_copy(update={"metric": metric})


def exposed(experiment_id: str, variant: str, unit: int) -> InferenceCompleted:
    return an_answer(
        unit, inference_id=f"inf-{variant}-{unit}-0", experiment_id=experiment_id, variant_id=variant,
        unit_hash=f"unit-{variant}-{unit}", completed_at=at(0),
    )  # fmt: skip


async def test_other_metrics_are_compared_by_user_with_holm_over_candidates(
    world: World, api: httpx.AsyncClient, mint: TokenMint
) -> None:
    await world.hand(a_task(rollout={"max_users": 400}), a_deployment(1, BASE, CANDIDATE, SECOND, minute=-1))
    body = {"experiment_name": "three", "candidate_variant_id": CANDIDATE, "further_candidate_ids": [SECOND]}
    made = await api.post(AB, json=body | {"task_id": "mood"}, headers=mint.header("engineer"))
    experiment_id = made.json()["experiment_id"]
    means = {BASE: 0.2, CANDIDATE: 0.2, SECOND: 0.9}
    for unit in range(20):
        for variant, mean in means.items():
            await world.hand(also(experiment_id, variant, unit, mean + 0.05 * (unit % 3), metric="helpful"))
    await world.hand(also(experiment_id, BASE, 0, 5, metric="stars"), a_rating(7, 1, metric="helpful"))

    report = (await api.get(f"{AB}/{experiment_id}/results", headers=mint.header("viewer"))).json()
    (metric,) = report["secondary"]
    assert (metric["metric"], [arm["users"] for arm in metric["variants"]]) == ("helpful", [20, 20, 20])
    assert metric["variants"][2]["mean"] - metric["variants"][0]["mean"] == pytest.approx(0.7)
    same, better = metric["effects"]
    assert (better["variant_id"], better["lower"] > 0) == (SECOND, True)
    assert same["lower"] < 0 < same["upper"]
    assert better["adjusted_p"] == pytest.approx(min(1, 2 * better["p"]))
    assert better["adjusted_p"] < 0.05 < same["adjusted_p"]
    assert report["users"] == 1, "other metrics decide nothing"


async def test_a_difference_that_wears_off_is_told_by_days_since_exposure(world: World) -> None:
    experiment_id = await world.start_experiment(min_users_per_arm=50, max_users=400)
    for unit in range(12):
        for variant, early, late in ((BASE, 3, 3), (CANDIDATE, 4.5, 3)):
            heard = [
                rated(experiment_id, variant, unit, value + 0.5 * (unit % 2), turn=turn, minute=minute)
                for turn, (value, minute) in enumerate(((early, 5), (late, 4 * DAY)))
            ]
            await world.hand(exposed(experiment_id, variant, unit), *heard)
    await world.decide()
    assert await conclusions(world) == []
    report = (await world.report(experiment_id)).comparisons[0].novelty
    assert report is not None
    assert (report.early, report.late, report.change) == pytest.approx((1.5, 0, -1.5))
    assert report.p < 0.001


async def test_latency_is_told_by_variant_though_no_guardrail_watches_it(world: World) -> None:
    experiment_id = await world.start_experiment(max_users=400)
    slow = exposed(experiment_id, CANDIDATE, 1).model_copy(update={"latency_ms": 900.0})
    await world.hand(exposed(experiment_id, BASE, 1).model_copy(update={"latency_ms": 100.0}), slow)
    report = await world.report(experiment_id)
    assert [variant.latency_ms for variant in report.variants] == [100, 900]
    assert report.comparisons[0].guardrails == ()


async def test_the_figures_of_the_end_keep_what_other_metrics_said(world: World) -> None:
    experiment_id = await world.start_experiment()
    votes = [
        also(experiment_id, variant, unit, unit % 2, metric="thumb")
        for unit in range(6)
        for variant in (BASE, CANDIDATE)
    ]
    await world.hand(*votes, *crowd(experiment_id, 8))
    await world.decide()
    findings = (await world.experiment())["findings"]
    assert [one["metric"] for one in findings["secondary"]] == ["thumb"]
    assert (await world.report(experiment_id)).secondary[0].variants[0].mean == 0.5


async def test_plain_harm_ends_an_experiment_with_twenty_users_an_arm_by_what_they_said_first(world: World) -> None:
    experiment_id = await world.start_experiment(min_users_per_arm=50, max_users=400)
    for unit in range(20):
        await world.hand(rated(experiment_id, BASE, unit, 5), rated(experiment_id, CANDIDATE, unit, 1))
    await world.hand(*[rated(experiment_id, CANDIDATE, unit, 5, turn=1) for unit in range(20)])
    await world.decide()
    (ended,) = await conclusions(world)
    assert (ended.outcome, ended.winner_variant_id) == (Outcome.ROLLBACK, BASE)
    assert "with 20 users" in ended.reason


async def test_ratings_of_one_moment_are_no_harm_where_arms_do_not_differ(world: World) -> None:
    experiment_id = await world.start_experiment(min_users_per_arm=500, max_users=1000)
    chance = random.Random(237)
    await world.hand_together(
        [rated(experiment_id, one, unit, chance.randint(1, 5)) for unit in range(200) for one in (BASE, CANDIDATE)]
    )
    await world.decide()
    assert await conclusions(world) == []


async def test_what_comes_late_changes_no_pair_that_was_looked_at(world: World) -> None:
    experiment_id = await world.start_experiment(min_users_per_arm=50, max_users=400)
    await world.hand(rated(experiment_id, BASE, 1, 5, minute=5))
    await world.hand(rated(experiment_id, BASE, 2, 3, minute=1), rated(experiment_id, BASE, 1, 2, turn=1, minute=0))
    async with world.direct.engine.connect() as connection:
        experiment = await find_experiment(AsyncSession(connection), experiment_id)
        assert experiment is not None
        found = await find_first_ratings(AsyncSession(connection), experiment)
    assert [one.value for one in sorted(found[0, 1])] == [5, 3]
