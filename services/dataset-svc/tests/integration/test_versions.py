"""Names, history, differences, merges and lineage of versions over real PostgreSQL and a storage folder."""

import csv
import io
import json

import pyarrow.parquet as pq
import pytest
import sqlalchemy as sa

from dataset_svc.adapters.version_packs import VersionPacks, store_origins
from dataset_svc.domain.samples import SplitName
from dataset_svc.domain.versions.origins import SampleOrigin, encode_origins
from dataset_svc.store.tables import VersionRow
from loopwright.contracts.base import Artifact
from loopwright.contracts.datasets import Split
from loopwright.contracts.registry import DATASET_REQUESTED, USER_ERASED
from loopwright.testing.examples import an_event
from loopwright.testing.records import a_record

pytestmark = pytest.mark.integration
PREFIX = "/api/v1/admin/training/datasets"
NAMES = tuple(SplitName)


@pytest.fixture
def viewer(mint):
    return mint.header("viewer")


@pytest.fixture
def engineer(mint):
    return mint.header("engineer")


@pytest.fixture
def admin(mint):
    return mint.header("admin")


async def make_version(world, lines=None, **changes):
    """A version by event; its row."""
    await world.consume(DATASET_REQUESTED, a_record(await world.request(lines, **changes)))
    await world.build_all()
    return (await world.rows("versions", order_by="created_at"))[-1]


def splits_of(row):
    return {name: Split.model_validate(getattr(row, name)) for name in NAMES}


async def texts_of(world, row):
    return {name: await world.storage.read_bytes(split.artifact) for name, split in splits_of(row).items()}


async def keep(world, row, **columns):
    async with world.work() as unit:
        await unit.session.execute(
            sa.update(VersionRow).where(VersionRow.version_id == row.version_id).values(**columns)
        )


async def pack(world, row, parent=None):
    """Puts a version into the history as a build does, if the build has not done so."""
    if row.manifest is not None:
        return Artifact.model_validate(row.manifest)
    packs = VersionPacks(world.storage)
    committed = await packs.commit(await packs.grow(await texts_of(world, row), parent=parent), splits_of(row))
    await keep(world, row, manifest=committed.manifest)
    return committed.manifest


async def two_versions(world):
    first = await make_version(world, world.lines(60))
    second = await make_version(
        world, [*world.lines(50), *world.lines(5, first=50, weight_0_1=0.5), *world.lines(20, first=100)]
    )
    return first, second


