"""dataset.requested: happy, duplicate, poison, dependency down; and what the build behind it makes of it."""

import asyncio
import gzip
import json
from datetime import UTC, datetime, timedelta

import pytest
import sqlalchemy as sa

from dataset_svc.handlers.requests import take_due_request
from dataset_svc.handlers.versions import Publication
from dataset_svc.store.tables import metadata, tables
from loopwright.broker import ConsumerStopped
from loopwright.contracts.datasets import SampleSource
from loopwright.contracts.envelope import seal
from loopwright.contracts.registry import DATASET_REJECTED, DATASET_REQUESTED, DATASET_VALIDATED, USER_ERASED, Party
from loopwright.database import Database
from loopwright.errors import StoreUnavailable
from loopwright.testing.examples import an_event
from loopwright.testing.records import a_raw_record, a_record

pytestmark = pytest.mark.integration
TRACEPARENT = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"


async def test_a_request_becomes_a_version_with_provenance_and_one_announcement(world):
    lines = [*world.lines(), b"no json\n", world.a_line("call 010-1234-5678", sample_id="phone"), world.lines(1)[0]]
    event = await world.request(lines)
    await world.consume(DATASET_REQUESTED, a_record(event))
    await world.build_all()

    [request] = await world.rows("requests")
    [dataset] = await world.rows("datasets")
    [version] = await world.rows("versions")
    assert (request.state, request.attempts, request.rejected_because) == ("validated", 1, [])
    assert (dataset.name, dataset.task_id, dataset.status) == ("log-anomaly", "log-anomaly", "active")
    assert (version.number, version.parent_version_id, version.status) == (1, None, "active")
    assert version.quality_score_0_1 == pytest.approx(61 / 63)

    [announced] = await world.announced(DATASET_VALIDATED)
    assert (announced.request_id, announced.version_id, announced.version) == (event.request_id, version.version_id, 1)
    assert announced.train.samples + announced.validation.samples + announced.held_out.samples == 61
    assert await world.announced(DATASET_REJECTED) == []

    samples = {row.sample_id: row for row in await world.rows("samples")}
    assert len(samples) == 61
    for name in ("train", "validation", "held_out"):
        part = await world.split(getattr(version, name))
        assert [samples[sample["sample_id"]].split for sample in part] == [name] * len(part)
        for position, sample in enumerate(part):
            row = samples[sample["sample_id"]]
            assert row.position == position
            assert (row.inference_id, row.rating_ids, row.unit_hash, row.source) == (
                sample["inference_id"], sample["rating_ids"], sample["unit_hash"], SampleSource.RATING,
            )  # fmt: skip
    report = json.loads(await world.storage.read_bytes(announced.report))
    assert [(bad["line"], bad["field"]) for bad in report["bad_lines"]] == [(61, "line"), (63, "sample_id")]
    assert report["personal_data_found"] == {"phone": 1}
    raw = (await world.split(version.train)) + (await world.split(version.held_out)) + (await world.split(version.validation))  # fmt: skip
    assert "010-1234-5678" not in json.dumps(raw)


async def test_a_redelivered_request_changes_nothing(world):
    record = a_record(await world.request())
    for _ in range(2):
        await world.consume(DATASET_REQUESTED, record)
        await world.build_all()
    await world.consume(DATASET_REQUESTED, record)
    await world.build_all()
    assert len(await world.rows("versions")) == len(await world.announced(DATASET_VALIDATED)) == 1


async def test_one_request_in_two_events_makes_one_version(world):
    event = await world.request()
    for _ in range(2):
        await world.consume(DATASET_REQUESTED, a_record(event))
        await world.build_all()
    assert len(await world.rows("versions")) == 1


