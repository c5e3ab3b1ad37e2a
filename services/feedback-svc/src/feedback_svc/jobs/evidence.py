"""Evidence that is written to files by schedule."""

from datetime import UTC, datetime

import structlog

from feedback_svc.handlers.evidence import (
    MEDIA_TYPE,
    SUFFIX,
    evidence_due_at,
    evidence_lines,
    finish_evidence,
    kind_of,
    read_evidence,
    record_failure,
)
from feedback_svc.store.tasks import Task, list_tasks
from loopwright.contracts.tasks import SourcePolicy
from loopwright.errors import StoreUnavailable
from loopwright.repeating import repeat
from loopwright.storage import Storage
from loopwright.unit_of_work import PostgresWork

_log = structlog.get_logger()


class EvidenceTimer:
    """Writes the evidence that is due.

    Any number of replicas may do so at once: the same evidence has the same bytes and so the same place.
    """

    def __init__(self, work: PostgresWork, storage: Storage, *, every_s: float) -> None:
        self._work = work
        self._storage = storage
        self._every_s = every_s

    async def run(self) -> None:
        await repeat(self.look, name="evidence", idle_s=self._every_s)

    async def look(self) -> bool:
        """Looks at every source of every task once; always False, for what failed must not be tried at once."""
        async with self._work() as unit:
            tasks = await list_tasks(unit.session)
        for task in tasks:
            for policy in task.policies.sources:
                await self._write_if_due(task, policy, now=datetime.now(UTC))
        return False

    async def _write_if_due(self, task: Task, policy: SourcePolicy, *, now: datetime) -> None:
        async with self._work() as unit:
            due_at = await evidence_due_at(task, policy, unit, now=now)
        if due_at is None:
            return
        try:
            await self._write(task, policy.source, due_at=due_at, now=now)
        except StoreUnavailable as error:
            if not error.code.startswith("storage."):
                raise
            _log.warning("evidence.failed", task_id=task.task_id, source=policy.source, reason=error.detail)
            async with self._work() as unit:
                await record_failure(task, policy.source, unit, error=error.detail, times=(due_at, now))

    async def _write(self, task: Task, source: str, *, due_at: datetime, now: datetime) -> None:
        async with self._work() as unit:
            evidence, erasures = await read_evidence(task, source, unit, due_at=due_at)
        written = None
        if evidence:
            content, kind = evidence_lines(evidence), kind_of(source, due_at)
            artifact = await self._storage.put_bytes(content, kind=kind, suffix=SUFFIX, media_type=MEDIA_TYPE)
            written = (artifact, erasures)
        async with self._work() as unit:
            await finish_evidence(task, source, evidence, unit, written=written, times=(due_at, now))
        _log.info("evidence.written", task_id=task.task_id, source=source, samples=len(evidence))
