"""One replica at a time does the long work: an advisory lock that PostgreSQL gives back when its holder dies."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress

import asyncpg
import structlog

from loopwright.database import CONNECTION_ERRORS, Database

_log = structlog.get_logger()
_POLL_S = 2.0


async def lead(database: Database, *, name: str, body: Callable[[], Awaitable[None]]) -> None:
    """Runs `body` whenever this process holds the lock; stops it when the lock is lost, for as long as it takes.

    Args:
        name: Of the lock, unique in the database.
    """
    dsn = database.url.replace("postgresql+asyncpg://", "postgresql://", 1)
    while True:
        try:
            connection = await asyncpg.connect(dsn, timeout=5, command_timeout=10)
            try:
                await _lead_while_locked(connection, name, body)
            finally:
                with suppress(*CONNECTION_ERRORS):
                    await connection.close(timeout=5)
        except CONNECTION_ERRORS as error:
            _log.warning("leadership.waits", lock=name, reason=repr(error))
            await asyncio.sleep(_POLL_S)


async def _lead_while_locked(connection: asyncpg.Connection, name: str, body: Callable[[], Awaitable[None]]) -> None:
    while not await connection.fetchval("SELECT pg_try_advisory_lock(hashtext($1))", name):  # noqa: ASYNC110 - the lock is in PostgreSQL
        await asyncio.sleep(_POLL_S)
    _log.info("leadership.taken", lock=name)
    work = asyncio.ensure_future(body())
    try:
        while not work.done():
            await asyncio.wait([work], timeout=_POLL_S)
            await connection.execute("SELECT 1")  # a lost connection is a lost lock
        await work
    finally:
        work.cancel()
        with suppress(asyncio.CancelledError):
            await work
