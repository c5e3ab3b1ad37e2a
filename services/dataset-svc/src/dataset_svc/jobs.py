"""Builds versions from requests, one at a time, outside any transaction; a crash anywhere repeats the work only."""

import asyncio
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime

import structlog

from dataset_svc.domain.building import Built, Memory, Recipe, VersionBuilder
from dataset_svc.domain.reading import ReadingRules
from dataset_svc.domain.requests import Origin, VersionRequest
from dataset_svc.handlers.requests import give_back_request, postpone_request, reject_request, take_due_request
from dataset_svc.handlers.versions import Publication, Stored, load_materials, publish_version
from loopwright.contracts.base import Artifact
from loopwright.contracts.datasets import SampleSource, Split
from loopwright.errors import DependencyError, InvalidPayload, StoreUnavailable
from loopwright.repeating import repeat
from loopwright.storage import Storage
from loopwright.telemetry import continued_span
from loopwright.unit_of_work import PostgresWork

_log = structlog.get_logger()
_JSON_LINES = "application/jsonl"


@dataclass(frozen=True, kw_only=True)
class BuildLimits:
    """What one build may cost.

    Attributes:
        attempts: Starts of one build after which it is given up.
    """

    max_source_bytes: int
    max_line_bytes: int
    attempts: int


class SourceUnreadable(Exception):
    """The source is not there, or not what the request says; asking again would not change that."""


class Builds:
    """The queue's worker.

    Args:
        work: Opens transactions.
        storage: Where sources are, and where versions go.
    """

    def __init__(self, work: PostgresWork, storage: Storage, limits: BuildLimits) -> None:
        self._work = work
        self._storage = storage
        self._limits = limits

    async def run(self) -> None:
        await repeat(self.build_next, name="dataset builds")

    async def build_next(self) -> bool:
        """Builds what is due.

        Returns:
            Whether anything was.
        """
        async with self._work() as unit:
            request = await take_due_request(unit, now=datetime.now(UTC), attempts_allowed=self._limits.attempts)
        if request is None:
            return False
        with continued_span(
            "build dataset version", traceparent=request.traceparent, attributes={"request_id": request.request_id}
        ):
            await self._attempt(request)
        return True

    async def _attempt(self, request: VersionRequest) -> None:
        try:
            outcome = await self._build(request)
        except DependencyError:
            with suppress(DependencyError):  # the database itself may be what is away
                await self._give_back(request)
            raise
        except Exception as error:  # noqa: BLE001 - one request must not stop the others; attempts are counted
            _log.exception("dataset.build-failed", request_id=request.request_id, exc_info=error)
            async with self._work() as unit:
                await postpone_request(unit, request.request_id, now=datetime.now(UTC))
            return
        if outcome is Publication.STALE:
            await self._give_back(request)
        _log.info("dataset.build-ended", request_id=request.request_id, outcome=outcome)

    async def _build(self, request: VersionRequest) -> Publication:
        async with self._work() as unit:
            materials = await load_materials(unit, request, max_source_bytes=self._limits.max_source_bytes)
        if materials.objections:
            return await self._reject(request, materials.objections)
        try:
            built = await self._read_and_build(request, materials.memory)
        except SourceUnreadable as error:
            return await self._reject(request, (str(error),))
        report = await self._storage.put_bytes(
            built.report.model_dump_json(indent=1).encode(),
            kind="dataset-reports", suffix=".json", media_type="application/json",
        )  # fmt: skip
        if built.report.rejected_because:
            return await self._reject(request, built.report.rejected_because, report)
        return await self._publish(request, await self._store(built, report), materials.parent_version_id)

    async def _read_and_build(self, request: VersionRequest, memory: Memory) -> Built:
        uploaded = request.origin is Origin.UPLOAD
        recipe = Recipe(
            request_id=request.request_id,
            dataset_name=request.dataset_name,
            reading=ReadingRules(task_id=request.task_id, source=SampleSource.UPLOAD if uploaded else None),
            policy=request.policy,
            expected_lines=request.sample_count,
            max_line_bytes=self._limits.max_line_bytes,
        )
        builder = VersionBuilder(recipe, memory)
        try:
            async for chunk in self._storage.chunks(request.source):
                await asyncio.to_thread(builder.feed, chunk)
        except InvalidPayload as error:
            raise SourceUnreadable(f"the source cannot be used: {error.detail}") from error
        except StoreUnavailable as error:
            if error.code == "storage.object-missing":
                raise SourceUnreadable("the source is not in storage") from error
            raise
        return await asyncio.to_thread(builder.finish)

    async def _store(self, built: Built, report: Artifact) -> Stored:
        splits = {
            name: Split(
                artifact=await self._storage.put_bytes(
                    split.content, kind="datasets", suffix=".jsonl", media_type=_JSON_LINES
                ),
                samples=len(split.samples),
            )
            for name, split in built.splits.items()
        }
        return Stored(built=built, splits=splits, report=report)

    async def _publish(self, request: VersionRequest, stored: Stored, parent_version_id: str | None) -> Publication:
        async with self._work() as unit:
            return await publish_version(
                unit, request, stored, parent_version_id=parent_version_id, now=datetime.now(UTC)
            )

    async def _reject(
        self, request: VersionRequest, reasons: tuple[str, ...], report: Artifact | None = None
    ) -> Publication:
        async with self._work() as unit:
            rejected = await reject_request(
                unit, request.request_id, reasons=reasons, now=datetime.now(UTC), report=report
            )
        return Publication.REJECTED if rejected else Publication.NOT_DUE

    async def _give_back(self, request: VersionRequest) -> None:
        async with self._work() as unit:
            await give_back_request(unit, request.request_id)
