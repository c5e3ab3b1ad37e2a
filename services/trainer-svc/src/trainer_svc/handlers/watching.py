"""What those who watch jobs see: where many of them stand, read together, and the figures of one as series."""

import math
from collections.abc import Mapping, Sequence
from datetime import datetime

import sqlalchemy as sa
from pydantic import BaseModel, ConfigDict, Field
from sqlalchemy.dialects.postgresql import distinct_on
from sqlalchemy.ext.asyncio import AsyncSession

from loopwright.contracts.base import RunState
from loopwright.errors import Invalid, NotFound
from trainer_svc.domain.jobs import ENDED
from trainer_svc.domain.series import Point
from trainer_svc.store.tables import jobs, metrics

_PLACES = {"id", "attempt", "step"}  # numbers that say where a figure stands, and are none themselves
METRIC_NAMES = tuple(
    column.name for column in metrics.c if isinstance(column.type, sa.Float | sa.Integer) and column.name not in _PLACES
)
_MOST_ROWS = 10_000  # of more, each of so many parts of a series gives its lowest and its highest
_PARTS = 5_000


class Standing(BaseModel):
    """Where a job stands."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    job_id: str = Field(description="job")
    state: RunState = Field(description="where it stands")
    reason: str | None = Field(description="why it ended so, or waits")
    attempt: int = Field(description="times it was started")
    step: int = Field(description="optimizer steps done")
    total_steps: int = Field(description="optimizer steps planned; 0 while unknown")
    loss: float | None = Field(description="training loss, nats per answer token")
    validation_loss: float | None = Field(description="on the validation split")
    tokens_per_s: float | None = Field(description="training speed")
    eta_s: float | None = Field(description="estimated seconds left")
    lease_owner: str | None = Field(description="worker that runs it now")

    @property
    def ended(self) -> bool:
        return self.state in ENDED


async def read_standings(session: AsyncSession, job_ids: Sequence[str]) -> Mapping[str, Standing]:
    """Where jobs stand, in one query; those that do not exist are left out."""
    wanted = [jobs.c[name] for name in Standing.model_fields]
    rows = await session.execute(sa.select(*wanted).where(jobs.c.job_id.in_(job_ids)))
    return {str(row["job_id"]): Standing.model_validate(row) for row in rows.mappings()}


async def read_standing(session: AsyncSession, job_id: str) -> Standing:
    """Where one job stands.

    Raises:
        NotFound: there is none with this id.
    """
    found = await read_standings(session, (job_id,))
    if job_id not in found:
        raise NotFound("job.not-found", f"there is no job {job_id}", job_id=job_id)
    return found[job_id]


def check_metric_names(names: Sequence[str]) -> None:
    """Refuses figures that no job has.

    Raises:
        Invalid: one of the names is not among `METRIC_NAMES`.
    """
    for name in names:
        if name not in METRIC_NAMES:
            known = ", ".join(METRIC_NAMES)
            raise Invalid("job.unknown-metric", f"there is no metric {name[:50]!r}; there are {known}", known=known)


async def read_series(
    session: AsyncSession, job_id: str, name: str, *, since_step: int | None
) -> tuple[int, list[Point]]:
    """One figure of a job over its steps; of a step that several attempts took, the newest counts.

    Long series come thinned: the lowest and the highest value of each of 5,000 parts, from which downsampling then
    chooses what it would have chosen from all (Van Der Donckt et al. 2023, MinMaxLTTB).

    Returns:
        How many values there are, and the points in the order of their steps.
    """
    value = metrics.c[name]
    newest = sa.select(metrics.c.step, value.label("value"), metrics.c.at).where(
        metrics.c.job_id == job_id, value.is_not(None)
    )
    if since_step is not None:
        newest = newest.where(metrics.c.step > since_step)
    statement = _thinned(newest.ext(distinct_on(metrics.c.step)).order_by(metrics.c.step, metrics.c.id.desc()))
    rows = (await session.execute(statement)).all()
    points = [Point(step=row.step, value=float(row.value), at=row.at) for row in rows if math.isfinite(row.value)]
    return (rows[0].total if rows else 0), points


def _thinned(series: sa.Select[int, float, datetime]) -> sa.Select[int, int, float, datetime]:
    every = series.subquery()
    part = sa.func.ntile(_PARTS).over(order_by=every.c.step).label("part")
    parted = sa.select(every, part, sa.func.count().over().label("total")).subquery()

    def rank(order: sa.ColumnElement[float]) -> sa.Label[int]:
        return sa.func.row_number().over(partition_by=parted.c.part, order_by=(order, parted.c.step)).label(None)

    lowest, highest = rank(parted.c.value.asc()), rank(parted.c.value.desc())
    ranked = sa.select(parted, lowest.label("lowest"), highest.label("highest")).subquery()
    chosen = sa.or_(ranked.c.total <= _MOST_ROWS, ranked.c.lowest == 1, ranked.c.highest == 1)
    return sa.select(ranked.c.total, ranked.c.step, ranked.c.value, ranked.c.at).where(chosen).order_by(ranked.c.step)
