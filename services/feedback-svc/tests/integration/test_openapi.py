"""Every documented route, asked by schemathesis what its own schema allows and forbids."""

from datetime import UTC, datetime, timedelta
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
from upstream_world import Upstream, an_answer, an_incident, sources

from feedback_svc.api.experiment_bodies import NewExperiment
from feedback_svc.handlers.people import create_experiment
from feedback_svc.jobs.evidence import EvidenceTimer
from feedback_svc.main import build
from feedback_svc.settings import Settings
from loopwright.contracts.base import JsonObject
from loopwright.contracts.registry import FEEDBACK_RECEIVED, LOG_RECEIVED
from loopwright.settings import CommonSettings
from loopwright.testing.examples import an_event
from loopwright.testing.openapi_probe import Probing, probe
from loopwright.testing.tokens import TokenMint

TESTS = "/api/v1/admin/ab-tests"
OTHER, JUDGED, DRAFTED = "other", "judged", "drafted"


async def fill(world: World) -> list[str]:
    """Ids of running experiments; there are also feedback, records and an export."""
    candidates = [f"mood:{number}" for number in range(1, 4)]
    await world.hand(a_task(retraining={"min_new_samples": 1}), a_deployment(1, BASE, *candidates, "mood:9", minute=-1))
    await world.hand(an_inference(1), an_inference(2), a_rating(1, 5, rating_id="r1", comment="good"))
    await world.hand(an_event(LOG_RECEIVED), an_event(FEEDBACK_RECEIVED), an_erasure("nobody-here"))
    await world.hand(*(an_evaluation(number, candidate=one) for number, one in enumerate(candidates)))
    await world.exporter.export_next()
    await fill_sources(world)
    return [str(row["experiment_id"]) for row in await world.table("experiments")]


async def fill_sources(world: World) -> None:
    """Twelve new samples, a run of each source, and a file of evidence."""
    declared = [*sources("knowledge-assistant"), {"source": "incident-evidence", "export": {"cron": "* * * * *"}}]
    early = (datetime.now(UTC) - timedelta(minutes=5)).isoformat()
    await world.hand(a_task(2, retraining={"min_new_samples": 1}, sources=declared, defined_at=early))
    await world.hand(*(an_answer(f"k{number}") for number in range(11)), *an_incident("INC-1"))
    await Upstream(world).collect()
    await EvidenceTimer(world.work, world.storage, every_s=1).look()


async def fill_trial(world: World) -> None:
    """Another task with a running experiment, which a rollback may end."""
    deployment = a_deployment(1, BASE, CANDIDATE, minute=-1).model_copy(update={"task_id": OTHER})
    await world.hand(a_task(task_id=OTHER), deployment, an_evaluation(99, task_id=OTHER))


async def fill_waiting(world: World) -> dict[tuple[str, str], dict[str, str]]:
    """What one operation each is about: a trial to judge, a draft to start, an alert, a sample that waits."""
    for number, task_id in enumerate((JUDGED, DRAFTED), start=97):
        deployment = a_deployment(1, BASE, CANDIDATE, minute=-1).model_copy(update={"task_id": task_id})
        curation = {"established_raters": 1, "tenure_ratings": 2, "tenure_days": 0}
        held: JsonObject = {"curation": curation, "min_new_samples": 3}
        await world.hand(a_task(task_id=task_id, retraining=held), deployment)
        if task_id == JUDGED:
            await world.hand(an_evaluation(number, task_id=task_id))
    wish = NewExperiment(experiment_name="draft", task_id=DRAFTED, candidate_variant_id=CANDIDATE, start=False)
    async with world.work() as work:
        draft = await create_experiment(wish.wish(by="somebody"), work, now=datetime.now(UTC))
    (trial,) = (row["experiment_id"] for row in await world.table("experiments") if row["task_id"] == JUDGED)
    for number, rater in enumerate(("old", "old", "new"), start=50):
        rating = a_rating(number, 5, task_id=JUDGED, rating_id=f"r{number}", unit_hash=rater, rater_hash=rater)
        answer = '{"anomaly_status":"critical","confidence":0.9,"detected_issues":["disk full"]}'
        await world.hand(an_inference(number, task_id=JUDGED, unit_hash=rater, answer=answer), rating)
    (alert,) = await ids(world, "alerts", "alert_id")
    (sample,) = (row["sample_id"] for row in await world.table("samples") if row["state"] == "quarantined")
    return {
        ("POST", f"{TESTS}/{{experiment_id}}/conclude"): {"path.experiment_id": str(trial)},
        ("POST", f"{TESTS}/{{experiment_id}}/start"): {"path.experiment_id": draft},
        ("POST", "/api/v1/alerts/{alert_id}/acknowledge"): {"path.alert_id": alert},
        ("POST", "/api/v1/feedback/review/{sample_id}"): {"path.sample_id": str(sample)},
    }


async def ids(world: World, table: str, column: str) -> list[str]:
    return [str(row[column]) for row in await world.table(table)]


async def test_every_route_answers_as_its_openapi_says(
    world: World, common: CommonSettings, mint: TokenMint, tmp_path: Path
) -> None:
    experiments = await fill(world)
    await fill_trial(world)
    own = await fill_waiting(world)
    folder = tmp_path / "probe"
    folder.mkdir()
    known = {
        "path.experiment_id": experiments,
        "path.inference_id": ["inf-1"],
        "path.request_id": await ids(world, "dataset_requests", "request_id"),
        "path.run_id": await ids(world, "collections", "run_id"),
        "path.export_id": await ids(world, "evidence_exports", "export_id"),
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
        ("POST", "/api/v1/feedback/review/{sample_id}"): {"decision": "accept"},
        ("POST", "/api/v1/feedback"): {"kind": "knowledge.rated", "record": {"query": "q", "answer": "a", "rating": 5}},
        ("POST", "/api/v1/learn/collect"): {"task_id": TASK},
        ("POST", "/api/v1/learn/train"): {"task_id": TASK},
        ("POST", "/api/v1/learn/rollback"): {"task_id": OTHER, "reason": "bad answers"},
        ("POST", TESTS): {"experiment_name": "by hand", "task_id": TASK, "candidate_variant_id": "mood:9"},
        ("POST", f"{TESTS}/{{experiment_id}}/conclude"): {"winner_variant_id": BASE},
        ("POST", f"{TESTS}/{{experiment_id}}/ramp"): {"candidate_share_0_1": 0.75},
    }
    service = build(common, Settings())
    probing = Probing(
        token=mint.token("admin"),
        known=known,
        bodies=bodies,
        own=own,
        spent_by=("/stop$",),
        may_be_away=("^/ready$", "/rollback$"),
    )
    report = await probe(service.app, probing, folder)
    assert service.database is not None
    await service.database.close()
    assert not report.failures, report.failures
    assert report.never_asked == set()
    assert report.never_succeeded == {("GET", "/ready")}  # nothing runs behind this door
