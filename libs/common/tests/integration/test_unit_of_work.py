"""One transaction holds rows, announcements and the inbox mark: all of it, or nothing."""

import asyncio
import json
import struct
from contextlib import AsyncExitStack

import asyncpg
import pytest
import sqlalchemy as sa
from sqlalchemy.exc import DBAPIError, IntegrityError

from loopwright.contracts.envelope import seal
from loopwright.contracts.registry import DATASET_REQUESTED, DATASET_VALIDATED, USER_ERASED, Party
from loopwright.errors import NotFound, StoreUnavailable
from loopwright.inbox import mark_seen
from loopwright.testing.examples import an_event
from loopwright.testing.gate import Gate
from loopwright.testing.probe import Probe
from loopwright.testing.waiting import eventually

TRACEPARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


class TestCommit:
    async def test_rows_and_announcements_appear_together_and_only_at_the_end(self, probe: Probe) -> None:
        async with probe.work() as unit:
            await probe.act(unit.session, "decided")
            unit.announce(an_event(USER_ERASED))
            assert (await probe.effects(), await probe.outbox()) == ([], [])

        assert await probe.effects() == ["decided"]
        assert len(await probe.outbox()) == 1

    async def test_announcements_keep_their_order_and_their_bytes(self, probe: Probe) -> None:
        events = [an_event(USER_ERASED, erasure_id=f"era-{number}") for number in range(7)]
        async with probe.work() as unit:
            ids = [unit.announce(event, traceparent=TRACEPARENT) for event in events]

        rows = await probe.outbox()
        assert [json.loads(row["value"])["erasure_id"] for row in rows] == [event.erasure_id for event in events]
        assert [dict(row["headers"])["ce_id"] for row in rows] == ids
        assert {row["topic"] for row in rows} == {USER_ERASED.name}
        assert {row["key"] for row in rows} == {events[0].unit_hash.encode()}
        assert {dict(row["headers"])["traceparent"] for row in rows} == {TRACEPARENT}

    async def test_an_answer_to_an_event_names_it(self, probe: Probe) -> None:
        cause = seal(DATASET_REQUESTED, source=Party.FEEDBACK, cause=None, traceparent=None)
        async with probe.work(cause=cause) as unit:
            unit.announce(an_event(DATASET_VALIDATED))

        headers = dict((await probe.outbox())[0]["headers"])
        assert headers["ce_causationid"] == cause.event_id
        assert headers["ce_correlationid"] == cause.correlation_id
        assert headers["ce_source"] == "/loopwright/dataset-svc"

    async def test_a_commit_that_announces_something_wakes_the_relay(self, probe: Probe, database_url: str) -> None:
        listener = await asyncpg.connect(database_url.replace("+asyncpg", ""))
        heard = asyncio.Event()
        await listener.add_listener(probe.database.outbox_channel, lambda *_: heard.set())

        async with probe.work() as unit:
            await probe.act(unit.session, "in silence")
        assert not heard.is_set()
        async with probe.work() as unit:
            unit.announce(an_event(USER_ERASED))
        await asyncio.wait_for(heard.wait(), 5)
        await listener.close()


class TestRollback:
    @pytest.mark.parametrize("error", [NotFound("a.code", "a rule"), ValueError("a bug"), asyncio.CancelledError()])
    async def test_an_error_takes_everything_back(self, probe: Probe, error: BaseException) -> None:
        async def fail() -> None:
            async with probe.work() as unit:
                await probe.act(unit.session, "half done")
                await mark_seen(unit.session, probe.database.tables.inbox, group="g", event_id="e")
                unit.announce(an_event(USER_ERASED))
                raise error

        with pytest.raises(type(error)):
            await fail()

        assert (await probe.effects(), await probe.outbox(), await probe.inbox()) == ([], [], set())

    async def test_a_broken_rule_of_the_tables_is_not_an_absent_database(self, probe: Probe) -> None:
        with pytest.raises(IntegrityError):
            async with probe.work() as unit:
                await unit.session.execute(sa.text("INSERT INTO probe.effects (what) VALUES (NULL)"))

    async def test_a_wrong_statement_is_not_an_absent_database(self, probe: Probe) -> None:
        with pytest.raises(DBAPIError):
            async with probe.work() as unit:
                await unit.session.execute(sa.text("SELECT no_such_column FROM probe.effects"))


class ServerThatSays:
    """Speaks just enough of PostgreSQL's protocol to refuse everybody with an error code."""

    def __init__(self, code: str) -> None:
        fields = b"SFATAL\0VFATAL\0C" + code.encode() + b"\0Mnot now\0\0"
        self._answer = b"E" + struct.pack("!i", len(fields) + 4) + fields

    async def __call__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1024)
        if writer.get_extra_info("peername"):
            writer.write(self._answer)
            await writer.drain()
        writer.close()