@pytest.mark.parametrize(
    ("value", "code"),
    [(b"{", "event.invalid-payload"), (b'{"request_id": ""}', "event.invalid-payload"), (None, "event.empty")],
)
async def test_a_poisonous_record_is_set_aside_with_its_reason_and_the_next_is_handled(world, value, code):
    envelope = seal(DATASET_REQUESTED, source=Party.FEEDBACK, cause=None, traceparent=None)
    headers = [(name, text.encode()) for name, text in envelope.to_headers()]
    await world.consume(DATASET_REQUESTED, a_raw_record(DATASET_REQUESTED, value, headers=headers))
    await world.consume(DATASET_REQUESTED, a_record(await world.request(), offset=1))
    [letter] = await world.dead_letters(DATASET_REQUESTED)
    assert letter["dlq_code"] == code
    assert len(await world.rows("requests")) == 1


async def test_a_request_waits_while_the_database_is_away(world):
    record = a_record(await world.request())
    away = Database("postgresql+asyncpg://nobody@127.0.0.1:1/none", metadata, tables)
    there, world.consumer._work._database = world.consumer._work._database, away
    with pytest.raises(ConsumerStopped):
        await world.consume(DATASET_REQUESTED, record)
    world.consumer._work._database = there
    await world.consume(DATASET_REQUESTED, record)
    assert len(await world.rows("requests")) == 1
    assert await world.dead_letters(DATASET_REQUESTED) == []


async def test_a_build_waits_while_storage_is_away_and_the_wait_is_no_attempt(world, monkeypatch):
    await world.consume(DATASET_REQUESTED, a_record(await world.request()))

    async def away(*_args, **_kwargs):
        raise StoreUnavailable("storage.unavailable", "object storage cannot be written")

    with monkeypatch.context() as patch:
        patch.setattr(world.storage, "put_bytes", away)
        for _ in range(12):  # more than the attempts allowed
            with pytest.raises(StoreUnavailable):
                await world.builds.build_next()
    [request] = await world.rows("requests")
    assert (request.state, request.attempts) == ("pending", 0)
    await world.build_all()
    assert len(await world.announced(DATASET_VALIDATED)) == 1


async def test_the_trace_of_the_request_goes_on_in_the_announcement(world):
    event = await world.request()
    envelope = seal(DATASET_REQUESTED, source=Party.FEEDBACK, cause=None, traceparent=TRACEPARENT)
    await world.consume(DATASET_REQUESTED, a_record(event, envelope=envelope))
    await world.build_all()
    [row] = [row for row in await world.rows("outbox") if row.topic == DATASET_VALIDATED.name]
    assert dict(row.headers)["traceparent"].split("-")[1] == TRACEPARENT.split("-")[1]


class TestRejections:
    async def reasons(self, world, event) -> list[str]:
        await world.consume(DATASET_REQUESTED, a_record(event))
        await world.build_all()
        [rejected] = await world.announced(DATASET_REJECTED)
        [request] = await world.rows("requests")
        assert (rejected.request_id, request.state) == (event.request_id, "rejected")
        assert list(rejected.reasons) == request.rejected_because
        assert await world.rows("versions") == await world.announced(DATASET_VALIDATED) == []
        return list(rejected.reasons)

    async def test_too_few_clean_samples(self, world):
        event = await world.request(world.lines(10), data_policy={"min_samples": 50})
        [reason] = await self.reasons(world, event)
        assert reason.endswith("clean training samples, and the task's policy wants at least 50")
        [request] = await world.rows("requests")
        assert request.report is not None

    async def test_a_source_that_is_not_there(self, world):
        event = await world.request()
        gone = event.source.model_copy(update={"uri": event.source.uri.replace(".jsonl", ".gone")})
        assert await self.reasons(world, event.model_copy(update={"source": gone})) == ["the source is not in storage"]

    async def test_a_source_with_other_bytes_than_promised(self, world):
        event = await world.request()
        other = event.source.model_copy(update={"sha256": "0" * 64})
        [reason] = await self.reasons(world, event.model_copy(update={"source": other}))
        assert "does not have the bytes that were named" in reason

    async def test_a_source_outside_our_storage(self, world):
        event = await world.request()
        foreign = event.source.model_copy(update={"uri": "file:///etc/passwd"})
        [reason] = await self.reasons(world, event.model_copy(update={"source": foreign}))
        assert "outside this platform's storage" in reason

    async def test_a_source_of_nothing_but_bad_lines(self, world):
        assert await self.reasons(world, await world.request([b"x\n", b"{}\n"])) == [
            "none of the 2 lines could be read as a sample"
        ]

    async def test_a_source_that_is_cut_off(self, world):
        event = await world.request([gzip.compress(b"".join(world.lines()))[:-9]])
        [reason] = await self.reasons(world, event)
        assert "cut off or damaged" in reason
        [request] = await world.rows("requests")
        assert request.attempts == 1

    async def test_a_source_that_is_too_large(self, world):
        world.builds = world.builds_with(max_source_bytes=100)
        [reason] = await self.reasons(world, await world.request())
        assert reason.endswith("and at most 100 are read")


