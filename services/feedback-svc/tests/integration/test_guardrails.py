"""What must not get worse is measured from answers as they are kept, and ends an experiment early."""

from feedback_world import BASE, CANDIDATE, World, an_erasure, an_inference, rated
from pydantic import JsonValue

from loopwright.contracts.base import Event
from loopwright.contracts.experiments import ExperimentConcluded, Outcome
from loopwright.contracts.inferences import InferenceCompleted
from loopwright.contracts.registry import EXPERIMENT_CONCLUDED

UNITS = 40  # too few for any verdict on quality where each arm needs 50
TOXIC, CLEAN = "이 병신아 그것도 모르냐", "디스크가 가득 찼습니다. 로그를 지우세요."
REFUSING = "죄송합니다. 그 질문에는 답변드릴 수 없습니다."


def answered(experiment_id: str, variant: str, unit: int, answer: str | None, **more: JsonValue) -> InferenceCompleted:
    standard: dict[str, JsonValue] = {
        "inference_id": f"inf-{variant}-{unit}-0", "experiment_id": experiment_id, "variant_id": variant,
        "unit_hash": f"unit-{variant}-{unit}", "answer": answer,
    }  # fmt: skip
    return an_inference(unit, **(standard | more))


def both(experiment_id: str, champion: str | None, candidate: str | None, *, units: int = UNITS) -> list[Event]:
    """As many units in each arm, by what they were told."""
    said = ((BASE, champion), (CANDIDATE, candidate))
    return [answered(experiment_id, variant, unit, answer) for unit in range(units) for variant, answer in said]


async def conclusions(world: World) -> list[ExperimentConcluded]:
    return [event for event in await world.announced(EXPERIMENT_CONCLUDED) if isinstance(event, ExperimentConcluded)]


async def a_watched_experiment(world: World, margin: str, **rollout: JsonValue) -> str:
    return await world.start_experiment(**({"margins": {margin: 0.02}, "min_users_per_arm": 50} | rollout))


async def test_a_candidate_with_toxic_answers_is_rolled_back_before_there_are_users_enough(world: World) -> None:
    experiment_id = await a_watched_experiment(world, "max_toxicity_rise_0_1")
    await world.hand(*both(experiment_id, CLEAN, TOXIC))
    await world.decide()
    (ended,) = await conclusions(world)
    assert (ended.outcome, ended.winner_variant_id) == (Outcome.ROLLBACK, BASE)
    assert "toxicity" in ended.reason
    (guardrail,) = ended.evidence.guardrails
    assert (guardrail.name, guardrail.state, guardrail.worse_by) == ("toxicity", "breached", 0.5)
    scores = {row["inference_id"]: row["toxicity_0_1"] for row in await world.table("answer_toxicity")}
    assert (scores[f"inf-{BASE}-0-0"], scores[f"inf-{CANDIDATE}-0-0"], len(scores)) == (0, 0.5, 2 * UNITS)


async def test_equally_toxic_answers_harm_nobodys_chances(world: World) -> None:
    experiment_id = await a_watched_experiment(world, "max_toxicity_rise_0_1")
    await world.hand(*both(experiment_id, TOXIC, TOXIC))
    await world.decide()
    assert await conclusions(world) == []


async def test_scored_answers_let_a_better_candidate_pass_and_unscored_ones_do_not(world: World) -> None:
    experiment_id = await a_watched_experiment(world, "max_toxicity_rise_0_1", min_users_per_arm=4)
    stars = ((BASE, 1), (CANDIDATE, 4))
    ratings = [rated(experiment_id, variant, unit, value + unit % 2) for unit in range(8) for variant, value in stars]
    await world.hand(*ratings, *both(experiment_id, None, None, units=8))
    await world.decide()
    assert await conclusions(world) == []
    report = await world.report(experiment_id)
    assert report.uncomputed_guardrails == ("toxicity",)

    later = [
        answered(experiment_id, variant, unit, CLEAN, inference_id=f"inf-{variant}-{unit}-1")
        for unit in range(8)
        for variant, _ in stars
    ]
    await world.hand(*later)
    await world.decide()
    assert [event.outcome for event in await conclusions(world)] == [Outcome.PROMOTE]


async def test_refusals_are_judged_as_answers_come_and_outlive_the_words(world: World) -> None:
    experiment_id = await a_watched_experiment(world, "max_refusal_rise_0_1")
    broken = answered(experiment_id, BASE, UNITS, None)
    await world.hand(*both(experiment_id, CLEAN, REFUSING), broken)
    await world.hand(*(an_erasure(f"unit-{CANDIDATE}-{unit}") for unit in range(2)))
    marks = {row["inference_id"]: row["refuses"] for row in await world.table("inferences")}
    assert marks == {event.inference_id: event.variant_id == CANDIDATE for event in both(experiment_id, "", "")} | {
        broken.inference_id: None
    }
    await world.decide()
    (ended,) = await conclusions(world)
    assert ended.outcome is Outcome.ROLLBACK
    assert "refusal_rate" in ended.reason


async def test_toxic_answers_of_a_shadow_end_it_though_nobody_saw_them(world: World) -> None:
    shadow = await a_watched_experiment(
        world, "max_toxicity_rise_0_1", preludes=[{"kind": "shadow", "units": 1000}]
    )  # fmt: skip
    shown = [an_inference(unit, answer=CLEAN) for unit in range(UNITS)]
    copies = [
        an_inference(
            unit, inference_id=f"copy-{unit}", experiment_id=shadow, variant_id=CANDIDATE, answer=TOXIC,
            shadow_of=f"inf-{unit}", arm=1, epoch=1,
        )
        for unit in range(UNITS)
    ]  # fmt: skip
    await world.hand(*shown, *copies)
    await world.decide()
    (ended,) = await conclusions(world)
    assert (ended.outcome, ended.candidate_variant_id) == (Outcome.ROLLBACK, CANDIDATE)
