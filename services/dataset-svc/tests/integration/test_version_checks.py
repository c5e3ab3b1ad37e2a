"""A stored version is checked again: what was changed behind its back is named."""

import json

import httpx
import pytest
import sqlalchemy as sa

from dataset_svc.adapters.version_packs import VersionPacks
from dataset_svc.domain.samples import SplitName
from dataset_svc.store.tables import VersionRow
from loopwright.contracts.base import Artifact
from loopwright.contracts.datasets import Split
from loopwright.contracts.registry import DATASET_REQUESTED
from loopwright.errors import StoreUnavailable
from loopwright.testing.records import a_record

pytestmark = pytest.mark.integration
PREFIX = "/api/v1/admin/training/datasets"
EVERY_CHECK = {"files", "history", "content", "provenance", "questions_apart", "groups_apart"}


@pytest.fixture
def engineer(mint):
    return mint.header("engineer")


async def make_version(world, **changes):
    lines = world.lines(60) if "lines" not in changes else changes.pop("lines")
    await world.consume(DATASET_REQUESTED, a_record(await world.request(lines, **changes)))
    await world.build_all()
    return (await world.rows("versions", order_by="created_at"))[-1]


async def check(api, headers, row):
    """The problems by check, of the checks that failed."""
    answer = await api.post(f"{PREFIX}/versions/{row.version_id}/validate", headers=headers)
    assert answer.status_code == 200, answer.text
    said = answer.json()
    assert {one["check"] for one in said["checks"]} == EVERY_CHECK
    failed = {one["check"]: one["problems"] for one in said["checks"] if not one["passed"]}
    assert said["passed"] == (not failed)
    return failed


def files_of(tmp_path, artifact):
    return [file for file in (tmp_path / "storage").rglob("*") if artifact["sha256"] in file.name]


@pytest.mark.parametrize("packed", [True, False])
async def test_a_version_as_it_was_made_passes(world, api, engineer, packed):
    await make_version(world)
    row = await make_version(world, lines=[*world.lines(70), world._line(80, group="kim")], data_policy={"min_samples": 5, "validation_share_0_1": 0})  # fmt: skip
    if not packed:
        await world.execute("UPDATE dataset.versions SET manifest = NULL")
    assert await check(api, engineer, row) == {}
    answer = await api.post(f"{PREFIX}/versions/{row.version_id}/validate", headers=engineer)
    assert sum(answer.json()["lines"].values()) == 71


async def test_files_that_are_gone_or_changed_are_named_and_the_history_speaks_for_them(world, api, engineer, tmp_path):
    row = await make_version(world)
    for file in files_of(tmp_path, row.train["artifact"]):
        file.unlink()
    for file in files_of(tmp_path, row.report):
        file.write_bytes(b"{}")
    failed = await check(api, engineer, row)
    assert set(failed) == {"files"}
    assert [problem.split(":")[0] for problem in failed["files"]] == ["train", "report"]
    assert "is not there" in failed["files"][0]
    assert "does not have the bytes" in failed["files"][1]


@pytest.mark.parametrize("change", ["gone", "changed"])
async def test_a_broken_pack_fails_all_that_hangs_on_it(world, api, engineer, tmp_path, change):
    row = await make_version(world)
    for file in (tmp_path / "storage").rglob("*.pack"):
        if change == "gone":
            file.unlink()
        else:
            file.write_bytes(file.read_bytes()[::-1])
    failed = await check(api, engineer, row)
    assert set(failed) == {"history", "provenance", "questions_apart", "groups_apart"}
    assert len(failed["history"]) == 3


async def test_a_manifest_of_other_files_is_named(world, api, engineer):
    first = await make_version(world)
    second = await make_version(world, lines=world.lines(90))
    await world.execute(
        f"UPDATE dataset.versions SET manifest = (SELECT manifest FROM dataset.versions WHERE version_id = '{first.version_id}')"
    )
    assert await check(api, engineer, first) == {}
    failed = await check(api, engineer, second)
    assert all("names another file" in problem for problem in failed["history"])


async def test_rows_that_are_not_those_of_the_lines_are_named(world, api, engineer):
    row = await make_version(world)
    await world.execute("DELETE FROM dataset.samples WHERE split = 'validation' AND position = 0")
    await world.execute("UPDATE dataset.samples SET content_sha256 = 'x' WHERE split = 'train' AND position = 0")
    assert await check(api, engineer, row) == {
        "provenance": [
            "the hashes of the rows of train in the database are not those of its lines",
            "validation has 6 lines, and the database 5 rows",
        ]
    }
    await world.execute("UPDATE dataset.versions SET content_sha256 = 'x'")
    assert set(await check(api, engineer, row)) == {"provenance", "content"}


async def test_leaks_between_the_parts_are_named(world, api, engineer):
    """A version that another program made, with the same question and the same user on two sides."""
    row = await make_version(world, lines=world.lines(60, group=None))
    parts = {name: await world.split(getattr(row, name)) for name in SplitName}
    leak = parts[SplitName.TRAIN][0]
    parts[SplitName.HELD_OUT].append(leak | {"sample_id": "leak", "group": "kim"})
    parts[SplitName.TRAIN][1] |= {"group": "kim"}
    contents = {name: b"".join(json.dumps(one).encode() + b"\n" for one in rows) for name, rows in parts.items()}
    splits = {}
    for name, content in contents.items():
        artifact = await world.storage.put_bytes(content, kind="datasets", suffix=".jsonl", media_type="x/y")
        splits[name] = Split(artifact=artifact, samples=len(parts[name]))
    packs = VersionPacks(world.storage)
    committed = await packs.commit(await packs.grow(contents, parent=Artifact.model_validate(row.manifest)), splits)
    async with world.work() as unit:
        values = {str(name): split for name, split in splits.items()} | {"manifest": committed.manifest}
        await unit.session.execute(
            sa.update(VersionRow).where(VersionRow.version_id == row.version_id).values(**values)
        )
    failed = await check(api, engineer, row)
    assert set(failed) == {"content", "provenance", "questions_apart", "groups_apart"}
    assert failed["questions_apart"] == ["1 question in train and in held_out: train line 1 and held_out line 13"]
    assert failed["groups_apart"] == ["1 group in train and in held_out: train line 2 and held_out line 13"]


async def test_storage_that_is_away_is_no_fault_of_the_version(world, make_service, mint, engineer, monkeypatch):
    row = await make_version(world)
    service = make_service()

    async def away(*_args, **_kwargs):
        raise StoreUnavailable("storage.unavailable", "it cannot be read")
        yield b""

    monkeypatch.setattr(service.app.state.doorway.storage, "chunks", away)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app=service.app), base_url="http://dataset") as api:
        answer = await api.post(f"{PREFIX}/versions/{row.version_id}/validate", headers=engineer)
    assert (answer.status_code, answer.json()["code"]) == (503, "storage.unavailable")


async def test_only_engineers_check_and_only_what_is_there(api, mint, engineer):
    for headers, status in (({}, 401), (mint.header("viewer"), 403), (engineer, 404)):
        assert (await api.post(f"{PREFIX}/versions/x/validate", headers=headers)).status_code == status
