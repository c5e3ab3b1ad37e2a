"""Datasets that are asked for without a further rating."""

from datetime import UTC, datetime

from feedback_svc.handlers.learning import request_dataset_if_called_for
from feedback_svc.store.samples import newest_ready_traceparent
from feedback_svc.store.tasks import list_tasks
from loopwright.repeating import repeat
from loopwright.unit_of_work import PostgresWork


class RetrainingTimer:
    """Asks for what fell due without a further rating: by time, by a person, by a fall of quality or a drift of inputs."""

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
                asked |= await request_dataset_if_called_for(task, unit, traceparent=traceparent, now=now)
        return asked
