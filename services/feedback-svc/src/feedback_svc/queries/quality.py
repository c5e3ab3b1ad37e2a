"""Read model of quality: how users rate a task's answers, overall and in parts."""

from datetime import date, datetime, timedelta

import sqlalchemy as sa
from pydantic import Field
from sqlalchemy.ext.asyncio import AsyncSession

from feedback_svc.domain.quality import Grade, grade_of
from feedback_svc.store.tables import ratings
from loopwright.contracts.base import Value

_MOST_PARTS = 500
_POSITIVE_STARS = 4


class Figures(Value):
    """Ratings in stars; a thumb up is five of them, one down is one."""

    total: int = Field(description="ratings that count")
    positive_rate_0_1: float | None = Field(description=f"share of {_POSITIVE_STARS} stars and more; none without any")
    average: float | None = Field(description="mean stars")
    grade: Grade | None = Field(description="A from 4.5, B from 3.5, C from 2.5, else D")


class PartFigures(Figures):
    """Figures of one task, variant or day."""

    name: str = Field(description="task, variant, or day (UTC)")


class QualityView(Value):
    """How users rate answers."""

    since: datetime
    overall: Figures
    by_task: tuple[PartFigures, ...] = Field(description="most ratings first")
    by_variant: tuple[PartFigures, ...] = Field(description="most ratings first")
    by_day: tuple[PartFigures, ...] = Field(description="oldest first")


async def read_quality(session: AsyncSession, *, task_id: str | None, days: int, now: datetime) -> QualityView:
    """Figures of the last days."""
    since = now - timedelta(days=days)
    columns = ratings.c
    stars = sa.case((columns.metric == "thumb", 1 + 4 * columns.value), else_=columns.value).label("stars")
    day = sa.cast(sa.func.timezone("UTC", columns.rated_at), sa.Date).label("day")
    rated = sa.select(columns.task_id, columns.variant_id, day, stars).where(
        columns.counts, columns.value.is_not(None), columns.metric.in_(("stars", "thumb")), columns.rated_at >= since
    )
    part = (rated if task_id is None else rated.where(columns.task_id == task_id)).subquery().c
    figures = (
        sa.func.count().label("total"),
        sa.func.avg(part.stars).label("average"),
        sa.func.avg(sa.case((part.stars >= _POSITIVE_STARS, 1.0), else_=0.0)).label("positive"),
    )
    sets = sa.func.grouping_sets(
        sa.tuple_(part.task_id), sa.tuple_(part.variant_id), sa.tuple_(part.day), sa.text("()")
    )
    which = sa.func.grouping(part.task_id, part.variant_id, part.day).label("which")
    query = sa.select(part.task_id, part.variant_id, part.day, which, *figures).group_by(sets)
    rows = list((await session.execute(query)).mappings())
    return QualityView(
        since=since,
        overall=_overall(rows),
        by_task=_parts(rows, "task_id", which=0b011),
        by_variant=_parts(rows, "variant_id", which=0b101),
        by_day=tuple(sorted(_parts(rows, "day", which=0b110), key=lambda part: part.name)),
    )


def _overall(rows: list[sa.RowMapping]) -> Figures:
    row = next(row for row in rows if row["which"] == 0b111)
    return Figures.model_validate(_figures(row))


def _parts(rows: list[sa.RowMapping], column: str, *, which: int) -> tuple[PartFigures, ...]:
    found = [row for row in rows if row["which"] == which]
    most = sorted(found, key=lambda row: (-row["total"], str(row[column])))[:_MOST_PARTS]
    return tuple(PartFigures.model_validate({**_figures(row), "name": _name(row[column])}) for row in most)


def _name(value: str | date) -> str:
    return value.isoformat() if isinstance(value, date) else value


def _figures(row: sa.RowMapping) -> dict[str, object]:
    average = None if row["average"] is None else float(row["average"])
    return {
        "total": row["total"],
        "average": average,
        "positive_rate_0_1": None if row["positive"] is None else float(row["positive"]),
        "grade": None if average is None else grade_of(average),
    }
