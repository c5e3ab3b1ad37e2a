"""Where jobs stand as streams, and their figures as series."""

import asyncio
import math
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import AsyncExitStack
from pathlib import Path

import pytest
import pytest_asyncio
import sqlalchemy as sa
from live_world import LiveWorld
from pydantic import JsonValue

from loopwright.contracts.base import RunState
from trainer_svc.handlers import watching

MigratedDatabase = Callable[[tuple[str, ...]], Awaitable[str]]


@pytest_asyncio.fixture
async def live(migrated_database: MigratedDatabase, tmp_path: Path) -> AsyncGenerator[LiveWorld]:
    url = await migrated_database(("services/trainer-svc",))
    world = LiveWorld(url, direct_url=url, work_dir=tmp_path / "training")
    await world.a_job(lease_owner="here")
    async with world.served():
        yield world
    await world.close()


class TestProgress:
    async def test_tells_every_follower_of_each_change_and_of_the_end(self, live: LiveWorld) -> None:
        async with (
            live.follow("/job-1/progress/stream") as first,
            live.follow("/job-1/progress/stream") as second,
        ):
            for stream in (first, second):
                sent = await stream.next()
                assert sent is not None
                assert (sent.event, sent.data["state"], sent.data["step"]) == ("progress", "running", 0)
            await live.set_job(step=3, total_steps=9, loss=0.5, validation_loss=0.6, tokens_per_s=120.0, eta_s=7.5)
            for stream in (first, second):
                sent = await stream.next()
                assert sent is not None
                wanted: dict[str, JsonValue] = {
                    "step": 3, "total_steps": 9, "loss": 0.5, "validation_loss": 0.6, "tokens_per_s": 120, "eta_s": 7.5,
                }  # fmt: skip
                assert wanted.items() <= sent.data.items()
            await live.end_job(state=RunState.STOPPED, reason="stopped on request")
            for stream in (first, second):
                assert [(sent.event, sent.data["state"]) for sent in await stream.rest()] == [
                    ("progress", "stopped"), ("end", "stopped"),
                ]  # fmt: skip

    async def test_is_silent_while_nothing_changes(self, live: LiveWorld) -> None:
        async with live.follow("/job-1/progress/stream") as stream:
            await stream.next()
            with pytest.raises(TimeoutError):
                await stream.next(timeout_s=1.5)

    async def test_one_query_looks_for_all_followers(self, live: LiveWorld) -> None:
        for number in range(2, 11):
            await live.a_job(f"job-{number}", lease_owner="here")
        queries: list[str] = []

        def note(*arguments: object) -> None:
            queries.append(str(arguments[2]))

        async with AsyncExitStack() as open_streams:
            streams = [
                await open_streams.enter_async_context(live.follow(f"/job-{number}/progress/stream"))
                for number in [*range(1, 11)] * 2
            ]
            await asyncio.gather(*(stream.next() for stream in streams))
            sa.event.listen(live.database.engine.sync_engine, "before_cursor_execute", note)
            await asyncio.sleep(2)
            sa.event.remove(live.database.engine.sync_engine, "before_cursor_execute", note)
        assert 1 <= len(queries) <= 5  # every half second, for twenty followers of ten jobs

    async def test_ends_when_the_job_is_deleted(self, live: LiveWorld) -> None:
        async with live.follow("/job-1/progress/stream") as stream:
            await stream.next()
            await live.delete_job()
            assert [(sent.event, sent.data["state"]) for sent in await stream.rest()] == [("end", "deleted")]


