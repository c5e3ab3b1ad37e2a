"""Jobs that succeeded, for what can be learned from them about time."""

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession

from loopwright.contracts.base import RunState
from loopwright.contracts.jobs import JobKind
from trainer_svc.domain.estimates import PastRun
from trainer_svc.domain.queue import kind_of
from trainer_svc.store.jobs import JobRow
from trainer_svc.store.tables import jobs

_MOST_RUNS = 200


async def list_past_runs(session: AsyncSession) -> list[PastRun]:
    """The newest jobs that succeeded, newest first."""
    statement = (
        sa.select(jobs)
        .where(jobs.c.state == RunState.SUCCEEDED, jobs.c.ran_on != [], jobs.c.last_started_at.is_not(None))
        .order_by(jobs.c.finished_at.desc())
        .limit(_MOST_RUNS)
    )
    return [_past_run(row) for row in await session.execute(statement)]


def _past_run(row: JobRow) -> PastRun:
    train_bytes = row.training_data.train.artifact.size_bytes
    return PastRun(
        kind=JobKind(row.kind),
        base_model=row.base_model,
        method=row.method,
        device_kind=kind_of(row.ran_on[0].rpartition("/")[2]),
        device_count=len(row.ran_on),
        seconds=(row.finished_at - row.last_started_at).total_seconds(),
        tokens=row.tokens,
        train_s=row.train_s,
        data_bytes=train_bytes * row.hyperparameters.num_epochs if row.attempt == 1 else None,
    )
