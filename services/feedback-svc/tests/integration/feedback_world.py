"""A feedback-svc in parts over real PostgreSQL: events come through the consumer as from Kafka, what it says lies in the outbox."""

import itertools
import json
import uuid
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import sqlalchemy as sa
from pydantic import JsonValue

from feedback_svc.domain.reports import Report
from feedback_svc.events import build_events
from feedback_svc.jobs.experiments import Decider
from feedback_svc.jobs.exports import ErasedExports, Exporter
from feedback_svc.jobs.retraining import RetrainingTimer
from feedback_svc.queries.experiments import show_results
from feedback_svc.store.tables import data_keys, messaging, metadata
from loopwright.broker import Consumer, KafkaRecord, RetryPolicy
from loopwright.contracts.base import Artifact, Event, JsonObject
from loopwright.contracts.datasets import UserErased
from loopwright.contracts.deployments import DeploymentChanged
from loopwright.contracts.envelope import Envelope, seal
from loopwright.contracts.inferences import InferenceCompleted, InferenceRated
from loopwright.contracts.models import ModelEvaluated
from loopwright.contracts.registry import (
    DEPLOYMENT_CHANGED,
    INFERENCE_COMPLETED,
    INFERENCE_RATED,
    MODEL_EVALUATED,
    TASK_DEFINED,
    USER_ERASED,
    Party,
    Topic,
    topic_of,
)
from loopwright.contracts.tasks import TaskDefined
from loopwright.database import Database
from loopwright.sealed_columns import ColumnKeys, ColumnOpener
from loopwright.sealing import KeyFile
from loopwright.storage import Storage
from loopwright.testing.examples import an_event, example_payload
from loopwright.testing.records import a_record
from loopwright.unit_of_work import PostgresWork

TASK = "mood"
BASE, CANDIDATE = "tiny-base:1", "mood:1"
NOON = datetime(2026, 11, 21, 12, tzinfo=UTC)
SMALL: dict[str, JsonValue] = {
    "candidate_share_0_1": 0.5, "min_users_per_arm": 4, "planned_users": 10, "max_users": 40, "alpha": 0.05,
}  # fmt: skip


def at(minute: float) -> str:
    """A moment in minutes after noon, as events carry it."""
    return (NOON + timedelta(minutes=minute)).isoformat()


def a_task(version: int = 1, *, rollout: JsonObject | None = None, retraining: JsonObject | None = None,
           **changes: JsonValue) -> TaskDefined:  # fmt: skip
    standard: dict[str, JsonValue] = {
        "task_id": TASK,
        "version": version,
        "rollout": SMALL | (rollout or {}),
        "retraining": {"min_new_samples": 1000, "min_stars": 4, "cooldown_s": 0, "patience_s": 0} | (retraining or {}),
    }
    return an_event(TASK_DEFINED, **(standard | changes))


def an_inference(number: int = 1, **changes: JsonValue) -> InferenceCompleted:
    standard: dict[str, JsonValue] = {
        "inference_id": f"inf-{number}", "task_id": TASK, "experiment_id": None, "variant_id": BASE,
        "served_variant_id": BASE, "unit_hash": f"unit-{number}", "input": f"line {number}",
        "messages": [{"role": "system", "content": "Judge."}, {"role": "user", "content": f"Line: line {number}"}],
        "answer": f"answer {number}", "completed_at": at(0), "arm": None, "epoch": None,
    }  # fmt: skip
    return an_event(INFERENCE_COMPLETED, **(standard | changes))


def a_rating(number: int = 1, value: float | None = 5, *, minute: float = 1, **changes: JsonValue) -> InferenceRated:
    """A rating of inference `number` by its own unit; its id is new unless given."""
    standard: dict[str, JsonValue] = {
        "rating_id": f"rat-{uuid.uuid4().hex[:12]}", "inference_id": f"inf-{number}", "task_id": TASK,
        "experiment_id": None, "variant_id": BASE, "unit_hash": f"unit-{number}", "rater_hash": f"unit-{number}",
        "metric": "stars", "value": value, "comment": None, "correction": None, "rated_at": at(minute),
        "arm": None, "epoch": None,
    }  # fmt: skip
    return an_event(INFERENCE_RATED, **(standard | changes))


