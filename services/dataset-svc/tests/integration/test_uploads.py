"""Uploads in pieces over HTTP: they survive restarts, refuse what does not fit, and become requests."""

import base64
import hashlib
import json
from datetime import timedelta
from pathlib import Path

import httpx
import pytest

from dataset_svc.domain.sources.uploads import UploadRules
from dataset_svc.jobs.deletions import Deletions
from dataset_svc.jobs.uploads import UploadSweep

pytestmark = pytest.mark.integration
PREFIX = "/api/v1/admin/training/datasets"


@pytest.fixture
def engineer(mint):
    return mint.header("engineer")


def pieces_in(world) -> list[Path]:
    """Files of pieces that lie in storage."""
    root = Path(world.storage._root.removeprefix("file://"))
    return [path for path in (root / "upload-pieces").rglob("*") if path.is_file()]


async def sweep_up(world) -> None:
    deleting = Deletions(world.work, storage=world.storage, packs=world.workshop.packs)
    while await deleting.step():
        pass


def the_file(rows: int = 40) -> bytes:
    lines = [f"왜 {hashlib.sha256(str(row).encode()).hexdigest()}?,모름,디스크" for row in range(rows)]
    return "\n".join(["질문,답변,분류", *lines, "too,few"]).encode("cp949")


async def begin(api, headers, content: bytes, **changes):
    body = {
        "filename": "odd.csv", "size_bytes": len(content), "sha256": hashlib.sha256(content).hexdigest(),
        "task_id": "log-anomaly", "policy": {"min_samples": 5}, "mapping": {"prompt": "질문", "completion": "답변", "category": "분류"},
    }  # fmt: skip
    return await api.post(f"{PREFIX}/uploads", headers=headers, json=body | changes)


async def send(api, headers, where: str, offset: int, piece: bytes, **more: str):
    return await api.patch(where, headers=headers | {"Upload-Offset": str(offset)} | more, content=piece)


async def test_a_file_in_pieces_survives_a_restart_and_becomes_a_version(world, api, make_service, engineer):
    content = the_file()
    begun = await begin(api, engineer, content)
    assert begun.status_code == 201
    where = begun.headers["location"]
    assert (await send(api, engineer, where, 0, content[:100])).headers["upload-offset"] == "100"

    transport = httpx.ASGITransport(app=make_service().app)
    async with httpx.AsyncClient(transport=transport, base_url="http://dataset") as restarted:
        head = await restarted.head(where, headers=engineer)
        assert (head.status_code, head.headers["upload-offset"], head.headers["upload-length"]) == (200, "100", str(len(content)))  # fmt: skip
        wrong = await send(restarted, engineer, where, 50, content[50:])
        assert (wrong.status_code, wrong.json()["code"], wrong.json()["facts"]) == (409, "upload.wrong-offset", {"offset": 100})  # fmt: skip
        done = await send(restarted, engineer, where, 100, content[100:])
    assert (done.status_code, done.json()["state"]) == (200, "complete")
    assert done.headers["location"] == f"{PREFIX}/requests/{done.json()['request_id']}"
    assert await world.rows("upload_pieces") == []
    assert len(pieces_in(world)) == 2
    await sweep_up(world)
    assert (pieces_in(world), await world.rows("deletions")) == ([], [])
    again = await send(api, engineer, where, len(content), b"")
    assert (again.status_code, again.json()["code"]) == (409, "upload.complete")

    await world.build_all()
    [request] = await world.rows("requests")
    assert (request.state, request.source_name, request.rejected_because) == ("validated", "odd.csv", [])
    rejects = await api.get(f"{done.headers['location']}/rejects", headers=engineer)
    [reject] = [json.loads(line) for line in rejects.text.splitlines()]
    assert (reject["line"], reject["reason"], reject["raw"]) == (42, "2 cells where the header has 3", "too,few")


async def test_rejects_are_for_engineers_only(api, mint):
    answer = await api.get(f"{PREFIX}/requests/x/rejects", headers=mint.header("viewer"))
    assert answer.status_code == 403
    assert (await api.get(f"{PREFIX}/requests/x/rejects", headers=mint.header("engineer"))).status_code == 404


