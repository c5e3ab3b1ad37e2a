"""Requests for versions, which are also the queue of builds."""

from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from dataset_svc.domain.requests import Origin, Purpose, RequestState, VersionRequest
from dataset_svc.store.tables import MappingDocument, RequestRow


async def add(session: AsyncSession, request: VersionRequest) -> bool:
    """Adds a pending request, unless one with its id is there already.

    Returns:
        Whether it was added.
    """
    statement = (
        insert(RequestRow)
        .values(
            request_id=request.request_id,
            task_id=request.task_id,
            dataset_name=request.dataset_name,
            description=request.description,
            origin=request.origin,
            requested_by=request.requested_by,
            requested_at=request.requested_at,
            reason=request.reason,
            source=request.source,
            sample_count=request.sample_count,
            data_policy=request.policy,
            traceparent=request.traceparent,
            source_name=request.source_name,
            mapping=None if request.mapping is None else MappingDocument(request.mapping),
            purpose=request.purpose,
            state=RequestState.PENDING,
            attempts=0,
            next_attempt_at=sa.func.now(),
            rejected_because=[],
        )
        .on_conflict_do_nothing()
        .returning(RequestRow.request_id)
    )
    return (await session.execute(statement)).scalar_one_or_none() is not None


async def find_due(session: AsyncSession, now: datetime) -> RequestRow | None:
    """Locks the pending request that has waited longest; passes over those that another process holds."""
    statement = (
        sa.select(RequestRow)
        .where(RequestRow.state == RequestState.PENDING, RequestRow.next_attempt_at <= now)
        .order_by(RequestRow.next_attempt_at, RequestRow.request_id)
        .limit(1)
        .with_for_update(skip_locked=True)
    )
    return (await session.execute(statement)).scalar_one_or_none()


async def find_pending(session: AsyncSession, request_id: str) -> RequestRow | None:
    """Locks the request if nobody has finished it."""
    statement = (
        sa.select(RequestRow)
        .where(RequestRow.request_id == request_id, RequestRow.state == RequestState.PENDING)
        .with_for_update()
    )
    return (await session.execute(statement)).scalar_one_or_none()


def as_request(row: RequestRow) -> VersionRequest:
    return VersionRequest(
        request_id=row.request_id,
        task_id=row.task_id,
        dataset_name=row.dataset_name,
        description=row.description,
        origin=Origin(row.origin),
        requested_by=row.requested_by,
        requested_at=row.requested_at,
        reason=row.reason,
        source=row.source,
        sample_count=row.sample_count,
        policy=row.data_policy,
        traceparent=row.traceparent,
        source_name=row.source_name,
        mapping=None if row.mapping is None else row.mapping.root,
        purpose=Purpose(row.purpose),
    )
