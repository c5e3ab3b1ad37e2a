"""What people said does not lie plain in any row, keys rotate under it, and what was written before is sealed."""

import asyncio
import json
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest
import sqlalchemy as sa
from alembic import command
from alembic.config import Config
from feedback_world import TASK, World, a_rating, a_task, an_erasure, an_inference
from upstream_world import Upstream, a_batch, a_record, sources

from feedback_svc.domain.samples import claim_of
from feedback_svc.store.tables import data_keys, messaging, metadata
from loopwright.database import Database
from loopwright.migrations import config_for
from loopwright.rotation import rotate
from loopwright.sealed_columns import ColumnKeys, ColumnOpener, DataKeys, standing_sealer
from loopwright.sealing import KeyFile, KeyRing
from loopwright.testing.tokens import TokenMint

SERVICE = Path(__file__).parents[2]
MARK = "파랑새"
FEEDBACK = "/api/v1/feedback"


@pytest.fixture
def keys_file(tmp_path: Path) -> Path:
    path = tmp_path / "keys.json"
    path.write_text('{"current": "a", "keys": {"a": "' + "A" * 43 + '="}}')
    return path


async def showing(world: World, mark: str) -> set[str]:
    """Columns of the schema in which a mark can be read, however JSON has it written."""
    marks = (mark.encode(), json.dumps(mark).strip('"').encode())
    found: set[str] = set()
    async with world.direct.engine.connect() as connection:
        for table in await connection.run_sync(lambda one: sa.inspect(one).get_table_names("feedback")):
            rows = (await connection.execute(sa.text(f'SELECT * FROM feedback."{table}"'))).mappings().all()
            found |= {
                f"{table}.{column}"
                for row in rows
                for column, value in row.items()
                if any(one in (value if isinstance(value, bytes) else str(value).encode()) for one in marks)
            }
    return found


async def write_everywhere(world: World, api: httpx.AsyncClient) -> None:
    """Conversations, remarks, records of apps, samples of both, a review and an export."""
    await world.hand(a_task(sources=sources("knowledge-assistant"), retraining={"min_new_samples": 3}))
    turns = [{"role": "user", "content": f"{MARK}?"}]
    for number in (1, 2):
        await world.hand(an_inference(number, input=f"{MARK} {number}", messages=turns, answer=f"{MARK}입니다."))
    await world.hand(a_rating(1, 2, comment=f"{MARK}...", correction=f"{MARK} 맞음"), a_rating(2, 5))
    record = {"query": f"{MARK}?", "answer": f"{MARK} 답", "rating": 5}
    await world.hand(a_record("knowledge.rated", record, "k1"), a_batch({"message": MARK, "severity": "info"}))
    [held] = [row["sample_id"] for row in await world.table("samples") if row["inference_id"] == "inf-2"]
    async with world.direct.engine.begin() as connection:
        wait = sa.text("UPDATE feedback.samples SET state = 'quarantined' WHERE sample_id = :held")
        await connection.execute(wait, {"held": held})
    ruling = {"decision": "correct", "answer": f"{MARK} 2 맞음", "note": f"{MARK}라서"}
    assert (await api.post(f"{FEEDBACK}/review/{held}", json=ruling)).status_code == 204
    await Upstream(world).collect()
    await world.timer.look()
    assert await world.exporter.export_next()


async def read_everywhere(api: httpx.AsyncClient) -> list[httpx.Response]:
    """Every list that shows what people said."""
    paths = ("inferences", "inferences/inf-1", "ratings", "records", "review/decisions")
    return [await api.get(FEEDBACK)] + [await api.get(f"{FEEDBACK}/{path}") for path in paths]


async def taught(world: World) -> set[str]:
    """Answers of the newest export."""
    return {str(line["messages"][-1]["content"]) for line in await world.exported_lines()}


async def test_no_row_shows_what_was_said_and_readers_see_it_all_the_same(
    world: World, api: httpx.AsyncClient, mint: TokenMint
) -> None:
    api.headers.update(mint.header("engineer"))
    await write_everywhere(world, api)
    assert await showing(world, MARK) == set()
    for response in await read_everywhere(api):
        assert (response.status_code, MARK in response.text) == (200, True), response.url
    assert await taught(world) == {f"{MARK} 맞음", f"{MARK} 2 맞음", f"{MARK} 답"}


