"""What curation decides by: samples that wait, who stands behind them, and how these raters have done."""

import math
from collections import defaultdict
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import NamedTuple

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import ARRAY, insert
from sqlalchemy.ext.asyncio import AsyncSession

from feedback_svc.domain.curation import Candidate, Rater, Usual
from feedback_svc.domain.ratings import Rating
from feedback_svc.domain.samples import Sample, SampleState, claim_of
from feedback_svc.store.claims import raters_of_sample, statements, supporters
from feedback_svc.store.curation_tables import consents, sample_reviews
from feedback_svc.store.inferences import Content, open_contents
from feedback_svc.store.ratings import read_ratings
from feedback_svc.store.samples import WAITING_STATES, open_lessons, sample_of
from feedback_svc.store.tables import inferences, ratings, samples
from loopwright.contracts.datasets import SampleSource
from loopwright.contracts.tasks import CurationPolicy
from loopwright.sealed_columns import standing_sealer

_BURSTS_OF_DAYS = 30
_USUAL_DAYS = 14
_LEAST_USUAL_DAYS = 3
_MOST_JUDGEMENTS = 100_000


@dataclass(frozen=True, kw_only=True)
class Review:
    """What a person decided over a sample.

    Attributes:
        answer_was_right: Whether the model's own answer was; None if the decision does not say.
    """

    review_id: str
    task_id: str
    sample_id: str
    inference_id: str | None
    decision: str
    answer_was_right: bool | None
    note: str | None
    decided_by: str
    decided_at: datetime


async def list_candidates(session: AsyncSession, task_id: str) -> list[Candidate]:
    """Samples of a task that no request has taken, quarantined ones among them."""
    query = (
        sa.select(
            samples.c.sample_id, samples.c.formed_at, samples.c.vouched_by, consents.c.training,
            raters_of_sample().label("raters"),
        )
        .outerjoin(consents, consents.c.unit_hash == samples.c.unit_hash)
        .where(samples.c.task_id == task_id, samples.c.state.in_(WAITING_STATES))
    )  # fmt: skip
    return [
        Candidate(
            sample_id=row.sample_id, raters=tuple(row.raters or ()), formed_at=row.formed_at,
            vouched=row.vouched_by is not None, consents=row.training is not False,
        )
        for row in await session.execute(query)
    ]  # fmt: skip


async def find_raters(
    session: AsyncSession, names: Collection[str], *, task_id: str, burst_s: float, now: datetime
) -> dict[str, Rater]:
    """What is known of these raters, but for their reliability.

    Claims of upstream records count as ratings do, but for bursts: apps send them when they like.
    """
    named = sa.any_(sa.literal(sorted(names), ARRAY(sa.Text)))
    known = ratings.c.rater_hash == named
    said = statements().subquery()
    totals = (
        sa.select(said.c.rater_hash, sa.func.min(said.c.known_at).label("first_at"), sa.func.count().label("given"))
        .where(said.c.rater_hash == named)
        .group_by(said.c.rater_hash)
    )
    seconds = sa.extract("epoch", ratings.c.rated_at)
    within = sa.func.count().over(partition_by=ratings.c.rater_hash, order_by=seconds, range_=(-math.ceil(burst_s), 0))
    stretch = (
        sa.select(ratings.c.rater_hash, within.label("within"))
        .where(known, ratings.c.rated_at > now - timedelta(days=_BURSTS_OF_DAYS))
        .subquery()
    )
    busiest = sa.select(stretch.c.rater_hash, sa.func.max(stretch.c.within).label("most")).group_by(
        stretch.c.rater_hash
    )
    behind = supporters().lateral("behind")
    taught = (
        sa.select(behind.c.rater, sa.func.count().label("taught"))
        .select_from(samples.join(behind, sa.true()))
        .where(behind.c.rater == named, samples.c.task_id == task_id, samples.c.state == SampleState.EXPORTED)
        .group_by(behind.c.rater)
    )
    most = {row.rater_hash: row.most for row in await session.execute(busiest)}
    before = {row.rater: row.taught for row in await session.execute(taught)}
    return {
        row.rater_hash: Rater(
            first_at=row.first_at, ratings=row.given, busiest=most.get(row.rater_hash, 0),
            taught=before.get(row.rater_hash, 0),
        )
        for row in await session.execute(totals)
    }  # fmt: skip


async def count_exported(session: AsyncSession, task_id: str) -> int:
    query = sa.select(sa.func.count()).where(samples.c.task_id == task_id, samples.c.state == SampleState.EXPORTED)
    return (await session.execute(query)).scalar_one()


async def count_tenured(
    session: AsyncSession, task_id: str, policy: CurationPolicy, *, sources: Collection[str], now: datetime
) -> int:
    """Tenured raters of a task; of a rater of several tasks only what it did here counts.

    Args:
        sources: Those that the task learns from.
    """
    said = statements(task_id=task_id, sources=sources).subquery()
    tenured = (
        sa.select(said.c.rater_hash)
        .group_by(said.c.rater_hash)
        .having(
            sa.func.min(said.c.known_at) <= now - timedelta(days=policy.tenure_days),
            sa.func.count() >= policy.tenure_ratings,
        )
        .subquery()
    )
    return (await session.execute(sa.select(sa.func.count()).select_from(tenured))).scalar_one()


