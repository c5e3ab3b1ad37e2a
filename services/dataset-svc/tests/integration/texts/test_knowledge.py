"""The HTTP door of knowledge bases: versions that stay, filters, pages, and what is refused."""

import asyncio

import httpx
import pytest
import sqlalchemy as sa
from pydantic import SecretStr

from dataset_svc.adapters.embeddings import EndpointEmbedder
from dataset_svc.adapters.model_endpoint import EndpointSettings, ModelEndpoint
from dataset_svc.handlers.knowledge_entries import Analysts, Record

pytestmark = pytest.mark.integration
PREFIX = "/api/v1/knowledge/indexes"
READS = ["", "/x", "/x/versions", "/x/evaluations"]
WRITES = ["", "/x/records", "/x/documents", "/x/evaluate"]


def record(record_id, text, **metadata):
    return {"record_id": record_id, "title": "", "text": text, "metadata": metadata}


@pytest.fixture
async def index(api, engineer):
    """Path of an empty knowledge base."""
    made = await api.post(PREFIX, headers=engineer, json={"name": "kb", "description": "지식"})
    assert made.headers["location"] == f"{PREFIX}/{made.json()['index_id']}"
    return made.headers["location"]


@pytest.fixture
def add(api, engineer, index):
    async def post(*records, remove=()):
        answer = await api.post(f"{index}/records", headers=engineer, json={"records": records, "remove": list(remove)})
        assert answer.status_code == 201, answer.text
        return answer.json()["version"]

    return post


@pytest.fixture
def find(api, viewer, index):
    async def post(query, **changes):
        answer = await api.post(f"{index}/search", headers=viewer, json={"query": query} | changes)
        assert answer.status_code == 200, answer.text
        return answer.json()

    return post


def names(found):
    return [hit["record_id"] for hit in found["items"]]


class TestVersions:
    async def test_an_older_version_is_searched_as_it_was(self, add, find, api, viewer, index):
        assert await add(record("a", "프린터 용지가 걸림"), record("b", "서버가 멈춤")) == 1
        assert await add(record("a", "프린터 토너를 교체"), remove=["b"]) == 2
        assert await add(record("c", "프린터 용지 주문")) == 3
        assert names(await find("용지", version=1, method="text")) == ["a"]
        assert names(await find("용지", version=2, method="text")) == []
        assert names(await find("용지", method="text")) == ["c"]
        assert names(await find("서버", version=1)) == ["b", "a"]
        assert "b" not in names(await find("서버", version=2))
        assert names(await find("용지", version=0)) == []
        versions = (await api.get(f"{index}/versions", headers=viewer)).json()["items"]
        assert [(one["number"], one["entries"], one["added"], one["retired"]) for one in versions] == [
            (3, 2, 1, 0), (2, 1, 1, 2), (1, 2, 2, 0),
        ]  # fmt: skip
        details = (await api.get(index, headers=viewer)).json()
        assert (details["version"], details["entries"], details["has_vectors"]) == (3, 2, True)

    async def test_additions_at_the_same_time_make_versions_one_after_the_other(self, add, api, viewer, index):
        made = await asyncio.gather(*(add(record(f"r{n}", f"문서 {n}")) for n in range(5)))
        assert sorted(made) == [1, 2, 3, 4, 5]
        assert (await api.get(index, headers=viewer)).json()["entries"] == 5


