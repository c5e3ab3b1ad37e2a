"""Ratings: all of them, and which count."""

import json
from collections.abc import Iterable
from datetime import datetime
from typing import NamedTuple

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from feedback_svc.domain.ratings import Admission, Rating
from feedback_svc.store.tables import ratings
from loopwright.contracts.base import Value


class _Remarks(Value):
    comment: str | None = None
    correction: str | None = None
    traceparent: str | None = None


_NOTHING = _Remarks().model_dump(mode="json")


class ErasedRating(NamedTuple):
    """A rating that lost its words."""

    rating_id: str
    inference_id: str
    task_id: str
    unit_hash: str


async def list_standing(session: AsyncSession, inference_id: str) -> list[Rating]:
    """Ratings of an inference that count."""
    query = sa.select(ratings).where(ratings.c.inference_id == inference_id, ratings.c.counts)
    return rated(await session.execute(query))


async def add_rating(session: AsyncSession, rating: Rating, admission: Admission, *, received_at: datetime) -> None:
    """Stores a rating, and takes its count from the one that it unseats."""
    if admission.unseats is not None:
        unseat = sa.update(ratings).where(ratings.c.rating_id == admission.unseats.rating_id).values(counts=False)
        await session.execute(unseat)
    remarks = _Remarks(comment=rating.comment, correction=rating.correction, traceparent=rating.traceparent)
    statement = insert(ratings).values(
        rating_id=rating.rating_id, inference_id=rating.inference_id, task_id=rating.task_id,
        experiment_id=rating.experiment_id, variant_id=rating.variant_id, unit_hash=rating.unit_hash,
        rater_hash=rating.rater_hash, metric=rating.metric, value=rating.value,
        remarks=remarks.model_dump(mode="json"), counts=admission.counts, rated_at=rating.rated_at,
        received_at=received_at,
    )  # fmt: skip
    await session.execute(statement.on_conflict_do_nothing(index_elements=[ratings.c.rating_id]))


async def erase_ratings(session: AsyncSession, unit_hash: str) -> list[ErasedRating]:
    """Forgets the words of ratings that a person gave or that others gave to what the person was told; values stay."""
    columns = ratings.c
    statement = (
        sa.update(ratings)
        .where(
            (columns.unit_hash == unit_hash) | (columns.rater_hash == unit_hash),
            sa.cast(columns.remarks, sa.Text) != json.dumps(_NOTHING),
        )
        .values(remarks=_NOTHING)
        .returning(columns.rating_id, columns.inference_id, columns.task_id, columns.unit_hash)
    )
    return [ErasedRating(*row) for row in await session.execute(statement)]


def rated(rows: Iterable[sa.Row[*tuple[object, ...]]]) -> list[Rating]:
    """Ratings out of rows of the table."""
    found: list[Rating] = []
    for row in rows:
        remarks = _Remarks.model_validate(row.remarks)
        found.append(
            Rating(
                rating_id=row.rating_id, inference_id=row.inference_id, task_id=row.task_id,
                experiment_id=row.experiment_id, variant_id=row.variant_id, unit_hash=row.unit_hash,
                rater_hash=row.rater_hash, metric=row.metric, value=row.value, comment=remarks.comment,
                correction=remarks.correction, rated_at=row.rated_at, traceparent=remarks.traceparent,
            )
        )  # fmt: skip
    return found
