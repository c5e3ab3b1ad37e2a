"""What MLflow knows that we do not, as it was found last."""

from collections.abc import Sequence
from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from loopwright.pages import Window
from registry_svc.domain.agreement import Finding, FindingKind
from registry_svc.store.pages import Paged, fetch_page
from registry_svc.store.tables import mlflow_findings

_columns = mlflow_findings.c


async def list_findings(session: AsyncSession) -> list[Finding]:
    query = sa.select(mlflow_findings).order_by(_columns.model_name, _columns.mlflow_version)
    return [_finding(row) for row in await session.execute(query)]


async def keep_findings(session: AsyncSession, findings: Sequence[Finding], now: datetime) -> None:
    """Makes these the findings; those that are gone are forgotten, those that stay keep their time."""
    at = sa.tuple_(_columns.model_name, _columns.mlflow_version)
    kept = [(found.model_name, found.mlflow_version) for found in findings]
    await session.execute(sa.delete(mlflow_findings).where(at.not_in(kept)))
    if findings:
        rows = [
            {
                "model_name": found.model_name, "mlflow_version": found.mlflow_version, "kind": found.kind,
                "detail": found.detail, "found_at": now,
            }
            for found in findings
        ]  # fmt: skip
        statement = insert(mlflow_findings)
        said = {"kind": statement.excluded.kind, "detail": statement.excluded.detail}
        await session.execute(
            statement.on_conflict_do_update(index_elements=["model_name", "mlflow_version"], set_=said), rows
        )


async def page_findings(session: AsyncSession, window: Window) -> Paged[Finding]:
    query = sa.select(mlflow_findings).order_by(_columns.model_name, _columns.mlflow_version)
    return await fetch_page(session, query, window, build=_finding)


def _finding(row: sa.Row[tuple[object, ...]]) -> Finding:
    return Finding(
        model_name=row.model_name, mlflow_version=row.mlflow_version, kind=FindingKind(row.kind), detail=row.detail,
    )  # fmt: skip