async def test_ids_and_columns_that_no_database_takes_are_refused(api, engineer):
    for path in ("/requests/a%00b/rejects", "/uploads/a%00b"):
        assert (await api.get(PREFIX + path, headers=engineer)).status_code == 422
    body = {"size_bytes": 1, "sha256": "0" * 64, "task_id": "t", "mapping": {"prompt": "\ud800", "completion": "b"}}
    headers = engineer | {"content-type": "application/json"}
    begun = await api.post(f"{PREFIX}/uploads", headers=headers, content=json.dumps(body))
    assert (begun.status_code, begun.json()["code"]) == (422, "request.malformed")


async def test_a_piece_counts_only_with_its_checksum(world, api, engineer):
    content = the_file()
    where = (await begin(api, engineer, content)).headers["location"]
    sums = {name: f"sha256 {base64.b64encode(hashlib.sha256(piece).digest()).decode()}" for name, piece in (("good", content[:64]), ("bad", b"x"))}  # fmt: skip
    refused = await send(api, engineer, where, 0, content[:64], **{"Upload-Checksum": sums["bad"]})
    assert (refused.status_code, refused.json()["code"]) == (422, "upload.wrong-chunk-checksum")
    assert (await api.head(where, headers=engineer)).headers["upload-offset"] == "0"
    await sweep_up(world)
    assert pieces_in(world) == []
    taken = await send(api, engineer, where, 0, content[:64], **{"Upload-Checksum": sums["good"]})
    assert taken.headers["upload-offset"] == "64"
    await sweep_up(world)
    assert len(pieces_in(world)) == 1


async def test_a_file_that_is_not_the_promised_one_can_be_sent_again(world, api, engineer):
    content = the_file()
    where = (await begin(api, engineer, content)).headers["location"]
    wrong = await send(api, engineer, where, 0, b"x" * len(content))
    assert (wrong.status_code, wrong.json()["code"]) == (422, "upload.wrong-checksum")
    assert await world.rows("requests") == []
    await sweep_up(world)
    assert pieces_in(world) == []
    right = await send(api, engineer, where, 0, content)
    assert right.json()["state"] == "complete"


async def test_the_same_bytes_of_two_uploads_do_not_hang_together(world, api, engineer):
    content = the_file()
    first, second = [(await begin(api, engineer, content)).headers["location"] for _ in range(2)]
    await send(api, engineer, second, 0, content[:100])
    assert (await send(api, engineer, first, 0, content)).json()["state"] == "complete"
    await sweep_up(world)
    assert (await send(api, engineer, second, 100, content[100:])).json()["state"] == "complete"


async def test_more_than_was_promised_is_too_much(api, engineer):
    content = the_file()
    where = (await begin(api, engineer, content)).headers["location"]
    assert (await send(api, engineer, where, 0, content + b"x")).status_code == 413
    assert (await begin(api, engineer, content, size_bytes=2 << 30)).status_code == 413
    assert (await api.get(where, headers=engineer)).json()["received_bytes"] == 0


@pytest.mark.parametrize("changes", [{"mapping": {"prompt": "a"}}, {"mapping": {"nothing": "a"}}, {"sha256": "x"}, {"size_bytes": 0}, {"more": 1}, {"filename": "a\0"}])  # fmt: skip
async def test_a_promise_that_makes_no_sense_is_refused(api, engineer, changes):
    assert (await begin(api, engineer, b"x", **changes)).status_code == 422


async def test_nobody_but_engineers_uploads(api, mint, engineer):
    where = (await begin(api, engineer, b"x")).headers["location"]
    for headers, status in (({}, 401), (mint.header("viewer"), 403)):
        assert (await begin(api, headers, b"x")).status_code == status
        assert (await send(api, headers, where, 0, b"x")).status_code == status
        assert (await api.head(where, headers=headers)).status_code == status


async def test_what_nobody_goes_on_with_expires(world, api, engineer):
    content = the_file()
    where = (await begin(api, engineer, content)).headers["location"]
    await send(api, engineer, where, 0, content[:10])
    sweep = UploadSweep(world.work, UploadRules(time_to_live=timedelta(hours=1)))
    assert not await sweep.sweep()
    await world.execute("UPDATE dataset.uploads SET touched_at = now() - interval '2 hours'")
    assert await sweep.sweep()
    assert await world.rows("upload_pieces") == []
    await sweep_up(world)
    assert pieces_in(world) == []
    answer = await send(api, engineer, where, 10, content[10:])
    assert (answer.status_code, answer.json()["code"]) == (410, "upload.expired")
