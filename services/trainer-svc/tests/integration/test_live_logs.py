"""Logs of jobs over HTTP: in parts, and as a stream that its followers can lean on."""

import asyncio
import threading
import time
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import AsyncExitStack
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import pytest_asyncio
from live_world import LiveWorld, lines_in

from loopwright.contracts.base import RunState
from loopwright.testing.gate import Gate
from loopwright.testing.waiting import eventually

MigratedDatabase = Callable[[tuple[str, ...]], Awaitable[str]]


@pytest_asyncio.fixture
async def url(migrated_database: MigratedDatabase) -> str:
    return await migrated_database(("services/trainer-svc",))


@pytest_asyncio.fixture
async def door(url: str) -> AsyncGenerator[Gate]:
    """The way on which the service reaches PostgreSQL."""
    parts = urlsplit(url)
    assert parts.hostname is not None
    assert parts.port is not None
    async with Gate(parts.hostname, parts.port) as gate:
        yield gate


@pytest_asyncio.fixture
async def live(url: str, door: Gate, tmp_path: Path) -> AsyncGenerator[LiveWorld]:
    through = url.replace(f":{urlsplit(url).port}/", f":{door.port}/")
    world = LiveWorld(through, direct_url=url, work_dir=tmp_path / "training")
    await world.a_job(lease_owner="here")
    async with world.served():
        yield world
    await world.close()


def open_files() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


class TestPage:
    async def test_gives_the_last_lines_and_the_way_on_in_both_directions(self, live: LiveWorld) -> None:
        await live.write("one\ntwo\nthree\nfo")
        last = (await live.client.get("/job-1/logs", params={"lines": 2})).json()
        assert (last["lines"], last["offset"], last["next_offset"]) == (["two", "three"], 4, 14)
        assert (last["size_bytes"], last["unfinished"], last["notice"]) == (16, "fo", None)

        above = (await live.client.get("/job-1/logs", params={"before": last["offset"]})).json()
        assert above["lines"] == ["one"]
        await live.write("ur\n")
        on = (await live.client.get("/job-1/logs", params={"offset": last["next_offset"]})).json()
        assert on["lines"] == ["four"]

    async def test_says_where_a_log_is_that_is_not_here(self, live: LiveWorld) -> None:
        await live.set_job(lease_owner="there")
        page = (await live.client.get("/job-1/logs")).json()
        assert page["lines"] == []
        assert "worker there runs this job" in page["notice"]

    async def test_of_a_job_that_waits_says_so(self, live: LiveWorld) -> None:
        await live.set_job(state=RunState.QUEUED, attempt=0, lease_owner=None)
        assert (await live.client.get("/job-1/logs")).json()["notice"] == "the job has not begun"

    @pytest.mark.parametrize(
        "query", ["lines=0", "lines=10001", "offset=-1", "offset=9223372036854775808", "before=x", "lines=1e9"]
    )
    async def test_sizes_that_make_no_sense_are_refused(self, live: LiveWorld, query: str) -> None:
        answer = await live.client.get(f"/job-1/logs?{query}")
        assert (answer.status_code, answer.json()["code"]) == (422, "request.malformed")


class TestDoor:
    @pytest.mark.parametrize("path", ["logs", "logs/stream", "progress/stream", "metrics"])
    async def test_needs_a_token_and_a_job(self, live: LiveWorld, path: str) -> None:
        nobody = await live.client.get(f"/job-1/{path}", headers={"Authorization": ""})
        assert (nobody.status_code, nobody.headers["content-type"]) == (401, "application/problem+json")
        unknown = await live.client.get(f"/job-0/{path}")
        assert (unknown.status_code, unknown.json()["code"]) == (404, "job.not-found")

    @pytest.mark.parametrize("last", ["x", "-1", "9223372036854775808"])
    async def test_refuses_ids_that_it_never_gave(self, live: LiveWorld, last: str) -> None:
        answer = await live.client.get("/job-1/logs/stream", headers={"Last-Event-ID": last})
        assert (answer.status_code, answer.json()["code"]) == (422, "request.malformed")


