"""Health probes: each asks a part for the thing it is there for and answers yes or no, never with an error."""

import asyncio
import contextlib

from loopwright_local.part import Probe

PROBE_TIMEOUT_S = 3


def http_probe(port: int, path: str) -> Probe:
    """Return a probe for `GET path` answered with 200. By hand, because an HTTP client costs 0.3 s to import."""

    async def probe() -> bool:
        try:
            async with asyncio.timeout(PROBE_TIMEOUT_S):
                return await _http_status(port, path) == 200
        except (OSError, TimeoutError, ValueError):
            return False

    return probe


def postgres_probe(port: int, *, user: str, password: str) -> Probe:
    async def probe() -> bool:
        import asyncpg  # noqa: PLC0415  # `status` and `token` do without

        try:
            connection = await asyncpg.connect(
                host="127.0.0.1",
                port=port,
                user=user,
                password=password,
                database="postgres",
                timeout=PROBE_TIMEOUT_S,
            )
            await connection.close()
        except (OSError, TimeoutError, asyncpg.PostgresError):
            return False
        return True

    return probe


def kafka_probe(bootstrap: str) -> Probe:
    """Return a probe for "a broker is in the cluster's metadata".

    A node that was killed accepts connections again long before the controller lets it lead; only then it is listed.
    """

    async def probe() -> bool:
        if not await _listens(bootstrap):
            return False
        import aiokafka.admin  # noqa: PLC0415  # `status` and `token` do without
        import aiokafka.errors  # noqa: PLC0415

        admin = aiokafka.admin.AIOKafkaAdminClient(bootstrap_servers=bootstrap, request_timeout_ms=2000)
        try:
            async with asyncio.timeout(PROBE_TIMEOUT_S):
                await admin.start()
                brokers = (await admin.describe_cluster())["brokers"]
        except (OSError, TimeoutError, aiokafka.errors.KafkaError):
            return False
        finally:
            with contextlib.suppress(Exception):
                await admin.close()
        return len(brokers) > 0

    return probe


async def _listens(address: str) -> bool:
    """Try the plain connection first: Kafka's client writes a warning for every attempt that fails."""
    host, _, port = address.rpartition(":")
    try:
        async with asyncio.timeout(PROBE_TIMEOUT_S):
            _, writer = await asyncio.open_connection(host, int(port))
    except (OSError, TimeoutError):
        return False
    writer.close()
    return True


async def _http_status(port: int, path: str) -> int:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        writer.write(f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nConnection: close\r\n\r\n".encode())
        await writer.drain()
        status_line = await reader.readline()
        return int(status_line.split()[1]) if status_line else 0
    finally:
        writer.close()