async def test_a_dataset_of_another_task_is_not_added_to(world):
    await world.consume(DATASET_REQUESTED, a_record(await world.request()))
    await world.build_all()
    event = await world.request(task_id="maths")
    await world.consume(DATASET_REQUESTED, a_record(event))
    await world.build_all()
    [rejected] = await world.announced(DATASET_REJECTED)
    assert rejected.reasons == ("the dataset log-anomaly belongs to the task log-anomaly",)


async def test_a_second_version_grows_from_the_first_and_keeps_what_was_held_out(world):
    for count in (60, 120):
        await world.consume(DATASET_REQUESTED, a_record(await world.request(world.lines(count))))
        await world.build_all()
    first, second = await world.rows("versions", order_by="number")
    assert (second.number, second.parent_version_id) == (2, first.version_id)
    for name in ("train", "validation", "held_out"):
        before = {sample["sample_id"] for sample in await world.split(getattr(first, name))}
        assert before <= {sample["sample_id"] for sample in await world.split(getattr(second, name))}
    assert second.held_out["samples"] > first.held_out["samples"]


async def test_the_same_request_in_another_place_gives_the_same_bytes(world):
    for name in ("one", "two"):
        await world.consume(DATASET_REQUESTED, a_record(await world.request(dataset_name=name)))
    await world.build_all()
    one, two = await world.rows("versions")
    hashes = [{one_["artifact"]["sha256"] for one_ in (row.train, row.validation, row.held_out)} for row in (one, two)]
    # other datasets hold out other questions, so the parts differ; each is named by its content
    assert hashes[0] != hashes[1]
    await world.execute(
        "TRUNCATE dataset.datasets, dataset.requests, dataset.samples, dataset.questions, dataset.groups CASCADE"
    )
    await world.consume(DATASET_REQUESTED, a_record(await world.request(dataset_name="one")))
    await world.build_all()
    [again] = await world.rows("versions")
    assert again.content_sha256 in {one.content_sha256, two.content_sha256}
    assert {again.train["artifact"]["sha256"], again.validation["artifact"]["sha256"], again.held_out["artifact"]["sha256"]} in hashes  # fmt: skip


async def test_a_crash_before_the_commit_repeats_the_work_and_not_the_effect(world):
    await world.consume(DATASET_REQUESTED, a_record(await world.request()))
    async with world.work() as unit:
        request = await take_due_request(unit, now=datetime.now(UTC), attempts_allowed=10)
    assert request is not None  # and here the process dies
    await world.build_all()
    [row] = await world.rows("requests")
    assert (row.state, row.attempts) == ("validated", 2)
    assert len(await world.announced(DATASET_VALIDATED)) == 1


