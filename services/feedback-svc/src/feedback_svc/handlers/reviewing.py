"""A person's decision over a quarantined sample, and people's consent to be trained on."""

import uuid
from dataclasses import dataclass
from datetime import datetime

from feedback_svc.domain.reviewing import Decision, model_was_right
from feedback_svc.domain.samples import SampleState, sample_id_of
from feedback_svc.store.curation import (
    HeldSample,
    Review,
    add_corrected,
    add_review,
    find_held,
    reject_sample,
    save_consent,
    vouch_for,
)
from feedback_svc.store.tasks import find_task
from loopwright.contracts.datasets import SampleSource
from loopwright.errors import Conflict, Invalid, NotFound
from loopwright.unit_of_work import Work


@dataclass(frozen=True, kw_only=True)
class Ruling:
    """What somebody decided over a sample.

    Attributes:
        answer: The right answer, if it is to be another one.
    """

    sample_id: str
    decision: Decision
    answer: str | None
    note: str | None
    by: str


async def rule(ruling: Ruling, work: Work, *, now: datetime) -> None:
    """Lets a sample teach, with another answer perhaps, or never; raters of it are judged by that.

    Raises:
        NotFound: there is no such sample.
        Conflict: it does not wait for a person, or another person was faster.
        Invalid: an answer is missing, or one too many.
    """
    answer = (ruling.answer or "").strip()
    if (ruling.decision is Decision.CORRECT) != bool(answer):
        raise Invalid("review.answer-mismatch", "`correct` needs the right answer, the other decisions take none")
    held = await _lock(ruling.sample_id, work)
    if ruling.decision is Decision.ACCEPT:
        await vouch_for(work.session, ruling.sample_id, by=ruling.by, now=now)
    else:
        await reject_sample(work.session, ruling.sample_id, now=now)
    if ruling.decision is Decision.CORRECT:
        corrected_id = sample_id_of(held.inference_id or ruling.sample_id, answer)
        await add_corrected(
            work.session, ruling.sample_id, corrected_id=corrected_id, answer=answer, by=ruling.by, now=now
        )
    review = Review(
        review_id=f"rev-{uuid.uuid4().hex}", task_id=held.task_id, sample_id=ruling.sample_id,
        inference_id=held.inference_id, decision=ruling.decision,
        answer_was_right=model_was_right(ruling.decision, correction=held.source is SampleSource.CORRECTION),
        note=ruling.note, decided_by=ruling.by, decided_at=now,
    )  # fmt: skip
    await add_review(work.session, review)


async def _lock(sample_id: str, work: Work) -> HeldSample:
    """The sample, with no request taking samples of its task meanwhile: the task is locked first, as everywhere."""
    held = await find_held(work.session, sample_id)
    if held is None:
        raise NotFound("review.unknown-sample", f"there is no sample {sample_id}", sample_id=sample_id)
    await find_task(work.session, held.task_id, lock=True)
    held = await find_held(work.session, sample_id, lock=True)
    if held is None or held.state is not SampleState.QUARANTINED:
        raise Conflict("review.not-waiting", "the sample does not wait for a decision any more", sample_id=sample_id)
    return held


async def change_consent(unit_hash: str, work: Work, *, training: bool, by: str, now: datetime) -> None:
    """Keeps whether a person's conversations may be trained on; exports look it up when they are written."""
    await save_consent(work.session, unit_hash, training=training, changed_at=now, changed_by=by)
