"""A dry run of an upload: everything that a build finds, and no version, no event, no memory of it."""

import json

import pytest

from loopwright.contracts.registry import DATASET_REQUESTED
from loopwright.testing.records import a_record

pytestmark = pytest.mark.integration
PREFIX = "/api/v1/admin/training/datasets"


@pytest.fixture
def viewer(mint):
    return mint.header("viewer")


@pytest.fixture
def engineer(mint):
    return mint.header("engineer")


async def try_out(world, api, headers, content: bytes, **fields):
    """The answer to a dry run, and its request once it ended."""
    form = {"task_id": "log-anomaly", "policy": '{"min_samples": 5}'} | fields
    answer = await api.post(f"{PREFIX}/validate", headers=headers, data=form, files={"file": ("rows.jsonl", content)})
    assert answer.status_code == 202, answer.text
    await world.build_all()
    return answer.json(), (await api.get(answer.headers["location"], headers=headers)).json()


async def test_the_report_says_what_an_upload_would_make_and_nothing_is_made(world, api, engineer, viewer):
    phone = world.a_line("call 010-1234-5678", sample_id="phone")
    copy = world._line(7, sample_id="copy")
    content = b"".join([*world.lines(60), phone, copy, b"bad\n"])
    accepted, request = await try_out(world, api, engineer, content)
    assert (request["state"], request["purpose"], request["rejected_because"]) == ("validated", "dry_run", [])
    path = f"{PREFIX}/requests/{accepted['request_id']}"
    report = (await api.get(f"{path}/report", headers=viewer)).json()
    assert (report["lines"], report["kept"], report["quality_score_0_1"]) == (63, 61, 61 / 63)
    assert [(bad["line"], bad["field"]) for bad in report["bad_lines"]] == [(63, "line")]
    assert report["personal_data_found"] == {"phone": 1}
    assert [duplicate["check"] for duplicate in report["duplicates"]] == ["exact_duplicate"]
    assert sum(report["splits"]["samples"].values()) == 61
    rejects = await api.get(f"{path}/rejects", headers=engineer)
    assert [json.loads(line)["raw"] for line in rejects.text.splitlines()] == ["bad"]
    for table in ("datasets", "versions", "samples", "questions", "groups", "outbox"):
        assert (table, await world.rows(table)) == (table, [])
    assert [row.uri for row in await world.rows("deletions")] == [request["source"]["uri"]]


async def test_it_says_what_the_upload_then_makes(world, api, engineer):
    content = b"".join(world.lines(80, category="alert"))
    accepted, _ = await try_out(world, api, engineer, content)
    tried = (await api.get(f"{PREFIX}/requests/{accepted['request_id']}/report", headers=engineer)).json()
    form = {"task_id": "log-anomaly", "policy": '{"min_samples": 5}'}
    uploaded = await api.post(PREFIX, headers=engineer, data=form, files={"file": ("rows.jsonl", content)})
    await world.build_all()
    assert uploaded.json()["size_bytes"] == accepted["size_bytes"]
    made = (await api.get(f"{PREFIX}/requests/{uploaded.json()['request_id']}/report", headers=engineer)).json()
    assert made | {"request_id": ""} == tried | {"request_id": ""}
    assert len(await world.rows("versions")) == 1


async def test_it_knows_what_earlier_versions_decided(world, api, engineer):
    await world.consume(DATASET_REQUESTED, a_record(await world.request(world.lines(60))))
    await world.build_all()
    accepted, _ = await try_out(world, api, engineer, b"".join(world.lines(80)))
    report = (await api.get(f"{PREFIX}/requests/{accepted['request_id']}/report", headers=engineer)).json()
    assert report["splits"]["remembered_samples"] == 60
    assert len(await world.rows("versions")) == 1


@pytest.mark.parametrize(
    ("content", "fields", "reason"),
    [
        (b"x\n{}\n", {}, "none of the 2 lines could be read as a sample"),
        (None, {"policy": '{"min_samples": 500}'}, "the task's policy wants at least 500"),
        (None, {"policy": '{"held_out_share_0_1": 0.7, "validation_share_0_1": 0.3}'}, "leave none to train on"),
        (b'{"a": ' * 20 + b"\n", {"mapping": '{"prompt": "a", "completion": "b"}'}, "none of the 1 lines"),
    ],
)
async def test_what_would_be_rejected_says_why_and_nobody_is_told(world, api, engineer, content, fields, reason):
    _, request = await try_out(
        world, api, engineer, b"".join(world.lines(20)) if content is None else content, **fields
    )
    assert request["state"] == "rejected"
    [said] = request["rejected_because"]
    assert reason in said
    assert await world.rows("outbox") == []
    assert [row.uri for row in await world.rows("deletions")] == [request["source"]["uri"]]


async def test_columns_that_were_named_are_read_and_shown(world, api, engineer, viewer):
    lines = (json.loads(line) for line in world.lines(30))
    content = b"".join(json.dumps({"q": one["input"], "a": "because"}).encode() + b"\n" for one in lines)
    mapping = {"prompt": "q", "completion": "a"}
    _, request = await try_out(world, api, engineer, content, mapping=json.dumps(mapping))
    assert (request["state"], request["mapping"]) == ("validated", mapping)
    [listed] = (await api.get(f"{PREFIX}/requests", headers=viewer)).json()["items"]
    assert listed == request


async def test_a_request_that_was_not_read_has_no_report(api, viewer, engineer):
    form = {"task_id": "t"}
    waiting = await api.post(f"{PREFIX}/validate", headers=engineer, data=form, files={"file": ("f", b"x")})
    for path, code in ((waiting.json()["request_id"], "dataset.no-report"), ("x", "dataset.request-not-found")):
        answer = await api.get(f"{PREFIX}/requests/{path}/report", headers=viewer)
        assert (answer.status_code, answer.json()["code"]) == (404, code)


async def test_the_form_is_that_of_an_upload_and_for_engineers(world, api, viewer, engineer):
    path = f"{PREFIX}/validate"
    file = {"file": ("rows.jsonl", b"x")}
    for headers, status in (({}, 401), (viewer, 403)):
        assert (await api.post(path, headers=headers, data={"task_id": "t"}, files=file)).status_code == status
    for form, code in (({}, "upload.no-task"), ({"task_id": "t", "policy": "{"}, "upload.bad-field")):
        answer = await api.post(path, headers=engineer, data=form, files=file)
        assert (answer.status_code, answer.json()["code"]) == (422, code)
    large = {"file": ("rows.jsonl", b"x" * 100_001)}
    assert (await api.post(path, headers=engineer, data={"task_id": "t"}, files=large)).status_code == 413
    # more than a body of JSON may have, less than an upload may
    fits = {"file": ("rows.jsonl", b"x" * 90_000)}
    assert (await api.post(path, headers=engineer, data={"task_id": "t"}, files=fits)).status_code == 202
    assert len(await world.rows("requests")) == 1