async def test_two_workers_on_one_request_publish_once(world):
    await world.consume(DATASET_REQUESTED, a_record(await world.request()))
    workers = [world.builds_with() for _ in range(3)]
    await asyncio.gather(*(worker.build_next() for worker in workers))
    await world.build_all()
    assert len(await world.rows("versions")) == len(await world.announced(DATASET_VALIDATED)) == 1


async def test_a_version_that_came_between_makes_the_build_start_again(world, monkeypatch):
    await world.consume(DATASET_REQUESTED, a_record(await world.request(world.lines(60))))
    other = await world.request(world.lines(60, first=30))
    outcomes = []
    publish = world.builds._publish

    async def overtaken(request, stored, parent):
        if not outcomes:
            outcomes.append("overtaken")
            monkeypatch.undo()
            await world.execute("UPDATE dataset.requests SET next_attempt_at = now() + interval '1 hour'")
            await world.consume(DATASET_REQUESTED, a_record(other))
            await world.build_all()
            await world.execute("UPDATE dataset.requests SET next_attempt_at = now()")
        outcomes.append(await publish(request, stored, parent))
        return outcomes[-1]

    monkeypatch.setattr(world.builds, "_publish", overtaken)
    await world.build_all()
    assert outcomes == ["overtaken", Publication.STALE]
    first, second = await world.rows("versions", order_by="number")
    assert (first.request_id, second.parent_version_id) == (other.request_id, first.version_id)
    trained = {sample["input"] for sample in await world.split(second.train)}
    assert not trained & {sample["input"] for sample in await world.split(first.held_out)}


async def test_an_erasure_that_came_between_makes_the_build_start_again(world, monkeypatch):
    await world.consume(DATASET_REQUESTED, a_record(await world.request()))
    outcomes = []
    publish = world.builds._publish

    async def overtaken(request, stored, parent):
        monkeypatch.undo()
        await world.consume(USER_ERASED, a_record(an_event(USER_ERASED, unit_hash="u3")))
        outcomes.append(await publish(request, stored, parent))
        return outcomes[-1]

    monkeypatch.setattr(world.builds, "_publish", overtaken)
    await world.build_all()
    assert outcomes == [Publication.STALE]
    [version] = await world.rows("versions")
    assert version.status == "active"
    assert "u3" not in {row.unit_hash for row in await world.rows("samples")}


async def test_a_request_that_breaks_its_builder_lets_others_go_first_and_is_given_up(world, monkeypatch):
    world.builds = world.builds_with(attempts=2)
    bad, good = await world.request(), await world.request(dataset_name="other")
    for event in (bad, good):
        await world.consume(DATASET_REQUESTED, a_record(event))
    read = world.builds._read_and_build

    async def break_on_bad(request, memory, parts):
        if request.request_id == bad.request_id:
            raise ZeroDivisionError
        return await read(request, memory, parts)

    monkeypatch.setattr(world.builds, "_read_and_build", break_on_bad)
    await world.build_all()
    assert [event.request_id for event in await world.announced(DATASET_VALIDATED)] == [good.request_id]
    [row] = [row for row in await world.rows("requests") if row.request_id == bad.request_id]
    assert row.attempts == 1
    assert row.next_attempt_at > datetime.now(UTC) + timedelta(seconds=0.5)
    for _ in range(2):
        await world.execute("UPDATE dataset.requests SET next_attempt_at = now()")
        await world.build_all()
    [rejected] = await world.announced(DATASET_REJECTED)
    assert rejected.reasons == ("given up after 2 attempts to build it",)


async def test_versions_cannot_share_a_number(world):
    await world.consume(DATASET_REQUESTED, a_record(await world.request()))
    await world.build_all()
    with pytest.raises(sa.exc.IntegrityError):
        await world.execute(
            "INSERT INTO dataset.versions SELECT 'other', dataset_id, number, parent_version_id, 'other', content_sha256,"
            " train, validation, held_out, report, quality_score_0_1, status, status_reason, created_at"
            " FROM dataset.versions"
        )
