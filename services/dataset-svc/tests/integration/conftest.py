"""dataset-svc in parts over real PostgreSQL and a storage folder, and whole over real Kafka as well."""

import hashlib
import json
import uuid
from collections.abc import AsyncGenerator, Callable, Generator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from types import SimpleNamespace

import httpx
import pytest
import pytest_asyncio
import sqlalchemy as sa
from pydantic import JsonValue, SecretStr

from dataset_svc.adapters.build_process import BuildProcess
from dataset_svc.adapters.version_packs import VersionPacks
from dataset_svc.events import events
from dataset_svc.jobs.builds import BuildLimits, Builds, Workshop
from dataset_svc.main import build
from dataset_svc.settings import Settings
from dataset_svc.store.questions import list_questions
from dataset_svc.store.tables import metadata, tables
from loopwright.broker import Consumer, KafkaRecord, RetryPolicy
from loopwright.contracts.base import Artifact, Event
from loopwright.contracts.datasets import DatasetRequested
from loopwright.contracts.registry import DATASET_REQUESTED, Party, Topic
from loopwright.database import Database
from loopwright.sealed_columns import ColumnKeys
from loopwright.service import Service
from loopwright.settings import CommonSettings
from loopwright.storage import Storage
from loopwright.testing.examples import an_event
from loopwright.testing.tokens import AUDIENCE, ISSUER, TokenMint
from loopwright.unit_of_work import PostgresWork

TASK = "log-anomaly"
PREFIX = "/api/v1/admin/training/datasets"
LINES_OF_A_SOURCE = 60
LineBuilder = Callable[..., bytes]


class World:
    """Everything that a test of dataset-svc touches."""

    def __init__(self, database: Database, storage_uri: str, a_line: LineBuilder, process: BuildProcess) -> None:
        self.database = database
        self.work = PostgresWork(database, Party.DATASET)
        self.storage = Storage(storage_uri)
        self.a_line = a_line
        self.workshop = Workshop(storage=self.storage, packs=VersionPacks(self.storage), process=process)
        self.builds = self.builds_with()
        self.stopped: list[BaseException] = []
        policy = RetryPolicy(attempts=2, first_delay_s=0.01)
        self.consumer = Consumer(Party.DATASET, database, policy=policy, on_stop=self.stopped.append)

    def builds_with(self, *, attempts: int = 10, max_source_bytes: int = 1 << 20) -> Builds:
        limits = BuildLimits(
            max_source_bytes=max_source_bytes, max_unpacked_bytes=1 << 24, max_line_bytes=10_000, attempts=attempts
        )
        return Builds(self.work, self.workshop, limits)

    def lines(self, count: int = LINES_OF_A_SOURCE, *, first: int = 0, **changes: JsonValue) -> list[bytes]:
        """Lines that are no duplicates; every tenth comes from the unit `u0`, and so on."""
        return [self._line(number, **changes) for number in range(first, first + count)]

    def _line(self, number: int, **changes: JsonValue) -> bytes:
        question = f"node {hashlib.sha256(str(number).encode()).hexdigest()} went down"
        fields: dict[str, JsonValue] = {"sample_id": f"s{number}", "unit_hash": f"u{number % 10}", "inference_id": f"i{number}", "rating_ids": [f"r{number}"]}  # fmt: skip
        return self.a_line(question, **(fields | changes))

    async def export(self, lines: Sequence[bytes]) -> Artifact:
        return await self.storage.put_bytes(
            b"".join(lines), kind="exports", suffix=".jsonl", media_type="application/jsonl"
        )

    async def request(self, lines: Sequence[bytes] | None = None, **changes: JsonValue) -> DatasetRequested:
        source = await self.export(self.lines() if lines is None else lines)
        fields: dict[str, JsonValue] = {
            "request_id": f"req-{uuid.uuid4().hex}",
            "source": source.model_dump(mode="json"),
            "sample_count": len(lines or ()) or LINES_OF_A_SOURCE,
            "data_policy": {"min_samples": 5},
        }
        return an_event(DATASET_REQUESTED, **(fields | changes))

    async def consume(self, topic: Topic[Event], record: KafkaRecord) -> None:
        [subscription] = [one for one in events.subscriptions if one.topic is topic]
        await self.consumer.consume_record(subscription, record)

    async def build_all(self) -> None:
        while await self.builds.build_next():
            pass

    async def rows(self, table: str, *, order_by: str = "1") -> list[SimpleNamespace]:
        async with self.database.engine.connect() as connection:
            found = await connection.execute(sa.text(f"SELECT * FROM dataset.{table} ORDER BY {order_by}"))
            return [SimpleNamespace(**row) for row in found.mappings()]

    async def execute(self, statement: str) -> None:
        async with self.database.engine.begin() as connection:
            await connection.execute(sa.text(statement))

    async def questions(self) -> list[str]:
        """What the datasets remember as asked."""
        async with self.work() as unit:
            found = [await list_questions(unit.session, row.dataset_id) for row in await self.rows("datasets")]
        return [one.text for own in found for one in own]

    async def announced(self, topic: Topic[Event]) -> list[Event]:
        """What lies in the outbox for a topic."""
        rows = await self.rows("outbox", order_by="id")
        return [topic.event.model_validate_json(row.value) for row in rows if row.topic == topic.name]

    async def dead_letters(self, topic: Topic[Event]) -> list[dict[str, str]]:
        """Headers of what lies in the outbox for a dead-letter topic."""
        rows = await self.rows("outbox", order_by="id")
        return [dict(row.headers) for row in rows if row.topic == topic.dead_letter_name]

    async def split(self, split: dict[str, JsonValue]) -> list[dict[str, JsonValue]]:
        """Samples of one part, given its column."""
        content = await self.storage.read_bytes(Artifact.model_validate(split["artifact"]))
        return [json.loads(line) for line in content.splitlines()]


