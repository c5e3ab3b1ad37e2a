"""Watches every topic of the registry: counts events, keeps the moments that the report speaks of, shows live lines."""

import asyncio
import time
from collections import Counter
from collections.abc import Callable

from aiokafka import AIOKafkaConsumer
from aiokafka.errors import KafkaError

from loopwright.broker import KafkaRecord, position_of
from loopwright.contracts.base import Event, RunState
from loopwright.contracts.datasets import DatasetRejected, DatasetRequested, DatasetValidated
from loopwright.contracts.deployments import DeploymentChanged
from loopwright.contracts.envelope import open_record
from loopwright.contracts.experiments import ExperimentChanged, ExperimentConcluded, ExperimentState, Outcome
from loopwright.contracts.inferences import InferenceRated
from loopwright.contracts.jobs import JobFinished, JobProgressed, JobRequested
from loopwright.contracts.models import ModelEvaluated, ModelRegistered
from loopwright.contracts.registry import TOPICS, topic_named
from loopwright.errors import ContractError


class LoopFailed(Exception):
    """The loop said that it cannot go on; the text is its own reason."""


class Watcher:
    """Reads the platform's topics as an outsider would.

    Attributes:
        counts: Distinct events by topic.
        last: Newest event of each class, of the watched task where it is of one.
        moments: Monotonic seconds at which each stage was first seen.
        traces: Event ids and topics by trace id, in the order seen.
    """

    def __init__(self, bootstrap: str, task: str, *, say: Callable[[str], None]) -> None:
        self._bootstrap = bootstrap
        self._task = task
        self._say = say
        self.counts: Counter[str] = Counter()
        self.last: dict[type[Event], Event] = {}
        self.moments: dict[str, float] = {}
        self.traces: dict[str, list[str]] = {}
        self.dead_letters = 0
        self._seen: set[str] = set()
        self._reached: dict[str, asyncio.Event] = {}
        self._failure: str | None = None

    def reached(self, stage: str) -> asyncio.Event:
        """Set when the stage begins, and when the loop fails; ask `check()` then."""
        return self._reached.setdefault(stage, asyncio.Event())

    def check(self) -> None:
        """Does nothing while the loop is well.

        Raises:
            LoopFailed: the loop said that it cannot go on.
        """
        if self._failure is not None:
            raise LoopFailed(self._failure)

    async def wait(self, stage: str, *, limit_s: float) -> None:
        """Waits for a stage.

        Raises:
            LoopFailed: the loop failed, or did not get there in time.
        """
        try:
            await asyncio.wait_for(self.reached(stage).wait(), limit_s)
        except TimeoutError as error:
            raise LoopFailed(f"'{stage}' was not reached within {limit_s:.0f} s") from error
        self.check()

    async def run(self) -> None:
        """Reads until cancelled, over restarts of the broker."""
        names = [name for topic in TOPICS for name in (topic.name, topic.dead_letter_name)]
        while True:
            consumer = AIOKafkaConsumer(
                *names, bootstrap_servers=self._bootstrap, auto_offset_reset="earliest", metadata_max_age_ms=10_000
            )
            try:
                await consumer.start()
                async for record in consumer:
                    self._take(record)
            except (KafkaError, OSError):
                await asyncio.sleep(1)
            finally:
                await consumer.stop()

    def _take(self, record: KafkaRecord) -> None:
        if record.topic.endswith(".dlq"):
            self.dead_letters += 1
            return
        topic = topic_named(record.topic)
        try:
            received = open_record(topic, record.value, record.headers, position=position_of(record))
        except ContractError:
            return
        if received.envelope.event_id in self._seen:
            return
        self._seen.add(received.envelope.event_id)
        self.counts[topic.name] += 1
        if getattr(received.event, "task_id", self._task) == self._task:  # other tasks are served beside it
            self.last[topic.event] = received.event
        if received.envelope.traceparent:
            self.traces.setdefault(received.envelope.traceparent.split("-")[1], []).append(topic.name)
        self._note(received.event)

    def _begin(self, stage: str, line: str) -> None:
        if stage not in self.moments:
            self.moments[stage] = time.monotonic()
            self._say(line)
        self.reached(stage).set()

    def _fail(self, reason: str) -> None:
        self._failure = self._failure or reason
        for event in self._reached.values():
            event.set()

    def _note(self, event: Event) -> None:
        self._note_learning(event)
        self._note_training(event)
        self._note_deciding(event)

    def _note_learning(self, event: Event) -> None:
        match event:
            case InferenceRated():
                self._begin("rated", "the first rating is on Kafka")
            case DatasetRequested():
                self._begin("dataset requested", f"feedback-svc asks for a dataset: {event.sample_count} samples")
            case DatasetValidated():
                parts = f"{event.train.samples} train, {event.validation.samples} validation"
                held_out = f"{event.held_out.samples} held out"
                self._begin("dataset validated", f"dataset-svc made {event.version_id}: {parts}, {held_out}")
            case DatasetRejected():
                self._fail(f"dataset rejected: {'; '.join(event.reasons)}")
            case _:
                pass

    def _note_training(self, event: Event) -> None:
        match event:
            case JobRequested():
                self._begin("job requested", f"trainer-svc queues {event.job_name} ({event.method})")
            case JobProgressed():
                self._note_progress(event)
            case JobFinished():
                if event.state is not RunState.SUCCEEDED:
                    self._fail(f"job {event.state}: {event.reason}")
                self._begin("job finished", f"training {event.state}, validation loss {event.validation_loss}")
            case _:
                pass

    def _note_deciding(self, event: Event) -> None:
        match event:
            case DeploymentChanged() if event.task_id == self._task:
                self._note_deployment(event)
            case ModelRegistered() if event.job_id is not None:
                self._begin("model registered", f"registry-svc registered {event.model_name}:{event.model_version}")
            case ModelEvaluated():
                self._begin("evaluated", f"gate {'passed' if event.passed else 'failed'}: {'; '.join(event.reasons)}")
                if not event.passed:
                    self._fail(f"gate failed: {'; '.join(event.reasons)}")
            case ExperimentChanged() if event.state is ExperimentState.RUNNING:
                shares = f"{event.champion.weight_0_1:.0%} / {event.candidate.weight_0_1:.0%}"
                self._begin("experiment", f"feedback-svc splits traffic {shares}")
            case ExperimentConcluded():
                self._begin("concluded", f"experiment {event.outcome}: {event.reason}")
                if event.outcome is not Outcome.PROMOTE:
                    self._fail(f"experiment ended with {event.outcome}: {event.reason}")
            case _:
                pass

    def _note_deployment(self, event: DeploymentChanged) -> None:
        if event.champion.variant.adapter is not None:
            self._begin("promoted", f"registry-svc puts {event.champion.variant.variant_id} in charge")
        else:
            self._begin("deployed", f"registry-svc serves {event.champion.variant.variant_id}")

    def _note_progress(self, event: JobProgressed) -> None:
        self._begin("training", "training began")
        if event.loss is not None or event.validation_loss is not None:
            figures = [f"step {event.step}/{event.total_steps}"]
            figures += [f"loss {event.loss:.3f}"] if event.loss is not None else []
            figures += [f"validation loss {event.validation_loss:.3f}"] if event.validation_loss is not None else []
            figures += [f"{event.tokens_per_s:.0f} tokens/s"] if event.tokens_per_s is not None else []
            figures += [f"{event.eta_s:.0f} s left"] if event.eta_s is not None else []
            self._say(f"  attempt {event.attempt}, " + ", ".join(figures))
