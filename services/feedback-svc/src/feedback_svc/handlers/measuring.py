"""Counting into active experiments: units that were exposed, and their ratings that count.

Both functions come last in their transaction: they lock the experiment, and whoever else counts into it waits for the
commit. What a unit's ratings amount to is summed up from the ratings themselves each time, so that the incremental
figures are the recomputed ones. Nothing is decided here.
"""

from collections import defaultdict
from collections.abc import Sequence
from datetime import datetime

from feedback_svc.domain.ratings import Rating
from feedback_svc.domain.signals import Answered
from feedback_svc.store.experiment_users import (
    Measured,
    Place,
    add_exposures,
    add_places,
    find_known,
    lock_measured,
    recount,
)
from loopwright.unit_of_work import Work


async def count_exposures(events: Sequence[Answered], work: Work) -> None:
    """Counts units as seen by the arms that they were assigned to.

    Pinned requests chose their variant themselves; of a shadow's answer nobody saw anything.
    """
    assigned = [one for one in events if one.experiment_id and not one.pinned and one.shadow_of is None]
    if not assigned:
        return
    measured = {one.experiment_id: one for one in await lock_measured(work.session, {one.task_id for one in assigned})}
    exposures: dict[Place, list[datetime]] = defaultdict(list)
    for event in assigned:
        experiment = measured.get(event.experiment_id or "")
        place = _exposed_at(event, experiment) if experiment else None
        if place is not None:
            exposures[place].append(event.completed_at)
    if exposures:
        await recount(work.session, await add_exposures(work.session, exposures))


async def count_ratings(changed: Sequence[Rating], work: Work) -> None:
    """Counts anew whoever got a rating, or lost one; in every active experiment of its task, for it may precede them."""
    valued = [rating for rating in changed if rating.value is not None]
    measured = await lock_measured(work.session, {rating.task_id for rating in valued}) if valued else []
    if not measured:
        return
    session, by_id = work.session, {experiment.experiment_id: experiment for experiment in measured}
    places = {place for rating in valued if (place := _rated_at(rating, by_id.get(rating.experiment_id or "")))}
    if places:
        await add_places(session, places)
    pairs = await find_known(session, by_id, {rating.unit_hash for rating in valued})
    if pairs:
        await recount(session, pairs)


def _exposed_at(event: Answered, experiment: Measured) -> Place | None:
    if experiment.task_id != event.task_id:
        return None
    return experiment.place_of(event.unit_hash, event.variant_id, epoch=event.epoch, arm=event.arm)


def _rated_at(rating: Rating, experiment: Measured | None) -> Place | None:
    if experiment is None or (experiment.task_id, experiment.metric) != (rating.task_id, rating.metric):
        return None
    return experiment.place_of(rating.unit_hash, rating.variant_id, epoch=rating.epoch, arm=rating.arm)
