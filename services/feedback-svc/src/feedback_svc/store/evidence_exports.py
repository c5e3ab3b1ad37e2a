"""Exports of a source's evidence: files that are never overwritten, with what is in them."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import ARRAY, insert
from sqlalchemy.ext.asyncio import AsyncSession

from feedback_svc.domain.samples import SampleState
from feedback_svc.store.tables import evidence_exports, samples
from loopwright.contracts.base import Artifact
from loopwright.sealed_columns import ColumnOpener


class EvidenceState(StrEnum):
    """How an export went."""

    WRITTEN = "written"
    EMPTY = "empty"
    FAILED = "failed"


@dataclass(frozen=True, kw_only=True)
class Evidence:
    """One sample as an export of evidence has it.

    Attributes:
        lesson: JSON of what it teaches.
    """

    key: str
    record_ids: tuple[str, ...]
    subjects: frozenset[str]
    lesson: bytes


@dataclass(frozen=True, kw_only=True)
class EvidenceExport:
    """One export.

    Attributes:
        due_at: Time of the schedule that it was made for.
    """

    export_id: str
    task_id: str
    source: str
    state: EvidenceState
    due_at: datetime
    made_at: datetime
    source_ids: tuple[str, ...] = ()
    subjects: frozenset[str] = frozenset()
    count: int = 0
    artifact: Artifact | None = None
    error: str | None = None


async def list_evidence(
    session: AsyncSession, task_id: str, source: str, *, since: datetime, at_most: int
) -> list[Evidence]:
    """What a source has taught since a moment and still does, in one fixed order."""
    columns = samples.c
    query = (
        sa.select(columns.source_key, columns.record_ids, columns.subjects, columns.lesson)
        .where(
            columns.task_id == task_id, columns.collected_from == source, columns.formed_at >= since,
            columns.state.in_((SampleState.READY, SampleState.EXPORTED)), columns.left_at_request.is_(None),
        )
        .order_by(columns.formed_at, columns.sample_id)
        .limit(at_most)
    )  # fmt: skip
    rows = (await session.execute(query)).all()
    lessons = await ColumnOpener(session, samples.name).open_all([row.lesson for row in rows])
    return [
        Evidence(key=row.source_key, record_ids=tuple(row.record_ids), subjects=frozenset(row.subjects), lesson=lesson)
        for row, lesson in zip(rows, lessons, strict=True)
    ]


async def last_due_at(session: AsyncSession, task_id: str, source: str) -> datetime | None:
    """Time of the schedule that the newest export was made for that did not fail."""
    columns = evidence_exports.c
    query = sa.select(sa.func.max(columns.due_at)).where(
        columns.task_id == task_id, columns.source == source, columns.state != EvidenceState.FAILED
    )
    return (await session.execute(query)).scalar_one()


async def add_evidence_export(session: AsyncSession, export: EvidenceExport) -> bool:
    """Records an export once for each time of its schedule, a failure until a later attempt succeeds.

    Returns:
        Whether it is the one that stands.
    """
    columns = evidence_exports.c
    values: dict[str, object] = {
        "export_id": export.export_id, "state": export.state, "source_ids": list(export.source_ids),
        "subjects": sorted(export.subjects), "count": export.count, "error": export.error, "made_at": export.made_at,
        "artifact": export.artifact.model_dump(mode="json") if export.artifact else None,
    }  # fmt: skip
    statement = insert(evidence_exports).values(
        task_id=export.task_id, source=export.source, due_at=export.due_at, **values
    )
    statement = statement.on_conflict_do_update(
        constraint="uq_evidence_exports_due", set_=values, where=columns.state == EvidenceState.FAILED
    ).returning(columns.export_id)
    return (await session.execute(statement)).scalar_one_or_none() is not None


async def erase_evidence(session: AsyncSession, subjects: Collection[str], *, now: datetime) -> list[str]:
    """Marks exports that hold what these persons said.

    Returns:
        URIs of those that were not marked before.
    """
    columns = evidence_exports.c
    statement = (
        sa.update(evidence_exports)
        .where(
            columns.subjects.overlap(sa.literal(sorted(subjects), ARRAY(sa.Text))),
            columns.artifact.is_not(None), columns.erased_at.is_(None),
        )
        .values(erased_at=now)
        .returning(columns.artifact)
    )  # fmt: skip
    return [Artifact.model_validate(artifact).uri for artifact in (await session.execute(statement)).scalars()]
