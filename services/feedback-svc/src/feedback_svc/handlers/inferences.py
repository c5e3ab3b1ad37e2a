"""Answered requests: kept, counted as exposures, and learned from if their ratings were faster."""

from datetime import datetime

from feedback_svc.handlers.learning import curate
from feedback_svc.handlers.measuring import count_unit
from feedback_svc.store.erasures import find_erased, hold_off
from feedback_svc.store.inferences import add_inference, lock_inference
from feedback_svc.store.ratings import list_standing
from feedback_svc.store.records import erase_records
from feedback_svc.store.tasks import expect_task
from loopwright.contracts.inferences import InferenceCompleted
from loopwright.unit_of_work import Work

_NO_WORDS = {"input": None, "messages": None, "answer": None}


async def take_inference(event: InferenceCompleted, work: Work, *, now: datetime) -> None:
    """Stores an inference once, whenever it comes; of an erased person, without a word.

    Raises:
        OutOfOrder: it was rated, and the task's definition has not arrived yet.
    """
    await hold_off(work.session)
    await lock_inference(work.session, event.inference_id)
    erased = bool(await find_erased(work.session, {event.unit_hash}))
    if not await add_inference(work.session, event.model_copy(update=_NO_WORDS) if erased else event, received_at=now):
        return
    if erased:
        await erase_records(work.session, {event.inference_id}, now=now)  # they may have come before it
    await count_unit(event, work, now=now)
    standing = await list_standing(work.session, event.inference_id)
    if standing:
        await curate(await expect_task(work.session, event.task_id), standing, work, now=now)
