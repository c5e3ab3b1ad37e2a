"""Read models of curation: what waits for a person, what was decided, and how far raters can be believed."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from functools import partial

import sqlalchemy as sa
from pydantic import Field
from sqlalchemy.ext.asyncio import AsyncSession

from feedback_svc.domain.reliability import UNKNOWN, Reliability
from feedback_svc.domain.reviewing import Held, rank
from feedback_svc.store.curation import HeldLesson, count_held, list_held
from feedback_svc.store.curation_tables import consents, sample_reviews
from loopwright.contracts.base import Value
from loopwright.contracts.datasets import SampleSource
from loopwright.errors import NotFound
from loopwright.pages import Page, Window, read_opened_page
from loopwright.sealed_columns import ColumnOpener

_MOST_RANKED = 2_000  # of more, the newest are ranked


class WaitingView(Value):
    """A quarantined sample that a person should look at."""

    sample_id: str
    task_id: str
    inference_id: str | None = Field(description="none if it was learned from upstream records")
    priority: float = Field(description="bits of doubt, times worth, over how many are alike; highest first")
    held_because: str = Field(description="why it was quarantined")
    source: SampleSource
    input: str
    answer: str = Field(description="what the model would learn to say")
    model_answer: str | None = Field(description="what it said, if it said something")
    raters: tuple[str, ...] = Field(description="who endorsed or corrected it")
    formed_at: datetime


class ReviewView(Value):
    """One decision over a sample."""

    review_id: str
    task_id: str
    sample_id: str
    inference_id: str | None
    decision: str
    note: str | None
    decided_by: str
    decided_at: datetime


class RaterView(Value):
    """How far a rater can be believed in one task."""

    rater_hash: str
    reliability_0_1: float = Field(description="mean of the probability to be right")
    judged: float = Field(description="ratings that others, or a person who checks, have judged as well")
    worse_than_chance_0_1: float = Field(description="probability of being wrong more often than right")


class ConsentView(Value):
    """Whether a person lets conversations be trained on."""

    unit_hash: str
    training: bool
    changed_at: datetime
    changed_by: str


async def list_waiting(
    session: AsyncSession, believed: Mapping[str, Mapping[str, Reliability]], window: Window, *, task_id: str | None
) -> Page[WaitingView]:
    """What waits for a person, most doubtful and most valuable first.

    Args:
        believed: Reliability by task and rater.
    """
    held = {one.sample.sample_id: one for one in await list_held(session, task_id, at_most=_MOST_RANKED)}
    priorities = rank([_doubt_of(one, believed.get(one.task_id, {})) for one in held.values()])
    wanted = list(priorities)[window.offset : window.offset + window.limit]
    return Page(
        items=tuple(_view(held[sample_id], priorities[sample_id]) for sample_id in wanted),
        total=await count_held(session, task_id),
        limit=window.limit,
        offset=window.offset,
    )


def _doubt_of(one: HeldLesson, believed: Mapping[str, Reliability]) -> Held:
    best = max((believed.get(name, UNKNOWN).mean for name in one.raters), default=UNKNOWN.mean)
    return Held(
        sample_id=one.sample.sample_id,
        input=one.told.input or "",
        trust_0_1=best * one.sample.draft.weight_0_1,
        correction=one.sample.draft.source is SampleSource.CORRECTION,
    )


def _view(one: HeldLesson, priority: float) -> WaitingView:
    return WaitingView(
        sample_id=one.sample.sample_id, task_id=one.task_id, inference_id=one.sample.inference_id, priority=priority,
        held_because=one.held_because, source=one.sample.draft.source, input=one.told.input or "",
        answer=one.sample.draft.answer, model_answer=one.told.answer, raters=one.raters, formed_at=one.formed_at,
    )  # fmt: skip


async def list_reviews(session: AsyncSession, window: Window, *, task_id: str | None) -> Page[ReviewView]:
    columns = [sample_reviews.c[name] for name in ReviewView.model_fields]
    query = sa.select(*columns).order_by(sample_reviews.c.decided_at.desc(), sample_reviews.c.review_id)
    if task_id is not None:
        query = query.where(sample_reviews.c.task_id == task_id)
    return await read_opened_page(session, query, window, partial(_reviews, session))


async def _reviews(session: AsyncSession, rows: Sequence[sa.RowMapping]) -> tuple[ReviewView, ...]:
    notes = await ColumnOpener(session, sample_reviews.name).open_known([row["note"] for row in rows])
    return tuple(
        ReviewView.model_validate({**row, "note": note and note.decode()})
        for row, note in zip(rows, notes, strict=True)
    )


def view_raters(believed: Mapping[str, Reliability], window: Window) -> Page[RaterView]:
    """Raters of whom something is known, the least believed first."""
    ordered = sorted(believed.items(), key=lambda item: (item[1].mean, item[0]))
    prior = UNKNOWN.right + UNKNOWN.wrong
    items = tuple(
        RaterView(
            rater_hash=name, reliability_0_1=one.mean, judged=round(one.right + one.wrong - prior, 6),
            worse_than_chance_0_1=one.worse_than_chance,
        )
        for name, one in ordered[window.offset : window.offset + window.limit]
    )  # fmt: skip
    return Page(items=items, total=len(ordered), limit=window.limit, offset=window.offset)


async def get_consent(session: AsyncSession, unit_hash: str) -> ConsentView:
    """What a person has said.

    Raises:
        NotFound: nothing.
    """
    row = (await session.execute(sa.select(consents).where(consents.c.unit_hash == unit_hash))).mappings().one_or_none()
    if row is None:
        raise NotFound("consent.never-said", f"{unit_hash} has said nothing on training", unit_hash=unit_hash)
    return ConsentView.model_validate(row)