class TestRefs:
    async def test_main_follows_and_names_address_versions(self, world, api, viewer, engineer):
        first, second = await two_versions(world)
        path = f"{PREFIX}/{first.dataset_id}"
        made = await api.post(
            f"{path}/refs", headers=engineer, json={"name": "stable", "kind": "branch", "version": "1"}
        )
        tagged = await api.post(
            f"{path}/refs",
            headers=engineer,
            json={"name": "r-1", "kind": "tag", "version": "latest", "reason": "shipped"},
        )
        assert (made.status_code, tagged.status_code) == (201, 201)
        assert (await api.get(made.headers["location"], headers=viewer)).json() == made.json()
        for address, row in {
            "main": second, "latest": second, "2": second, "v1": first, "stable": first, "r-1": second, first.version_id: first,
        }.items():  # fmt: skip
            found = await api.get(f"{path}/versions/{address}", headers=viewer)
            assert (address, found.json()["version_id"]) == (address, row.version_id)
        listed = (await api.get(f"{path}/refs?kind=branch", headers=viewer)).json()
        assert [(one["name"], one["version_id"]) for one in listed["items"]] == [
            ("main", second.version_id),
            ("stable", first.version_id),
        ]
        assert (await api.get(f"{path}/refs?limit=1", headers=viewer)).json()["total"] == 3

    async def test_branches_move_and_tags_only_for_an_admin_with_a_reason(self, world, api, viewer, engineer, admin):
        first, second = await two_versions(world)
        path = f"{PREFIX}/{first.dataset_id}/refs"
        for kind in ("branch", "tag"):
            await api.post(path, headers=engineer, json={"name": f"a-{kind}", "kind": kind, "version": "1"})
        to_second = {"version": "2"}
        assert (await api.post(f"{path}/a-branch/move", headers=viewer, json=to_second)).status_code == 403
        moved = await api.post(f"{path}/a-branch/move", headers=engineer, json=to_second)
        assert (moved.json()["version_id"], moved.json()["moved_by"]) == (second.version_id, "somebody")
        refused = await api.post(f"{path}/a-tag/move", headers=engineer, json=to_second | {"reason": "wrong"})
        assert (refused.status_code, refused.json()["code"]) == (403, "dataset.tag-immutable")
        refused = await api.post(f"{path}/a-tag/move", headers=admin, json=to_second)
        assert (refused.status_code, refused.json()["code"]) == (409, "dataset.tag-immutable")
        moved = await api.post(f"{path}/a-tag/move", headers=admin, json=to_second | {"reason": "wrong one"})
        assert (moved.json()["version_id"], moved.json()["reason"]) == (second.version_id, "wrong one")

        assert (await api.delete(f"{path}/a-branch", headers=engineer)).status_code == 204
        assert (await api.delete(f"{path}/a-tag", headers=engineer)).status_code == 403
        assert (await api.delete(f"{path}/a-tag?reason=old", headers=admin)).status_code == 204
        assert (await api.delete(f"{path}/main", headers=admin)).json()["code"] == "dataset.main-stays"
        assert [row.name for row in await world.rows("refs")] == ["main"]

    async def test_what_is_no_name_or_not_there_or_taken_is_a_problem(self, world, api, viewer, engineer):
        row = await make_version(world)
        path = f"{PREFIX}/{row.dataset_id}"
        taken = {"name": "main", "kind": "branch", "version": "1"}
        for body, status, code in [
            (taken, 409, "dataset.ref-taken"), (taken | {"name": "v7"}, 422, "dataset.bad-ref-name"),
            (taken | {"name": "x", "version": "7"}, 404, "dataset.version-not-found"),
            (taken | {"name": "x", "version": "a/b"}, 422, "dataset.bad-address"),
            (taken | {"name": "x\0"}, 422, "request.malformed"),
        ]:  # fmt: skip
            answer = await api.post(f"{path}/refs", headers=engineer, json=body)
            assert (answer.status_code, answer.json()["code"]) == (status, code)
        for place in ("refs/none", "versions/none", "versions/99", f"../{'x'}/versions/1", "versions/a%00b"):
            assert (await api.get(f"{path}/{place}", headers=viewer)).status_code in {404, 422}
        assert (await api.get(f"{PREFIX}/none/refs", headers=viewer)).json()["code"] == "dataset.not-found"


@pytest.mark.parametrize("packed", [True, False])
async def test_a_diff_says_what_changed_with_and_without_history(world, api, viewer, packed):
    first, second = await two_versions(world)
    if packed:
        await pack(world, second, await pack(world, first))
    path = f"{PREFIX}/versions/{second.version_id}/diff"
    diff = (await api.get(f"{path}?against=1&kind=added&limit=3", headers=viewer)).json()
    assert [diff[name] for name in ("added", "removed", "changed", "unchanged")] == [20, 5, 5, 50]
    assert (diff["before"], diff["after"], diff["examples"]["total"]) == (first.version_id, second.version_id, 20)
    for example in diff["examples"]["items"]:
        assert example["before"] is None
        assert int(example["sample_id"][1:]) >= 100
    [changed, *_] = (await api.get(f"{path}?against=1", headers=viewer)).json()["examples"]["items"]
    assert (changed["before"]["weight_0_1"], changed["after"]["weight_0_1"]) == (1.0, 0.5)
    removed = (await api.get(f"{path}?against={first.version_id}&kind=removed", headers=viewer)).json()["examples"]
    assert {item["sample_id"] for item in removed["items"]} == {f"s{number}" for number in range(55, 60)}
    for name in NAMES:
        sizes = [
            (side["samples"], side["size_bytes"])
            for side in (diff["parts"][name]["before"], diff["parts"][name]["after"])
        ]
        assert sizes == [
            (one[name].samples, one[name].artifact.size_bytes) for one in (splits_of(first), splits_of(second))
        ]
    for query, status in {"": 422, "?against=9": 404, "?against=a%2Fb": 422, "?against=1&kind=odd": 422}.items():
        assert (await api.get(path + query, headers=viewer)).status_code == status


