"""A trainer-svc in parts over real PostgreSQL and storage; what it says lies in the outbox."""

import asyncio
import itertools
import json
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import sqlalchemy as sa
from pydantic import JsonValue, SecretStr

from loopwright.broker import Consumer, KafkaRecord, RetryPolicy
from loopwright.contracts.base import Event
from loopwright.contracts.datasets import DatasetValidated, Split
from loopwright.contracts.envelope import Envelope
from loopwright.contracts.jobs import JobFinished, JobRequested, TrainingData
from loopwright.contracts.registry import DATASET_VALIDATED, JOB_FINISHED, JOB_REQUESTED, TASK_DEFINED, Party, Topic
from loopwright.contracts.tasks import TaskDefined
from loopwright.database import Database
from loopwright.settings import CommonSettings
from loopwright.storage import Storage
from loopwright.testing.examples import an_event
from loopwright.testing.records import a_record
from loopwright.testing.waiting import eventually
from loopwright.unit_of_work import PostgresWork
from trainer_svc.adapters.machines import LocalLauncher
from trainer_svc.adapters.tracking import MlflowRuns
from trainer_svc.domain.installed import Installed
from trainer_svc.events import build_events
from trainer_svc.jobs.bench import Bench, Tools
from trainer_svc.jobs.worker import Worker
from trainer_svc.store.tables import messaging, metadata

TASK, BASE = "mood", "tiny"
MODELS = {BASE: Path("tiny-model")}
Script = list[dict[str, JsonValue]]


def a_task(version: int = 1, *, training: JsonValue = None, **changes: JsonValue) -> TaskDefined:
    standard: dict[str, JsonValue] = {"task_id": TASK, "version": version, "base_model": BASE}
    policy: JsonValue = training if training is not None else {"auto": True, "hyperparameters": {"lora_rank": 4}}
    return an_event(TASK_DEFINED, **(standard | {"training": policy} | changes))


def a_version(number: int = 1, **changes: JsonValue) -> DatasetValidated:
    standard: dict[str, JsonValue] = {"task_id": TASK, "version": number, "version_id": f"dsv-{number}"}
    return an_event(DATASET_VALIDATED, **(standard | changes))


def a_request(number: int = 1, **changes: JsonValue) -> JobRequested:
    """A job that was asked for `number` minutes after noon."""
    standard: dict[str, JsonValue] = {
        "job_id": f"job-{number}", "task_id": TASK, "base_model": BASE, "objective": "sft", "method": "lora",
        "requested_at": f"2026-11-21T12:{number:02}:00Z",
    }  # fmt: skip
    return an_event(JOB_REQUESTED, **(standard | changes))