class TestSearch:
    async def test_korean_is_found_whatever_its_particles(self, add, find):
        await add(record("a", "네트워크 어댑터를 재시작합니다."), record("b", "급여 명세서를 발급합니다."))
        for query in ("네트워크가", "어댑터에서는", "재시작했어요", "NETWORK 말고 네트워크"):
            assert names(await find(query, method="text")) == ["a"]

    async def test_each_hit_says_which_method_found_it_where(self, add, find):
        await add(record("a", "disk full on node-07"), record("b", "password reset"))
        found = await find("node-07 disk")
        assert found["methods"] == ["text", "vector"]
        assert found["left_out"] is None
        assert found["items"][0]["ranks"] == {"text": 1, "vector": 1}
        assert found["items"][0]["score"] == pytest.approx(2 / 61)
        assert "text" not in found["items"][1]["ranks"]

    async def test_metadata_narrows_and_pages_part(self, add, find):
        await add(*(record(f"r{n}", f"server log {n}", 대분류="서버" if n % 2 else "메일", level=n) for n in range(10)))
        everything = await find("server log", limit=100)
        assert everything["total"] == 10
        odd = await find("server log", metadata={"대분류": "서버"}, limit=100)
        assert {hit["metadata"]["대분류"] for hit in odd["items"]} == {"서버"}
        assert odd["total"] == 5
        assert names(await find("server log", metadata={"대분류": "서버", "level": 3})) == ["r3"]
        assert names(await find("server log", limit=3, offset=4)) == names(everything)[4:7]

    @pytest.mark.parametrize(
        "query", ["'", "a'b\\", "\\'; DROP TABLE x", "& | ! <->", ":*", "\u0000가\u202e", "💥", "힣" * 2000]
    )
    @pytest.mark.parametrize("method", ["text", "vector", "fused"])
    async def test_any_query_is_answered(self, add, find, query, method):
        await add(record("a", "it's a \\ path: C:\\temp & 'quoted' | x:*"))
        await find(query, method=method)

    async def test_personal_data_is_masked_unless_the_index_keeps_it(self, add, find, api, engineer):
        await add(record("a", "장애 연락처는 010-1234-5678 입니다"))
        assert "1234-5678" not in (await find("장애 연락처"))["items"][0]["text"]
        plain = (await api.post(PREFIX, headers=engineer, json={"name": "plain", "masked": False})).headers["location"]
        await api.post(f"{plain}/records", headers=engineer, json={"records": [record("a", "장애 010-1234-5678")]})
        found = (await api.post(f"{plain}/search", headers=engineer, json={"query": "장애"})).json()
        assert "010-1234-5678" in found["items"][0]["text"]


class TestEvaluation:
    async def test_measures_each_method_and_keeps_it(self, add, api, engineer, index):
        await add(record("a", "disk full"), record("b", "password reset"))
        body = {
            "queries": [{"query": "disk", "relevant": ["a"]}, {"query": "password", "relevant": ["b"]}],
            "cutoffs": [1],
        }
        answer = await api.post(f"{index}/evaluate", headers=engineer, json=body)
        assert answer.json()["results"]["text"] == {"recall_at": {"1": 1.0}, "mrr": 1.0, "ndcg_at": {"1": 1.0}}
        assert set(answer.json()["results"]) == {"text", "vector", "fused"}

    async def test_a_label_that_names_nothing_is_refused(self, add, api, engineer, index):
        await add(record("a", "disk full"))
        body = {"queries": [{"query": "disk", "relevant": ["zz"]}]}
        answer = await api.post(f"{index}/evaluate", headers=engineer, json=body)
        assert (answer.status_code, answer.json()["code"]) == (422, "knowledge.unknown-record")


class TestWithoutParts:
    async def test_without_pgvector_text_alone_is_searched_and_that_is_said(
        self, text_world, add, find, api, viewer, index
    ):
        await text_world.execute("DROP TABLE dataset.knowledge_vectors")
        await add(record("a", "disk full"))
        found = await find("disk")
        assert (names(found), found["methods"]) == (["a"], ["text"])
        assert "pgvector" in found["left_out"]
        answer = await api.post(f"{index}/search", headers=viewer, json={"query": "disk", "method": "vector"})
        assert (answer.status_code, answer.json()["code"]) == (409, "knowledge.no-vectors")

    async def test_while_the_embeddings_are_away_text_alone_is_searched(self, text_world, analysts):
        settings = EndpointSettings(base_url="http://model/v1", model="e", key=SecretStr("k"), first_delay_s=0)
        transport = httpx.MockTransport(lambda _: httpx.Response(503))
        away = Analysts(
            morphology=analysts.morphology, embedder=EndpointEmbedder(ModelEndpoint(settings, transport=transport))
        )
        found = await away.analyse(["disk"], embedding="model:e", needs_vectors=False)
        assert (found.queries[0].terms, found.queries[0].vector) == (("disk",), [])
        assert found.without_vectors == "the model's endpoint does not answer"
        other = await away.analyse(["disk"], embedding="hashing-256-v1", needs_vectors=False)
        assert other.without_vectors is not None

    async def test_an_index_keeps_to_its_embedding(self, text_world, add, api, engineer, index):
        await text_world.execute("UPDATE dataset.knowledge_indexes SET embedding = 'model:other'")
        answer = await api.post(f"{index}/records", headers=engineer, json={"records": [record("a", "x")]})
        assert (answer.status_code, answer.json()["code"]) == (409, "knowledge.other-embedding")