def a_variant(variant_id: str) -> JsonObject:
    template = example_payload(MODEL_EVALUATED)["champion"]
    assert isinstance(template, dict)
    return template | {"variant_id": variant_id, "task_id": TASK}


def an_evaluation(
    number: int = 1, *, candidate: str = CANDIDATE, champion: str = BASE, minute: float = 0, **changes: JsonValue
) -> ModelEvaluated:
    standard: dict[str, JsonValue] = {
        "evaluation_id": f"eva-{number}", "task_id": TASK, "candidate": a_variant(candidate),
        "champion": a_variant(champion), "passed": True, "evaluated_at": at(minute),
    }  # fmt: skip
    return an_event(MODEL_EVALUATED, **(standard | changes))


def a_deployment(revision: int, champion: str, *candidates: str, minute: float) -> DeploymentChanged:
    def deployed(variant_id: str) -> JsonObject:
        return {"variant": a_variant(variant_id), "backend_urls": ["http://127.0.0.1:1"]}

    return an_event(
        DEPLOYMENT_CHANGED, task_id=TASK, revision=revision, champion=deployed(champion),
        candidates=[deployed(candidate) for candidate in candidates], changed_at=at(minute),
    )  # fmt: skip


def an_erasure(unit: str = "unit-1", **changes: JsonValue) -> UserErased:
    return an_event(USER_ERASED, unit_hash=unit, **changes)


Row = Mapping[str, Any]
SEALED = {
    "inferences": ("content",),
    "ratings": ("remarks",),
    "samples": ("lesson",),
    "upstream_records": ("content",),
    "sample_reviews": ("note",),
}


