"""Raters of label corrections are under the same caps, tenure and reliability as raters of answers."""

from datetime import timedelta

import httpx
import pytest
import sqlalchemy as sa
from feedback_world import TASK, World, a_task
from pydantic import JsonValue
from upstream_world import Upstream, a_label, sources

from feedback_svc.store.curation import list_candidates
from feedback_svc.store.tables import upstream_records
from loopwright.testing.tokens import TokenMint


@pytest.fixture
def upstream(world: World) -> Upstream:
    return Upstream(world)


async def a_label_task(world: World, *, samples: int, **curation: JsonValue) -> None:
    retraining: dict[str, JsonValue] = {"min_new_samples": samples, "curation": curation}
    await world.hand(a_task(sources=sources("label-corrections"), retraining=retraining))


async def correct(world: World, by: str, *problems: int, large: str = "수") -> None:
    labels = [
        a_label(large, f"{by}-{number}-{len(large)}", by=by, problem_id=f"p{number}", problem=f"{number} + 1 = ?")
        for number in problems
    ]
    await world.hand(*labels)


async def exported(world: World) -> set[str]:
    """Problems that the newest dataset teaches."""
    while await world.exporter.export_next():
        pass
    return {str(line["input"]).split()[0] for line in await world.exported_lines()}


async def held(world: World) -> dict[str, str]:
    rows = [row for row in await world.table("samples") if row["state"] == "quarantined"]
    return {row["source_key"]: row["held_because"] for row in rows}


async def test_no_rater_teaches_more_labels_than_its_allowance(world: World, upstream: Upstream) -> None:
    await a_label_task(world, samples=5, rater_allowance=3)
    await correct(world, "anna", *range(6))
    await correct(world, "ben", 6, 7)
    await upstream.collect()
    assert await world.timer.look()
    assert len(await exported(world)) == 5
    assert list((await held(world)).values()) == ["rater-cap"] * 3

    await correct(world, "anna", 8)
    await correct(world, "cleo", 10, 11, 12)
    await correct(world, "dora", 13, 14, 15)
    await upstream.collect()
    assert await world.timer.look()
    assert (await held(world))["p8"] == "rater-cap", "what was exported counts"


async def test_a_rater_whom_the_others_contradict_teaches_nothing(
    world: World, upstream: Upstream, api: httpx.AsyncClient, mint: TokenMint
) -> None:
    await a_label_task(world, samples=8)
    for by in ("anna", "ben", "cleo"):
        await correct(world, by, *range(8))
    await correct(world, "mallory", *range(9), large="도형")
    await upstream.collect()
    assert await world.timer.look()
    assert await exported(world) == {str(number) for number in range(8)}
    assert await held(world) == {"p8": "rater-unreliable"}

    raters = (
        await api.get("/api/v1/feedback/raters", params={"task_id": TASK}, headers=mint.header("engineer"))
    ).json()
    believed = {one["rater_hash"]: one["reliability_0_1"] for one in raters["items"]}
    assert believed.pop("mallory") < 0.3
    assert set(believed) == {"anna", "ben", "cleo"}
    assert min(believed.values()) > 0.9


async def test_whoever_is_alone_is_judged_by_the_person_who_checks(
    world: World, upstream: Upstream, api: httpx.AsyncClient, mint: TokenMint
) -> None:
    await a_label_task(world, samples=2, rater_allowance=1)
    await correct(world, "anna", 1, 2)
    await correct(world, "ben", 3)
    await upstream.collect()
    assert await world.timer.look()
    api.headers.update(mint.header("engineer"))
    (waiting,) = (await api.get("/api/v1/feedback/review", params={"task_id": TASK})).json()["items"]
    assert (waiting["raters"], waiting["held_because"]) == (["anna"], "rater-cap")
    url = f"/api/v1/feedback/review/{waiting['sample_id']}"
    assert (await api.post(url, json={"decision": "reject"})).status_code == 204
    (rater,) = (await api.get("/api/v1/feedback/raters", params={"task_id": TASK})).json()["items"]
    assert (rater["rater_hash"], rater["judged"]) == ("anna", 1)
    assert rater["reliability_0_1"] < 0.8


async def test_newcomers_wait_once_enough_raters_are_tenured(world: World, upstream: Upstream) -> None:
    await a_label_task(world, samples=5, established_raters=2, tenure_ratings=2, tenure_days=7)
    await correct(world, "anna", 1, 2, 3)
    await correct(world, "ben", 4, 5)
    async with world.direct.engine.begin() as connection:
        long_ago = upstream_records.c.received_at - timedelta(days=30)
        await connection.execute(sa.update(upstream_records).values(received_at=long_ago))
    await correct(world, "newcomer", 6)
    await correct(world, "newcomer", 1)
    await upstream.collect()
    assert await world.timer.look()
    assert await exported(world) == {"1", "2", "3", "4", "5"}
    assert await held(world) == {"p6": "rater-new"}


async def test_a_rater_stands_behind_nothing_but_its_last_word(world: World, upstream: Upstream) -> None:
    await a_label_task(world, samples=2)
    await correct(world, "anna", 1, large="도형")
    await correct(world, "anna", 1)
    await correct(world, "ben", 1, large="도형")
    await correct(world, "ben", 2)
    await correct(world, "cleo", 1, large="도형")
    await upstream.collect()
    row = next(row for row in await world.table("samples") if row["source_key"] == "p1" and row["state"] == "ready")
    assert "도형" in row["lesson"]["answer"]
    async with world.work() as unit:
        behind = {one.sample_id: one.raters for one in await list_candidates(unit.session, TASK)}
    assert behind[row["sample_id"]] == ("ben", "cleo")
