"""Read models of what a task has learned, whether it asks for training, and what it asked for."""

from datetime import datetime

import sqlalchemy as sa
from pydantic import Field
from sqlalchemy.ext.asyncio import AsyncSession

from feedback_svc.domain.retraining import cool_again_at, is_under_way, why_ask
from feedback_svc.queries.collecting import SourceStatus, list_source_status
from feedback_svc.store.situations import situation_of
from feedback_svc.store.tables import dataset_requests, evaluations, samples
from feedback_svc.store.tasks import get_task
from loopwright.contracts.base import Artifact, Value
from loopwright.errors import NotFound
from loopwright.pages import Page, Window, read_page

READY_SAMPLES = 20  # from here on users call a task ready
_HIGH_QUALITY_0_1 = 0.8


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


class TrainingRun(ExportView):
    """A request, and what is known of what came of it."""

    ended_at: datetime | None = Field(description="when its dataset was refused; none if it was not")
    evaluated_at: datetime | None = Field(description="when a model of the task was judged next; none if not yet")
    candidate_variant_id: str | None = Field(description="that model")
    passed: bool | None = Field(description="whether it passed its gate")


class SampleCounts(Value):
    """Samples of one source."""

    source: str = Field(description="rating, correction, or the name of a source of upstream records")
    ready: int = Field(description="not yet exported")
    exported: int
    quarantined: int = Field(description="set aside")
    withdrawn: int = Field(description="taken back before any export")


class LearnStatus(Value):
    """What a task has learned, and whether it will ask for training."""

    task_id: str
    base_model: str
    samples: tuple[SampleCounts, ...]
    sources: tuple[SourceStatus, ...] = Field(description="sources of upstream records that the task declares")
    new_samples: int = Field(description="ready samples of all sources")
    high_quality_samples: int = Field(description=f"of these, samples of weight {_HIGH_QUALITY_0_1} or more")
    ready: bool = Field(description=f"there are at least {READY_SAMPLES} of them")
    min_new_samples: int = Field(description="new samples that the retraining policy waits for")
    due: str | None = Field(description="why a dataset would be asked for now; none if it would not")
    enabled: bool = Field(description="the policy asks without a person")
    cooldown_until: datetime | None = Field(description="no request by itself before this; none if none was made yet")
    under_way: bool = Field(description="an earlier request has not ended yet, and further ones wait")
    signals: tuple[str, ...] = Field(description="what calls for training and was not answered yet")
    last_run: ExportView | None


async def learn_status(session: AsyncSession, task_id: str, *, now: datetime) -> LearnStatus:
    """What a task has learned.

    Raises:
        NotFound: there is no such task.
    """
    task = await get_task(session, task_id)
    policy = task.policies.retraining
    situation = await situation_of(session, task)
    counts = await _count_samples(session, task_id)
    newest = await list_exports(session, Window(limit=1, offset=0), task_id=task_id)
    last = newest.items[0] if newest.items else None
    new_samples = sum(count.ready for count in counts)
    return LearnStatus(
        task_id=task_id,
        base_model=task.policies.base_model,
        samples=counts,
        sources=await list_source_status(session, task),
        new_samples=new_samples,
        high_quality_samples=await _count_high_quality(session, task_id),
        ready=new_samples >= READY_SAMPLES,
        min_new_samples=policy.min_new_samples,
        due=why_ask(policy, situation, now=now),
        enabled=policy.enabled,
        cooldown_until=cool_again_at(policy, last.requested_at) if last else None,
        under_way=is_under_way(policy, situation, now=now),
        signals=tuple(signal.detail for signal in situation.signals),
        last_run=last,
    )


async def list_exports(session: AsyncSession, window: Window, *, task_id: str | None) -> Page[ExportView]:
    """Newest first."""
    query = sa.select(dataset_requests).order_by(dataset_requests.c.requested_at.desc(), dataset_requests.c.request_id)
    if task_id is not None:
        query = query.where(dataset_requests.c.task_id == task_id)
    return await read_page(session, query, window, lambda row: ExportView.model_validate(dict(row)))


async def get_export(session: AsyncSession, request_id: str) -> ExportView:
    """One export.

    Raises:
        NotFound: there is no such request.
    """
    query = sa.select(dataset_requests).where(dataset_requests.c.request_id == request_id)
    row = (await session.execute(query)).mappings().one_or_none()
    if row is None:
        raise NotFound("export.not-found", "there is no such export", request_id=request_id)
    return ExportView.model_validate(dict(row))


async def list_training_runs(session: AsyncSession, window: Window, *, task_id: str | None) -> Page[TrainingRun]:
    """Requests, newest first, each with the model of its task that was judged next."""
    columns, judged = dataset_requests.c, evaluations.c
    next_model = (
        sa.select(judged.evaluated_at, judged.candidate_variant_id, judged.passed)
        .where(judged.task_id == columns.task_id, judged.evaluated_at >= columns.announced_at)
        .order_by(judged.evaluated_at)
        .limit(1)
        .correlate(dataset_requests)
        .lateral()
    )
    query = (
        sa.select(dataset_requests, next_model)
        .outerjoin(next_model, sa.true())
        .order_by(columns.requested_at.desc(), columns.request_id)
    )
    if task_id is not None:
        query = query.where(columns.task_id == task_id)
    return await read_page(session, query, window, lambda row: TrainingRun.model_validate(dict(row)))


async def _count_samples(session: AsyncSession, task_id: str) -> tuple[SampleCounts, ...]:
    columns = samples.c
    source = sa.func.coalesce(columns.collected_from, columns.source)
    query = (
        sa.select(
            source.label("source"),
            *(
                sa.func.count().filter(columns.state == state).label(state)
                for state in ("ready", "exported", "quarantined", "withdrawn")
            ),
        )
        .where(columns.task_id == task_id)
        .group_by(source)
        .order_by(source)
    )
    return tuple(SampleCounts.model_validate(dict(row)) for row in (await session.execute(query)).mappings())


async def _count_high_quality(session: AsyncSession, task_id: str) -> int:
    columns = samples.c
    good = (columns.task_id == task_id, columns.state == "ready", columns.weight_0_1 >= _HIGH_QUALITY_0_1)
    return (await session.execute(sa.select(sa.func.count()).where(*good))).scalar_one()
