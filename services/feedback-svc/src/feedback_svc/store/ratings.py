"""Ratings: all of them, and which count."""

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from operator import attrgetter
from typing import NamedTuple

import asyncpg
import msgspec
import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.ext.asyncio import AsyncSession

from feedback_svc.domain.ratings import Rating
from feedback_svc.store.copying import copy_rows, fetch
from feedback_svc.store.tables import ratings
from loopwright.errors import StoreUnavailable
from loopwright.sealed_columns import ColumnOpener, ColumnSealer, standing_sealer


class Remarks(msgspec.Struct, frozen=True, gc=False):
    """What was said beside the value."""

    comment: str | None = None
    correction: str | None = None


# attributes of a rating that have a column of the same name
_SAID = tuple(name for name in Rating.__struct_fields__ if name in ratings.c)
_said = attrgetter(*_SAID)
_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(Remarks).decode


class ErasedRating(NamedTuple):
    """A rating that lost its words."""

    rating_id: str
    inference_id: str
    task_id: str
    unit_hash: str


async def list_standing(session: AsyncSession, inference_id: str) -> list[Rating]:
    """Ratings of an inference that count."""
    return (await list_all_standing(session, {inference_id})).get(inference_id, [])


async def list_all_standing(session: AsyncSession, inference_ids: Collection[str]) -> dict[str, list[Rating]]:
    """Ratings that count, by inference; without those that have none."""
    standing: dict[str, list[Rating]] = defaultdict(list)
    for rating in await read_ratings(session, await fetch(session, _STANDING, sorted(inference_ids))):
        standing[rating.inference_id].append(rating)
    return standing


_STANDING = "SELECT * FROM feedback.ratings WHERE inference_id = ANY ($1) AND counts"


async def find_known(session: AsyncSession, rating_ids: Collection[str]) -> frozenset[str]:
    """Which of these ratings have arrived before."""
    query = "SELECT rating_id FROM feedback.ratings WHERE rating_id = ANY ($1)"
    return frozenset(row[0] for row in await fetch(session, query, sorted(rating_ids)))


async def unseat(session: AsyncSession, rating_ids: Collection[str]) -> None:
    """Takes their count from ratings."""
    ids = sa.literal(sorted(rating_ids), ARRAY(sa.Text))
    await session.execute(sa.update(ratings).where(ratings.c.rating_id == sa.any_(ids)).values(counts=False))


async def add_ratings(
    session: AsyncSession, new: Sequence[Rating], *, admitted: Collection[str], received_at: datetime
) -> None:
    """Stores ratings that have not arrived before.

    Args:
        admitted: Ids of those that count.

    Raises:
        StoreUnavailable: one of them has arrived meanwhile, with another inference.
    """
    columns = [*_SAID, "counts", "remarks", "received_at"]
    sealer = await standing_sealer(session, ratings.name)
    rows = [(*_said(one), one.rating_id in admitted, _remarks_of(one, sealer), received_at) for one in new]
    try:
        await copy_rows(session, ratings, columns, rows)
    except asyncpg.UniqueViolationError as error:
        raise StoreUnavailable("rating.meanwhile", "somebody else is storing a rating of the same id") from error


def _remarks_of(rating: Rating, sealer: ColumnSealer) -> bytes | None:
    """`Remarks`, sealed, if there are any."""
    if rating.comment is None and rating.correction is None:
        return None
    return sealer.seal(_encode(Remarks(comment=rating.comment, correction=rating.correction)))


async def erase_ratings(session: AsyncSession, unit_hash: str) -> list[ErasedRating]:
    """Forgets the words of ratings that a person gave or that others gave to what the person was told; values stay."""
    columns = ratings.c
    statement = (
        sa.update(ratings)
        .where(
            (columns.unit_hash == unit_hash) | (columns.rater_hash == unit_hash),
            columns.remarks.is_not(None) | columns.traceparent.is_not(None),
        )
        .values(remarks=None, traceparent=None)
        .returning(columns.rating_id, columns.inference_id, columns.task_id, columns.unit_hash)
    )
    return [ErasedRating(*row) for row in await session.execute(statement)]


async def read_ratings(session: AsyncSession, rows: Sequence[asyncpg.Record | sa.RowMapping]) -> list[Rating]:
    """Ratings out of whole rows of the table, in order."""
    remarks = await open_remarks(session, [row["remarks"] for row in rows])
    return [_rating_of(row, said) for row, said in zip(rows, remarks, strict=True)]


async def open_remarks(session: AsyncSession, values: Sequence[bytes | None]) -> list[Remarks]:
    """What was said beside the values, out of values of the column, in order."""
    found = await ColumnOpener(session, ratings.name).open_known(values)
    return [_SILENCE if said is None else _decode(said) for said in found]


_SILENCE = Remarks()


def _rating_of(row: asyncpg.Record | sa.RowMapping, remarks: Remarks) -> Rating:
    said: Mapping[str, object] = {name: row[name] for name in _SAID} | msgspec.to_builtins(remarks)
    return msgspec.convert(said, Rating)
