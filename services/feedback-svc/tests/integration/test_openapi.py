"""Every documented route, asked by schemathesis what its own schema allows and forbids."""

from pathlib import Path

from feedback_world import (
    BASE,
    CANDIDATE,
    TASK,
    World,
    a_deployment,
    a_rating,
    a_task,
    an_erasure,
    an_evaluation,
    an_inference,
)

from feedback_svc.main import build
from feedback_svc.settings import Settings
from loopwright.contracts.registry import FEEDBACK_RECEIVED, LOG_RECEIVED
from loopwright.settings import CommonSettings
from loopwright.testing.examples import an_event
from loopwright.testing.openapi_probe import Probing, probe
from loopwright.testing.tokens import TokenMint

TESTS = "/api/v1/admin/ab-tests"


async def fill(world: World) -> list[str]:
    """Ids of running experiments; there are also feedback, records and an export."""
    candidates = [f"mood:{number}" for number in range(1, 4)]
    await world.hand(a_task(retraining={"min_new_samples": 1}), a_deployment(1, BASE, *candidates, "mood:9", minute=-1))
    await world.hand(an_inference(1), an_inference(2), a_rating(1, 5, rating_id="r1", comment="good"))
    await world.hand(an_event(LOG_RECEIVED), an_event(FEEDBACK_RECEIVED), an_erasure("nobody-here"))
    await world.hand(*(an_evaluation(number, candidate=one) for number, one in enumerate(candidates)))
    await world.exporter.export_next()
    return [str(row["experiment_id"]) for row in await world.table("experiments")]


async def test_every_route_answers_as_its_openapi_says(
    world: World, common: CommonSettings, mint: TokenMint, tmp_path: Path
) -> None:
    experiments = await fill(world)
    folder = tmp_path / "probe"
    folder.mkdir()
    known = {
        "path.experiment_id": experiments,
        "path.inference_id": ["inf-1"],
        "path.rating_id": ["r1"],
        "path.unit_hash": ["nobody-here"],
        "query.task_id": [TASK],
        "query.inference_id": ["inf-1"],
        "query.variant_id": [BASE],
        "body.task_id": [TASK],
        "body.candidate_variant_id": ["mood:9"],
        "body.winner_variant_id": [BASE, CANDIDATE],
    }
    bodies = {
        ("POST", TESTS): {"experiment_name": "by hand", "task_id": TASK, "candidate_variant_id": "mood:9"},
        ("POST", f"{TESTS}/{{experiment_id}}/conclude"): {"winner_variant_id": BASE},
    }
    service = build(common, Settings())
    probing = Probing(token=mint.token("admin"), known=known, bodies=bodies, spent_by=("/stop$",))
    report = await probe(service.app, probing, folder)
    assert service.database is not None
    await service.database.close()
    assert not report.failures, report.failures
    assert report.never_asked == set()
    assert report.never_succeeded == {("GET", "/ready")}  # nothing runs behind this door
