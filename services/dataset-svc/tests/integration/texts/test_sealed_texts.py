"""What people wrote does not lie plain in any row, keys rotate under it, and what was written before is sealed."""

import asyncio
from pathlib import Path

import pytest
import sqlalchemy as sa
from alembic import command

from dataset_svc.store import documents
from dataset_svc.store.knowledge_tables import Base
from dataset_svc.store.questions import list_questions
from dataset_svc.store.tables import data_keys, tables
from loopwright.contracts.registry import Party
from loopwright.database import Database
from loopwright.errors import StoreUnavailable
from loopwright.migrations import config_for
from loopwright.rotation import rotate
from loopwright.sealed_columns import ColumnKeys, DataKeys
from loopwright.sealing import KeyFile, KeyRing
from loopwright.unit_of_work import PostgresWork

pytestmark = pytest.mark.integration
FOLDER = "services/dataset-svc"
MARK = "파랑새"
DOCUMENT = f"# {MARK} 안내\n\n" + f"{MARK} 장비는 매일 02:30에 점검하며 점검에는 약 12분이 걸립니다. " * 4
PAIR = {"question": f"{MARK} 장비는 언제 점검하나요?", "answer": f"{MARK} 장비는 매일 02:30에 점검합니다."}
WISH = {"task_id": "service-desk", "pairs": 1, "chunks": {"size": 400, "overlap": 0}}
# search needs these: words and vectors of a knowledge base, and what its records are filtered by
IN_PLAIN = {"knowledge_entries": {"terms", "metadata"}}


@pytest.fixture
def keys(tmp_path: Path) -> KeyFile:
    path = tmp_path / "keys.json"
    path.write_text('{"current": "a", "keys": {"a": "' + "A" * 43 + '="}}')
    return KeyFile(path)


@pytest.fixture
def column_keys(keys: KeyFile) -> ColumnKeys:
    return ColumnKeys(data_keys, keys)


async def showing(database: Database, mark: str) -> set[str]:
    """Columns of the schema, but those that search needs, in which a mark can be read."""
    found: set[str] = set()
    async with database.engine.connect() as connection:
        inspected = await connection.run_sync(lambda one: sa.inspect(one).get_table_names("dataset"))
        for table in inspected:
            rows = (await connection.execute(sa.text(f'SELECT * FROM dataset."{table}"'))).mappings().all()
            found |= {
                f"{table}.{column}"
                for row in rows
                for column, value in row.items()
                if column not in IN_PLAIN.get(table, ())
                and mark.encode() in (value if isinstance(value, bytes) else str(value).encode())
            }
    return found


async def write_everywhere(text_world, api, engineer) -> str:
    """A document, pairs from it and a knowledge base; path of the base."""
    text_world.model.answer = lambda _: text_world.model.says(PAIR)
    files = {"file": (f"{MARK}.md", DOCUMENT.encode())}
    document = (await api.post("/api/v1/admin/training/documents", headers=engineer, files=files)).headers["location"]
    assert (await api.post(f"{document}/generate", headers=engineer, json=WISH)).status_code == 202
    assert await text_world.generations.generate_next()
    index = (await api.post("/api/v1/knowledge/indexes", headers=engineer, json={"name": "kb"})).headers["location"]
    body = {"document_ids": [document.rpartition("/")[2]]}
    assert (await api.post(f"{index}/documents", headers=engineer, json=body)).status_code == 201
    return index


async def test_no_row_shows_a_text_and_readers_see_it_all_the_same(text_world, api, engineer, viewer):
    index = await write_everywhere(text_world, api, engineer)
    [work] = await text_world.rows("generations")
    assert (work.state, work.pairs_kept) == ("succeeded", 1)
    assert await showing(text_world.database, MARK) == set()
    [document] = (await api.get("/api/v1/admin/training/documents", headers=viewer)).json()["items"]
    assert (document["name"], document["title"]) == (f"{MARK}.md", f"{MARK} 안내")
    found = (await api.post(f"{index}/search", headers=viewer, json={"query": f"{MARK} 점검"})).json()["items"]
    assert MARK in found[0]["text"]
    assert found[0]["title"] == f"{MARK} 안내"


async def test_texts_open_after_two_rotations_and_no_longer_without_the_keys(text_world, api, engineer, viewer, keys):
    index = await write_everywhere(text_world, api, engineer)
    before = [row.text for row in await text_world.rows("knowledge_entries")]
    count = len(await text_world.rows("data_keys"))
    for name in ("b", "c"):
        rotated = await rotate([DataKeys(text_world.database.url)], keys, name=name, key=name.encode() * 32)
        assert rotated == (count, count)
    assert set(keys.ring().keys) == {"b", "c"}
    assert [row.text for row in await text_world.rows("knowledge_entries")] == before
    found = (await api.post(f"{index}/search", headers=viewer, json={"query": MARK})).json()
    assert MARK in found["items"][0]["text"]
    keys.write(KeyRing("x", {"x": b"x" * 32}))
    refused = await api.post(f"{index}/search", headers=viewer, json={"query": MARK})
    assert (refused.status_code, refused.json()["code"]) == (503, "storage.key-missing")


async def test_what_lay_plain_before_is_sealed_by_the_migration(migrated_database, column_keys, tmp_path, monkeypatch):
    url = await migrated_database((FOLDER,))
    config = config_for(Path(FOLDER), url)
    await asyncio.to_thread(command.downgrade, config, "dataset_0007")
    database = Database(url, Base.metadata, tables, column_keys=column_keys)
    async with database.engine.begin() as connection:
        for statement in (
            """INSERT INTO dataset.datasets (dataset_id, name, task_id, description, status, created_by, created_at)
                VALUES ('d', 'n', 't', '', 'active', 'u', now())""",
            f"""INSERT INTO dataset.questions (dataset_id, question_sha256, split, question)
                VALUES ('d', 'q', 'train', '{MARK}는 어디에 있나요?')""",
            f"""INSERT INTO dataset.documents (document_id, name, title, format, size_bytes, sha256, chars, pages, text,
                headings, page_starts, uploaded_by, uploaded_at) VALUES ('doc', '{MARK}.md', '{MARK}', 'text', 1, 's', 1, NULL, '{MARK} "본문"',
                '[{{"level": 1, "title": "{MARK}", "start": 0}}]', '{{0, 3}}', 'u', now())""",
        ):
            await connection.execute(sa.text(statement))
    monkeypatch.setenv("LOOPWRIGHT_STORAGE_KEYS_FILE", str(tmp_path / "keys.json"))
    await asyncio.to_thread(command.upgrade, config, "head")
    assert await showing(database, MARK) == set()
    async with PostgresWork(database, Party.DATASET)() as unit:
        assert [one.text for one in await list_questions(unit.session, "d")] == [f"{MARK}는 어디에 있나요?"]
        text = await documents.get_text(unit.session, "doc")
        assert (text.text, text.headings[0].title, text.page_starts) == (f'{MARK} "본문"', MARK, (0, 3))
    plain = Database(url, Base.metadata, tables)
    async with PostgresWork(plain, Party.DATASET)() as unit:
        with pytest.raises(StoreUnavailable):
            await documents.get_text(unit.session, "doc")
    with pytest.raises(RuntimeError, match="sealed"):
        await asyncio.to_thread(command.downgrade, config, "dataset_0007")
    await plain.close()
    await database.close()
