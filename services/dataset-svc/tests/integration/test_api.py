"""The HTTP door: who may come in, uploads, what can be read, what can be changed."""

import hashlib
import json

import pytest

from loopwright.contracts.registry import DATASET_REQUESTED, DATASET_VALIDATED
from loopwright.testing.records import a_record
from loopwright.testing.tokens import TokenMint

pytestmark = pytest.mark.integration
PREFIX = "/api/v1/admin/training/datasets"
READS = [
    "", "/requests", "/requests/x", "/x", "/x/versions", "/versions/x", "/versions/x/samples", "/versions/x/report",
    "/versions/x/splits/train",
]  # fmt: skip
WRITES = ["", "/x/deprecate", "/x/archive", "/versions/x/deprecate", "/versions/x/archive"]


@pytest.fixture
def viewer(mint: TokenMint) -> dict[str, str]:
    return mint.header("viewer")


@pytest.fixture
def engineer(mint: TokenMint) -> dict[str, str]:
    return mint.header("engineer")


async def make_version(world, **changes):
    """A version by event; its row."""
    await world.consume(DATASET_REQUESTED, a_record(await world.request(**changes)))
    await world.build_all()
    return (await world.rows("versions", order_by="created_at"))[-1]


async def upload(api, headers, content: bytes, **fields):
    form = {"task_id": "log-anomaly"} | fields
    return await api.post(PREFIX, headers=headers, data=form, files={"file": ("rows.jsonl", content)})


class TestWhoMayComeIn:
    @pytest.mark.parametrize(
        ("method", "path"), [("GET", path) for path in READS] + [("POST", path) for path in WRITES]
    )
    async def test_nobody_without_a_token_or_with_a_bad_one(self, api, mint, method, path):
        forged = TokenMint().header("admin")
        expired = {"Authorization": f"Bearer {mint.token('admin', ttl_s=-60)}"}
        codes = []
        for headers in ({}, expired, forged):
            answer = await api.request(method, PREFIX + path, headers=headers, json={"reason": "x"} if path else None)
            assert answer.status_code == 401
            assert answer.headers["content-type"] == "application/problem+json"
            codes.append(answer.json()["code"])
        assert codes == ["auth.token-missing", "auth.token-expired", "auth.token-invalid"]

    @pytest.mark.parametrize("path", WRITES)
    async def test_a_viewer_changes_nothing(self, api, viewer, path):
        answer = await api.post(PREFIX + path, headers=viewer, json={"reason": "x"})
        assert (answer.status_code, answer.json()["code"]) == (403, "auth.role-too-weak")

    @pytest.mark.parametrize("path", READS[2:])
    async def test_a_viewer_is_told_what_is_not_there(self, api, viewer, path):
        answer = await api.get(PREFIX + path, headers=viewer)
        assert answer.status_code == 404
        assert answer.json()["code"] in {
            "dataset.not-found", "dataset.version-not-found", "dataset.request-not-found",
        }  # fmt: skip


