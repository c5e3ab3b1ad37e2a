"""Which cards say something else than MLflow got last."""

from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession

from registry_svc.domain.models import ModelVersion, VariantId
from registry_svc.store.models import model_of
from registry_svc.store.tables import conclusions, evaluations, model_versions

_columns = model_versions.c


@dataclass(frozen=True, kw_only=True)
class Stale:
    """A version whose card changed, and when it was looked at."""

    model: ModelVersion
    seen_at: datetime


async def find_stale(session: AsyncSession, *, most: int) -> list[Stale]:
    """Versions whose rows, evaluations or experiments are newer than the card in MLflow."""
    variant = _columns.model_name + ":" + sa.cast(_columns.version, sa.Text)
    logged = _columns.card_logged_at
    evaluated = sa.exists().where(evaluations.c.candidate == variant, evaluations.c.finished_at > logged)
    tried = sa.exists().where(conclusions.c.candidate == variant, conclusions.c.recorded_at > logged)
    query = (
        sa.select(model_versions, sa.func.clock_timestamp().label("seen_at"))
        .where(sa.or_(logged.is_(None), _columns.updated_at > logged, evaluated, tried))
        .order_by(logged.nulls_first(), _columns.model_name, _columns.version)
        .limit(most)
    )
    return [Stale(model=model_of(row), seen_at=row.seen_at) for row in await session.execute(query)]


async def save_logged(session: AsyncSession, variant: VariantId, at: datetime) -> None:
    """Remembers that MLflow has the card as it was at a moment."""
    which = sa.and_(_columns.model_name == variant.model_name, _columns.version == variant.version)
    await session.execute(sa.update(model_versions).where(which).values(card_logged_at=at))
