"""Documents and knowledge bases over real PostgreSQL, the real analyser, and a model that answers as a test wants."""

import json
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from types import SimpleNamespace

import httpx
import pytest
import pytest_asyncio
import sqlalchemy as sa
from pydantic import SecretStr

from dataset_svc.adapters.document_texts import DocumentTexts
from dataset_svc.adapters.embeddings import HashingEmbedder
from dataset_svc.adapters.model_endpoint import EndpointSettings, ModelEndpoint
from dataset_svc.adapters.morphology import Morphology
from dataset_svc.adapters.pair_writer import PairWriter
from dataset_svc.api import documents, knowledge
from dataset_svc.api.text_doors import TextDoorway
from dataset_svc.handlers.knowledge_entries import Analysts
from dataset_svc.jobs.generations import Generations
from dataset_svc.store.knowledge_tables import Base
from dataset_svc.store.tables import tables
from loopwright.contracts.registry import Party
from loopwright.database import Database
from loopwright.sealed_columns import ColumnKeys
from loopwright.service import Service
from loopwright.settings import CommonSettings
from loopwright.storage import Storage
from loopwright.testing.tokens import AUDIENCE, ISSUER, TokenMint
from loopwright.unit_of_work import PostgresWork

FOLDER = "services/dataset-svc"
Pairs = Sequence[dict[str, str]]


class Model:
    """A language model as the network shows it.

    Attributes:
        answer: What it answers to a prompt.
        prompts: What it was asked.
    """

    def __init__(self) -> None:
        self.answer: Callable[[str], httpx.Response | Awaitable[httpx.Response]] = lambda _: self.says()
        self.prompts: list[str] = []

    def says(self, *pairs: dict[str, str]) -> httpx.Response:
        content = json.dumps({"pairs": pairs}, ensure_ascii=False)
        return httpx.Response(200, json={"choices": [{"message": {"content": content}, "finish_reason": "stop"}]})

    async def handle(self, request: httpx.Request) -> httpx.Response:
        prompt = json.loads(request.content)["messages"][-1]["content"]
        self.prompts.append(prompt)
        answer = self.answer(prompt)
        return answer if isinstance(answer, httpx.Response) else await answer


class TextWorld:
    """What a test of documents and knowledge bases touches."""

    def __init__(self, database: Database, storage_uri: str, analysts: Analysts) -> None:
        self.database = database
        self.work = PostgresWork(database, Party.DATASET)
        self.storage = Storage(storage_uri)
        self.analysts = analysts
        self.model = Model()
        self.generations = self.worker()

    def worker(self, *, attempts: int = 5) -> Generations:
        settings = EndpointSettings(base_url="http://model/v1", model="writer", first_delay_s=0, attempts=2)
        endpoint = ModelEndpoint(settings, transport=httpx.MockTransport(self.model.handle))
        return Generations(work=self.work, storage=self.storage, writer=PairWriter(endpoint), attempts=attempts)

    async def rows(self, table: str) -> list[SimpleNamespace]:
        async with self.database.engine.connect() as connection:
            found = await connection.execute(sa.text(f"SELECT * FROM dataset.{table} ORDER BY 1"))
            return [SimpleNamespace(**row) for row in found.mappings()]

    async def execute(self, statement: str) -> None:
        async with self.database.engine.begin() as connection:
            await connection.execute(sa.text(statement))


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def analysts() -> AsyncGenerator[Analysts]:
    """One analyser for all tests: its process takes seconds to start."""
    found = Analysts(morphology=Morphology(), embedder=HashingEmbedder())
    yield found
    await found.close()


@pytest_asyncio.fixture(loop_scope="session")
async def text_world(
    migrated_database, storage_uri: str, analysts: Analysts, column_keys: ColumnKeys | None
) -> AsyncGenerator[TextWorld]:
    database = Database(await migrated_database((FOLDER,)), Base.metadata, tables, column_keys=column_keys)
    yield TextWorld(database, storage_uri, analysts)
    await database.close()


@pytest_asyncio.fixture(loop_scope="session")
async def api(
    text_world: TextWorld, storage_uri: str, mint: TokenMint, tmp_path: Path
) -> AsyncGenerator[httpx.AsyncClient]:
    """The HTTP door of both, as `main.py` wires it."""
    jwks = tmp_path / "jwks.json"
    jwks.write_text(mint.jwks)
    common = CommonSettings(
        database_url=SecretStr(text_world.database.url), kafka_bootstrap="127.0.0.1:1", storage_uri=storage_uri,
        auth_jwks_file=jwks, auth_issuer=ISSUER, auth_audience=AUDIENCE,
    )  # fmt: skip
    service = Service(Party.DATASET, common, database=text_world.database)
    service.app.state.text_doorway = TextDoorway(
        work=text_world.work, documents=DocumentTexts(), analysts=text_world.analysts, pair_model="writer",
        max_document_bytes=1 << 20,
    )  # fmt: skip
    service.add_routes(documents.routes)
    service.add_routes(knowledge.routes)
    async with _client(service) as client:
        yield client


@asynccontextmanager
async def _client(service: Service) -> AsyncGenerator[httpx.AsyncClient]:
    transport = httpx.ASGITransport(app=service.app)
    async with httpx.AsyncClient(transport=transport, base_url="http://dataset") as client:
        yield client


@pytest.fixture(scope="session")
def mint() -> TokenMint:
    return TokenMint()


@pytest.fixture
def viewer(mint: TokenMint) -> dict[str, str]:
    return mint.header("viewer")


@pytest.fixture
def engineer(mint: TokenMint) -> dict[str, str]:
    return mint.header("engineer")
