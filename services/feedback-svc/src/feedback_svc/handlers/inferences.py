"""Answered requests: kept, counted as exposures, and learned from if their ratings were faster."""

from collections.abc import Sequence
from datetime import datetime

from msgspec.structs import replace

from feedback_svc.domain.signals import Answered
from feedback_svc.handlers.alerts import alert_of_anomalies
from feedback_svc.handlers.learning import curate
from feedback_svc.handlers.measuring import count_exposures
from feedback_svc.store.erasures import find_erased, hold_off
from feedback_svc.store.inferences import add_inferences, lock_inferences
from feedback_svc.store.ratings import list_all_standing
from feedback_svc.store.records import erase_records
from feedback_svc.store.tasks import expect_tasks
from loopwright.unit_of_work import Work


async def take_inferences(events: Sequence[Answered], work: Work, *, now: datetime) -> int:
    """Stores inferences once, whenever they come; of erased persons, without a word.

    Returns:
        How many had not come before.

    Raises:
        OutOfOrder: one was rated, and its task's definition has not arrived yet.
    """
    session = work.session
    await hold_off(session)
    erased = await find_erased(session, {event.unit_hash for event in events})
    kept = [_without_words(event) if event.unit_hash in erased else event for event in events]
    await lock_inferences(session, {event.inference_id for event in events})
    new = await add_inferences(session, kept, received_at=now)
    forgotten = {event.inference_id for event in new.values() if event.unit_hash in erased}
    if forgotten:
        await erase_records(session, forgotten, now=now)  # they may have come before it
    standing = await list_all_standing(session, new)
    tasks = await expect_tasks(session, {new[inference_id].task_id for inference_id in standing})
    for task_id, task in tasks.items():
        heard = {one: ratings for one, ratings in standing.items() if new[one].task_id == task_id}
        await curate(task, heard, work, now=now)
    await alert_of_anomalies(new.values(), work)
    await count_exposures(list(new.values()), work)
    return len(new)


def _without_words(event: Answered) -> Answered:
    return replace(event, input=None, messages=None, answer=None, sealed_content=None)
