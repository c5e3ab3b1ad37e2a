"""What raters say of upstream records, beside their ratings of answers: who stands behind which sample, and who agrees.

A claim is kept as the hash of what it says; a sample of a source that reads claims says what the winning claim says.
"""

from collections.abc import Collection
from typing import NamedTuple

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import ARRAY, aggregate_order_by, distinct_on
from sqlalchemy.ext.asyncio import AsyncSession

from feedback_svc.store.curation_tables import sample_reviews
from feedback_svc.store.source_records import RecordState
from feedback_svc.store.tables import ratings, samples, source_records, upstream_records

_MOST_CLAIMS = 100_000


class Claim(NamedTuple):
    """What a rater said last of one thing, as a hash."""

    source: str
    group_key: str
    claim: str
    rater: str

    @property
    def item(self) -> str:
        return item_of(self.source, self.group_key, self.claim)


def item_of(source: str, group_key: str, claim: str) -> str:
    """Names one answer to one question, for reliability to be estimated by."""
    return f"{source}:{group_key}:{claim}"


def statements(*, task_id: str | None = None, sources: Collection[str] | None = None) -> sa.CompoundSelect[str, object]:
    """Ratings and claims: who, and since when we know that it was said.

    Args:
        task_id: Of whose answers ratings are; None for all.
        sources: Of whose records claims are; None for all.
    """
    rated = sa.select(ratings.c.rater_hash, ratings.c.rated_at.label("known_at"))
    if task_id is not None:
        rated = rated.where(ratings.c.task_id == task_id)
    on = [source_records.c[name] == upstream_records.c[name] for name in ("origin", "kind", "record_id")]
    claimed = (
        sa.select(source_records.c.rater, upstream_records.c.received_at)
        .join(upstream_records, sa.and_(*on))
        .where(source_records.c.rater.is_not(None), source_records.c.state == RecordState.FITS)
    )
    if sources is not None:
        claimed = claimed.where(source_records.c.source == sa.any_(sa.literal(sorted(sources), ARRAY(sa.Text))))
    return sa.union_all(rated, claimed)


def supporters() -> sa.CompoundSelect[str]:
    """Raters behind a sample of the statement that this stands in: of its ratings, and who claims what it says."""
    rated = sa.select(ratings.c.rater_hash.label("rater")).where(ratings.c.rating_id == sa.any_(samples.c.rating_ids))
    last = _last_words().where(
        source_records.c.source == samples.c.collected_from, source_records.c.group_key == samples.c.source_key
    )
    said = last.correlate(samples).subquery("said")
    claimed = sa.select(said.c.rater).where(said.c.claim == samples.c.claim)
    return sa.union(rated.correlate(samples), claimed.correlate(samples))


def raters_of_sample() -> sa.ScalarSelect[list[str]]:
    """Their names, sorted, for the sample of the statement that this stands in."""
    names = supporters().lateral("supporters")
    return sa.select(sa.func.array_agg(aggregate_order_by(names.c.rater, names.c.rater))).scalar_subquery()


async def list_shared_claims(session: AsyncSession, sources: Collection[str]) -> list[Claim]:
    """The last word of each rater on things of which several raters, or a person who checks, have spoken."""
    declared = sa.any_(sa.literal(sorted(sources), ARRAY(sa.Text)))
    columns = source_records.c
    several = (
        sa.select(columns.source, columns.group_key)
        .where(columns.source == declared, columns.state == RecordState.FITS, columns.rater.is_not(None))
        .group_by(columns.source, columns.group_key)
        .having(sa.func.min(columns.rater) != sa.func.max(columns.rater))
    )
    checked = sa.select(samples.c.collected_from, samples.c.source_key).join(
        sample_reviews, sample_reviews.c.sample_id == samples.c.sample_id
    )
    thing = sa.tuple_(columns.source, columns.group_key)
    last = _last_words().where(columns.source == declared, thing.in_(several) | thing.in_(checked)).subquery()
    rows = await session.execute(sa.select(last).order_by(last.c.published_at.desc()).limit(_MOST_CLAIMS))
    return [Claim(source=row.source, group_key=row.group_key, claim=row.claim, rater=row.rater) for row in rows]


async def list_checked_claims(session: AsyncSession, task_id: str) -> dict[str, bool]:
    """Claims of which a person has said whether they are right, by item; the last word counts."""
    query = (
        sa.select(
            samples.c.collected_from, samples.c.source_key, samples.c.claim, sample_reviews.c.answer_was_right
        )
        .join(sample_reviews, sample_reviews.c.sample_id == samples.c.sample_id)
        .where(
            samples.c.task_id == task_id, samples.c.collected_from.is_not(None),
            sample_reviews.c.answer_was_right.is_not(None),
        )
        .order_by(sample_reviews.c.decided_at)
    )  # fmt: skip
    return {
        item_of(row.collected_from, row.source_key, row.claim): row.answer_was_right
        for row in await session.execute(query)
    }


def _last_words() -> sa.Select[str, str, str, str, object]:
    """The last claim of each rater on each thing."""
    columns = source_records.c
    thing = (columns.source, columns.group_key, columns.rater)
    return (
        sa.select(columns.source, columns.group_key, columns.rater, columns.claim, columns.published_at)
        .where(columns.state == RecordState.FITS, columns.rater.is_not(None))
        .order_by(*thing, columns.published_at.desc(), columns.record_id.desc())
        .ext(distinct_on(*thing))
    )
