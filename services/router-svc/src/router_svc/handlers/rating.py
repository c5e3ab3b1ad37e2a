"""Takes ratings in: attributed by the signed id alone, on the platter before they are acknowledged."""

import time
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from loopwright.contracts.inferences import InferenceRated
from loopwright.errors import Expired, NotPermitted, RuleRefused
from router_svc.adapters.failures import SpoolFull
from router_svc.adapters.metrics import RATINGS
from router_svc.adapters.spool import Spool
from router_svc.domain.inference_ids import InferenceFacts, InferenceIds
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


async def accept_ratings(
    desk: RatingDesk, drafts: Sequence[RatingDraft], *, tenant: str | None
) -> list[InferenceRated]:
    """Puts ratings on record, all or none; when it returns they survive a power cut.

    Args:
        tenant: Whom the rater belongs to; only that tenant's inferences can be rated.

    Raises:
        NotPermitted: an inference id is not ours, or another tenant's.
        Expired: an inference is too old.
        BrokerUnavailable: there is no room to keep them until Kafka is back.
    """
    known = _read_ids(desk, drafts, tenant)
    now = datetime.now(UTC)
    events = [_rated(desk, draft, facts, tenant=tenant, now=now) for draft, facts in zip(drafts, known, strict=True)]
    try:
        desk.spool.append([sealed(event) for event in events], reserved=True)
        await desk.spool.sync()
    except SpoolFull:
        RATINGS.labels("refused").inc(len(events))
        raise
    RATINGS.labels("accepted").inc(len(events))
    return events


def _read_ids(desk: RatingDesk, drafts: Sequence[RatingDraft], tenant: str | None) -> list[InferenceFacts]:
    """What the ids say, or one refusal that names every rating whose id says nothing."""
    now_ms = time.time_ns() // 1_000_000
    known: list[InferenceFacts] = []
    refused: dict[int, RuleRefused] = {}
    for place, draft in enumerate(drafts):
        try:
            known.append(desk.ids.read(draft.inference_id, now_ms=now_ms, max_age_ms=desk.max_age_ms, tenant=tenant))
        except (NotPermitted, Expired) as error:
            refused[place] = error
    if refused:
        raise _first_of(refused, among=len(drafts))
    return known


def _first_of(refused: Mapping[int, RuleRefused], *, among: int) -> RuleRefused:
    first = next(iter(refused.values()))
    if among == 1:
        return first
    places, codes = ", ".join(map(str, refused)), ", ".join(error.code for error in refused.values())
    detail = f"{len(refused)} of {among} ratings cannot be taken, none was: {first.detail}"
    return type(first)(first.code, detail, ratings=places, codes=codes)


def _rated(
    desk: RatingDesk, draft: RatingDraft, facts: InferenceFacts, *, tenant: str | None, now: datetime
) -> InferenceRated:
    return InferenceRated(
        rating_id=str(uuid.uuid4()),
        inference_id=draft.inference_id,
        task_id=facts.task_id,
        experiment_id=facts.experiment_id,
        variant_id=facts.variant_id,
        arm=facts.arm,
        epoch=facts.epoch,
        tenant=tenant,
        unit_hash=facts.unit_hash,
        rater_hash=facts.unit_hash if draft.rater is None else desk.ids.hash_unit(draft.rater),
        metric=draft.metric,
        value=draft.value,
        comment=draft.comment,
        correction=draft.correction,
        rated_at=now,
    )