async def test_the_same_recipe_gives_the_same_bytes_and_the_bytes_survive_the_files(
    world, api, viewer, engineer, tmp_path
):
    row = await make_version(world)
    again = await make_version(world, dataset_name="log-anomaly")
    assert again.content_sha256 == row.content_sha256
    texts = await texts_of(world, row)
    await pack(world, row)
    for file in (tmp_path / "storage").rglob("datasets/**/*.jsonl"):
        file.unlink()
    path = f"{PREFIX}/versions/{row.version_id}"
    assert (await api.get(f"{path}/splits/train", headers=viewer)).status_code == 503
    assert (await api.post(f"{path}/materialise", headers=viewer)).status_code == 403
    assert (await api.post(f"{path}/materialise", headers=engineer)).status_code == 200
    assert await texts_of(world, row) == texts


@pytest.mark.parametrize("packed", [True, False])
async def test_a_version_downloads_as_one_file_of_any_format(world, api, viewer, packed):
    row = await make_version(world)
    if packed:
        await pack(world, row)
    expected = [
        json.loads(line) | {"split": str(name)}
        for name, text in (await texts_of(world, row)).items()
        for line in text.splitlines()
    ]
    path = f"{PREFIX}/versions/{row.version_id}/download"
    lines = await api.get(path, headers=viewer)
    assert [json.loads(line) for line in lines.content.splitlines()] == expected
    assert lines.headers["content-type"] == "application/jsonl"
    table = pq.read_table(io.BytesIO((await api.get(f"{path}?format=parquet", headers=viewer)).content)).to_pylist()
    rows = list(csv.DictReader(io.StringIO((await api.get(f"{path}?format=csv", headers=viewer)).text, newline="")))
    for read in (table, rows):
        assert [(one["split"], one["sample_id"], json.loads(one["messages"])) for one in read] == [
            (one["split"], one["sample_id"], one["messages"]) for one in expected
        ]
    assert (await api.get(f"{path}?format=xml", headers=viewer)).status_code == 422


class TestMerge:
    async def test_a_merge_goes_through_the_queue_and_keeps_what_was_held_out(self, world, api, viewer, engineer):
        base = await make_version(world, world.lines(60))
        feedback = await make_version(world, [*world.lines(30, first=200), *world.lines(5, source="correction", messages=[
            {"role": "user", "content": "x"}, {"role": "assistant", "content": "corrected"}])][:30])  # fmt: skip
        body = {"base_version": "1", "other_version": "main", "replay_share_0_1": 0.5, "seed": 3}
        path = f"{PREFIX}/{base.dataset_id}/merge"
        assert (await api.post(path, headers=viewer, json=body)).status_code == 403
        accepted = await api.post(path, headers=engineer, json=body)
        assert accepted.status_code == 202, accepted.text
        answer = accepted.json()
        before = splits_of(base)
        assert answer["replayed"] == round(
            0.5 * (before[SplitName.TRAIN].samples + before[SplitName.VALIDATION].samples)
        )
        await world.build_all()
        request = (await api.get(accepted.headers["location"], headers=viewer)).json()
        assert (request["state"], request["requested_by"], request["rejected_because"]) == ("validated", "somebody", [])
        assert base.version_id in request["reason"]
        [merged] = [row for row in await world.rows("versions") if row.number == 3]
        rows = await world.rows("samples")
        held = {
            row.version_id: {
                one.sample_id for one in rows if one.version_id == row.version_id and one.split == "held_out"
            }
            for row in (base, feedback, merged)
        }
        assert held[base.version_id] | held[feedback.version_id] <= held[merged.version_id]
        ids = {one.sample_id for one in rows if one.version_id == merged.version_id}
        assert len(ids) == answer["samples"]
        assert {f"s{number}" for number in range(200, 230)} <= ids
        assert {one.source for one in rows if one.version_id == merged.version_id} == {"rating"}
        assert "u3" in {one.unit_hash for one in rows if one.version_id == merged.version_id}

    async def test_the_same_seed_composes_the_same_source_with_or_without_history(self, world, api, engineer):
        first, second = await two_versions(world)
        path = f"{PREFIX}/{first.dataset_id}/merge"
        body = {"base_version": "1", "other_version": "2", "replay_share_0_1": 0.3, "seed": 1}
        for seed in (1, 1, 2):
            await api.post(path, headers=engineer, json=body | {"seed": seed})
        await pack(world, second, await pack(world, first))
        await api.post(path, headers=engineer, json=body)
        one, same, other, packed = [
            row.source["sha256"]
            for row in await world.rows("requests", order_by="requested_at")
            if row.request_id.startswith("merge-")
        ]
        assert one == same == packed
        assert one != other

    @pytest.mark.parametrize(
        ("change", "status"),
        [({"base_version": "9"}, 404), ({"replay_share_0_1": 2}, 422), ({"seed": -1}, 422), ({"other_version": "a/b"}, 422), ({"x": 1}, 422)],
    )  # fmt: skip
    async def test_what_cannot_be_merged_is_a_problem(self, world, api, engineer, change, status):
        row = await make_version(world)
        body = {"base_version": "1", "other_version": "1", "replay_share_0_1": 0.5, "seed": 0} | change
        assert (await api.post(f"{PREFIX}/{row.dataset_id}/merge", headers=engineer, json=body)).status_code == status
        assert (await api.post(f"{PREFIX}/none/merge", headers=engineer, json=body)).status_code in {404, 422}


