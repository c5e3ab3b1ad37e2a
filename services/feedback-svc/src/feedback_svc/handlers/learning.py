"""From ratings to samples, and from enough samples to a request for a dataset version."""

import uuid
from collections.abc import Mapping, Sequence
from datetime import datetime

from feedback_svc.domain.ratings import Rating
from feedback_svc.domain.retraining import LEAST_SAMPLES, Signal, SignalKind, why_ask
from feedback_svc.domain.samples import Change, draft_sample, settle
from feedback_svc.handlers.curation import look_through
from feedback_svc.store.dataset_requests import (
    DatasetRequest,
    RequestState,
    add_request,
    end_requests,
    find_last_request,
    find_request,
)
from feedback_svc.store.inferences import find_contents
from feedback_svc.store.samples import Origin, apply_changes, count_ready, list_samples_of, take_ready
from feedback_svc.store.signals import answer_signals, raise_signal
from feedback_svc.store.situations import situation_of
from feedback_svc.store.tasks import Task, find_task, get_task
from loopwright.contracts.base import RunState
from loopwright.contracts.datasets import DatasetRejected
from loopwright.contracts.jobs import BY_POLICY, JobFinished, JobKind
from loopwright.errors import Conflict
from loopwright.telemetry import current_traceparent
from loopwright.unit_of_work import Work


async def curate(task: Task, standing: Mapping[str, Sequence[Rating]], work: Work, *, now: datetime) -> None:
    """Brings samples in line with the ratings that count, and asks for a dataset if that is due.

    Args:
        standing: Ratings of each inference; of all of it, and at least one.
    """
    taught = await learn(task, standing, work, now=now)
    if taught:
        newest = max((rating for one in taught for rating in standing[one]), key=lambda rating: rating.order)
        await request_dataset_if_due(task, work, traceparent=newest.traceparent or current_traceparent(), now=now)


async def learn(task: Task, standing: Mapping[str, Sequence[Rating]], work: Work, *, now: datetime) -> list[str]:
    """Brings samples in line with the ratings that count.

    Nothing happens before an inference is there, or where its conversation was not stored, or not kept. What is
    learned goes on in the trace of the newest rating, whichever came last: it or its inference.

    Returns:
        Inferences that teach something new.
    """
    contents = await find_contents(work.session, standing) if standing else {}
    if not contents:
        return []
    known = await list_samples_of(work.session, contents)
    changes: list[tuple[Change, Origin]] = []
    for inference_id, content in sorted(contents.items()):
        if content.input is None or not content.messages:
            continue
        ratings = standing[inference_id]
        draft = draft_sample(content.answer, ratings, task.criteria)
        changes.append((settle(draft, known.get(inference_id, ())), _origin_of(ratings, now=now)))
    await apply_changes(work.session, changes)
    return [origin.inference_id for change, origin in changes if change.save is not None]


def _origin_of(ratings: Sequence[Rating], *, now: datetime) -> Origin:
    newest = max(ratings, key=lambda rating: rating.order)
    return Origin(
        task_id=newest.task_id,
        inference_id=newest.inference_id,
        unit_hash=newest.unit_hash,
        traceparent=newest.traceparent or current_traceparent(),
        formed_at=now,
    )


async def request_dataset_if_due(task: Task, work: Work, *, traceparent: str | None, now: datetime) -> bool:
    """Asks for a dataset version if there are as many new samples as the policy waits for, and nothing speaks against it.

    Args:
        traceparent: Trace of what made it due.
    """
    policy = task.policies.retraining
    if not policy.enabled or await count_ready(work.session, task.task_id, at_most=policy.min_new_samples) < (
        policy.min_new_samples
    ):  # the usual case, spared further queries
        return False
    return await request_dataset_if_called_for(task, work, traceparent=traceparent, now=now)


