"""Quality and inputs of every task are looked at from time to time."""

from datetime import UTC, datetime

import structlog

from feedback_svc.handlers.monitoring import watch_inputs, watch_quality
from feedback_svc.store.tasks import list_tasks
from loopwright.repeating import repeat
from loopwright.unit_of_work import PostgresWork

_log = structlog.get_logger()


class Monitor:
    """Looks for falls of quality and drifts of inputs."""

    def __init__(self, work: PostgresWork, *, every_s: float) -> None:
        self._work = work
        self._every_s = every_s

    async def run(self) -> None:
        await repeat(self.look, name="monitoring", idle_s=self._every_s)

    async def look(self) -> bool:
        """Looks at every task once; always False, for nothing becomes due by having looked."""
        async with self._work() as unit:
            tasks = await list_tasks(unit.session)
        for task in tasks:
            for watch in (watch_quality, watch_inputs):
                async with self._work() as unit:
                    signal = await watch(task, unit, now=datetime.now(UTC))
                if signal is not None:
                    _log.info("training.called-for", task_id=task.task_id, kind=signal.kind, detail=signal.detail)
        return False
