"""From ratings to samples, and from enough samples to a request for a dataset version."""

import uuid
from collections.abc import Sequence
from datetime import datetime

from feedback_svc.domain.ratings import Rating
from feedback_svc.domain.retraining import is_due
from feedback_svc.domain.samples import draft_sample, settle
from feedback_svc.store.dataset_requests import (
    DatasetRequest,
    RequestState,
    add_request,
    find_last_request,
    find_request,
)
from feedback_svc.store.inferences import find_content
from feedback_svc.store.samples import Origin, apply_change, count_ready, list_samples_of, take_ready
from feedback_svc.store.tasks import Task, find_task
from loopwright.contracts.datasets import DatasetRejected
from loopwright.telemetry import current_traceparent
from loopwright.unit_of_work import Work


async def curate(task: Task, standing: Sequence[Rating], work: Work, *, now: datetime) -> None:
    """Brings the sample of one inference in line with the ratings of it that count, and asks for a dataset if that is due.

    What is learned goes on in the trace of the newest rating, whichever came last: it or its inference.
    """
    newest = max(standing, key=lambda rating: rating.order)
    traceparent = newest.traceparent or current_traceparent()
    if await learn(task, standing, work, traceparent=traceparent, now=now):
        await request_dataset_if_due(task, work, traceparent=traceparent, now=now)


async def learn(task: Task, standing: Sequence[Rating], work: Work, *, traceparent: str | None, now: datetime) -> bool:
    """Brings the sample of one inference in line with the ratings of it that count.

    Nothing happens before the inference is there, or where its conversation was not stored, or not kept.

    Returns:
        Whether there is something new to learn.
    """
    one = standing[0]
    content = await find_content(work.session, one.inference_id)
    if content is None or content.input is None or not content.messages:
        return False
    draft = draft_sample(content.answer, standing, task.criteria)
    change = settle(draft, await list_samples_of(work.session, one.inference_id))
    origin = Origin(
        task_id=one.task_id, inference_id=one.inference_id, unit_hash=one.unit_hash, traceparent=traceparent,
        formed_at=now,
    )  # fmt: skip
    await apply_change(work.session, change, origin)
    return change.save is not None


async def request_dataset_if_due(task: Task, work: Work, *, traceparent: str | None, now: datetime) -> bool:
    """Asks for a dataset version if the task's policy says so; `jobs.py` writes the samples and announces it.

    Args:
        traceparent: Trace of what made it due.
    """
    policy = task.policies.retraining
    if not policy.enabled or not await _is_due(task, work, now=now):
        return False
    await find_task(work.session, task.task_id, lock=True)  # one request at a time: look again under the lock
    if not await _is_due(task, work, now=now):
        return False
    last = await find_last_request(work.session, task.task_id)
    await _ask(task, work, number=last.number + 1 if last else 1, why=None, traceparent=traceparent, now=now)
    return True


async def ask_again(event: DatasetRejected, work: Work, *, now: datetime) -> None:
    """Asks anew for what was not built because its export had to go: all that is left of it, without who was erased.

    A request that was made since then holds all of it anyway.
    """
    request = await find_request(work.session, event.request_id)
    if request is None or request.erased_at is None:
        return
    task = await find_task(work.session, request.task_id, lock=True)
    last = await find_last_request(work.session, request.task_id)
    if task is None or last is None or last.number != request.number:
        return
    why = f"the export of {request.request_id} was erased before a dataset was made of it"
    await _ask(task, work, number=last.number + 1, why=why, traceparent=request.traceparent, now=now)


async def _ask(task: Task, work: Work, *, number: int, why: str | None, traceparent: str | None, now: datetime) -> None:
    taken = await take_ready(work.session, task.task_id, request_number=number, now=now)
    request = DatasetRequest(
        request_id=f"req-{uuid.uuid4().hex}",
        task_id=task.task_id,
        number=number,
        state=RequestState.PENDING,
        new_samples=taken,
        reason=why or f"{taken} new samples since the last request",
        data_policy=task.policies.data_policy,
        traceparent=traceparent,
        requested_at=now,
    )
    await add_request(work.session, request)


async def _is_due(task: Task, work: Work, *, now: datetime) -> bool:
    policy = task.policies.retraining
    ready = await count_ready(work.session, task.task_id, at_most=policy.min_new_samples)
    if ready < policy.min_new_samples:  # the usual case, spared a second query
        return False
    last = await find_last_request(work.session, task.task_id)
    return is_due(policy, new_samples=ready, last_requested_at=last.requested_at if last else None, now=now)
