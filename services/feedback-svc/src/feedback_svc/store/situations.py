"""What is known of a task when it is asked whether it should ask for a dataset."""

from sqlalchemy.ext.asyncio import AsyncSession

from feedback_svc.domain.retraining import LEAST_SAMPLES, Situation
from feedback_svc.store.dataset_requests import DatasetRequest, RequestState, find_last_request, was_evaluated_since
from feedback_svc.store.samples import count_ready
from feedback_svc.store.signals import list_open_signals
from feedback_svc.store.tasks import Task


async def situation_of(session: AsyncSession, task: Task) -> Situation:
    last = await find_last_request(session, task.task_id)
    under_way = last is not None and await _is_under_way(session, last)
    return Situation(
        new_samples=await count_ready(
            session, task.task_id, at_most=max(task.policies.retraining.min_new_samples, LEAST_SAMPLES)
        ),
        last_requested_at=last.requested_at if last else None,
        under_way_since=last.requested_at if last and under_way else None,
        known_since=task.defined_at,
        signals=await list_open_signals(session, task.task_id),
    )


async def _is_under_way(session: AsyncSession, last: DatasetRequest) -> bool:
    """Whether what a request set off has not been seen to end: a dataset refused, or a model evaluated."""
    if last.state is RequestState.WITHDRAWN or last.ended_at is not None:
        return False
    return last.announced_at is None or not await was_evaluated_since(session, last.task_id, last.announced_at)
