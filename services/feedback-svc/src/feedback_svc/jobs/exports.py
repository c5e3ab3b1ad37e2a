"""Exports, which no consumer may wait for: written when they were asked for, deleted when a person in them was erased."""

from datetime import UTC, datetime, timedelta

import structlog

from feedback_svc.handlers.exports import KIND, MEDIA_TYPE, SUFFIX, export_lines, finish_export, read_export
from feedback_svc.store.dataset_requests import find_oldest_pending
from feedback_svc.store.export_deletions import find_due_deletion, mark_deleted, postpone_deletion
from loopwright.errors import ContractError
from loopwright.repeating import repeat
from loopwright.storage import Storage
from loopwright.telemetry import continued_span
from loopwright.unit_of_work import PostgresWork

_log = structlog.get_logger()
_FOREIGN_PATIENCE = timedelta(hours=1)


class Exporter:
    """Writes and announces pending requests, oldest first.

    Any number of replicas may do so at once: the same samples have the same bytes and so the same place, and one
    transaction alone finds the request still pending.
    """

    def __init__(self, work: PostgresWork, storage: Storage, *, poll_s: float) -> None:
        self._work = work
        self._storage = storage
        self._poll_s = poll_s

    async def run(self) -> None:
        await repeat(self.export_next, name="export", idle_s=self._poll_s)

    async def export_next(self) -> bool:
        """Brings one request to its end; False if none is pending."""
        async with self._work() as unit:
            request = await find_oldest_pending(unit.session)
            if request is None:
                return False
            export = await read_export(request, unit)
        if export is None:
            _log.info("export.withdrawn", request_id=request.request_id)
            return True
        with continued_span("export samples", traceparent=request.traceparent):
            content = export_lines(export.lessons)
            source = await self._storage.put_bytes(content, kind=KIND, suffix=SUFFIX, media_type=MEDIA_TYPE)
            async with self._work() as unit:
                await finish_export(request, export, source, unit, now=datetime.now(UTC))
            _log.info("export.written", request_id=request.request_id, samples=len(export.lessons))
        return True


class ErasedExports:
    """Deletes exports that held samples of erased persons, outside any transaction; a crash anywhere repeats the work.

    Nobody can come to need such an object again: no export that has the same bytes will ever be written.
    """

    def __init__(self, work: PostgresWork, storage: Storage) -> None:
        self._work = work
        self._storage = storage

    async def run(self) -> None:
        await repeat(self.delete_next, name="erased exports", idle_s=2)

    async def delete_next(self) -> bool:
        """Deletes one object; False if none is due."""
        async with self._work() as unit:
            due = await find_due_deletion(unit.session, datetime.now(UTC))
        if due is None:
            return False
        uri, due_at = due
        try:
            await self._storage.delete(uri)
        except ContractError as error:  # it lies in no storage that is known here: a person must look
            _log.error("export.not-deleted", uri=uri, reason=error.detail)
            async with self._work() as unit:
                await postpone_deletion(unit.session, uri, until=datetime.now(UTC) + _FOREIGN_PATIENCE)
            return True
        async with self._work() as unit:
            await mark_deleted(unit.session, uri, due_at=due_at, now=datetime.now(UTC))
        _log.info("export.deleted", uri=uri)
        return True
