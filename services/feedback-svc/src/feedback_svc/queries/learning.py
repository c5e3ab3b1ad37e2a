"""Read models of samples and exports."""

from datetime import datetime, timedelta

import sqlalchemy as sa
from pydantic import Field
from sqlalchemy.ext.asyncio import AsyncSession

from feedback_svc.domain.retraining import is_due
from feedback_svc.store.tables import dataset_requests, samples
from feedback_svc.store.tasks import get_task
from loopwright.contracts.base import Artifact, Value
from loopwright.pages import Page, Window, read_page


class ExportView(Value):
    """One request for a dataset version, with the samples that went along."""

    request_id: str
    task_id: str
    number: int = Field(description="counts the requests of a task")
    state: str = Field(description="pending, announced, or withdrawn when all of its samples were erased first")
    reason: str
    new_samples: int = Field(description="samples since the request before")
    sample_count: int | None = Field(description="all samples in the export; none while it is pending")
    source: Artifact | None = Field(description="where the samples are; none while it is pending")
    requested_at: datetime
    announced_at: datetime | None
    erased_at: datetime | None = Field(description="when the export had to go from storage; none if it may stay")
    erased_because: str | None


class SampleCounts(Value):
    """Samples of one source."""

    source: str
    ready: int = Field(description="not yet exported")
    exported: int
    withdrawn: int = Field(description="taken back by a later rating before any export")


class LearnStatus(Value):
    """What a task has learned, and whether it will ask for training."""

    task_id: str
    base_model: str
    samples: tuple[SampleCounts, ...]
    new_samples: int = Field(description="ready samples of all sources")
    min_new_samples: int = Field(description="new samples that the retraining policy waits for")
    ready: bool = Field(description="the policy would ask for a dataset now")
    enabled: bool = Field(description="the policy asks without a person")
    cooldown_until: datetime | None = Field(description="no request before this; none if none was made yet")
    last_run: ExportView | None


async def learn_status(session: AsyncSession, task_id: str, *, now: datetime) -> LearnStatus:
    """What a task has learned.

    Raises:
        NotFound: there is no such task.
    """
    task = await get_task(session, task_id)
    policy = task.policies.retraining
    counts = await _count_samples(session, task_id)
    newest = await list_exports(session, Window(limit=1, offset=0), task_id=task_id)
    last = newest.items[0] if newest.items else None
    new_samples = sum(count.ready for count in counts)
    last_at = last.requested_at if last else None
    return LearnStatus(
        task_id=task_id,
        base_model=task.policies.base_model,
        samples=counts,
        new_samples=new_samples,
        min_new_samples=policy.min_new_samples,
        ready=is_due(policy, new_samples=new_samples, last_requested_at=last_at, now=now),
        enabled=policy.enabled,
        cooldown_until=last_at + timedelta(seconds=policy.cooldown_s) if last_at else None,
        last_run=last,
    )


async def list_exports(session: AsyncSession, window: Window, *, task_id: str | None) -> Page[ExportView]:
    """Newest first."""
    query = sa.select(dataset_requests).order_by(dataset_requests.c.requested_at.desc(), dataset_requests.c.request_id)
    if task_id is not None:
        query = query.where(dataset_requests.c.task_id == task_id)
    return await read_page(session, query, window, lambda row: ExportView.model_validate(dict(row)))


async def _count_samples(session: AsyncSession, task_id: str) -> tuple[SampleCounts, ...]:
    columns = samples.c
    query = (
        sa.select(
            columns.source,
            *(
                sa.func.count().filter(columns.state == state).label(state)
                for state in ("ready", "exported", "withdrawn")
            ),
        )
        .where(columns.task_id == task_id)
        .group_by(columns.source)
        .order_by(columns.source)
    )
    return tuple(SampleCounts.model_validate(dict(row)) for row in (await session.execute(query)).mappings())