class TestRefusals:
    @pytest.mark.parametrize(
        "body",
        [
            {"records": [record("a", "x"), record("a", "y")]}, {}, {"records": [record("a b", "x")]}, {"records": [record("a", "")]},
            {"records": [record("a", "x" * 20_001)]}, {"records": [record("a", "x\0")]}, {"records": [record("a", "x", n=None)]},
            {"records": [record("a", "x", n=1 << 60)]}, {"records": [record("a", "x", n=[1])]},
        ],
    )  # fmt: skip
    async def test_records_that_do_not_fit(self, api, engineer, index, body):
        answer = await api.post(f"{index}/records", headers=engineer, json=body)
        assert answer.status_code == 422
        assert answer.headers["content-type"] == "application/problem+json"

    async def test_json_that_python_reads_and_databases_do_not(self, api, engineer, index):
        for value in (b'"\\ud800"', b"NaN", b"1e999"):
            content = b'{"records": [{"record_id": "a", "text": "x", "metadata": {"n": ' + value + b"}}]}"
            answer = await api.post(
                f"{index}/records", headers=engineer | {"content-type": "application/json"}, content=content
            )
            assert answer.status_code == 422, value

    async def test_a_name_is_taken_once(self, api, engineer, index):
        answer = await api.post(PREFIX, headers=engineer, json={"name": "kb"})
        assert (answer.status_code, answer.json()["code"]) == (409, "knowledge.name-taken")

    async def test_what_is_not_there(self, api, engineer, viewer, index):
        for path in READS[1:]:
            answer = await api.get(PREFIX + path, headers=viewer)
            assert (answer.status_code, answer.json()["code"]) == (404, "knowledge.index-not-found")
        answer = await api.post(f"{index}/search", headers=viewer, json={"query": "x", "version": 1})
        assert (answer.status_code, answer.json()["code"]) == (404, "knowledge.version-not-found")
        answer = await api.post(f"{index}/documents", headers=engineer, json={"document_ids": ["nope"]})
        assert (answer.status_code, answer.json()["code"]) == (404, "document.not-found")

    async def test_a_path_that_no_database_can_be_asked_for(self, api, viewer):
        for path in (
            f"{PREFIX}/%00",
            "/api/v1/admin/training/documents/%00",
            "/api/v1/admin/training/documents/generations/%00",
        ):
            assert (await api.get(path, headers=viewer)).status_code == 422

    async def test_deleting_takes_every_version(self, text_world, api, engineer, add, index):
        await add(record("a", "x"))
        assert (await api.delete(index, headers=engineer)).status_code == 204
        assert (await api.delete(index, headers=engineer)).status_code == 404
        for table in ("knowledge_entries", "knowledge_vectors", "knowledge_versions"):
            assert await text_world.rows(table) == []


class TestWhoMayComeIn:
    async def test_viewers_read_and_engineers_write(self, api, viewer):
        for path in READS:
            assert (await api.get(PREFIX + path)).status_code == 401
        for path in WRITES:
            assert (await api.post(PREFIX + path, json={})).status_code == 401
            assert (await api.post(PREFIX + path, headers=viewer, json={})).status_code == 403
        assert (await api.delete(f"{PREFIX}/x", headers=viewer)).status_code == 403
        assert (await api.post(f"{PREFIX}/x/search", json={"query": "x"})).status_code == 401


class TestSpeed:
    async def test_vectors_and_terms_are_those_of_the_analysts(self, text_world, analysts, add):
        await add(record("a", "서버가 멈췄습니다"))
        [entry] = await analysts.prepare(
            [Record(record_id="a", title="", text="서버가 멈췄습니다", facts={})],
            masked=False,
            embedding="hashing-256-v1",
        )
        async with text_world.database.engine.connect() as connection:
            terms = (
                await connection.execute(sa.text("SELECT tsvector_to_array(terms) FROM dataset.knowledge_entries"))
            ).scalar_one()
        assert sorted(set(entry.terms)) == sorted(terms)
