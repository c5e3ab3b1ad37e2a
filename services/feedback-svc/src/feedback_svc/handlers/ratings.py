"""Ratings: stored, admitted or not, learned from, counted into their experiment."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime

from msgspec.structs import replace

from feedback_svc.domain.ratings import Rating, Seating, seat
from feedback_svc.handlers.learning import curate
from feedback_svc.handlers.measuring import count_ratings
from feedback_svc.store.erasures import find_erased, hold_off
from feedback_svc.store.inferences import lock_inferences
from feedback_svc.store.ratings import add_ratings, find_known, list_all_standing, unseat
from feedback_svc.store.tasks import Task, expect_tasks
from loopwright.unit_of_work import Work


async def take_ratings(ratings: Sequence[Rating], work: Work, *, now: datetime) -> int:
    """Takes ratings in, in whatever order ratings and inferences come; by or to erased persons, without a word.

    Returns:
        How many had not come before.

    Raises:
        OutOfOrder: a task's definition has not arrived yet, so nobody knows what its ratings mean.
    """
    session = work.session
    await hold_off(session)
    tasks = await expect_tasks(session, {rating.task_id for rating in ratings})
    await lock_inferences(session, {rating.inference_id for rating in ratings})
    known = await find_known(session, {rating.rating_id for rating in ratings})
    new = list({rating.rating_id: rating for rating in reversed(ratings) if rating.rating_id not in known}.values())
    if not new:
        return 0
    new = await _without_words_of_the_erased(new, work)
    seatings = await _seat(new, tasks, work)
    admitted = [rating for seating in seatings for rating in seating.admitted]
    unseated = [rating for seating in seatings for rating in seating.unseated]
    if unseated:
        await unseat(session, [rating.rating_id for rating in unseated])
    await add_ratings(session, new, admitted={rating.rating_id for rating in admitted}, received_at=now)
    for task_id, task in tasks.items():
        heard = [seating for seating in seatings if seating.admitted and seating.admitted[0].task_id == task_id]
        await curate(task, {seating.admitted[0].inference_id: seating.standing for seating in heard}, work, now=now)
    await count_ratings([*admitted, *unseated], work)
    return len(new)


async def _without_words_of_the_erased(ratings: Iterable[Rating], work: Work) -> list[Rating]:
    ratings = list(ratings)
    erased = await find_erased(work.session, {unit for one in ratings for unit in (one.unit_hash, one.rater_hash)})
    return [
        replace(one, comment=None, correction=None) if {one.unit_hash, one.rater_hash} & erased else one
        for one in ratings
    ]


async def _seat(ratings: Iterable[Rating], tasks: Mapping[str, Task], work: Work) -> list[Seating]:
    by_inference: dict[str, list[Rating]] = defaultdict(list)
    for rating in ratings:
        by_inference[rating.inference_id].append(rating)
    standing = await list_all_standing(work.session, by_inference)
    return [
        seat(new, standing.get(inference_id, []), success=tasks[new[0].task_id].policies.success_metric)
        for inference_id, new in sorted(by_inference.items())
    ]
