# ruff: noqa: INP001 (a script's part)
"""The limit: a consumer that reads the same records and does nothing but COPY them into a table without an index."""

import time

import asyncpg
from aiokafka import AIOKafkaConsumer

_BATCH = 2000
_PATIENCE_MS = 2000


async def copy_all(bootstrap: str, topics: tuple[str, ...], database_url: str, *, records: int) -> float:
    """Records a second from the first batch to the last, each batch committed in PostgreSQL and then in Kafka."""
    connection = await asyncpg.connect(database_url.replace("+asyncpg", ""))
    await connection.execute("DROP TABLE IF EXISTS bare")
    await connection.execute('CREATE TABLE bare (topic text, "partition" int, "offset" bigint, key bytea, value bytea)')
    consumer = AIOKafkaConsumer(
        *topics, bootstrap_servers=bootstrap, group_id=f"bare-{time.time_ns()}", enable_auto_commit=False,
        auto_offset_reset="earliest",
    )  # fmt: skip
    await consumer.start()
    taken, begun = 0, 0.0
    try:
        while taken < records:
            batches = await consumer.getmany(timeout_ms=_PATIENCE_MS, max_records=_BATCH)
            begun = begun or time.perf_counter()
            rows = [(r.topic, r.partition, r.offset, r.key, r.value) for batch in batches.values() for r in batch]
            if not rows:
                raise SystemExit(f"only {taken} of {records} records came")
            await connection.copy_records_to_table("bare", records=rows)
            await consumer.commit()
            taken += len(rows)
        return taken / (time.perf_counter() - begun)
    finally:
        await consumer.stop()
        await connection.execute("DROP TABLE bare")
        await connection.close()
