"""Puts dead letters back onto their topics after a fix: `python -m loopwright.replay TOPIC [--code C] [--dry-run]`.

Records keep their event id, so that groups which handled the event do not handle it again. Progress is committed
after the broker has the records: a crash replays some twice, which inboxes recognise.
"""

import argparse
import asyncio
from collections import Counter
from collections.abc import Mapping

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition

from loopwright.contracts.registry import TOPICS, topic_named
from loopwright.dead_letters import KafkaRecord
from loopwright.settings import CommonSettings

_GROUP = "loopwright.replay"
_POLL_MS = 500


def replayed_headers(record: KafkaRecord) -> list[tuple[str, bytes]]:
    """Headers of the original record; one that came without an envelope keeps the id that its position gave it."""
    headers = [(name, value) for name, value in record.headers if not name.startswith("dlq_")]
    if not any(name == "ce_id" for name, _ in headers):
        why = dict(record.headers)
        topic = topic_named(record.topic.removesuffix(".dlq"))
        headers += [("ce_id", why.get("dlq_position", b"unknown")), ("ce_type", topic.event_type.encode())]
    return headers


async def replay(bootstrap: str, topic_name: str, *, code: str | None = None, dry_run: bool = False) -> Counter[str]:
    """Replays the dead letters that are on a topic now and that no earlier replay has passed.

    Args:
        code: Only letters with this `dlq_code`; others are left behind for good, so look with `dry_run` first.
        dry_run: Only count.

    Returns:
        Letters by `dlq_code` that were (or would be) replayed.
    """
    topic = topic_named(topic_name)
    counts: Counter[str] = Counter()
    consumer = AIOKafkaConsumer(
        topic.dead_letter_name, bootstrap_servers=bootstrap, group_id=f"{_GROUP}.{topic_name}",
        enable_auto_commit=False, auto_offset_reset="earliest",
    )  # fmt: skip
    producer = AIOKafkaProducer(bootstrap_servers=bootstrap, enable_idempotence=True, acks="all")
    await consumer.start()
    await producer.start()
    try:
        # what is still broken comes back as a new letter: those are for the next replay
        ends = await consumer.end_offsets(consumer.assignment())
        while letters := await _letters_before(ends, consumer):
            wanted = [letter for letter in letters if code is None or _code_of(letter) == code]
            counts.update(_code_of(letter) for letter in wanted)
            if dry_run:
                continue
            sent = [
                await producer.send(topic.name, value=letter.value, key=letter.key, headers=replayed_headers(letter))
                for letter in wanted
            ]
            await asyncio.gather(*sent)
            await consumer.commit({_partition_of(letter): letter.offset + 1 for letter in letters})
    finally:
        await producer.stop()
        await consumer.stop()
    return counts


async def _letters_before(ends: Mapping[TopicPartition, int], consumer: AIOKafkaConsumer) -> list[KafkaRecord]:
    """The next letters, in order; empty when there are no more before these offsets."""
    while any([await consumer.position(partition) < end for partition, end in ends.items()]):
        batches = await consumer.getmany(timeout_ms=_POLL_MS)
        letters = [
            letter for batch in batches.values() for letter in batch if letter.offset < ends[_partition_of(letter)]
        ]
        if letters:
            return letters
    return []


def _partition_of(letter: KafkaRecord) -> TopicPartition:
    return TopicPartition(letter.topic, letter.partition)


def _code_of(record: KafkaRecord) -> str:
    return dict(record.headers).get("dlq_code", b"unknown").decode()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("topic", choices=[topic.name for topic in TOPICS])
    parser.add_argument("--code", help="only dead letters with this code")
    parser.add_argument("--dry-run", action="store_true", help="count, change nothing")
    arguments = parser.parse_args()
    counts = asyncio.run(
        replay(CommonSettings().kafka_bootstrap, arguments.topic, code=arguments.code, dry_run=arguments.dry_run)
    )
    verb = "would be replayed" if arguments.dry_run else "replayed"
    print(f"{arguments.topic}: {counts.total()} dead letters {verb}", dict(counts))  # noqa: T201 - the command's answer


if __name__ == "__main__":
    main()
