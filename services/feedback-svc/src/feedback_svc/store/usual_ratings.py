"""Ratings of a task over time, thinned so that nobody is heard more than once a day."""

from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import distinct_on
from sqlalchemy.ext.asyncio import AsyncSession

from feedback_svc.store.tables import ratings


async def list_daily_ratings(
    session: AsyncSession, task_id: str, metric: str, *, since: datetime | None, at_most: int
) -> list[float]:
    """The last value of each rater and day, the newest of these, oldest first: ratings of one person depend on each other."""
    columns = ratings.c
    day = sa.func.date_trunc("day", columns.rated_at, "UTC")
    newest = (
        sa.select(columns.rater_hash, day.label("day"), columns.value, columns.rated_at)
        .where(columns.task_id == task_id, columns.metric == metric, columns.counts, columns.value.is_not(None))
        .where(columns.rated_at > since if since is not None else sa.true())
        .order_by(columns.rated_at.desc())
        .limit(at_most)
        .subquery()
    )
    last = (
        sa.select(newest.c.value, newest.c.rated_at)
        .order_by(newest.c.rater_hash, newest.c.day, newest.c.rated_at.desc())
        .ext(distinct_on(newest.c.rater_hash, newest.c.day))
        .subquery()
    )
    return list((await session.execute(sa.select(last.c.value).order_by(last.c.rated_at))).scalars())