class World:
    """Everything that a test of trainer-svc touches.

    Args:
        url: What the service reaches PostgreSQL by; a gate stands before it.
        direct_url: What the test reaches it by.
    """

    def __init__(self, url: str, *, direct_url: str, storage_uri: str, work_dir: Path) -> None:
        self.url = url
        self.storage_uri = storage_uri
        self.work_dir = work_dir
        self.installed = Installed(folders=MODELS)
        self.database = Database(url, metadata, messaging)
        self.direct = Database(direct_url, metadata, messaging)
        self.work = PostgresWork(self.database, Party.TRAINER)
        self.storage = Storage(storage_uri)
        self.stopped: list[BaseException] = []
        self._offsets = itertools.count()

    async def hand(self, *incoming: Event, envelope: Envelope | None = None, attempts: int = 2) -> None:
        """Brings events through the consumer, each in its own envelope unless one is given."""
        for event in incoming:
            await self.consume(a_record(event, envelope=envelope, offset=next(self._offsets)), attempts=attempts)

    async def consume(self, record: KafkaRecord, *, attempts: int = 2) -> None:
        policy = RetryPolicy(attempts=attempts, first_delay_s=0.05)
        consumer = Consumer(Party.TRAINER, self.database, policy=policy, on_stop=self.stopped.append)
        for subscription in build_events(self.installed).subscriptions:
            if subscription.topic.name == record.topic:
                await consumer.consume_record(subscription, record)

    async def a_scripted_job(self, *script: dict[str, JsonValue], number: int = 1, **changes: JsonValue) -> str:
        """A queued job whose process will do what a script says (see `scripted_recipe`); returns its id."""
        lines = "\n".join(json.dumps(entry) for entry in script).encode()
        return await self.a_job(lines, number=number, **changes)

    async def a_job(
        self, train: bytes, *, number: int = 1, validation: bytes | None = None, **changes: JsonValue
    ) -> str:
        """A queued job that learns from these lines; returns its id."""
        splits = [await self._split(content) for content in (train, validation or b"", b"held out")]
        data = TrainingData(
            dataset_id="ds", version_id="dsv", train=splits[0], validation=splits[1], held_out=splits[2]
        )
        request = a_request(number, training_data=data.model_dump(mode="json"), **changes)
        await self.hand(request)
        return request.job_id

    async def _split(self, content: bytes) -> Split:
        artifact = await self.storage.put_bytes(content, kind="datasets", suffix=".jsonl", media_type="text/plain")
        return Split(artifact=artifact, samples=len(content.splitlines()))

    def bench(self, **changes: object) -> Bench:
        standard = Bench(
            owner="here", work_dir=self.work_dir, installed=self.installed, slots=("cpu:0",), most_jobs=2,
            lease=timedelta(seconds=2), keep_after=timedelta(minutes=5), max_attempts=3, grace_s=5, cpu_threads=1,
            recipe="scripted_recipe",
        )  # fmt: skip
        return replace(standard, **changes)

    @asynccontextmanager
    async def worker(self, *, mlflow_uri: str = "http://127.0.0.1:9", **changes: object) -> AsyncGenerator[Worker]:
        """A worker at work; on leaving it is stopped in order, as the service does it."""
        common = CommonSettings(database_url=SecretStr(self.url), storage_uri=self.storage_uri, mlflow_uri=mlflow_uri)
        tools = Tools(
            bench=self.bench(**changes), common=common, work=self.work, storage=self.storage,
            runs=MlflowRuns(common.mlflow_uri), launcher=LocalLauncher(self.work_dir),
        )  # fmt: skip
        worker = Worker(tools)
        running = asyncio.create_task(worker.run())
        try:
            yield worker
            assert not running.done(), repr(running.exception())
        finally:
            running.cancel()
            with suppress(asyncio.CancelledError):
                await running

    async def job(self, job_id: str = "job-1") -> sa.RowMapping:
        (row,) = await self.rows(sa.select(metadata.tables["trainer.jobs"]).filter_by(job_id=job_id))
        return row

    async def ended(self, job_id: str = "job-1", *, timeout_s: float = 60) -> sa.RowMapping:
        """The job once it has ended."""

        async def look() -> sa.RowMapping | None:
            row = await self.job(job_id)
            return row if row["finished_at"] else None

        row = await eventually(look, timeout_s=timeout_s)
        assert row is not None
        return row

    async def reached(self, step: int, job_id: str = "job-1", *, timeout_s: float = 60) -> sa.RowMapping:
        """The job once it runs and has done so many steps."""

        async def look() -> sa.RowMapping | None:
            row = await self.job(job_id)
            return row if row["state"] == "running" and row["step"] >= step else None

        row = await eventually(look, timeout_s=timeout_s)
        assert row is not None
        return row

    async def finished(self) -> list[JobFinished]:
        return await self.announced(JOB_FINISHED)

    async def announced(self, topic: Topic[Event]) -> list[Event]:
        """What was said on a topic, oldest first."""
        return [topic.event.model_validate_json(row["value"]) for row in await self._outbox(topic.name)]

    async def trace_ids(self, topic: Topic[Event]) -> list[str]:
        headers = [dict(row["headers"]) for row in await self._outbox(topic.name)]
        return [fields["traceparent"].split("-")[1] for fields in headers]

    async def dead_letters(self, topic: Topic[Event]) -> list[str]:
        """Codes of the dead letters of a topic."""
        return [dict(row["headers"])["dlq_code"] for row in await self._outbox(topic.dead_letter_name)]

    async def _outbox(self, topic_name: str) -> list[sa.RowMapping]:
        outbox = messaging.outbox
        return await self.rows(sa.select(outbox).where(outbox.c.topic == topic_name).order_by(outbox.c.id))

    async def rows(self, query: sa.Select[*tuple[object, ...]]) -> list[sa.RowMapping]:
        async with self.direct.engine.connect() as connection:
            return list((await connection.execute(query)).mappings())

    async def table(self, name: str) -> list[sa.RowMapping]:
        """A whole table of the schema, in no order."""
        return await self.rows(sa.select(metadata.tables[f"trainer.{name}"]))

    async def set_job(self, job_id: str = "job-1", **values: object) -> None:
        """Changes a row behind the service's back."""
        async with self.direct.engine.begin() as connection:
            table = metadata.tables["trainer.jobs"]
            await connection.execute(sa.update(table).where(table.c.job_id == job_id).values(**values))

    async def close(self) -> None:
        await self.database.close()
        await self.direct.close()