async def find_usual(session: AsyncSession, task_id: str, policy: CurationPolicy, *, now: datetime) -> Usual:
    """How many ratings newcomers give a day, and gave in the last one."""
    firsts = (
        sa.select(ratings.c.rater_hash, sa.func.min(ratings.c.rated_at).label("first_at"))
        .where(ratings.c.task_id == task_id)
        .group_by(ratings.c.rater_hash)
        .subquery()
    )
    today = now - timedelta(days=1)
    fresh = ratings.c.rated_at - firsts.c.first_at < timedelta(days=policy.tenure_days)
    query = (
        sa.select(
            sa.func.count().filter(fresh, ratings.c.rated_at >= today),
            sa.func.count().filter(fresh, ratings.c.rated_at < today),
            sa.select(sa.func.min(firsts.c.first_at)).scalar_subquery(),
        )
        .join(firsts, firsts.c.rater_hash == ratings.c.rater_hash)
        .where(ratings.c.task_id == task_id, ratings.c.rated_at >= today - timedelta(days=_USUAL_DAYS))
    )
    last_day, before, first_at = (await session.execute(query)).one()
    days = 0.0 if first_at is None else min((today - first_at) / timedelta(days=1), _USUAL_DAYS)
    return Usual(per_day=before / days if days >= _LEAST_USUAL_DAYS else None, last_day=last_day)


async def list_shared_judgements(session: AsyncSession, task_id: str) -> dict[str, list[Rating]]:
    """The newest ratings that count of inferences that several raters, or a person who checks, have judged."""
    several = (
        sa.select(ratings.c.inference_id)
        .where(ratings.c.task_id == task_id, ratings.c.counts)
        .group_by(ratings.c.inference_id)
        .having(sa.func.min(ratings.c.rater_hash) != sa.func.max(ratings.c.rater_hash))
    )
    checked = sa.select(sample_reviews.c.inference_id).where(sample_reviews.c.task_id == task_id)
    query = (
        sa.select(ratings)
        .where(
            ratings.c.task_id == task_id, ratings.c.counts,
            ratings.c.inference_id.in_(several) | ratings.c.inference_id.in_(checked),
        )
        .order_by(ratings.c.rated_at.desc())
        .limit(_MOST_JUDGEMENTS)
    )  # fmt: skip
    found: dict[str, list[Rating]] = defaultdict(list)
    for rating in await read_ratings(session, (await session.execute(query)).mappings().all()):
        found[rating.inference_id].append(rating)
    return found


async def list_checked(session: AsyncSession, task_id: str) -> dict[str, bool]:
    """Inferences of which a person has said whether the model's answer was right; the last word counts."""
    query = (
        sa.select(sample_reviews.c.inference_id, sample_reviews.c.answer_was_right)
        .where(sample_reviews.c.task_id == task_id, sample_reviews.c.answer_was_right.is_not(None))
        .order_by(sample_reviews.c.decided_at)
    )
    return {row.inference_id: row.answer_was_right for row in await session.execute(query)}


async def hold(session: AsyncSession, held: Mapping[str, str], *, now: datetime) -> None:
    """Quarantines samples that no request has taken, each for its reason."""
    if not held:
        return
    given = (
        sa.select(
            sa.func.unnest(sa.literal(list(held), ARRAY(sa.Text))).label("sample_id"),
            sa.func.unnest(sa.literal(list(held.values()), ARRAY(sa.Text))).label("reason"),
        )
        .subquery()
    )  # fmt: skip
    await session.execute(
        sa.update(samples)
        .where(samples.c.sample_id == given.c.sample_id, samples.c.state.in_(WAITING_STATES))
        .values(state=SampleState.QUARANTINED, held_because=given.c.reason, changed_at=now)
    )


async def admit(session: AsyncSession, trust_0_1: Mapping[str, float], *, now: datetime) -> None:
    """Makes samples ready that no request has taken, each as far as it is believed."""
    if not trust_0_1:
        return
    given = sa.select(
        sa.func.unnest(sa.literal(list(trust_0_1), ARRAY(sa.Text))).label("sample_id"),
        sa.func.unnest(sa.literal(list(trust_0_1.values()), ARRAY(sa.Double))).label("trust"),
    ).subquery()
    await session.execute(
        sa.update(samples)
        .where(
            samples.c.sample_id == given.c.sample_id,
            samples.c.state.in_(WAITING_STATES),
            (samples.c.state != SampleState.READY) | (samples.c.trust_0_1 != given.c.trust),
        )
        .values(state=SampleState.READY, held_because=None, trust_0_1=given.c.trust, changed_at=now)
    )


async def add_review(session: AsyncSession, review: Review) -> None:
    sealer = await standing_sealer(session, sample_reviews.name)
    note = None if review.note is None else sealer.seal(review.note.encode())
    await session.execute(insert(sample_reviews).values(vars(review) | {"note": note}))


