"""Every documented route, asked by schemathesis what its own schema allows and forbids."""

import hashlib
from pathlib import Path

import httpx
import pytest

from loopwright.contracts.registry import DATASET_REQUESTED
from loopwright.testing.openapi_probe import Probing, probe
from loopwright.testing.records import a_record

pytestmark = pytest.mark.integration
TRAINING = "/api/v1/admin/training"
INDEXES = "/api/v1/knowledge/indexes"
UNREACHABLE = "http://127.0.0.1:1/v1"
MANUAL = "# 백업\n\n백업은 매일 02:30에 돌고 사본은 14개까지 보관합니다.".encode()
OF_A_FILE = {
    "size_bytes": 10_000, "sha256": hashlib.sha256(b"of something else").hexdigest(), "task_id": "log-anomaly",
}  # fmt: skip


class Existing:
    """Things that requests can be about, made over HTTP."""

    def __init__(self, client, headers):
        self._client, self._headers = client, headers

    async def make(self, path, **request):
        """The id at the end of the new thing's place."""
        answer = await self._client.post(path, headers=self._headers, **request)
        assert answer.is_success, answer.text
        return answer.headers["location"].rpartition("/")[2]

    async def upload(self):
        return await self.make(f"{TRAINING}/datasets/uploads", json=OF_A_FILE)

    async def document(self, number):
        return await self.make(f"{TRAINING}/documents", files={"file": (f"manual-{number}.md", MANUAL)})

    async def generation(self, document_id):
        return await self.make(f"{TRAINING}/documents/{document_id}/generate", json={"task_id": "log-anomaly"})

    async def index(self, number):
        index_id = await self.make(INDEXES, json={"name": f"kb-{number}"})
        records = {"records": [{"record_id": "r1", "text": MANUAL.decode(), "metadata": {"kind": "manual"}}]}
        answer = await self._client.post(f"{INDEXES}/{index_id}/records", headers=self._headers, json=records)
        assert answer.is_success, answer.text
        return index_id

    async def ref(self, dataset_id, number):
        body = {"name": f"name-{number}", "kind": "branch", "version": "1"}
        return await self.make(f"{TRAINING}/datasets/{dataset_id}/refs", json=body)


async def make_versions(world):
    """Two of one dataset, and one of a dataset whose source had a bad record."""
    for lines, name in (
        (world.lines(40), "log-anomaly"), (world.lines(60), "log-anomaly"),
        ([*world.lines(30, first=200), b"no record\n"], "other"),
    ):  # fmt: skip
        await world.consume(DATASET_REQUESTED, a_record(await world.request(lines, dataset_name=name)))
        await world.build_all()
    return await world.rows("versions", order_by="created_at")


async def everything(world, existing):
    """Values of parameters that exist."""
    first, second, unread = await make_versions(world)
    documents = [await existing.document(number) for number in range(3)]
    numbers = range(5)
    return {
        "path.dataset_id": [first.dataset_id, unread.dataset_id],
        "path.version_id": [first.version_id, second.version_id, unread.version_id],
        "path.request_id": [unread.request_id, first.request_id],
        "path.sample_id": ["s0"],
        "path.unit_hash": ["u0"],
        "path.address": ["latest", "1", "main", second.version_id],
        "path.name": [await existing.ref(first.dataset_id, number) for number in numbers],
        "path.upload_id": [await existing.upload() for _ in numbers],
        "path.document_id": documents,
        "path.generation_id": [await existing.generation(documents[0])],
        "path.index_id": [await existing.index(number) for number in numbers],
        "query.against": ["1", "latest"],
        "query.document_id": documents,
        "header.Upload-Offset": [0],
        "body.version": ["1", "latest"],
        "body.base_version": ["1"],
        "body.other_version": ["2"],
        "body.document_ids[*]": documents,
        "body.task_id": ["log-anomaly"],
        "body.held_out_share_0_1": [0.4],
        "body.validation_share_0_1": [0.1],
        "body.policy": ['{"min_samples": 1}'],
        "body.mapping": ['{"prompt": "question"}'],
    }


async def test_every_route_answers_as_its_openapi_says(world, make_service, mint, tmp_path: Path):
    service = make_service(pairs_url=UNREACHABLE, pairs_model="writer")
    admin = mint.token("admin")
    folder = tmp_path / "probe"
    folder.mkdir()
    transport = httpx.ASGITransport(app=service.app)
    async with httpx.AsyncClient(transport=transport, base_url="http://dataset") as client:
        known = await everything(world, Existing(client, {"Authorization": f"Bearer {admin}"}))
    bodies = {
        ("POST", f"{TRAINING}/datasets/{{dataset_id}}/refs/{{name}}/move"): {"version": "1"},
        ("POST", f"{INDEXES}/{{index_id}}/documents"): {"document_ids": [known["path.document_id"][0]]},
    }
    probing = Probing(token=admin, known=known, bodies=bodies, not_at_edges=("/generate$", "/merge$"))
    report = await probe(service.app, probing, folder)
    await service.app.state.text_doorway.analysts.close()
    await service.database.close()
    assert not report.failures, report.failures
    assert report.never_asked == set()
    assert report.never_succeeded == {("GET", "/ready")}  # nothing runs behind this door
