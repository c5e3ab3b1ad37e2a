"""The real service as a process of its own on real Kafka, and Kafka's side of the conversation."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

import httpx
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition

from loopwright.broker import KafkaRecord, position_of
from loopwright.contracts.base import Event
from loopwright.contracts.envelope import Received, open_record
from loopwright.contracts.registry import Topic
from loopwright.testing.waiting import eventually
from loopwright_local.settings import free_ports


class ServiceProcess:
    """`python -m feedback_svc.main`, started, killed and started again.

    Args:
        env: Its settings.
    """

    def __init__(self, env: Mapping[str, str], *, log_file: Path) -> None:
        (port,) = free_ports(1)
        self.url = f"http://127.0.0.1:{port}"
        own = {"FEEDBACK_PORT": str(port), "FEEDBACK_EXPORT_POLL_S": "0.1", "FEEDBACK_COLLECTING_CHECK_S": "0.2"}
        self._env = {**os.environ, **env, **own}  # noqa: TID251 - a child's environment
        self._log_file = log_file
        self._process: subprocess.Popen[bytes] | None = None

    async def start(self) -> None:
        """Starts it and waits until it is ready."""
        self._launch()
        async with httpx.AsyncClient() as client:

            async def ready() -> bool:
                assert self._process is not None
                assert self._process.poll() is None, self._log_file.read_text()
                try:
                    return (await client.get(f"{self.url}/ready")).status_code == 200
                except httpx.TransportError:
                    return False

            await eventually(ready, timeout_s=120)

    def _launch(self) -> None:
        command = [sys.executable, "-m", "feedback_svc.main"]
        with self._log_file.open("ab") as log:
            self._process = subprocess.Popen(command, env=self._env, stdout=log, stderr=log)

    def kill(self) -> None:
        """As a power failure would."""
        assert self._process is not None
        self._process.send_signal(signal.SIGKILL)
        self._process.wait()

    def stop(self) -> None:
        if self._process is not None and self._process.poll() is None:
            self._process.terminate()
            try:
                self._process.wait(timeout=30)
            except subprocess.TimeoutExpired:
                self.kill()

    @property
    def log(self) -> str:
        return self._log_file.read_text()


async def publish(producer: AIOKafkaProducer, *records: KafkaRecord) -> None:
    """Sends records as the relay would, in order."""
    for record in records:
        await producer.send(record.topic, value=record.value, key=record.key, headers=list(record.headers))
    await producer.flush()


async def read_all(bootstrap: str, topic_name: str) -> list[KafkaRecord]:
    """Everything on a topic up to now."""
    consumer = AIOKafkaConsumer(
        topic_name, bootstrap_servers=bootstrap, enable_auto_commit=False, auto_offset_reset="earliest"
    )
    await consumer.start()
    try:
        partitions = [TopicPartition(topic_name, number) for number in consumer.partitions_for_topic(topic_name) or ()]
        ends = await consumer.end_offsets(partitions)
        records: list[KafkaRecord] = []
        while any([await consumer.position(partition) < end for partition, end in ends.items()]):
            for batch in (await consumer.getmany(timeout_ms=200)).values():
                records += batch
        return records
    finally:
        await consumer.stop()


async def read_events(bootstrap: str, topic: Topic[Event], wanted: Callable[[Event], bool]) -> list[Received[Event]]:
    """Events of a topic that a test cares for; the broker serves other tests as well."""
    records = await read_all(bootstrap, topic.name)
    received = [open_record(topic, record.value, record.headers, position=position_of(record)) for record in records]
    return [one for one in received if wanted(one.event)]


async def first_event(
    bootstrap: str, topic: Topic[Event], wanted: Callable[[Event], bool], *, timeout_s: float = 60
) -> Received[Event]:
    """Waits for an event."""

    async def look() -> list[Received[Event]]:
        return await read_events(bootstrap, topic, wanted)

    return (await eventually(look, timeout_s=timeout_s, every_s=0.5))[0]
