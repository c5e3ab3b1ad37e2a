"""user.erased: happy, duplicate, poison, dependency down; and what later versions make of it."""

import pytest

from dataset_svc.store.tables import metadata, tables
from loopwright.broker import ConsumerStopped
from loopwright.contracts.envelope import seal
from loopwright.contracts.registry import DATASET_REQUESTED, USER_ERASED, Party
from loopwright.database import Database
from loopwright.testing.examples import an_event
from loopwright.testing.records import a_raw_record, a_record

pytestmark = pytest.mark.integration


async def add_version(world, lines, **changes) -> None:
    await world.consume(DATASET_REQUESTED, a_record(await world.request(lines, **changes)))
    await world.build_all()


async def test_versions_that_hold_the_person_are_deprecated_and_later_ones_leave_the_person_out(world):
    await add_version(world, world.lines(60))
    await add_version(world, world.lines(60, first=100, unit_hash="others"), dataset_name="another")
    event = an_event(USER_ERASED, unit_hash="u3", erasure_id="era-7")
    await world.consume(USER_ERASED, a_record(event))

    [holding, other] = await world.rows("versions", order_by="created_at")
    assert (holding.status, other.status) == ("deprecated", "active")
    assert holding.status_reason == "holds samples of a person whose data was erased (erasure era-7)"

    await add_version(world, world.lines(80))
    [later] = [row for row in await world.rows("versions") if row.number == 2]
    assert later.status == "active"
    units = {row.unit_hash for row in await world.rows("samples") if row.version_id == later.version_id}
    assert units == {f"u{number}" for number in range(10)} - {"u3"}
    for name in ("train", "validation", "held_out"):
        assert "u3" not in {sample["unit_hash"] for sample in await world.split(getattr(later, name))}


async def test_the_words_of_the_person_are_forgotten_unless_somebody_else_said_them(world):
    lines = [*world.lines(59), world.a_line("only mine", sample_id="mine", unit_hash="gone")]
    shared = world.a_line("said by both", sample_id="shared-1", unit_hash="gone")
    await add_version(world, [*lines, shared])
    again = world.a_line("said by both", sample_id="shared-2", unit_hash="here", source="correction")
    await add_version(world, [*lines, again])
    assert {"only mine", "said by both"} <= set(await world.questions())
    await world.consume(USER_ERASED, a_record(an_event(USER_ERASED, unit_hash="gone")))
    questions = await world.questions()
    assert "said by both" in questions
    assert "only mine" not in questions
    assert len(questions) == 60


async def test_a_redelivered_erasure_changes_nothing(world):
    await add_version(world, world.lines(60))
    record = a_record(an_event(USER_ERASED, unit_hash="u3", erasure_id="first"))
    await world.consume(USER_ERASED, record)
    before = await world.rows("versions")
    await world.consume(USER_ERASED, record)
    await world.consume(USER_ERASED, a_record(an_event(USER_ERASED, unit_hash="u3", erasure_id="second"), offset=1))
    assert await world.rows("versions") == before
    [erased] = await world.rows("erased_units")
    assert erased.erasure_id == "first"


async def test_a_status_that_a_person_set_stays(world):
    await add_version(world, world.lines(60))
    await world.execute("UPDATE dataset.versions SET status = 'archived', status_reason = 'old'")
    await world.consume(USER_ERASED, a_record(an_event(USER_ERASED, unit_hash="u3")))
    [version] = await world.rows("versions")
    assert (version.status, version.status_reason) == ("archived", "old")


async def test_a_poisonous_erasure_is_set_aside_and_the_next_takes_effect(world):
    envelope = seal(USER_ERASED, source=Party.UPSTREAM, cause=None, traceparent=None)
    headers = [(name, text.encode()) for name, text in envelope.to_headers()]
    await world.consume(USER_ERASED, a_raw_record(USER_ERASED, b'{"unit_hash": 5}', headers=headers))
    await world.consume(USER_ERASED, a_record(an_event(USER_ERASED, unit_hash="u3"), offset=1))
    [letter] = await world.dead_letters(USER_ERASED)
    assert letter["dlq_code"] == "event.invalid-payload"
    assert [row.unit_hash for row in await world.rows("erased_units")] == ["u3"]


async def test_an_erasure_waits_while_the_database_is_away(world):
    record = a_record(an_event(USER_ERASED, unit_hash="u3"))
    away = Database("postgresql+asyncpg://nobody@127.0.0.1:1/none", metadata, tables)
    there, world.consumer._work._database = world.consumer._work._database, away
    with pytest.raises(ConsumerStopped):
        await world.consume(USER_ERASED, record)
    world.consumer._work._database = there
    await world.consume(USER_ERASED, record)
    assert len(await world.rows("erased_units")) == 1
