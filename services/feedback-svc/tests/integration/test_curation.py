"""Curation over real PostgreSQL: newcomers' samples wait for a person, who decides; consent is kept."""

import httpx
from feedback_world import TASK, World, a_rating, a_task, an_inference
from pydantic import JsonValue

from loopwright.testing.tokens import TokenMint

MONTH = 30 * 24 * 60  # minutes
CURATION: dict[str, JsonValue] = {"established_raters": 2, "tenure_ratings": 2, "tenure_days": 7}
NEW, OLD = ("new-1", "new-2"), ("old-1", "old-2")


def asks_from(samples: int, **curation: JsonValue) -> dict[str, JsonValue]:
    return {"min_new_samples": samples, "curation": CURATION | curation}


async def rate(world: World, number: int, rater: str, *, minute: float, **changes: JsonValue) -> None:
    """One inference of its own, endorsed by a rater."""
    rating = a_rating(number, 5, minute=minute, rating_id=f"r{number}", unit_hash=rater, rater_hash=rater, **changes)
    await world.hand(an_inference(number, unit_hash=rater), rating)


async def establish(world: World, *, samples: int) -> None:
    """Two tenured raters with three samples each, and two newcomers with one each; `samples` make a request."""
    await world.hand(a_task(retraining=asks_from(samples)))
    for number, rater in enumerate((*OLD, *OLD, *OLD)):
        await rate(world, number, rater, minute=number - MONTH)
    for number, rater in enumerate(NEW, start=6):
        await rate(world, number, rater, minute=number)


async def states(world: World) -> dict[str, str]:
    return {row["inference_id"]: row["state"] for row in await world.table("samples")}


async def exported(world: World) -> set[str]:
    while await world.exporter.export_next():
        pass
    return {str(line["inference_id"]) for line in await world.exported_lines()}


def engineer(mint: TokenMint) -> dict[str, str]:
    return {"Authorization": f"Bearer {mint.token('engineer')}"}


async def test_what_newcomers_endorse_is_quarantined_and_never_reaches_training(world: World) -> None:
    await establish(world, samples=8)

    assert [row["held_because"] for row in await world.table("samples") if row["state"] == "quarantined"] == [
        "rater-new", "rater-new",
    ]  # fmt: skip
    assert await world.table("dataset_requests") == [], "six samples are too few without the newcomers'"
    for number in (8, 9):
        await rate(world, number, "old-1", minute=number)
    assert await exported(world) == {f"inf-{number}" for number in (0, 1, 2, 3, 4, 5, 8, 9)}
    assert (await states(world))["inf-6"] == "quarantined"


async def test_a_tenured_rater_who_agrees_lifts_the_quarantine(world: World) -> None:
    await establish(world, samples=8)
    await world.hand(a_rating(6, 5, minute=20, rating_id="agrees", unit_hash="new-1", rater_hash="old-2"))
    await rate(world, 8, "old-1", minute=21)

    assert "inf-6" in await exported(world)


async def test_a_person_accepts_corrects_and_rejects(world: World, api: httpx.AsyncClient, mint: TokenMint) -> None:
    await establish(world, samples=8)
    await rate(world, 20, "new-1", minute=22)
    await world.hand(a_task(2, retraining=asks_from(9)))
    await rate(world, 21, "old-1", minute=23)
    await rate(world, 22, "old-1", minute=24)
    api.headers.update(engineer(mint))
    waiting = (await api.get("/api/v1/feedback/review", params={"task_id": TASK})).json()
    by_inference = {one["inference_id"]: one for one in waiting["items"]}
    assert waiting["total"] == len(by_inference) >= 2
    first, second = by_inference["inf-6"]["sample_id"], by_inference["inf-7"]["sample_id"]

    accepted = await api.post(f"/api/v1/feedback/review/{first}", json={"decision": "accept"})
    corrected = await api.post(f"/api/v1/feedback/review/{second}", json={"decision": "correct", "answer": "right"})
    again = await api.post(f"/api/v1/feedback/review/{first}", json={"decision": "reject"})
    wrong = await api.post(f"/api/v1/feedback/review/{second}", json={"decision": "correct"})
    unknown = await api.post("/api/v1/feedback/review/smp-none", json={"decision": "accept"})

    assert (accepted.status_code, corrected.status_code) == (204, 204)
    assert (again.status_code, again.json()["code"]) == (409, "review.not-waiting")
    assert (wrong.status_code, wrong.json()["code"]) == (422, "review.answer-mismatch")
    assert (unknown.status_code, unknown.json()["code"]) == (404, "review.unknown-sample")
    await rate(world, 23, "old-1", minute=25)
    taught = await exported(world)
    assert "inf-6" in taught
    (line,) = [one for one in await world.exported_lines() if one["inference_id"] == "inf-7"]
    assert line["messages"][-1]["content"] == "right"
    decisions = (await api.get("/api/v1/feedback/review/decisions")).json()
    assert {one["decision"] for one in decisions["items"]} == {"accept", "correct"}
    raters = (await api.get("/api/v1/feedback/raters", params={"task_id": TASK})).json()["items"]
    believed = {one["rater_hash"]: one["reliability_0_1"] for one in raters}
    assert believed["new-1"] > believed["new-2"], "the person found one right, the other wrong"


async def test_who_takes_consent_back_is_in_no_later_export(
    world: World, api: httpx.AsyncClient, mint: TokenMint
) -> None:
    await establish(world, samples=6)
    assert "inf-0" in await exported(world)
    api.headers.update(engineer(mint))
    assert (await api.get("/api/v1/feedback/consents/old-1")).status_code == 404
    said = await api.put("/api/v1/feedback/consents/old-1", json={"training": False})
    assert said.json()["training"] is False
    for number in range(30, 50):
        await rate(world, number, OLD[number % 2], minute=number)
    later = await exported(world)

    owners = {row["inference_id"]: row["unit_hash"] for row in await world.table("inferences")}
    assert {owners[inference] for inference in later} == {"old-2"}
    held = {row["held_because"] for row in await world.table("samples") if row["unit_hash"] == "old-1"}
    assert "no-consent" in held
