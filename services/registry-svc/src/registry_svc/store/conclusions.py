"""What experiments ended with, and what became of it here."""

from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from loopwright.contracts.experiments import Evidence
from registry_svc.domain.models import VariantId
from registry_svc.store.tables import conclusions


@dataclass(frozen=True, kw_only=True)
class Conclusion:
    """One ended experiment.

    Attributes:
        applied: Whether the deployment followed it.
        note: What was done, or why nothing was.
    """

    experiment_id: str
    task_id: str
    outcome: str
    champion: str
    candidate: str
    applied: bool
    note: str
    evidence: Evidence
    concluded_at: datetime
    recorded_at: datetime


def _conclusion(row: sa.Row[tuple[object, ...]]) -> Conclusion:
    return Conclusion(
        experiment_id=row.experiment_id,
        task_id=row.task_id,
        outcome=row.outcome,
        champion=row.champion,
        candidate=row.candidate,
        applied=row.applied,
        note=row.note,
        evidence=Evidence.model_validate(row.evidence),
        concluded_at=row.concluded_at,
        recorded_at=row.recorded_at,
    )


async def is_concluded(session: AsyncSession, experiment_id: str) -> bool:
    known = sa.select(conclusions.c.experiment_id).where(conclusions.c.experiment_id == experiment_id)
    return (await session.execute(known)).scalar_one_or_none() is not None


async def add_conclusion(session: AsyncSession, conclusion: Conclusion) -> None:
    await session.execute(
        insert(conclusions).values(
            experiment_id=conclusion.experiment_id,
            task_id=conclusion.task_id,
            outcome=conclusion.outcome,
            champion=conclusion.champion,
            candidate=conclusion.candidate,
            applied=conclusion.applied,
            note=conclusion.note,
            evidence=conclusion.evidence.model_dump(mode="json"),
            concluded_at=conclusion.concluded_at,
            recorded_at=conclusion.recorded_at,
        )
    )


async def list_conclusions_of(session: AsyncSession, variant: VariantId) -> list[Conclusion]:
    """Experiments in which a version was candidate or champion, newest first."""
    query = (
        sa.select(conclusions)
        .where((conclusions.c.candidate == str(variant)) | (conclusions.c.champion == str(variant)))
        .order_by(conclusions.c.concluded_at.desc())
    )
    return [_conclusion(row) for row in await session.execute(query)]