class TestAbsentDatabase:
    async def test_a_refused_connection_is_tried_later(self, probe: Probe, gate: Gate) -> None:
        await gate.shut()
        with pytest.raises(StoreUnavailable):
            async with probe.work() as unit:
                await probe.act(unit.session, "never")

    async def test_the_next_work_after_its_return_succeeds(self, probe: Probe, gate: Gate) -> None:
        async with probe.work() as unit:
            await probe.act(unit.session, "before")
        await gate.shut()
        with pytest.raises(StoreUnavailable):
            async with probe.work() as unit:
                await probe.act(unit.session, "meanwhile")
        await gate.open()
        async with probe.work() as unit:
            await probe.act(unit.session, "after")
        assert await probe.effects() == ["before", "after"]

    async def test_a_connection_lost_in_the_middle_commits_nothing(self, probe: Probe, gate: Gate) -> None:
        async def lose() -> None:
            async with probe.work() as unit:
                await probe.act(unit.session, "half done")
                await gate.shut()
                await probe.act(unit.session, "never")

        with pytest.raises(StoreUnavailable):
            await lose()
        assert await probe.effects() == []

    async def test_a_connection_lost_before_the_commit_commits_nothing(self, probe: Probe, gate: Gate) -> None:
        async def lose() -> None:
            async with probe.work() as unit:
                await probe.act(unit.session, "half done")
                await gate.shut()

        with pytest.raises(StoreUnavailable):
            await lose()
        assert await probe.effects() == []

    async def test_a_session_that_the_server_ends_is_tried_later(self, probe: Probe) -> None:
        async def lose() -> None:
            async with probe.work() as unit:
                await probe.act(unit.session, "half done")
                await unit.session.execute(sa.text("SELECT pg_terminate_backend(pg_backend_pid())"))

        with pytest.raises(StoreUnavailable):
            await lose()
        assert await probe.effects() == []

    @pytest.mark.parametrize(
        "code",
        ["57P03", "53300", "57P01"],
        ids=["starting-up", "too-many-connections", "shutting-down"],
    )
    async def test_a_server_that_lets_nobody_in_yet_is_tried_later(self, code: str) -> None:
        async with AsyncExitStack() as stack:
            server = await stack.enter_async_context(await asyncio.start_server(ServerThatSays(code), "127.0.0.1", 0))
            port = server.sockets[0].getsockname()[1]
            url = f"postgresql+asyncpg://nobody@127.0.0.1:{port}/none?ssl=disable"
            probe = Probe(url, direct_url=url)
            with pytest.raises(StoreUnavailable):
                async with probe.work() as unit:
                    await probe.act(unit.session, "never")
            await probe.database.close()

    async def test_the_loser_of_a_deadlock_is_tried_later(self, probe: Probe) -> None:
        async with probe.work() as unit:
            await probe.act(unit.session, "one")
            await probe.act(unit.session, "two")
        both_hold_one = asyncio.Barrier(2)

        async def lock(first: int, second: int) -> str:
            try:
                async with probe.work() as unit:
                    for number in (first, second):
                        row = sa.text("UPDATE probe.effects SET what = what WHERE id = :id")
                        await unit.session.execute(row, {"id": number})
                        if number == first:
                            await both_hold_one.wait()
            except StoreUnavailable:
                return "again"
            return "done"

        assert sorted(await asyncio.gather(lock(1, 2), lock(2, 1))) == ["again", "done"]


class TestInbox:
    async def test_an_event_is_new_once_for_each_group(self, probe: Probe) -> None:
        inbox = probe.database.tables.inbox
        async with probe.work() as unit:
            first = [await mark_seen(unit.session, inbox, group=group, event_id="e") for group in ("a", "b", "a")]
        async with probe.work() as unit:
            again = await mark_seen(unit.session, inbox, group="a", event_id="e")
        assert (first, again) == ([True, True, False], False)

    @pytest.mark.parametrize("end", ["commit", "rollback"])
    async def test_a_concurrent_second_handling_waits_for_the_end_of_the_first(self, probe: Probe, end: str) -> None:
        inbox = probe.database.tables.inbox
        marked, may_end = asyncio.Event(), asyncio.Event()

        async def first() -> None:
            async with probe.work() as unit:
                await mark_seen(unit.session, inbox, group="g", event_id="e")
                marked.set()
                await may_end.wait()
                if end == "rollback":
                    await unit.session.rollback()

        async def second() -> bool:
            await marked.wait()
            async with probe.work() as unit:
                return await mark_seen(unit.session, inbox, group="g", event_id="e")

        running = asyncio.create_task(first())
        waiting = asyncio.create_task(second())
        await eventually(lambda: blocked_sessions(probe))
        assert not waiting.done()
        may_end.set()
        await running
        assert await waiting is (end == "rollback")


async def blocked_sessions(probe: Probe) -> int:
    async with probe.work() as unit:
        query = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()"
        return await unit.session.scalar(sa.text(query))