class TestMetrics:
    async def test_are_series_by_name_of_what_each_step_has(self, live: LiveWorld) -> None:
        await live.add_figures(
            {"step": 1, "loss": 2.0}, {"step": 2, "loss": 1.0}, {"step": 2, "validation_loss": 1.5},
            {"step": 3, "loss": 0.5, "device_memory_bytes": 1 << 40},
        )  # fmt: skip
        body = (await live.client.get("/job-1/metrics")).json()
        loss, validation = body["series"]
        assert (body["job_id"], loss["name"], loss["total_points"]) == ("job-1", "loss", 3)
        assert [(point["step"], point["value"]) for point in loss["points"]] == [(1, 2.0), (2, 1.0), (3, 0.5)]
        assert loss["points"][0]["at"] == "2026-11-21T12:00:00Z"
        assert [(point["step"], point["value"]) for point in validation["points"]] == [(2, 1.5)]
        memory = (await live.client.get("/job-1/metrics", params={"names": "device_memory_bytes"})).json()["series"][0]
        assert [point["value"] for point in memory["points"]] == [1 << 40]

    async def test_of_a_step_that_was_taken_twice_the_newest_figure_counts(self, live: LiveWorld) -> None:
        await live.add_figures(
            {"step": 1, "loss": 2.0}, {"step": 2, "loss": 1.0}, {"step": 2, "loss": 0.9, "attempt": 2},
        )  # fmt: skip
        (loss,) = (await live.client.get("/job-1/metrics?names=loss")).json()["series"]
        assert [(point["step"], point["value"]) for point in loss["points"]] == [(1, 2.0), (2, 0.9)]

    async def test_since_a_step_are_the_later_ones(self, live: LiveWorld) -> None:
        await live.add_figures(*({"step": step, "loss": 1.0} for step in range(1, 6)))
        (loss,) = (await live.client.get("/job-1/metrics?names=loss&since_step=3")).json()["series"]
        assert [point["step"] for point in loss["points"]] == [4, 5]

    async def test_of_long_runs_keep_their_look_in_few_points(self, live: LiveWorld) -> None:
        figures = [{"step": step, "loss": 9.0 if step == 777 else math.exp(-step / 500)} for step in range(2_000)]
        await live.add_figures(*figures)
        (loss,) = (await live.client.get("/job-1/metrics?names=loss&max_points=50")).json()["series"]
        steps = [point["step"] for point in loss["points"]]
        assert (len(steps), loss["total_points"], steps[0], steps[-1]) == (50, 2_000, 0, 1_999)
        assert 777 in steps

    async def test_of_very_long_runs_the_extremes_leave_the_database(
        self, live: LiveWorld, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(watching, "_MOST_ROWS", 100)
        monkeypatch.setattr(watching, "_PARTS", 20)
        await live.add_figures(*({"step": step, "loss": {333: 9.0, 334: -9.0}.get(step, 1.0)} for step in range(1_000)))
        (loss,) = (await live.client.get("/job-1/metrics?names=loss&max_points=500")).json()["series"]
        values = {point["step"]: point["value"] for point in loss["points"]}
        assert loss["total_points"] == 1_000
        assert len(values) <= 40
        assert (values[333], values[334]) == (9.0, -9.0)

    async def test_what_is_no_number_is_left_out(self, live: LiveWorld) -> None:
        await live.add_figures({"step": 1, "loss": math.nan}, {"step": 2, "loss": math.inf}, {"step": 3, "loss": 1.0})
        (loss,) = (await live.client.get("/job-1/metrics?names=loss")).json()["series"]
        assert [point["step"] for point in loss["points"]] == [3]

    @pytest.mark.parametrize(
        ("query", "code"),
        [
            ("names=loss,charm", "job.unknown-metric"),
            ("names=job_id", "job.unknown-metric"),
            ("names=step", "job.unknown-metric"),
            ("max_points=2", "request.malformed"),
            ("max_points=5001", "request.malformed"),
            ("since_step=-1", "request.malformed"),
            (f"names={'x' * 501}", "request.malformed"),
        ],
    )
    async def test_that_nobody_keeps_are_refused(self, live: LiveWorld, query: str, code: str) -> None:
        answer = await live.client.get(f"/job-1/metrics?{query}")
        assert (answer.status_code, answer.json()["code"]) == (422, code)