class TestUploads:
    async def test_an_upload_goes_the_same_way_as_an_export(self, world, api, engineer, viewer):
        rows = [{"messages": json.loads(line)["messages"]} for line in world.lines(30)]
        content = b"".join(json.dumps(row).encode() + b"\n" for row in rows) + b"bad\n"
        accepted = await upload(api, engineer, content, dataset_name="by-hand", description="rows", policy='{"min_samples": 5}')  # fmt: skip
        assert accepted.status_code == 202
        assert accepted.headers["location"] == f"{PREFIX}/requests/{accepted.json()['request_id']}"
        pending = (await api.get(accepted.headers["location"], headers=viewer)).json()
        assert (pending["state"], pending["origin"], pending["requested_by"]) == ("pending", "upload", "somebody")
        assert pending["version_id"] is None
        await world.build_all()
        done = (await api.get(accepted.headers["location"], headers=viewer)).json()
        assert (done["state"], done["attempts"]) == ("validated", 1)
        [announced] = await world.announced(DATASET_VALIDATED)
        [listed] = (await api.get(f"{PREFIX}/requests", headers=viewer)).json()["items"]
        assert done["version_id"] == listed["version_id"] == announced.version_id
        assert (announced.dataset_name, announced.task_id) == ("by-hand", "log-anomaly")
        assert {row.source for row in await world.rows("samples")} == {"upload"}
        [dataset] = (await api.get(PREFIX, headers=viewer)).json()["items"]
        assert (dataset["description"], dataset["created_by"]) == ("rows", "somebody")

    async def test_a_body_that_is_too_large_is_refused_with_and_without_its_length(self, api, engineer):
        too_much = b"x" * 100_001
        answer = await upload(api, engineer, too_much)
        assert (answer.status_code, answer.headers["content-type"]) == (413, "application/problem+json")

        async def chunks():
            yield b'--b\r\nContent-Disposition: form-data; name="file"; filename="f"\r\n\r\n'
            for _ in range(11):
                yield b"x" * 10_000

        headers = engineer | {"content-type": "multipart/form-data; boundary=b"}
        answer = await api.post(PREFIX, headers=headers, content=chunks())
        assert (answer.status_code, answer.headers["content-type"]) == (413, "application/problem+json")

    async def test_a_json_body_that_is_too_large_is_refused(self, api, engineer):
        answer = await api.post(f"{PREFIX}/x/archive", headers=engineer, json={"reason": "x" * 70_000})
        assert answer.status_code == 413

    @pytest.mark.parametrize(
        ("fields", "code"),
        [
            ({"task_id": ""}, "upload.no-task"),
            ({"task_id": "no spaces"}, "upload.bad-field"),
            ({"dataset_name": "a/b"}, "upload.bad-field"),
            ({"description": "\0"}, "upload.bad-field"),
            ({"policy": "{"}, "upload.bad-field"),
            ({"policy": '{"min_samples": 0}'}, "upload.bad-field"),
        ],
    )
    async def test_a_field_that_is_wrong_is_named(self, api, engineer, fields, code):
        answer = await upload(api, engineer, b"{}\n", **fields)
        assert (answer.status_code, answer.json()["code"]) == (422, code)
        assert answer.json()["facts"]["field"] in {*fields, "task_id"}

    async def test_a_form_without_a_file_or_no_form_at_all_is_refused(self, world, api, engineer):
        no_file = await api.post(PREFIX, headers=engineer, data={"task_id": "t"})
        empty = await upload(api, engineer, b"")
        no_form = await api.post(PREFIX, headers=engineer, json={"task_id": "t"})
        broken = await api.post(
            PREFIX, headers=engineer | {"content-type": "multipart/form-data; boundary=b"}, content=b"x"
        )
        assert [answer.status_code for answer in (no_file, empty, no_form, broken)] == [422, 422, 422, 400]
        assert await world.rows("requests") == []