async def request_dataset_if_called_for(task: Task, work: Work, *, traceparent: str | None, now: datetime) -> bool:
    """Asks for a dataset version for any reason that the policy knows; `jobs` writes the samples and announces it."""
    if await _why_ask(task, work, now=now) is None:
        return False
    await find_task(work.session, task.task_id, lock=True)  # one request at a time: look again under the lock
    await look_through(task, work, now=now)
    why = await _why_ask(task, work, now=now)
    if why is None:
        return False
    last = await find_last_request(work.session, task.task_id)
    await _ask(task, work, number=last.number + 1 if last else 1, why=why, traceparent=traceparent, now=now)
    return True


async def _why_ask(task: Task, work: Work, *, now: datetime) -> str | None:
    return why_ask(task.policies.retraining, await situation_of(work.session, task), now=now)


async def call_for_training(task_id: str, work: Work, *, by: str, now: datetime) -> str | None:
    """Asks for a dataset version in a person's name: at once, or as soon as what is under way has ended.

    Returns:
        Id of the request; None if it waits.

    Raises:
        NotFound: there is no such task.
        Conflict: there are too few new samples.
    """
    task = await get_task(work.session, task_id, lock=True)
    await look_through(task, work, now=now)
    ready = await count_ready(work.session, task_id, at_most=LEAST_SAMPLES)
    if ready < LEAST_SAMPLES:
        raise Conflict(
            "learn.too-few-samples", f"there are {ready} new samples, and training needs at least {LEAST_SAMPLES}",
            available=ready, needed=LEAST_SAMPLES,
        )  # fmt: skip
    signal = Signal(kind=SignalKind.MANUAL, detail=f"{by} asked for it")
    await raise_signal(work.session, task_id, signal, by=by, now=now)
    traceparent = current_traceparent()
    if not await request_dataset_if_called_for(task, work, traceparent=traceparent, now=now):
        return None
    request = await find_last_request(work.session, task_id)
    assert request is not None
    return request.request_id


async def ask_again(event: DatasetRejected, work: Work, *, now: datetime) -> None:
    """Nobody waits any more for a dataset that was refused; one whose export had to go is asked for anew.

    What is left of that export, without who was erased, is the next one; a request that was made since then holds it
    anyway.
    """
    request = await find_request(work.session, event.request_id)
    if request is None:
        return
    task = await find_task(work.session, request.task_id, lock=True)
    await end_requests(work.session, request.task_id, up_to_number=request.number, now=now)
    last = await find_last_request(work.session, request.task_id)
    if request.erased_at is None or task is None or last is None or last.number != request.number:
        return
    await look_through(task, work, now=now)
    why = f"the export of {request.request_id} was erased before a dataset was made of it"
    await _ask(task, work, number=last.number + 1, why=why, traceparent=request.traceparent, now=now)


async def end_training(event: JobFinished, work: Work, *, now: datetime) -> None:
    """Nobody waits any more for a job of the policy that has failed or was stopped; one that succeeded goes to its gate.

    Jobs that people asked for, trials and conversions say nothing of the one that the policy waits for.
    """
    request_id = event.training_data.request_id
    of_policy = event.requested_by == BY_POLICY and event.kind is JobKind.TRAIN and event.study_id is None
    if request_id is None or not of_policy or event.state is RunState.SUCCEEDED:
        return
    request = await find_request(work.session, request_id)
    if request is None or request.task_id != event.task_id:
        return
    await find_task(work.session, request.task_id, lock=True)
    await end_requests(work.session, request.task_id, up_to_number=request.number, now=now)


async def _ask(task: Task, work: Work, *, number: int, why: str, traceparent: str | None, now: datetime) -> None:
    taken = await take_ready(work.session, task.task_id, request_number=number, now=now)
    request = DatasetRequest(
        request_id=f"req-{uuid.uuid4().hex}",
        task_id=task.task_id,
        number=number,
        state=RequestState.PENDING,
        new_samples=taken,
        reason=f"{taken} new samples since the last request: {why}" if taken else why,
        data_policy=task.policies.data_policy,
        traceparent=traceparent,
        requested_at=now,
    )
    await add_request(work.session, request)
    await answer_signals(work.session, task.task_id, request_id=request.request_id)
