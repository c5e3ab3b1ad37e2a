"""Lists of model versions with their evaluations: one query a page, however many versions and evaluations there are."""

from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa
from pydantic import BaseModel, ConfigDict, TypeAdapter
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.ext.asyncio import AsyncSession

from loopwright.pages import Window
from registry_svc.domain.listing import ModelFilter
from registry_svc.domain.models import ModelVersion
from registry_svc.store.models import model_of
from registry_svc.store.pages import Paged
from registry_svc.store.tables import evaluations, model_versions

_SHOWN = 10  # newest evaluations of a version in a list; its own page has them all


class EvaluationSummary(BaseModel):
    """An evaluation of a version as candidate, in one line of a list."""

    model_config = ConfigDict(frozen=True)

    evaluation_id: str
    kind: str
    champion: str
    state: str
    passed: bool | None
    cases: int | None
    accuracy_0_1: float | None
    started_at: datetime
    finished_at: datetime | None


@dataclass(frozen=True, kw_only=True)
class ListedModel:
    """A version and its newest evaluations."""

    model: ModelVersion
    evaluations: tuple[EvaluationSummary, ...]


_summaries = TypeAdapter(tuple[EvaluationSummary, ...])


async def page_models(session: AsyncSession, wanted: ModelFilter, window: Window) -> Paged[ListedModel]:
    """Model versions by name, newest first."""
    query = _matching(wanted).add_columns(_evaluations_of_row(), sa.func.count().over().label("total"))
    columns = model_versions.c
    query = query.order_by(columns.model_name, columns.version.desc()).limit(window.limit).offset(window.offset)
    rows = (await session.execute(query)).all()
    items = [ListedModel(model=model_of(row), evaluations=_summaries.validate_python(row.evaluations)) for row in rows]
    if rows:
        return Paged(items=items, total=rows[0].total)
    counted = sa.select(sa.func.count()).select_from(_matching(wanted).subquery())
    beyond_the_end = window.offset and await session.scalar(counted)
    return Paged(items=items, total=beyond_the_end or 0)


def _matching(wanted: ModelFilter) -> sa.Select[tuple[object, ...]]:
    columns = model_versions.c
    query = sa.select(model_versions)
    for column, value in (
        (columns.model_name, wanted.name),
        (columns.status, wanted.status),
        (columns.format, wanted.model_format),
        (columns.task_id, wanted.task_id),
    ):
        if value is not None:
            query = query.where(column == value)
    if wanted.tags:
        query = query.where(columns.tags.contains(sa.cast(list(wanted.tags), ARRAY(sa.Text))))
    return query


def _evaluations_of_row() -> sa.Label[object]:
    shown = evaluations.c
    variant = model_versions.c.model_name + ":" + sa.cast(model_versions.c.version, sa.Text)
    newest = (
        sa.select(evaluations)
        .where(shown.candidate == variant)
        .order_by(shown.started_at.desc(), shown.evaluation_id)
        .limit(_SHOWN)
        .correlate(model_versions)
        .lateral("newest")
    )
    one = newest.c
    cases, right = (sa.cast(one.candidate_score[name].astext, sa.Integer) for name in ("cases", "right"))
    summary = sa.func.jsonb_build_object(
        "evaluation_id", one.evaluation_id, "kind", one.kind, "champion", one.champion, "state", one.state,
        "passed", one.passed, "cases", cases, "accuracy_0_1", sa.cast(right, sa.Double) / sa.func.nullif(cases, 0),
        "started_at", one.started_at, "finished_at", one.finished_at,
    )  # fmt: skip
    gathered = sa.func.coalesce(sa.func.jsonb_agg(summary), sa.text("'[]'::jsonb"))
    query = sa.select(gathered).select_from(newest)
    return query.correlate(model_versions).scalar_subquery().label("evaluations")
