"""Takes ratings in: attributed by the signed id alone, on the platter before they are acknowledged."""

import time
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from loopwright.contracts.inferences import InferenceRated
from router_svc.adapters.metrics import RATINGS
from router_svc.adapters.spool import Spool, SpoolFull
from router_svc.domain.inference_ids import InferenceIds
from router_svc.handlers.recording import sealed


@dataclass(frozen=True, slots=True, kw_only=True)
class RatingDraft:
    """What somebody says of an answer.

    Attributes:
        rater: Who says so; None is the unit that got the answer.
    """

    inference_id: str
    metric: str
    value: float | None
    comment: str | None
    correction: str | None
    rater: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class RatingDesk:
    """The parts that ratings are taken in with."""

    ids: InferenceIds
    spool: Spool
    max_age_ms: int


async def accept_ratings(desk: RatingDesk, drafts: Sequence[RatingDraft]) -> list[InferenceRated]:
    """Puts ratings on record, all or none; when it returns they survive a power cut.

    Raises:
        NotPermitted: an inference id is not ours.
        Expired: an inference is too old.
        BrokerUnavailable: there is no room to keep them until Kafka is back.
    """
    events = [_rated(desk, draft) for draft in drafts]
    try:
        desk.spool.append([sealed(event) for event in events], reserved=True)
        await desk.spool.sync()
    except SpoolFull:
        RATINGS.labels("refused").inc(len(events))
        raise
    RATINGS.labels("accepted").inc(len(events))
    return events


def _rated(desk: RatingDesk, draft: RatingDraft) -> InferenceRated:
    facts = desk.ids.read(draft.inference_id, now_ms=time.time_ns() // 1_000_000, max_age_ms=desk.max_age_ms)
    return InferenceRated(
        rating_id=str(uuid.uuid4()),
        inference_id=draft.inference_id,
        task_id=facts.task_id,
        experiment_id=facts.experiment_id,
        variant_id=facts.variant_id,
        unit_hash=facts.unit_hash,
        rater_hash=facts.unit_hash if draft.rater is None else desk.ids.hash_unit(draft.rater),
        metric=draft.metric,
        value=draft.value,
        comment=draft.comment,
        correction=draft.correction,
        rated_at=datetime.now(UTC),
    )