class TestStream:
    async def test_a_line_is_seen_within_a_second_of_its_writing(self, live: LiveWorld) -> None:
        await live.write("before\n")
        waited: list[float] = []
        async with live.follow("/job-1/logs/stream") as stream:
            assert await stream.lines(1) == ["before"]
            for number in range(8):
                await asyncio.sleep(0.13 * (number % 3))
                began = time.monotonic()
                await live.write(f"line {number}\n")
                assert await stream.lines(1) == [f"line {number}"]
                waited.append(time.monotonic() - began)
        assert max(waited) < 1

    async def test_goes_on_where_it_broke_off_without_gap_or_repetition(self, live: LiveWorld) -> None:
        await live.write("one\ntwo\n")
        async with live.follow("/job-1/logs/stream?lines=1") as stream:
            first = await stream.next()
        assert first is not None
        assert (lines_in([first]), first.id) == (["two"], "8")
        await live.write("three\nfour\n")
        async with live.follow("/job-1/logs/stream", **{"Last-Event-ID": str(first.id)}) as stream:
            assert await stream.lines(2) == ["three", "four"]
        async with live.follow("/job-1/logs/stream?after=4") as stream:
            assert await stream.lines(3) == ["two", "three", "four"]

    async def test_ends_with_the_jobs_state_once_everything_was_sent(self, live: LiveWorld) -> None:
        await live.write("one\n")
        async with live.follow("/job-1/logs/stream") as stream:
            await stream.lines(1)
            await live.write("two\nno end")
            await live.end_job(state=RunState.FAILED, reason="memory ran out")
            rest = await stream.rest()
        assert lines_in(rest) == ["two", "no end"]
        assert rest[-1].event == "end"
        assert rest[-1].data == {"job_id": "job-1", "state": "failed", "reason": "memory ran out"}
        assert rest[-1].id == str(live.log().stat().st_size)

    async def test_of_a_long_log_sends_all_of_it(self, live: LiveWorld) -> None:
        written = [f"{number} {'x' * (number % 90)}" for number in range(30_000)]
        await live.write("\n".join(written) + "\n")
        await live.end_job()
        async with live.follow("/job-1/logs/stream?after=0") as stream:
            assert lines_in(await stream.rest()) == written

    async def test_ends_when_the_job_is_deleted(self, live: LiveWorld) -> None:
        async with live.follow("/job-1/logs/stream") as stream:
            await live.delete_job()
            rest = await stream.rest()
        assert [(sent.event, sent.data["state"]) for sent in rest] == [("end", "deleted")]

    async def test_waits_for_a_log_that_appears_later(self, live: LiveWorld) -> None:
        async with live.follow("/job-1/logs/stream?lines=0") as stream:
            await asyncio.sleep(0.4)
            await live.write("one\n")
            assert await stream.lines(1) == ["one"]

    async def test_says_when_a_log_was_cut_or_replaced_and_begins_again(self, live: LiveWorld) -> None:
        await live.write("one\ntwo\n")
        async with live.follow("/job-1/logs/stream") as stream:
            await stream.lines(2)
            await live.write("new\n", mode="w")
            cut = [await stream.next(), await stream.next()]
            live.log().rename(live.log().with_suffix(".1"))
            await live.write("another one\n")
            replaced = [await stream.next(), await stream.next()]
        events = [(sent.event, sent.data.get("lines")) for sent in (*cut, *replaced) if sent is not None]
        assert events == [("restart", None), ("lines", ["new"]), ("restart", None), ("lines", ["another one"])]

    async def test_says_when_another_worker_takes_the_job(self, live: LiveWorld) -> None:
        async with live.follow("/job-1/logs/stream") as stream:
            await live.set_job(lease_owner="there")
            sent = await stream.next()
        assert sent is not None
        assert sent.event == "notice"
        assert "worker there runs this job now" in str(sent.data["text"])

    async def test_sends_heartbeats_while_nothing_happens(
        self, live: LiveWorld, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("fastapi.routing._PING_INTERVAL", 0.2)
        async with live.follow("/job-1/logs/stream") as stream:
            with pytest.raises(TimeoutError):
                await stream.next(timeout_s=1)
        assert stream.comments.count("ping") >= 3

    async def test_outlives_an_absent_database(self, live: LiveWorld, door: Gate) -> None:
        async with live.follow("/job-1/logs/stream") as stream:
            await asyncio.sleep(0.2)
            await door.shut()
            await live.write("one\n")
            assert await stream.lines(1) == ["one"]
            await asyncio.sleep(1.2)
            await live.write("two\n")
            assert await stream.lines(1) == ["two"]
            await door.open()
            await live.end_job()
            assert [sent.event for sent in await stream.rest()] == ["end"]


class TestCost:
    async def test_followers_have_so_many_places_and_leave_them_when_they_go(self, live: LiveWorld) -> None:
        await live.write("one\n")
        await live.a_job("job-2", lease_owner="here")
        files, threads = open_files(), threading.active_count()
        async with AsyncExitStack() as open_streams:
            streams = [await open_streams.enter_async_context(live.follow("/job-1/logs/stream")) for _ in range(16)]
            for stream in streams:
                assert await stream.lines(1) == ["one"]
            assert live.followers.count == 16
            assert threading.active_count() - threads <= 4
            full = await live.client.get("/job-1/logs/stream")
            assert (full.status_code, full.headers["content-type"]) == (429, "application/problem+json")
            assert "16 followers" in full.json()["detail"]
            for _ in range(4):
                await open_streams.enter_async_context(live.follow("/job-2/logs/stream"))
            assert (await live.client.get("/job-2/logs/stream")).status_code == 429
        await live.nobody_follows()
        # the files that followers held are closed; sockets and the database's connections are few
        await eventually(lambda: asyncio.sleep(0, open_files() <= files + 6), timeout_s=10)
        async with live.follow("/job-1/logs/stream") as stream:
            assert await stream.lines(1) == ["one"]

    async def test_a_stream_ends_after_a_while_and_is_asked_for_again(self, live: LiveWorld) -> None:
        live.change_door(longest_s=0.4)
        for path in ("logs", "progress"):
            async with live.follow(f"/job-1/{path}/stream") as stream:
                assert "end" not in [sent.event for sent in await stream.rest(timeout_s=3)]
        await live.nobody_follows()

    async def test_a_server_that_shuts_down_is_not_held_up(self, live: LiveWorld) -> None:
        async with (
            live.follow("/job-1/logs/stream") as logs,
            live.follow("/job-1/progress/stream") as progress,
        ):
            await progress.next()
            live.stopping = True
            began = time.monotonic()
            assert await logs.rest() == await progress.rest() == []
        assert time.monotonic() - began < 2
