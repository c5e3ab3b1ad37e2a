"""Builds leave out what gives away a case of another dataset of the task, over real PostgreSQL and a storage folder."""

import json

import pytest
import sqlalchemy as sa

from dataset_svc.adapters.held_out_cases import read_cases
from dataset_svc.store import cases
from dataset_svc.store.tables import VersionRow
from loopwright.contracts.base import Artifact
from loopwright.contracts.registry import DATASET_REQUESTED, DATASET_VALIDATED
from loopwright.errors import StoreUnavailable
from loopwright.testing.records import a_record

pytestmark = pytest.mark.integration
FIRST = "field-reports"


async def ask(world, lines, **changes):
    await world.consume(DATASET_REQUESTED, a_record(await world.request(lines, **changes)))


async def make_version(world, lines, **changes):
    """A version by event; its row."""
    await ask(world, lines, **changes)
    await world.build_all()
    return (await world.rows("versions", order_by="created_at"))[-1]


async def report_of(world, row):
    return json.loads(await world.storage.read_bytes(Artifact.model_validate(row.report)))


async def held_out_questions(world, row):
    return {sample["input"] for sample in await world.split(row.held_out)}


async def learned_questions(world, row):
    return {sample["input"] for part in (row.train, row.validation) for sample in await world.split(part)}


async def case_files(world, **changes):
    async with world.work() as unit:
        return await cases.list_case_files(unit.session, **({"task_id": "log-anomaly", "beside": "x"} | changes))


async def keep(world, row, **columns):
    async with world.work() as unit:
        await unit.session.execute(
            sa.update(VersionRow).where(VersionRow.version_id == row.version_id).values(**columns)
        )


async def remove_held_out_file(world, row, tmp_path):
    [file] = (tmp_path / "storage").rglob(f"{row.held_out['artifact']['sha256']}*")
    file.unlink()


async def test_nothing_is_learned_from_what_another_dataset_of_the_task_holds_out(world):
    first = await make_version(world, world.lines(60), dataset_name=FIRST)
    second = await make_version(world, [*world.lines(60), *world.lines(40, first=100)], dataset_name="service-desk")
    held_out = await held_out_questions(world, first)
    assert len(held_out) == 12
    assert held_out.isdisjoint(await learned_questions(world, second))
    report = await report_of(world, second)
    [check] = [one for one in report["checks"] if one["check"] == "contamination"]
    assert check["reasons"] == {"same text": check["dropped"]}
    assert 0 < check["dropped"] == report["contamination"]["samples"] <= 12
    ids = {sample["sample_id"] for sample in await world.split(first.held_out)}
    for told in report["contamination"]["examples"]:
        assert (told["dataset_name"], told["version"], told["version_id"]) == (FIRST, 1, first.version_id)
        assert told["case"] in ids
    own, other = report["contamination"]["sources"]
    assert (own["dataset_name"], own["version"]) == ("service-desk", None)
    assert (other["version_id"], other["cases"], other["left_out_cases"]) == (first.version_id, 12, 0)
    page = (await world.storage.read_bytes(Artifact.model_validate(second.page))).decode()
    assert "No case given away" in page
    kept = second.train["samples"] + second.validation["samples"] + second.held_out["samples"]
    assert kept == report["kept"] == 100 - check["dropped"]


async def test_other_tasks_and_this_dataset_and_archived_ones_lend_no_cases(world):
    rows = [await make_version(world, world.lines(30, first=100 * n), dataset_name=f"d{n}") for n in range(4)]
    newest = await make_version(world, world.lines(30, first=900), dataset_name="d1")
    await world.execute("UPDATE dataset.datasets SET task_id = 'other' WHERE name = 'd2'")
    await world.execute("UPDATE dataset.datasets SET status = 'deprecated' WHERE name = 'd3'")
    files = await case_files(world)
    assert [(file.version.dataset_name, file.version.number) for file in files] == [("d1", 2), ("d0", 1)]
    assert (files[0].version.version_id, files[0].held_out.samples) == (newest.version_id, newest.held_out["samples"])
    assert [file.version.dataset_name for file in await case_files(world, beside="d1")] == ["d0"]
    assert [file.version.dataset_name for file in await case_files(world, task_id="other")] == ["d2"]
    await keep(world, newest, status="deprecated")  # models that learned from it may still serve
    assert [file.version.number for file in await case_files(world)] == [2, 1]
    await keep(world, newest, status="archived")
    assert [file.version.version_id for file in await case_files(world, beside="d0")] == [rows[1].version_id]