class TestReading:
    async def test_a_version_with_its_samples_report_and_files(self, world, api, viewer):
        row = await make_version(world)
        version = (await api.get(f"{PREFIX}/versions/{row.version_id}", headers=viewer)).json()
        assert (version["number"], version["content_sha256"]) == (1, row.content_sha256)

        page = (await api.get(f"{PREFIX}/versions/{row.version_id}/samples?limit=7&offset=5", headers=viewer)).json()
        assert (page["total"], page["limit"], page["offset"], len(page["items"])) == (60, 7, 5, 7)
        seen = {}
        for split in ("train", "validation", "held_out"):
            path = f"{PREFIX}/versions/{row.version_id}/samples?split={split}&limit=500"
            seen |= {item["sample_id"]: item for item in (await api.get(path, headers=viewer)).json()["items"]}
            file = await api.get(f"{PREFIX}/versions/{row.version_id}/splits/{split}", headers=viewer)
            assert hashlib.sha256(file.content).hexdigest() == version[split]["artifact"]["sha256"]
            assert file.headers["content-type"] == "application/jsonl"
            for line in map(json.loads, file.content.splitlines()):
                item = seen[line["sample_id"]]
                assert item["split"] == split
                assert {name: item[name] for name in line if name != "task_id"} == {
                    name: value for name, value in line.items() if name != "task_id"
                }
        assert len(seen) == 60

        report = (await api.get(f"{PREFIX}/versions/{row.version_id}/report", headers=viewer)).json()
        assert (report["lines"], report["kept"], report["request_id"]) == (60, 60, row.request_id)

    async def test_an_empty_part_is_an_empty_file(self, world, api, viewer):
        row = await make_version(world, data_policy={"min_samples": 5, "validation_share_0_1": 0})
        answer = await api.get(f"{PREFIX}/versions/{row.version_id}/splits/validation", headers=viewer)
        assert (answer.status_code, answer.content) == (200, b"")

    async def test_lists_can_be_narrowed_and_paged(self, world, api, viewer, engineer):
        first = await make_version(world)
        second = await make_version(world, dataset_name="other")
        body = {"reason": "replaced"}
        await api.post(f"{PREFIX}/{first.dataset_id}/deprecate", headers=engineer, json=body)
        await api.post(f"{PREFIX}/versions/{first.version_id}/deprecate", headers=engineer, json=body)

        page = (await api.get(f"{PREFIX}?limit=1", headers=viewer)).json()
        assert (page["total"], [one["dataset_id"] for one in page["items"]]) == (2, [second.dataset_id])
        for status, ids in (("deprecated", [first.dataset_id]), ("active", [second.dataset_id]), ("archived", [])):
            page = (await api.get(f"{PREFIX}?status={status}", headers=viewer)).json()
            assert ([one["dataset_id"] for one in page["items"]], page["total"]) == (ids, len(ids))
        versions = f"{PREFIX}/{first.dataset_id}/versions"
        assert (await api.get(f"{versions}?status=active", headers=viewer)).json()["total"] == 0
        [deprecated] = (await api.get(f"{versions}?status=deprecated", headers=viewer)).json()["items"]
        assert deprecated["status_reason"] == "replaced"
        details = (await api.get(f"{PREFIX}/{first.dataset_id}", headers=viewer)).json()
        assert details["latest_version"]["version_id"] == first.version_id
        states = (await api.get(f"{PREFIX}/requests?state=validated", headers=viewer)).json()
        assert states["total"] == 2
        assert (await api.get(f"{PREFIX}?status=lost", headers=viewer)).status_code == 422

    async def test_a_file_that_is_gone_is_a_problem_and_not_half_an_answer(self, world, api, viewer, tmp_path):
        row = await make_version(world)
        for file in (tmp_path / "storage").rglob("*.jsonl"):
            file.unlink()
        for path in ("splits/train", "samples"):
            answer = await api.get(f"{PREFIX}/versions/{row.version_id}/{path}", headers=viewer)
            assert (answer.status_code, answer.json()["code"]) == (503, "storage.object-missing")


class TestStatuses:
    @pytest.mark.parametrize("noun", ["dataset", "version"])
    async def test_only_forward_and_with_a_reason(self, world, api, engineer, noun):
        row = await make_version(world)
        path = f"{PREFIX}/{row.dataset_id}" if noun == "dataset" else f"{PREFIX}/versions/{row.version_id}"
        body = {"reason": "better data came"}
        assert (await api.post(f"{path}/deprecate", headers=engineer, json={})).status_code == 422
        done = (await api.post(f"{path}/deprecate", headers=engineer, json=body)).json()
        assert (done["status"], done["status_reason"]) == ("deprecated", "better data came")
        again = await api.post(f"{path}/deprecate", headers=engineer, json=body)
        assert (again.status_code, again.json()["code"]) == (409, "dataset.status-final")
        assert (await api.post(f"{path}/archive", headers=engineer, json=body)).json()["status"] == "archived"
        assert (await api.post(f"{path}/deprecate", headers=engineer, json=body)).status_code == 409

    async def test_an_archived_dataset_takes_no_more_versions(self, world, api, engineer):
        row = await make_version(world)
        await api.post(f"{PREFIX}/{row.dataset_id}/archive", headers=engineer, json={"reason": "done"})
        await make_version(world)
        requests = await world.rows("requests", order_by="finished_at")
        assert requests[-1].rejected_because == ["the dataset log-anomaly is archived"]
        assert len(await world.rows("versions")) == 1