async def save_consent(
    session: AsyncSession, unit_hash: str, *, training: bool, changed_at: datetime, changed_by: str
) -> None:
    values = {"unit_hash": unit_hash, "training": training, "changed_at": changed_at, "changed_by": changed_by}
    statement = insert(consents).values(values)
    await session.execute(statement.on_conflict_do_update(index_elements=[consents.c.unit_hash], set_=values))


class HeldSample(NamedTuple):
    """A sample as a decision over it finds it."""

    task_id: str
    inference_id: str | None
    state: SampleState
    source: SampleSource


async def find_held(session: AsyncSession, sample_id: str, *, lock: bool = False) -> HeldSample | None:
    """A sample.

    Args:
        lock: Nobody else decides over it until the end of the transaction.
    """
    query = sa.select(samples.c.task_id, samples.c.inference_id, samples.c.state, samples.c.source)
    query = query.where(samples.c.sample_id == sample_id)
    row = (await session.execute(query.with_for_update() if lock else query)).one_or_none()
    if row is None:
        return None
    return HeldSample(row.task_id, row.inference_id, SampleState(row.state), SampleSource(row.source))


async def vouch_for(session: AsyncSession, sample_id: str, *, by: str, now: datetime) -> None:
    """Lets a sample teach, whoever stands behind it."""
    values = {"state": SampleState.READY, "held_because": None, "vouched_by": by, "changed_at": now}
    await session.execute(sa.update(samples).where(samples.c.sample_id == sample_id).values(values))


async def reject_sample(session: AsyncSession, sample_id: str, *, now: datetime) -> None:
    """Keeps a sample from ever teaching."""
    values = {"state": SampleState.REJECTED, "changed_at": now}
    await session.execute(sa.update(samples).where(samples.c.sample_id == sample_id).values(values))


async def add_corrected(
    session: AsyncSession, sample_id: str, *, corrected_id: str, answer: str, by: str, now: datetime
) -> None:
    """A sample like another one, with the right answer, for which a person vouches."""
    lesson = (await session.execute(sa.select(samples.c.lesson).where(samples.c.sample_id == sample_id))).scalar_one()
    [said] = await open_lessons(session, [lesson])
    right = said.model_copy(update={"answer": answer}).model_dump_json(exclude_none=True)
    sealer = await standing_sealer(session, samples.name)
    new: dict[str, sa.ColumnElement[object]] = {
        "sample_id": sa.literal(corrected_id),
        "state": sa.literal(SampleState.READY.value),
        "source": sa.literal(SampleSource.CORRECTION.value),
        "lesson": sa.literal(sealer.seal(right.encode())),
        "claim": sa.case((samples.c.claim.is_not(None), claim_of(answer))),
        "weight_0_1": sa.literal(1.0),
        "vouched_by": sa.literal(by),
        "held_because": sa.cast(sa.null(), sa.Text),
        "formed_at": sa.literal(now),
        "changed_at": sa.literal(now),
    }
    columns = [new.get(column.name, column) for column in samples.c]
    copy = sa.select(*columns).where(samples.c.sample_id == sample_id)
    statement = insert(samples).from_select(samples.c.keys(), copy)
    await session.execute(statement.on_conflict_do_nothing(index_elements=[samples.c.sample_id]))


@dataclass(frozen=True, kw_only=True)
class HeldLesson:
    """A quarantined sample with the conversation that it is of.

    Attributes:
        told: What was asked, and what the model answered, if it did.
        raters: Who stands behind the sample.
    """

    sample: Sample
    task_id: str
    held_because: str
    formed_at: datetime
    told: Content
    raters: tuple[str, ...]


async def list_held(session: AsyncSession, task_id: str | None, *, at_most: int) -> list[HeldLesson]:
    """Quarantined samples, newest first."""
    query = (
        sa.select(samples, inferences.c.content, raters_of_sample().label("raters"))
        .outerjoin(inferences, inferences.c.inference_id == samples.c.inference_id)
        .where(samples.c.state == SampleState.QUARANTINED)
        .order_by(samples.c.formed_at.desc(), samples.c.sample_id)
        .limit(at_most)
    )
    if task_id is not None:
        query = query.where(samples.c.task_id == task_id)
    found: list[HeldLesson] = []
    rows = (await session.execute(query)).all()
    lessons = await open_lessons(session, [row.lesson for row in rows])
    contents = await open_contents(session, [row.content for row in rows])
    for row, said, content in zip(rows, lessons, contents, strict=True):
        sample = sample_of(row, said)
        told = content if row.content is not None else Content(input=sample.draft.input)
        found.append(
            HeldLesson(
                sample=sample, task_id=row.task_id, held_because=row.held_because or "decision", told=told,
                formed_at=row.formed_at, raters=tuple(row.raters or ()),
            )
        )  # fmt: skip
    return found


async def count_held(session: AsyncSession, task_id: str | None) -> int:
    query = sa.select(sa.func.count()).where(samples.c.state == SampleState.QUARANTINED)
    if task_id is not None:
        query = query.where(samples.c.task_id == task_id)
    return (await session.execute(query)).scalar_one()
