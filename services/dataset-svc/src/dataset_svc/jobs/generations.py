"""The worker behind generations: asks the model chunk by chunk, saves each at once, and takes up what others left."""

import asyncio
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime

import structlog

from dataset_svc.adapters.model_endpoint import EndpointRefused
from dataset_svc.adapters.pair_writer import PairWriter
from dataset_svc.domain.personal.masking import mask_text
from dataset_svc.domain.texts.generations import judge
from dataset_svc.handlers.generations import (
    LEASE,
    ChunkOutcome,
    Harvest,
    Held,
    OpenChunk,
    finish_generation,
    harvest,
    release,
    renew_lease,
    save_chunk,
    take_due_generation,
)
from loopwright.contracts.base import Artifact
from loopwright.errors import DependencyError
from loopwright.repeating import repeat
from loopwright.storage import Storage
from loopwright.telemetry import continued_span
from loopwright.unit_of_work import PostgresWork

_log = structlog.get_logger()
_AT_ONCE = 8  # chunks of one generation; the endpoint's own bound is below it


class LeaseLost(Exception):
    """Another worker took the generation, or its document is gone."""


@dataclass(frozen=True, kw_only=True)
class Generations:
    """The queue's worker.

    Attributes:
        attempts: Attempts without progress after which a generation is given up.
    """

    work: PostgresWork
    storage: Storage
    writer: PairWriter
    attempts: int = 5

    async def run(self) -> None:
        try:
            await repeat(self.generate_next, name="generations")
        finally:
            await self.writer.close()

    async def generate_next(self) -> bool:
        """Works on what is due.

        Returns:
            Whether anything was.
        """
        async with self.work() as unit:
            held = await take_due_generation(unit, now=datetime.now(UTC), attempts_allowed=self.attempts)
        if held is None:
            return False
        attributes = {"generation_id": held.generation_id}
        with continued_span("generate pairs", traceparent=held.traceparent, attributes=attributes):
            await self._attempt(held)
        return True

    async def _attempt(self, held: Held) -> None:
        heart = asyncio.create_task(self._beat(held))
        try:
            await self._answer_all(held)
            await self._finish(held)
        except LeaseLost:
            _log.info("generation.lost", generation_id=held.generation_id)
        except DependencyError:
            with suppress(DependencyError):  # the database itself may be what is away
                await self._release(held, blameless=True)
            raise
        except Exception as error:  # noqa: BLE001 - one generation must not stop the others; attempts are counted
            _log.exception("generation.failed", generation_id=held.generation_id, exc_info=error)
            await self._release(held, blameless=False)
        finally:
            heart.cancel()
            await asyncio.gather(heart, return_exceptions=True)

    async def _answer_all(self, held: Held) -> None:
        """Asks about every open chunk; what is answered is kept even if another one's call ends the attempt."""
        free = asyncio.Semaphore(_AT_ONCE)

        async def answer(chunk: OpenChunk) -> None:
            async with free:
                outcome = await self._answer(held, chunk)
                async with self.work() as unit:
                    if not await save_chunk(unit, held, outcome):
                        raise LeaseLost

        results = await asyncio.gather(*map(answer, held.open_chunks), return_exceptions=True)
        failures = [result for result in results if isinstance(result, BaseException)]
        lost = [failure for failure in failures if isinstance(failure, LeaseLost)]
        if failures:
            raise (lost or failures)[0]

    async def _answer(self, held: Held, chunk: OpenChunk) -> ChunkOutcome:
        number = chunk.chunk.number
        # masked before it leaves the service: the endpoint may be anybody's
        source, _ = await asyncio.to_thread(mask_text, chunk.text)
        try:
            parsed = await self.writer.write(held.template, source, headings=chunk.chunk.headings, wanted=chunk.wanted)
        except EndpointRefused as error:
            _log.warning("generation.chunk-refused", generation_id=held.generation_id, chunk=number, reason=str(error))
            return ChunkOutcome(number=number, pairs=(), refused=Counter(["endpoint"]), failed=True)
        pairs, refused = await asyncio.to_thread(judge, parsed, source=source, min_score_0_1=held.min_score_0_1)
        return ChunkOutcome(number=number, pairs=pairs, refused=Counter({str(why): n for why, n in refused.items()}))

    async def _finish(self, held: Held) -> None:
        async with self.work() as unit:
            found = await harvest(unit, held)
        if found is None:
            await self._release(held, blameless=False)
            return
        source = await self._store(found)
        async with self.work() as unit:
            await finish_generation(unit, held, source, found, now=datetime.now(UTC))
        _log.info("generation.ended", generation_id=held.generation_id, pairs=len(found.lines))

    async def _store(self, found: Harvest) -> Artifact | None:
        if not found.lines:
            return None
        return await self.storage.put_bytes(
            b"".join(found.lines), kind="generated", suffix=".jsonl", media_type="application/jsonl"
        )

    async def _release(self, held: Held, *, blameless: bool) -> None:
        async with self.work() as unit:
            await release(unit, held, now=datetime.now(UTC), blameless=blameless)

    async def _beat(self, held: Held) -> None:
        """Renews the lease; a worker that cannot loses it, and its late answers are refused."""
        while True:
            await asyncio.sleep(LEASE.total_seconds() / 3)
            with suppress(DependencyError):
                async with self.work() as unit:
                    if not await renew_lease(unit, held, now=datetime.now(UTC)):
                        return
