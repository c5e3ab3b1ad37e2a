"""From ratings to samples, and from enough samples to a request for a dataset version."""

import uuid
from collections.abc import Sequence
from datetime import datetime

from feedback_svc.domain.ratings import Rating
from feedback_svc.domain.retraining import is_due
from feedback_svc.domain.samples import draft_sample, settle
from feedback_svc.store.dataset_requests import DatasetRequest, RequestState, add_request, find_last_request
from feedback_svc.store.inferences import find_content
from feedback_svc.store.samples import Origin, apply_change, count_ready, list_samples_of, take_ready
from feedback_svc.store.tasks import Task, find_task
from loopwright.telemetry import current_traceparent
from loopwright.unit_of_work import Work


async def curate(task: Task, standing: Sequence[Rating], work: Work, *, now: datetime) -> None:
    """Brings the sample of one inference in line with the ratings of it that count.

    Nothing happens before the inference is there, or where its conversation was not stored. What is learned goes on in the
    trace of the newest rating, whichever of the two came last.
    """
    one = standing[0]
    content = await find_content(work.session, one.inference_id)
    if content is None or content.input is None or not content.messages:
        return
    draft = draft_sample(content.answer, standing, task.criteria)
    change = settle(draft, await list_samples_of(work.session, one.inference_id))
    traceparent = max(standing, key=lambda rating: rating.order).traceparent or current_traceparent()
    origin = Origin(
        task_id=one.task_id, inference_id=one.inference_id, unit_hash=one.unit_hash, traceparent=traceparent,
        formed_at=now,
    )  # fmt: skip
    await apply_change(work.session, change, origin)
    if change.save is not None:
        await request_dataset_if_due(task, work, traceparent=traceparent, now=now)


async def request_dataset_if_due(task: Task, work: Work, *, traceparent: str | None, now: datetime) -> bool:
    """Asks for a dataset version if the task's policy says so; `jobs.py` writes the samples and announces it.

    Args:
        traceparent: Trace of what made it due.
    """
    task_id, policy = task.task_id, task.policies.retraining
    if not policy.enabled or not await _is_due(task, work, now=now):
        return False
    await find_task(work.session, task_id, lock=True)  # one request at a time: look again under the lock
    if not await _is_due(task, work, now=now):
        return False
    last = await find_last_request(work.session, task_id)
    number = last.number + 1 if last else 1
    taken = await take_ready(work.session, task_id, request_number=number, now=now)
    request = DatasetRequest(
        request_id=f"req-{uuid.uuid4().hex}",
        task_id=task_id,
        number=number,
        state=RequestState.PENDING,
        new_samples=taken,
        reason=f"{taken} new samples since the last request",
        data_policy=task.policies.data_policy,
        traceparent=traceparent,
        requested_at=now,
    )
    await add_request(work.session, request)
    return True


async def _is_due(task: Task, work: Work, *, now: datetime) -> bool:
    policy = task.policies.retraining
    ready = await count_ready(work.session, task.task_id, at_most=policy.min_new_samples)
    if ready < policy.min_new_samples:  # the usual case, spared a second query
        return False
    last = await find_last_request(work.session, task.task_id)
    return is_due(policy, new_samples=ready, last_requested_at=last.requested_at if last else None, now=now)