async def test_the_cases_of_others_are_part_of_what_a_version_is_made_from(world):
    alone = await make_version(world, world.lines(60), dataset_name="service-desk")
    await world.execute("TRUNCATE dataset.datasets, dataset.requests, dataset.versions, dataset.questions CASCADE")
    await make_version(world, world.lines(60, first=500), dataset_name=FIRST)
    beside = await make_version(world, world.lines(60), dataset_name="service-desk")
    assert beside.content_sha256 == alone.content_sha256
    assert beside.recipe_sha256 != alone.recipe_sha256
    assert beside.version_id != alone.version_id


async def test_a_build_starts_again_when_another_dataset_of_the_task_came_between(world):
    await ask(world, world.lines(60), dataset_name="service-desk")
    reading = world.builds._read_and_build
    seen = []

    async def slow(request, memory, parts):
        built = await reading(request, memory, parts)
        seen.append([one.version.dataset_name for one in memory.cases])
        if len(seen) == 1:
            await ask(world, world.lines(60), dataset_name=FIRST)
            first_in_line = "next_attempt_at = now() - interval '1 hour'"
            await world.execute(f"UPDATE dataset.requests SET {first_in_line} WHERE dataset_name = '{FIRST}'")
            await world.builds_with().build_next()
        return built

    world.builds._read_and_build = slow
    await world.build_all()
    assert seen == [[], [FIRST]]
    first, second = await world.announced(DATASET_VALIDATED)
    assert (first.dataset_name, second.dataset_name) == (FIRST, "service-desk")
    rows = {row.version_id: row for row in await world.rows("versions")}
    held_out = await held_out_questions(world, rows[first.version_id])
    assert held_out.isdisjoint(await learned_questions(world, rows[second.version_id]))
    assert {row.state for row in await world.rows("requests")} == {"validated"}


class TestReading:
    @pytest.fixture
    def read(self, world):
        async def read(erased=frozenset()):
            files = await case_files(world)
            return await read_cases(files, world.storage, world.workshop.packs, erased_units=erased)

        return read

    async def test_cases_come_from_the_file_else_from_the_history(self, world, read, tmp_path):
        row = await make_version(world, world.lines(60), dataset_name=FIRST)
        [of_file] = await read()
        assert set(of_file.questions) == await held_out_questions(world, row)
        await remove_held_out_file(world, row, tmp_path)
        assert await read() == (of_file,)

    async def test_erased_persons_measure_nothing(self, world, read):
        row = await make_version(world, world.lines(60), dataset_name=FIRST)
        samples = await world.split(row.held_out)
        gone = samples[0]["unit_hash"]
        [cases_left] = await read(frozenset({gone}))
        assert set(cases_left.sample_ids) == {one["sample_id"] for one in samples if one["unit_hash"] != gone}
        assert cases_left.left_out == 0

    async def test_a_part_that_is_gone_for_good_holds_up_no_build_and_the_report_says_so(self, world, tmp_path):
        row = await make_version(world, world.lines(60), dataset_name=FIRST)
        await keep(world, row, manifest=None)
        await remove_held_out_file(world, row, tmp_path)
        second = await make_version(world, world.lines(60), dataset_name="service-desk")
        _, source = (await report_of(world, second))["contamination"]["sources"]
        assert (source["cases"], source["left_out_cases"]) == (0, 12)
        assert source["why_left_out"] == "the held-out part cannot be read (storage.object-missing)"

    async def test_a_build_waits_while_storage_is_away(self, world, monkeypatch):
        await make_version(world, world.lines(60), dataset_name=FIRST)
        await ask(world, world.lines(60), dataset_name="service-desk")

        async def away(*_args, **_kwargs):
            raise StoreUnavailable("storage.unavailable", "object storage cannot be read")
            yield b""

        with monkeypatch.context() as patch:
            patch.setattr(world.storage, "chunks", away)
            with pytest.raises(StoreUnavailable):
                await world.builds.build_next()
        [request] = [one for one in await world.rows("requests") if one.dataset_name == "service-desk"]
        assert (request.state, request.attempts) == ("pending", 0)
        await world.build_all()
        assert len(await world.announced(DATASET_VALIDATED)) == 2
