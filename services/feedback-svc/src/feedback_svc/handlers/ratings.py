"""Ratings: stored, admitted or not, counted into their experiment, learned from."""

from datetime import datetime

from feedback_svc.domain.ratings import Rating, admit
from feedback_svc.handlers.learning import curate
from feedback_svc.handlers.measuring import count_rating
from feedback_svc.store.erasures import find_erased, hold_off
from feedback_svc.store.inferences import lock_inference
from feedback_svc.store.ratings import add_rating, list_standing
from feedback_svc.store.tasks import expect_task
from loopwright.contracts.inferences import InferenceRated
from loopwright.telemetry import current_traceparent
from loopwright.unit_of_work import Work


async def take_rating(event: InferenceRated, work: Work, *, now: datetime) -> None:
    """Takes one rating in, in whatever order ratings and inferences come; by or to an erased person, without a word.

    Raises:
        OutOfOrder: the task's definition has not arrived yet, so nobody knows what its ratings mean.
    """
    await hold_off(work.session)
    await lock_inference(work.session, event.inference_id)
    task = await expect_task(work.session, event.task_id)
    if await find_erased(work.session, {event.unit_hash, event.rater_hash}):
        event = event.model_copy(update={"comment": None, "correction": None})
    rating = _rating_of(event)
    standing = await list_standing(work.session, event.inference_id)
    admission = admit(rating, standing, success=task.policies.success_metric)
    await add_rating(work.session, rating, admission, received_at=now)
    if not admission.counts:
        return
    await count_rating(rating, admission, work, now=now)
    standing = [other for other in standing if other != admission.unseats]
    await curate(task, [*standing, rating], work, now=now)


def _rating_of(event: InferenceRated) -> Rating:
    return Rating(
        rating_id=event.rating_id,
        inference_id=event.inference_id,
        task_id=event.task_id,
        experiment_id=event.experiment_id,
        variant_id=event.variant_id,
        unit_hash=event.unit_hash,
        rater_hash=event.rater_hash,
        metric=event.metric,
        value=event.value,
        comment=event.comment,
        correction=event.correction,
        rated_at=event.rated_at,
        traceparent=current_traceparent(),
    )
