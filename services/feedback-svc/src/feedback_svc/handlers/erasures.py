"""Somebody's words must go: from what was said, rated and learned, and from every export that carried them away."""

from collections.abc import Iterable, Sequence
from datetime import datetime

import structlog

from feedback_svc.handlers.learning import learn
from feedback_svc.store.dataset_requests import erase_exports
from feedback_svc.store.erasures import Erased, add_erasure, lock
from feedback_svc.store.evidence_exports import erase_evidence
from feedback_svc.store.export_deletions import queue_deletion
from feedback_svc.store.inferences import erase_inferences, list_inferences_of
from feedback_svc.store.ratings import ErasedRating, erase_ratings, list_standing
from feedback_svc.store.records import erase_records
from feedback_svc.store.samples import DeletedSample, delete_samples
from feedback_svc.store.tasks import find_task
from loopwright.contracts.datasets import UserErased
from loopwright.unit_of_work import Work

_log = structlog.get_logger()


async def erase_unit(event: UserErased, work: Work, *, now: datetime) -> None:
    """Forgets a person's words and remembers to keep none that come later; figures stay, for they say nothing.

    Again without effect. Corrections that the person gave to what others were told go as well, and so does what was
    learned from them.
    """
    session, unit_hash = work.session, event.unit_hash
    await lock(session)
    inferences = await list_inferences_of(session, unit_hash)
    ratings = await erase_ratings(session, unit_hash)
    others = [rating for rating in ratings if rating.unit_hash != unit_hash]
    samples = await delete_samples(
        session, unit_hash,
        rating_ids=[rating.rating_id for rating in others], inference_ids=[rating.inference_id for rating in others],
        subjects={unit_hash, *inferences},
    )  # fmt: skip
    erased = Erased(
        inferences=await erase_inferences(session, unit_hash),
        ratings=len(ratings),
        samples=len(samples),
        records=await erase_records(session, {unit_hash, *inferences}, now=now),
    )
    evidence = await erase_evidence(session, {unit_hash, *inferences}, now=now)
    exports = await _erase_exports(event, samples, evidence, work, now=now)
    await _learn_anew(others, work, now=now)
    await add_erasure(session, event, erased, now=now)
    _log.info(
        "unit.erased", erasure_id=event.erasure_id, inferences=erased.inferences, ratings=erased.ratings,
        samples=erased.samples, records=erased.records, exports=exports,
    )  # fmt: skip


async def _erase_exports(
    event: UserErased, samples: Sequence[DeletedSample], evidence: Sequence[str], work: Work, *, now: datetime
) -> int:
    first: dict[str, int] = {}
    for task_id, number in samples:
        if number is not None:
            first[task_id] = min(number, first.get(task_id, number))
    reason = f"held samples of a person whose data was erased (erasure {event.erasure_id})"
    exports = [
        uri
        for task_id, number in sorted(first.items())
        for uri in await erase_exports(work.session, task_id, from_number=number, reason=reason, now=now)
    ]
    for uri in (*exports, *evidence):
        await queue_deletion(work.session, uri, reason=reason, now=now, erasure_id=event.erasure_id)
    return len(exports) + len(evidence)


async def _learn_anew(ratings: Iterable[ErasedRating], work: Work, *, now: datetime) -> None:
    """Lets what others were told teach what it still does without this person's words."""
    for inference_id, task_id in sorted({(rating.inference_id, rating.task_id) for rating in ratings}):
        standing = await list_standing(work.session, inference_id)
        task = await find_task(work.session, task_id)
        if standing and task is not None:
            await learn(task, {inference_id: standing}, work, now=now)
