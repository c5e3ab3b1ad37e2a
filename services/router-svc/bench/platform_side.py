# ruff: noqa: INP001 (beside a script)
"""What router-svc needs around it: Kafka, a task, its deployment, a running experiment, a key; and the count of events."""

import platform
import sys
import uuid
from collections.abc import AsyncGenerator, Generator, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path

import msgspec
from aiokafka import AIOKafkaProducer
from confluent_kafka import Consumer, KafkaException, TopicPartition
from gateways import Gateway, Place

from loopwright.contracts.base import Event, JsonObject
from loopwright.contracts.registry import DEPLOYMENT_CHANGED, EXPERIMENT_CHANGED, INFERENCE_COMPLETED, TASK_DEFINED
from loopwright.testing.examples import an_event
from loopwright.testing.records import a_record
from loopwright_local.keys import make_api_key
from loopwright_local.native import native_env
from loopwright_local.stack import LocalStack
from loopwright_local.testing import settings_for_tests

PLAIN, PROMPTED = "bench-plain", "bench-prompted"
_CHAMPION, _CANDIDATE = "mock-model:1", "mock-tuned:1"
_WAIT_S = 5.0
_GENERATION: JsonObject = {"temperature": 0.7, "top_p": 1.0, "max_tokens": 64}


class _Payload(msgspec.Struct, frozen=True):
    inference_id: str
    http_status: int


@dataclass(frozen=True)
class Completed:
    """One record of an inference's event on Kafka."""

    event_id: str
    inference_id: str
    http_status: int


@dataclass(frozen=True, kw_only=True)
class Counted:
    """Events of inferences that the client saw answered with 200.

    Attributes:
        events: All of them.
        inferences: Different ones among them.
    """

    events: int
    inferences: int


@dataclass(frozen=True)
class PlatformSide:
    """The running stack, and how a router is started on it."""

    stack: LocalStack
    key: str

    @property
    def bootstrap(self) -> str:
        return self.stack.urls.kafka_bootstrap

    def router(self, place: Place, *, name: str, task: str) -> Gateway:
        """One worker of router-svc with everything on: keys, assignment, signed ids, events."""
        native = native_env("router-svc")
        common = {name: value for name, value in self.stack.plan.env.items() if name != "LOOPWRIGHT_TRACE_DIR"}
        return Gateway(
            name=name, version=f"Python {platform.python_version()}{' as C' if native else ''}", port=place.port, model=task, key=self.key,
            command=(sys.executable, "-m", "router_svc.main"),
            env=common | native | {
                "LOOPWRIGHT_LOG_LEVEL": "WARNING",
                "ROUTER_PORT": str(place.port),
                "ROUTER_SPOOL_DIR": str(place.folder / "spool"),
                "ROUTER_SIGNING_KEY_FILE": str(self.stack.plan.keys.inference),
                "ROUTER_AUTH": "required",
                "ROUTER_API_KEYS_FILE": str(self.stack.plan.keys.callers),
            },
        )  # fmt: skip

    async def announce_tasks(self, champion_urls: Sequence[str], candidate_urls: Sequence[str]) -> None:
        """Two tasks, one of them with a prompt and a schema, both with an experiment that splits 70 to 30."""
        for task_id in (PLAIN, PROMPTED):
            await self.announce(a_task(task_id), *a_split(task_id, champion_urls, candidate_urls))

    async def announce(self, *events: Event) -> None:
        async with AIOKafkaProducer(bootstrap_servers=self.bootstrap) as producer:
            for event in events:
                record = a_record(event)
                await producer.send_and_wait(
                    record.topic, value=record.value, key=record.key, headers=list(record.headers)
                )

    def count_events(self) -> Counted:
        """Reads the whole topic of answered inferences."""
        events, inferences = 0, set[str]()
        for completed in self.completed():
            if completed.http_status == 200:
                events += 1
                inferences.add(completed.inference_id)
        return Counted(events=events, inferences=len(inferences))

    def written_events(self) -> int:
        """How many events of inferences lie on Kafka, whatever became of the requests; 0 while it cannot say."""
        try:
            with _reader(self.bootstrap) as reader:
                return _count(reader, _partitions(reader))
        except KafkaException:  # it was away, and has no leaders yet
            return 0

    def completed(self) -> Iterator[Completed]:
        """Every record of the topic as it stands now."""
        decoder = msgspec.json.Decoder(_Payload)
        with _reader(self.bootstrap) as reader:
            partitions = _partitions(reader)
            left = _count(reader, partitions)
            reader.assign(partitions)
            while left > 0:
                records = reader.consume(10_000, timeout=_WAIT_S)
                if not records:
                    raise SystemExit(f"{left} events could not be read")
                left -= len(records)
                for record in records:
                    payload = decoder.decode(record.value() or b"{}")
                    event_id = next(value for name, value in record.headers() or () if name == "ce_id")
                    text = event_id.decode() if isinstance(event_id, bytes) else str(event_id)
                    yield Completed(text, payload.inference_id, payload.http_status)


@contextmanager
def _reader(bootstrap: str) -> Generator[Consumer]:
    reader = Consumer({"bootstrap.servers": bootstrap, "group.id": uuid.uuid4().hex, "enable.auto.commit": False})
    try:
        yield reader
    finally:
        reader.close()


def _partitions(reader: Consumer) -> list[TopicPartition]:
    topic = INFERENCE_COMPLETED.name
    return [TopicPartition(topic, number, 0) for number in reader.list_topics(topic).topics[topic].partitions]


def _count(reader: Consumer, partitions: Sequence[TopicPartition]) -> int:
    return sum(reader.get_watermark_offsets(partition)[1] for partition in partitions)


@asynccontextmanager
async def running_platform(folder: Path) -> AsyncGenerator[PlatformSide]:
    """Kafka with every topic, while the block lasts."""
    settings = settings_for_tests(folder, "kafka", "topics")
    async with LocalStack(settings, quiet=True) as stack:
        yield PlatformSide(stack, make_api_key(stack.plan.keys, name="bench", tenant="bench"))


def a_task(task_id: str) -> Event:
    plain: JsonObject = {"prompt": {"system": "", "user": "{input}"}, "answer_schema": None, "answer_field": None}
    return an_event(TASK_DEFINED, task_id=task_id, generation=_GENERATION, **(plain if task_id == PLAIN else {}))


def a_split(task_id: str, champion_urls: Sequence[str], candidate_urls: Sequence[str]) -> tuple[Event, ...]:
    experiment = f"exp-{task_id}"
    return (
        an_event(
            DEPLOYMENT_CHANGED, task_id=task_id, champion=_deployed(task_id, _CHAMPION, champion_urls),
            candidates=[_deployed(task_id, _CANDIDATE, candidate_urls)],
        ),
        an_event(
            EXPERIMENT_CHANGED, experiment_id=experiment, task_id=task_id, salt=f"salt-{experiment}",
            champion={"variant_id": _CHAMPION, "weight_0_1": 0.7}, candidate={"variant_id": _CANDIDATE, "weight_0_1": 0.3},
        ),
    )  # fmt: skip


def _deployed(task_id: str, variant_id: str, urls: Sequence[str]) -> JsonObject:
    model, version = variant_id.split(":")
    variant: JsonObject = {
        "variant_id": variant_id, "task_id": task_id, "base_model": "mock-model", "model_name": model, "model_version": int(version),
        "served_name": "mock", "adapter": None, "generation": _GENERATION,
    }  # fmt: skip
    return {"variant": variant, "backend_urls": list(urls)}
