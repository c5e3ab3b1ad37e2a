"""Builds versions from requests, one at a time, outside any transaction; a crash anywhere repeats the work only."""

import asyncio
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import IO

import structlog

from dataset_svc.adapters.build_process import BuildFiles, BuildOrder, BuildProcess
from dataset_svc.adapters.held_out_cases import read_cases
from dataset_svc.adapters.line_files import LineFile
from dataset_svc.adapters.nameless_files import nameless_file_aside, path_of, piece_of
from dataset_svc.adapters.source_files import SourceLimits
from dataset_svc.adapters.version_packs import VersionPacks, store_origins
from dataset_svc.domain.building import Memory, Recipe
from dataset_svc.domain.packed_builds import PackedBuild
from dataset_svc.domain.preparing import dataset_key
from dataset_svc.domain.requests import Origin, Purpose, VersionRequest
from dataset_svc.domain.samples import SplitName
from dataset_svc.domain.sources.reading import ReadingRules
from dataset_svc.domain.versions.recipes import recipe_sha256
from dataset_svc.handlers.requests import (
    end_dry_run,
    give_back_request,
    keep_rejects,
    note_progress,
    postpone_request,
    reject_request,
    take_due_request,
)
from dataset_svc.handlers.versions import (
    Materials,
    Publication,
    Stored,
    load_materials,
    publish_version,
    recipe_of,
)
from loopwright.contracts.base import Artifact
from loopwright.contracts.datasets import SampleSource, Split
from loopwright.errors import DependencyError, Invalid, InvalidPayload, StoreUnavailable
from loopwright.repeating import repeat
from loopwright.storage import Storage
from loopwright.telemetry import continued_span
from loopwright.unit_of_work import PostgresWork

_log = structlog.get_logger()
_JSON_LINES = "application/jsonl"
_PROGRESS_S = 1.0


@dataclass(frozen=True, kw_only=True)
class BuildLimits:
    """What one build may cost.

    Attributes:
        attempts: Starts of one build after which it is given up.
    """

    max_source_bytes: int
    max_line_bytes: int
    attempts: int
    max_unpacked_bytes: int


class SourceUnreadable(Exception):
    """The source is not there, or not what the request says; asking again would not change that."""


@dataclass(frozen=True, kw_only=True)
class Workshop:
    """What builds are made with.

    Attributes:
        packs: The history of versions.
        pseudonym_secret: What the keys of pseudonyms are derived from; None where none is configured.
        tokenizer: Folder of a tokenizer by which statistics count tokens.
    """

    storage: Storage
    packs: VersionPacks
    process: BuildProcess
    pseudonym_secret: bytes | None = None
    tokenizer: Path | None = None


@dataclass(frozen=True, kw_only=True)
class _Outcome:
    """What a build came to, its lines and rows, and its report in storage."""

    built: PackedBuild
    parts: IO[bytes]
    report: Artifact