class World:
    """Everything that a test of feedback-svc touches.

    Args:
        url: What the service reaches PostgreSQL by; a gate stands before it.
        direct_url: What the test reaches it by.
        keys: What words and objects are sealed with; without it they lie plain.
    """

    def __init__(self, url: str, *, direct_url: str, storage_uri: str, keys: KeyFile | None = None) -> None:
        self.url = url
        self.direct_url = direct_url
        self.storage_uri = storage_uri
        self.column_keys = ColumnKeys(data_keys, keys)
        self.database = Database(url, metadata, messaging, column_keys=self.column_keys)
        self.direct = Database(direct_url, metadata, messaging, column_keys=self.column_keys)
        self.work = PostgresWork(self.database, Party.FEEDBACK)
        self.storage = Storage(storage_uri, keys)
        self.exporter = Exporter(self.work, self.storage, poll_s=0.05)
        self.erased_exports = ErasedExports(self.work, self.storage)
        self.decider = self.a_decider()
        self.timer = RetrainingTimer(self.work, every_s=0.05)
        self.events = build_events(None)
        self.stopped: list[BaseException] = []
        self._offsets = itertools.count()

    def consumer(self, *, attempts: int = 2) -> Consumer:
        policy = RetryPolicy(attempts=attempts, first_delay_s=0.05)
        return Consumer(Party.FEEDBACK, self.database, policy=policy, on_stop=self.stopped.append)

    async def hand(self, *incoming: Event, envelope: Envelope | None = None, attempts: int = 2) -> None:
        """Brings events through the consumer, each in its own envelope unless one is given."""
        for event in incoming:
            await self.consume(a_record(event, envelope=envelope, offset=next(self._offsets)), attempts=attempts)

    async def hand_together(self, incoming: Sequence[Event]) -> None:
        """Brings events of one topic through the consumer as they come from one fetch."""
        await self.consume_together([a_record(event, offset=offset) for offset, event in enumerate(incoming)])

    async def hand_in_trace(self, event: Event, traceparent: str) -> None:
        topic = topic_of(event)
        envelope = seal(topic, source=topic.producers[0], cause=None, traceparent=traceparent)
        await self.hand(event, envelope=envelope)

    async def consume(self, record: KafkaRecord, *, attempts: int = 2) -> None:
        consumer = self.consumer(attempts=attempts)
        for subscription in self.events.subscriptions:
            if subscription.topic.name == record.topic:
                await consumer.consume_record(subscription, record)

    async def consume_together(self, records: Sequence[KafkaRecord], *, attempts: int = 2) -> None:
        """Brings records of one topic through the consumer as they come from one fetch."""
        for subscription in self.events.subscriptions:
            if subscription.topic.name == records[0].topic:
                await self.consumer(attempts=attempts).consume_records(subscription, records)

    def a_decider(self) -> Decider:
        """As another replica has it."""
        return Decider(self.work, every_s=0.05)

    async def make_older(self, age: timedelta) -> None:
        """As if the running experiments had begun earlier."""
        async with self.direct.engine.begin() as connection:
            await connection.execute(
                sa.text("UPDATE feedback.experiments SET started_at = started_at - CAST(:age AS interval)"),
                {"age": age},
            )
        self.decider = self.a_decider()

    async def decide(self) -> None:
        """Looks at running experiments until nothing is left to do."""
        while await self.decider.look():
            pass

    async def announced(self, topic: Topic[Event]) -> list[Event]:
        """What was said on a topic, oldest first."""
        return [topic.event.model_validate_json(row["value"]) for row in await self._outbox(topic.name)]

    async def traces(self, topic: Topic[Event]) -> list[str]:
        """Trace ids of what was said on a topic, oldest first."""
        headers = [dict(row["headers"]) for row in await self._outbox(topic.name)]
        return [fields["traceparent"].split("-")[1] for fields in headers]

    async def dead_letters(self, topic: Topic[Event]) -> list[str]:
        """Codes of the dead letters of a topic."""
        return [dict(row["headers"])["dlq_code"] for row in await self._outbox(topic.dead_letter_name)]

    async def _outbox(self, topic_name: str) -> list[sa.RowMapping]:
        outbox = messaging.outbox
        return await self.rows(sa.select(outbox).where(outbox.c.topic == topic_name).order_by(outbox.c.id))

    async def rows(self, query: sa.Select[*tuple[object, ...]] | sa.TextClause) -> list[sa.RowMapping]:
        async with self.direct.engine.connect() as connection:
            return list((await connection.execute(query)).mappings())

    async def table(self, name: str) -> list[Row]:
        """A whole table of the schema, in no order, with what lies sealed in it in plain words."""
        rows = [dict(row) for row in await self.rows(sa.select(metadata.tables[f"feedback.{name}"]))]
        async with self.direct.sessions() as session:
            opener = ColumnOpener(session, name)
            for column, row in ((column, row) for column in SEALED.get(name, ()) for row in rows if row[column]):
                said = (await opener.open(row[column])).decode()
                row[column] = said if column == "note" else json.loads(said)
        return rows

    async def ready_samples(self) -> dict[str, tuple[str, ...]]:
        """Answers of samples that were not exported, with their ratings."""
        return {
            row["lesson"]["answer"]: tuple(row["rating_ids"])
            for row in await self.table("samples")
            if row["state"] == "ready"
        }

    async def experiment(self) -> Row:
        """The only experiment."""
        (row,) = await self.table("experiments")
        return row

    async def start_experiment(self, **rollout: JsonValue) -> str:
        """A running experiment of the base model against the candidate; returns its id."""
        await self.hand(a_task(rollout=rollout), a_deployment(1, BASE, CANDIDATE, minute=-1), an_evaluation())
        return str((await self.experiment())["experiment_id"])

    async def report(self, experiment_id: str) -> Report:
        """The figures of an experiment, as people get them."""
        async with self.work() as unit:
            return await show_results(unit.session, experiment_id)

    async def exported_lines(self) -> list[JsonObject]:
        """Lines of the newest export."""
        row = max(await self.table("dataset_requests"), key=lambda row: row["number"])
        content = await self.storage.read_bytes(Artifact.model_validate(row["source"]))
        return [json.loads(line) for line in content.splitlines()]

    async def close(self) -> None:
        await self.database.close()
        await self.direct.close()


def rated(
    experiment_id: str, variant_id: str, unit: int, value: float, *, turn: int = 0, minute: float = 1
) -> InferenceRated:
    """A rating inside an experiment; `turn` counts the unit's inferences."""
    name = f"{unit}-{turn}"
    return a_rating(
        1, value, minute=minute, inference_id=f"inf-{variant_id}-{name}", experiment_id=experiment_id,
        variant_id=variant_id, unit_hash=f"unit-{variant_id}-{unit}", rater_hash=f"unit-{variant_id}-{unit}",
    )  # fmt: skip
