"""Requests for dataset versions: pending until the samples are written and the request is announced."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession

from feedback_svc.store.tables import dataset_requests, evaluations
from loopwright.contracts.base import Artifact
from loopwright.contracts.tasks import DataPolicy


class RequestState(StrEnum):
    """Life of a request."""

    PENDING = "pending"
    ANNOUNCED = "announced"
    WITHDRAWN = "withdrawn"  # all of its samples were erased before it was announced


@dataclass(frozen=True, kw_only=True)
class DatasetRequest:
    """One request.

    Attributes:
        number: Counts the requests of one task, from 1; its export holds the samples of all requests up to it.
        new_samples: Samples that were learned since the request before.
        traceparent: Trace of the rating that made it due.
        announced_at: When its export was written and dataset-svc was asked; None while it is pending.
        ended_at: When what it set off was seen to end; None if that was not seen yet.
        erased_at: When its export had to go, for it held samples of a person who was erased.
    """

    request_id: str
    task_id: str
    number: int
    state: RequestState
    new_samples: int
    reason: str
    data_policy: DataPolicy
    traceparent: str | None
    requested_at: datetime
    announced_at: datetime | None = None
    ended_at: datetime | None = None
    erased_at: datetime | None = None


async def find_request(session: AsyncSession, request_id: str) -> DatasetRequest | None:
    query = sa.select(dataset_requests).where(dataset_requests.c.request_id == request_id)
    row = (await session.execute(query)).one_or_none()
    return None if row is None else _request(row)


async def find_last_request(session: AsyncSession, task_id: str) -> DatasetRequest | None:
    query = (
        sa.select(dataset_requests)
        .where(dataset_requests.c.task_id == task_id)
        .order_by(dataset_requests.c.number.desc())
        .limit(1)
    )
    row = (await session.execute(query)).one_or_none()
    return None if row is None else _request(row)


async def add_request(session: AsyncSession, request: DatasetRequest) -> None:
    await session.execute(
        sa.insert(dataset_requests).values(
            request_id=request.request_id, task_id=request.task_id, number=request.number, state=request.state,
            new_samples=request.new_samples, reason=request.reason,
            data_policy=request.data_policy.model_dump(mode="json"), traceparent=request.traceparent,
            requested_at=request.requested_at,
        )
    )  # fmt: skip


async def find_oldest_pending(session: AsyncSession) -> DatasetRequest | None:
    query = (
        sa.select(dataset_requests)
        .where(dataset_requests.c.state == RequestState.PENDING)
        .order_by(dataset_requests.c.requested_at, dataset_requests.c.request_id)
        .limit(1)
    )
    row = (await session.execute(query)).one_or_none()
    return None if row is None else _request(row)


async def is_pending(session: AsyncSession, request_id: str) -> bool:
    """Whether nobody finished it; nobody else can until the end of the transaction."""
    query = sa.select(dataset_requests.c.state).where(dataset_requests.c.request_id == request_id).with_for_update()
    return (await session.execute(query)).scalar_one() == RequestState.PENDING


async def mark_withdrawn(session: AsyncSession, request_id: str) -> None:
    """Ends a request that has nothing left to ask for."""
    await session.execute(
        sa.update(dataset_requests)
        .where(dataset_requests.c.request_id == request_id)
        .values(state=RequestState.WITHDRAWN)
    )


async def end_requests(session: AsyncSession, task_id: str, *, up_to_number: int, now: datetime) -> None:
    """Notes that what the requests of a task up to one set off has come to its end; nobody waits for it any more."""
    columns = dataset_requests.c
    open_ones = (columns.task_id == task_id, columns.number <= up_to_number, columns.ended_at.is_(None))
    await session.execute(sa.update(dataset_requests).where(*open_ones).values(ended_at=now))


async def was_evaluated_since(session: AsyncSession, task_id: str, moment: datetime) -> bool:
    """Whether a model of the task was judged since a moment, which ends what a request before it set off."""
    query = sa.select(sa.exists().where(evaluations.c.task_id == task_id, evaluations.c.evaluated_at >= moment))
    return bool((await session.execute(query)).scalar_one())


async def erase_exports(
    session: AsyncSession, task_id: str, *, from_number: int, reason: str, now: datetime
) -> list[str]:
    """Marks the exports of a task from one request on: each holds what the ones before it held.

    Returns:
        URIs of those that were not marked before.
    """
    columns = dataset_requests.c
    statement = (
        sa.update(dataset_requests)
        .where(
            columns.task_id == task_id, columns.number >= from_number, columns.source.is_not(None),
            columns.erased_at.is_(None),
        )
        .values(erased_at=now, erased_because=reason)
        .returning(columns.source)
    )  # fmt: skip
    return [Artifact.model_validate(source).uri for source in (await session.execute(statement)).scalars()]


async def mark_announced(
    session: AsyncSession, request_id: str, *, source: Artifact, sample_count: int, now: datetime
) -> None:
    await session.execute(
        sa.update(dataset_requests)
        .where(dataset_requests.c.request_id == request_id)
        .values(
            state=RequestState.ANNOUNCED,
            source=source.model_dump(mode="json"),
            sample_count=sample_count,
            announced_at=now,
        )
    )


def _request(row: sa.Row[*tuple[object, ...]]) -> DatasetRequest:
    return DatasetRequest(
        request_id=row.request_id,
        task_id=row.task_id,
        number=row.number,
        state=RequestState(row.state),
        new_samples=row.new_samples,
        reason=row.reason,
        data_policy=DataPolicy.model_validate(row.data_policy),
        traceparent=row.traceparent,
        requested_at=row.requested_at,
        announced_at=row.announced_at,
        ended_at=row.ended_at,
        erased_at=row.erased_at,
    )