async def test_words_open_after_two_rotations_and_no_longer_without_the_keys(
    world: World, api: httpx.AsyncClient, mint: TokenMint, keys_file: Path
) -> None:
    api.headers.update(mint.header("engineer"))
    await write_everywhere(world, api)
    before = await world.rows(sa.text("SELECT inference_id, content FROM feedback.inferences ORDER BY 1"))
    keys = KeyFile(keys_file)
    count = len(await world.table("data_keys"))
    for name in ("b", "c"):
        rotated = await rotate([DataKeys(world.direct_url), world.storage], keys, name=name, key=name.encode() * 32)
        assert rotated == (count + 1, count + 1)
    assert await world.rows(sa.text("SELECT inference_id, content FROM feedback.inferences ORDER BY 1")) == before
    assert {response.status_code for response in await read_everywhere(api)} == {200}
    await world.hand(an_inference(3, answer=f"{MARK} 3"), a_rating(3, 5))
    assert await world.ready_samples() == {f"{MARK} 3": ((await world.table("samples"))[-1]["rating_ids"][0],)}
    assert len(await world.table("data_keys")) == count, "a key stands for a day"
    keys.write(KeyRing("x", {"x": b"x" * 32}))
    refused = await api.get(f"{FEEDBACK}/ratings")
    assert (refused.status_code, refused.json()["code"]) == (503, "storage.key-missing")


async def test_an_erasure_leaves_no_sealed_word(world: World, api: httpx.AsyncClient, mint: TokenMint) -> None:
    api.headers.update(mint.header("engineer"))
    await write_everywhere(world, api)
    await world.hand(an_erasure("unit-1"))
    kept = {row["inference_id"]: row for row in await world.table("inferences")}
    assert (kept["inf-1"]["content"], kept["inf-1"]["refuses"]) == (None, False)
    assert kept["inf-2"]["content"]["answer"] == f"{MARK}입니다."
    assert {row["inference_id"]: row["remarks"] for row in await world.table("ratings")} == {
        "inf-1": None, "inf-2": None,
    }  # fmt: skip
    assert {row["inference_id"] for row in await world.table("samples")} == {"inf-2", None}


async def test_a_key_outlives_the_transaction_that_needed_it_first(world: World, keys_file: Path) -> None:
    async with world.database.sessions() as failed:
        sealed = (await standing_sealer(failed, "ratings")).seal(MARK.encode())
        await failed.rollback()
    async with world.work() as unit:
        later = (await standing_sealer(unit.session, "ratings")).seal(b"")
    other = Database(
        world.direct_url, metadata, messaging, column_keys=ColumnKeys(data_keys, KeyFile(keys_file))
    )  # fmt: skip
    async with other.sessions() as session:
        assert await ColumnOpener(session, "ratings").open_all([sealed, later]) == [MARK.encode(), b""]
    await other.close()


