"""What no consumer may wait for: writing exports to storage, and asking for datasets when a cool-down has passed."""

from datetime import UTC, datetime

import structlog

from feedback_svc.handlers.exports import KIND, MEDIA_TYPE, SUFFIX, export_lines, finish_export
from feedback_svc.handlers.learning import request_dataset_if_due
from feedback_svc.store.dataset_requests import find_oldest_pending
from feedback_svc.store.samples import list_lessons, newest_ready_traceparent
from feedback_svc.store.tasks import list_tasks
from loopwright.repeating import repeat
from loopwright.storage import Storage
from loopwright.telemetry import continued_span
from loopwright.unit_of_work import PostgresWork

_log = structlog.get_logger()


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
            lessons = await list_lessons(unit.session, request.task_id, up_to_request=request.number)
        with continued_span("export samples", traceparent=request.traceparent):
            content = export_lines(lessons)
            source = await self._storage.put_bytes(content, kind=KIND, suffix=SUFFIX, media_type=MEDIA_TYPE)
            async with self._work() as unit:
                await finish_export(request, source, unit, sample_count=len(lessons), now=datetime.now(UTC))
            _log.info("export.announced", request_id=request.request_id, samples=len(lessons))
        return True


class RetrainingTimer:
    """Asks for what fell due without a further rating: a cool-down ended, or two consumers each saw too few."""

    def __init__(self, work: PostgresWork, *, every_s: float) -> None:
        self._work = work
        self._every_s = every_s

    async def run(self) -> None:
        await repeat(self.look, name="retraining", idle_s=self._every_s)

    async def look(self) -> bool:
        """Looks at every task once; True if one asked."""
        async with self._work() as unit:
            tasks = await list_tasks(unit.session)
        asked = False
        for task in tasks:
            async with self._work() as unit:
                traceparent = await newest_ready_traceparent(unit.session, task.task_id)
                now = datetime.now(UTC)
                asked |= await request_dataset_if_due(task, unit, traceparent=traceparent, now=now)
        return asked