@pytest.fixture
def column_keys() -> ColumnKeys | None:
    """What columns are sealed with; modules that want them sealed say so."""
    return None


@pytest_asyncio.fixture(loop_scope="session")
async def dataset_database(migrated_database, column_keys: ColumnKeys | None) -> AsyncGenerator[Database]:
    url = await migrated_database(("services/dataset-svc",))
    database = Database(url, metadata, tables, column_keys=column_keys)
    yield database
    await database.close()


@pytest.fixture(scope="session")
def build_process() -> Generator[BuildProcess]:
    process = BuildProcess(helpers=0)
    yield process
    process.close()


@pytest.fixture
def world(dataset_database: Database, storage_uri: str, a_line: LineBuilder, build_process: BuildProcess) -> World:
    return World(dataset_database, storage_uri, a_line, build_process)


@pytest.fixture(scope="session")
def mint() -> TokenMint:
    return TokenMint()


@pytest.fixture
def make_service(world: World, storage_uri: str, mint: TokenMint, tmp_path: Path) -> Callable[..., Service]:
    """Function that builds the whole service over the test's database; Kafka is away unless it is named."""

    def make(bootstrap: str = "127.0.0.1:1", **settings: int) -> Service:
        jwks = tmp_path / "jwks.json"
        jwks.write_text(mint.jwks)
        common = CommonSettings(
            database_url=SecretStr(world.database.url),
            kafka_bootstrap=bootstrap,
            storage_uri=storage_uri,
            auth_jwks_file=jwks,
            auth_issuer=ISSUER,
            auth_audience=AUDIENCE,
        )
        return build(common, Settings(**settings))

    return make


@pytest_asyncio.fixture(loop_scope="session")
async def api(make_service: Callable[..., Service]) -> AsyncGenerator[httpx.AsyncClient]:
    """The service's HTTP door without its background work."""
    async with door_of(make_service(max_upload_bytes=100_000)) as client:
        yield client


@asynccontextmanager
async def door_of(service: Service) -> AsyncGenerator[httpx.AsyncClient]:
    transport = httpx.ASGITransport(app=service.app)
    async with httpx.AsyncClient(transport=transport, base_url="http://dataset") as client:
        yield client
    assert service.database is not None
    await service.database.close()