PLAIN = (
    f"""INSERT INTO feedback.inferences (inference_id, task_id, task_version, variant_id, served_variant_id, pinned,
        fallback, unit_hash, content, http_status, latency_ms, completed_at, received_at)
        SELECT 'inf-' || n, '{TASK}', 1, 'v', 'v', false, false, 'unit-' || n, said, 200, 1, now(), now()
        FROM (VALUES (1, '{{"input": "{MARK}", "messages": null, "answer": "죄송하지만 {MARK}는 알려 드릴 수 없습니다."}}'::json),
            (2, '{{"input": null, "messages": null, "answer": "{MARK}입니다."}}'),
            (3, '{{"input": null, "messages": null, "answer": null}}')) AS told (n, said)""",
    f"""INSERT INTO feedback.ratings (rating_id, inference_id, task_id, variant_id, unit_hash, rater_hash, metric, value,
        remarks, counts, rated_at, received_at)
        SELECT 'rat-' || n, 'inf-1', '{TASK}', 'v', 'unit-1', 'rater-' || n, 'stars', 1, said, true, now(), now()
        FROM (VALUES (1, '{{"comment": null, "correction": "{MARK}", "traceparent": "00-1-2-01"}}'::json),
            (2, '{{"comment": null, "correction": null, "traceparent": "00-3-4-01"}}')) AS told (n, said)""",
    f"""INSERT INTO feedback.samples (sample_id, task_id, state, source, lesson, rating_ids, weight_0_1, formed_at,
        changed_at, collected_from, source_key) VALUES ('smp-1', '{TASK}', 'ready', 'correction',
        '{{"answer": "{MARK}", "input": "{MARK}?"}}', '{{}}', 1, now(), now(), 'label-corrections', 'p1')""",
    f"""INSERT INTO feedback.upstream_records (origin, kind, record_id, records, content, deliveries, published_at,
        received_at) SELECT 'feedback', 'k', 'rec-' || n, 1, said, 1, now(), now()
        FROM (VALUES (1, '{{"text": "{MARK}", "big": 123456789012345678901234567890}}'::json), (2, 'null')) AS told (n, said)""",
    f"""INSERT INTO feedback.sample_reviews (review_id, task_id, sample_id, decision, note, decided_by, decided_at)
        VALUES ('rev-1', '{TASK}', 'smp-1', 'reject', '{MARK}', 'u', now())""",
)
PLACES = {"inferences.content", "ratings.remarks", "samples.lesson", "upstream_records.content", "sample_reviews.note"}
SAID = sa.text("""SELECT 'i' || inference_id AS place, content::text AS said FROM feedback.inferences
    UNION ALL SELECT 'r' || rating_id, remarks::jsonb::text FROM feedback.ratings
    UNION ALL SELECT 's' || sample_id, lesson::text FROM feedback.samples
    UNION ALL SELECT 'u' || record_id, content::text FROM feedback.upstream_records
    UNION ALL SELECT 'n' || review_id, note FROM feedback.sample_reviews ORDER BY 1""")


async def migrate(world: World, way: Callable[[Config, str], None], revision: str) -> None:
    await asyncio.to_thread(way, config_for(SERVICE, world.direct_url), revision)
    await world.direct.engine.dispose()  # what its connections remember of columns is wrong now


async def write_plain(world: World) -> None:
    """As the release before this one kept it."""
    await migrate(world, command.downgrade, "feedback_0008")
    async with world.direct.engine.begin() as connection:
        for statement in PLAIN:
            await connection.exec_driver_sql(statement)


async def test_what_lay_plain_before_is_sealed_and_marked_by_the_migration(
    world: World, keys_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    await write_plain(world)
    assert await showing(world, MARK) == PLACES
    monkeypatch.setenv("LOOPWRIGHT_STORAGE_KEYS_FILE", str(keys_file))
    await migrate(world, command.upgrade, "head")
    assert await showing(world, MARK) == set()
    told = {row["inference_id"]: row for row in await world.table("inferences")}
    assert [told[f"inf-{number}"]["refuses"] for number in (1, 2, 3)] == [True, False, None]
    assert told["inf-2"]["content"]["answer"] == f"{MARK}입니다."
    assert told["inf-3"]["content"] is None
    remarks = {row["rating_id"]: (row["remarks"], row["traceparent"]) for row in await world.table("ratings")}
    assert remarks == {
        "rat-1": ({"comment": None, "correction": MARK}, "00-1-2-01"), "rat-2": (None, "00-3-4-01"),
    }  # fmt: skip
    [sample] = await world.table("samples")
    assert (sample["lesson"]["input"], sample["claim"]) == (f"{MARK}?", claim_of(MARK))
    records = {row["record_id"]: row["content"] for row in await world.table("upstream_records")}
    assert records == {"rec-1": {"text": MARK, "big": 123456789012345678901234567890}, "rec-2": None}
    [review] = await world.table("sample_reviews")
    assert review["note"] == MARK
    with pytest.raises(RuntimeError, match="sealed"):
        await migrate(world, command.downgrade, "feedback_0008")


async def test_without_a_key_file_the_migration_leads_back_to_the_same_rows(world: World) -> None:
    await write_plain(world)
    before = await world.rows(SAID)
    await migrate(world, command.upgrade, "head")
    await migrate(world, command.downgrade, "feedback_0008")
    assert said_in(await world.rows(SAID)) == said_in(before) | {"iinf-3": {}}


def said_in(rows: list[sa.RowMapping]) -> dict[str, object]:
    """By place; JSON whatever way it is written."""
    return {row["place"]: json.loads(row["said"]) if row["said"].startswith("{") else row["said"] for row in rows}