async def test_lineage_tells_source_transformations_and_appearances(world, api, viewer):
    copy = world._line(7, sample_id="copy", unit_hash="u7")
    first = await make_version(world, [*world.lines(60), copy])
    second = await make_version(world, world.lines(61))
    if first.origins is None:
        origins = await store_origins(
            world.storage, encode_origins([SampleOrigin(sample_id="copy", source_line=61, masked_kinds=("phone",))])
        )
        await keep(world, first, origins=origins)
    lineage = (await api.get(f"{PREFIX}/versions/{first.version_id}/samples/copy/lineage", headers=viewer)).json()
    assert (lineage["sample"]["inference_id"], lineage["sample"]["rating_ids"]) == ("i7", ["r7"])
    assert (lineage["source"]["request_id"], lineage["source"]["origin"]) == (first.request_id, "event")
    assert lineage["source"]["line"] == 61
    [dropped] = lineage["dropped_in_its_favour"]
    assert (dropped["dropped"], dropped["check"]) == ("s7", "exact_duplicate")
    of_both = (await api.get(f"{PREFIX}/versions/{second.version_id}/samples/s8/lineage", headers=viewer)).json()
    assert [one["number"] for one in of_both["appearances"]] == [1, 2]
    for path in (
        f"{first.version_id}/samples/s7/lineage",
        "none/samples/s8/lineage",
        f"{first.version_id}/samples/a%00/lineage",
    ):
        assert (await api.get(f"{PREFIX}/versions/{path}", headers=viewer)).status_code in {404, 422}


async def test_every_version_that_holds_a_person_is_listed(world, api, viewer, engineer):
    _, second = await two_versions(world)
    await make_version(world, world.lines(60, first=300, unit_hash="others"), dataset_name="another")
    path = "/api/v1/admin/training/erasures"
    assert (await api.get(f"{path}/u3", headers=viewer)).status_code == 403
    before = (await api.get(f"{path}/u3", headers=engineer)).json()
    assert (before["erasure_id"], before["versions"]["total"]) == (None, 2)
    await world.consume(USER_ERASED, a_record(an_event(USER_ERASED, unit_hash="u3", erasure_id="era-7")))
    after = (await api.get(f"{path}/u3?limit=1&offset=1", headers=engineer)).json()
    assert (after["erasure_id"], after["versions"]["total"], len(after["versions"]["items"])) == ("era-7", 2, 1)
    [holding] = after["versions"]["items"]
    assert (holding["version_id"], holding["status"], holding["dataset_name"]) == (
        second.version_id,
        "deprecated",
        "log-anomaly",
    )
    rows = [row for row in await world.rows("samples") if (row.version_id, row.unit_hash) == (second.version_id, "u3")]
    assert (holding["samples"], holding["training_samples"]) == (len(rows), sum(row.split == "train" for row in rows))
    assert (await api.get(f"{path}/nobody", headers=engineer)).json()["versions"]["items"] == []
