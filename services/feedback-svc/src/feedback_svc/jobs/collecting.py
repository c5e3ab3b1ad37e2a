"""Upstream records are checked and become samples: as they come, by schedule, or because a person asked."""

from datetime import UTC, datetime, timedelta

import structlog

from feedback_svc.domain.schedules import is_due
from feedback_svc.handlers.collecting import ask_for_run, checked_source, collect_part
from feedback_svc.handlers.inspections import inspect_records
from feedback_svc.store.collections import (
    Run,
    RunState,
    failed_lately,
    find_last_run,
    find_open_run,
    finish_run,
    last_asked_at,
)
from feedback_svc.store.source_records import last_position
from feedback_svc.store.tasks import Task, list_tasks
from loopwright.contracts.tasks import SourcePolicy
from loopwright.errors import DependencyError, RuleRefused
from loopwright.repeating import repeat
from loopwright.unit_of_work import PostgresWork

_log = structlog.get_logger()
_GRACE = timedelta(hours=1)
_PAUSE = timedelta(minutes=15)  # after a run that failed
_BY_ITSELF = "feedback-svc"


class Inspector:
    """Checks records after they were taken in."""

    def __init__(self, work: PostgresWork, *, every_s: float) -> None:
        self._work = work
        self._every_s = every_s

    async def run(self) -> None:
        await repeat(self.look, name="inspection", idle_s=self._every_s)

    async def look(self) -> bool:
        """Checks what came longest ago; False if there was nothing."""
        async with self._work() as unit:
            inspected = await inspect_records(unit, now=datetime.now(UTC))
        for one in inspected:
            if one.reason is not None:
                _log.info("record.refused", kind=one.record.kind, record_id=one.record.record_id, reason=one.reason)
        return bool(inspected)


class Collector:
    """Works at runs, part by part. What fails ends its run, is kept there, and disturbs nothing else."""

    def __init__(self, work: PostgresWork, *, every_s: float) -> None:
        self._work = work
        self._every_s = every_s

    async def run(self) -> None:
        await repeat(self.collect_next, name="collecting", idle_s=self._every_s)

    async def collect_next(self) -> bool:
        """Does one part of the run that has waited longest; False if there is none."""
        run: Run | None = None
        try:
            async with self._work() as unit:
                run = await find_open_run(unit.session)
                if run is None:
                    return False
                await collect_part(run, unit, now=datetime.now(UTC))
        except DependencyError:
            raise
        except Exception as error:  # a run must not end what all sources share
            if run is None:
                raise
            _log.exception("collecting.failed", run_id=run.run_id, source=run.source)
            async with self._work() as unit:
                reason = f"{type(error).__name__} after position {run.position}"
                await finish_run(unit.session, run.run_id, RunState.FAILED, now=datetime.now(UTC), error=reason)
        return True


class CollectingTimer:
    """Asks for runs: where a source has something new, or where a schedule says so."""

    def __init__(self, work: PostgresWork, *, every_s: float) -> None:
        self._work = work
        self._every_s = every_s

    async def run(self) -> None:
        await repeat(self.look, name="collecting by schedule", idle_s=self._every_s)

    async def look(self) -> bool:
        """Looks at every source of every task once; True if one is to be read."""
        async with self._work() as unit:
            tasks = await list_tasks(unit.session)
        asked = False
        for task in tasks:
            for policy in task.policies.sources:
                if policy.enabled:
                    asked |= await self._ask(task, policy)
        return asked

    async def _ask(self, task: Task, policy: SourcePolicy) -> bool:
        now = datetime.now(UTC)
        async with self._work() as unit:
            try:
                schedule = policy.collect or checked_source(policy).collect
                if schedule is None:
                    last = await find_last_run(unit.session, task.task_id, policy.source)
                    seen = last.position if last and last.options == policy.options else 0
                    due = await last_position(unit.session, policy.source) > seen
                    since = now - _PAUSE
                    due = due and not await failed_lately(unit.session, task.task_id, policy.source, since=since)
                    why = "new records"
                else:
                    since = await last_asked_at(unit.session, task.task_id, policy.source) or task.defined_at
                    due = is_due(schedule, since=since, now=now, grace=_GRACE)
                    why = f"the schedule {schedule.cron} ({schedule.time_zone})"
                return due and await ask_for_run(task, policy, unit, why=(why, _BY_ITSELF), now=now) is not None
            except RuleRefused as refusal:
                _log.warning("collecting.refused", task_id=task.task_id, source=policy.source, reason=refusal.detail)
                return False