class Builds:
    """The queue's worker.

    Args:
        work: Opens transactions.
    """

    def __init__(self, work: PostgresWork, workshop: Workshop, limits: BuildLimits) -> None:
        self._work = work
        self._workshop = workshop
        self._storage = workshop.storage
        self._limits = limits

    async def run(self) -> None:
        try:
            await self._workshop.process.start()
            await repeat(self.build_next, name="dataset builds")
        finally:
            self._workshop.process.close()

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
        if request.policy.pseudonymise and self._workshop.pseudonym_secret is None:
            return await self._reject(request, ("pseudonyms are wanted, and no key for them is configured",))
        materials = await self._with_cases(materials)
        async with nameless_file_aside() as parts:
            return await self._build_with(request, materials, parts)

    async def _build_with(self, request: VersionRequest, materials: Materials, parts: IO[bytes]) -> Publication:
        """Builds what can be built; `parts` takes the lines and rows."""
        try:
            built = await self._read_and_build(request, materials.memory, parts)
        except SourceUnreadable as error:
            return await self._reject(request, (str(error),))
        report = await self._put(built.report, "application/json", suffix=".json")
        if built.rejected_because:
            return await self._reject(request, built.rejected_because, report)
        if request.purpose is Purpose.DRY_RUN:
            return await self._end_dry_run(request, report)
        stored = await self._store(request, materials, _Outcome(built=built, parts=parts, report=report))
        return await self._publish(request, stored, materials)

    async def _with_cases(self, materials: Materials) -> Materials:
        """Materials with what other datasets hold out, which storage gives while no transaction is open."""
        memory, workshop = materials.memory, self._workshop
        cases = await read_cases(materials.case_files, self._storage, workshop.packs, erased_units=memory.erased_units)
        return replace(materials, memory=replace(memory, cases=cases))

    async def _read_and_build(self, request: VersionRequest, memory: Memory, parts: IO[bytes]) -> PackedBuild:
        async with nameless_file_aside() as source, nameless_file_aside() as rejects:
            await self._fetch(request.source, source)
            files = BuildFiles(source=path_of(source), rejects=path_of(rejects), parts=path_of(parts))
            order = self._order(request, memory, files)
            try:
                async with self._progress(request):
                    built = await self._workshop.process.build(order)
            except Invalid as error:
                raise SourceUnreadable(f"the source cannot be used: {error.detail}") from error
            if path_of(rejects).stat().st_size:
                await self._keep_rejects(request, path_of(rejects))
        return built

    def _order(self, request: VersionRequest, memory: Memory, files: BuildFiles) -> BuildOrder:
        uploaded = request.origin is Origin.UPLOAD
        reading = ReadingRules(
            task_id=request.task_id, source=SampleSource.UPLOAD if uploaded else None, mapping=request.mapping
        )
        secret = self._workshop.pseudonym_secret
        return BuildOrder(
            files=files,
            source_name=request.source_name,
            size_bytes=request.source.size_bytes,
            limits=SourceLimits(
                max_unpacked_bytes=self._limits.max_unpacked_bytes, max_record_bytes=self._limits.max_line_bytes
            ),
            recipe=Recipe(
                request_id=request.request_id,
                dataset_name=request.dataset_name,
                reading=reading,
                policy=request.policy,
                expected_lines=request.sample_count,
            ),
            memory=memory,
            pseudonym_key=None if secret is None else dataset_key(secret, request.dataset_name),
            tokenizer=self._workshop.tokenizer,
            title=f"{request.dataset_name}: {request.request_id}",
        )

    @asynccontextmanager
    async def _progress(self, request: VersionRequest) -> AsyncGenerator[None]:
        """Notes how far the build is, while it lasts."""
        noting = asyncio.create_task(self._note_progress(request))
        try:
            yield
        finally:
            noting.cancel()
            with suppress(asyncio.CancelledError):
                await noting

    async def _note_progress(self, request: VersionRequest) -> None:
        while True:
            await asyncio.sleep(_PROGRESS_S)
            with suppress(DependencyError):  # a figure for people; the next one comes
                async with self._work() as unit:
                    await note_progress(unit, request.request_id, self._workshop.process.records_read)

    async def _fetch(self, source: Artifact, file: IO[bytes]) -> None:
        try:
            async for chunk in self._storage.chunks(source):
                await asyncio.to_thread(file.write, chunk)
        except InvalidPayload as error:
            raise SourceUnreadable(f"the source cannot be used: {error.detail}") from error
        except StoreUnavailable as error:
            if error.code == "storage.object-missing":
                raise SourceUnreadable("the source is not in storage") from error
            raise

    async def _keep_rejects(self, request: VersionRequest, rejects: Path) -> None:
        kept = await self._storage.put_file(rejects, kind="dataset-rejects", suffix=".jsonl", media_type=_JSON_LINES)
        async with self._work() as unit:
            await keep_rejects(unit, request.request_id, kept)

    async def _store(self, request: VersionRequest, materials: Materials, outcome: _Outcome) -> Stored:
        storage, built, packs = self._storage, outcome.built, self._workshop.packs
        parts = {
            name: await asyncio.to_thread(piece_of, outcome.parts, part.first_byte, part.size_bytes)
            for name, part in built.parts.items()
        }
        grown, splits = await asyncio.gather(
            packs.grow(parts, parent=materials.parent_manifest), self._put_parts(built, parts)
        )
        committed = await packs.commit(grown, splits)
        options = {"tokens": "counted" if self._workshop.tokenizer else "not counted"}
        recipe = recipe_of(request, materials, max_line_bytes=self._limits.max_line_bytes, options=options)
        return Stored(
            built=built,
            rows=LineFile(path_of(outcome.parts)),
            splits=splits,
            report=outcome.report,
            recipe_sha256=recipe_sha256(recipe),
            manifest=committed.manifest,
            origins=await store_origins(storage, built.origins),
            statistics=await self._put(built.statistics, "application/json", suffix=".json"),
            page=await self._put(built.page, "text/html; charset=utf-8", suffix=".html"),
        )

    async def _put_parts(self, built: PackedBuild, parts: Mapping[SplitName, bytes]) -> dict[SplitName, Split]:
        storing = [
            self._storage.put_bytes(lines, kind="datasets", suffix=".jsonl", media_type=_JSON_LINES)
            for lines in parts.values()
        ]
        artifacts = zip(parts, await asyncio.gather(*storing), strict=True)
        return {name: Split(artifact=artifact, samples=built.parts[name].samples) for name, artifact in artifacts}

    async def _put(self, content: bytes, media_type: str, *, suffix: str) -> Artifact:
        return await self._storage.put_bytes(content, kind="dataset-reports", suffix=suffix, media_type=media_type)

    async def _publish(self, request: VersionRequest, stored: Stored, materials: Materials) -> Publication:
        async with self._work() as unit:
            return await publish_version(unit, request, stored, materials, now=datetime.now(UTC))

    async def _reject(
        self, request: VersionRequest, reasons: tuple[str, ...], report: Artifact | None = None
    ) -> Publication:
        async with self._work() as unit:
            rejected = await reject_request(
                unit, request.request_id, reasons=reasons, now=datetime.now(UTC), report=report
            )
        return Publication.REJECTED if rejected else Publication.NOT_DUE

    async def _end_dry_run(self, request: VersionRequest, report: Artifact) -> Publication:
        async with self._work() as unit:
            ended = await end_dry_run(unit, request.request_id, report=report, now=datetime.now(UTC))
        return Publication.CHECKED if ended else Publication.NOT_DUE

    async def _give_back(self, request: VersionRequest) -> None:
        async with self._work() as unit:
            await give_back_request(unit, request.request_id)
