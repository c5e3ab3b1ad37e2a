"""Experiments, their epochs and what was changed about them. Whoever writes one holds the lock on its task."""

from dataclasses import dataclass
from datetime import datetime
from itertools import pairwise

import sqlalchemy as sa
from pydantic import JsonValue, TypeAdapter
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from feedback_svc.domain.experiments import ACTIVE, OPEN, Epoch, Experiment, ExperimentState, Verdict
from feedback_svc.store.tables import evaluations, experiment_changes, experiment_epochs, experiments
from loopwright.contracts.base import Value
from loopwright.contracts.experiments import ExperimentKind, Layer
from loopwright.contracts.models import ModelEvaluated
from loopwright.contracts.tasks import RolloutPolicy, SuccessMetric
from loopwright.errors import NotFound

_layer = TypeAdapter(Layer | None)
_PARSED = {
    "kind",
    "state",
    "verdict",
    "weights_0_1",
    "further_candidate_ids",
    "excluded_units",
    "metric",
    "rollout",
    "layer",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """Something that was done to an experiment: who, when and why."""

    from_state: ExperimentState | None
    to_state: ExperimentState
    epoch: int
    changed_at: datetime
    changed_by: str
    reason: str


async def add_evaluation(session: AsyncSession, event: ModelEvaluated) -> bool:
    """Remembers an evaluation; says whether it was new."""
    statement = (
        insert(evaluations)
        .values(
            evaluation_id=event.evaluation_id,
            task_id=event.task_id,
            candidate_variant_id=event.candidate.variant_id,
            passed=event.passed,
            evaluated_at=event.evaluated_at,
        )
        .on_conflict_do_nothing()
        .returning(evaluations.c.evaluation_id)
    )
    return (await session.execute(statement)).scalar_one_or_none() is not None


async def add_experiment(session: AsyncSession, experiment: Experiment) -> None:
    await session.execute(sa.insert(experiments).values(_values(experiment)))


async def save_experiment(session: AsyncSession, experiment: Experiment, *, findings: Value | None = None) -> None:
    """Writes a changed experiment back.

    Args:
        findings: What its conclusion rested on, in full.
    """
    values = _values(experiment)
    if findings is not None:
        values["findings"] = findings.model_dump(mode="json")
    await session.execute(
        sa.update(experiments).where(experiments.c.experiment_id == experiment.experiment_id).values(values)
    )


async def save_looks(session: AsyncSession, experiment_id: str, looks_taken: int) -> None:
    """Remembers that planned looks were taken; needs no lock, for it only rises."""
    columns = experiments.c
    await session.execute(
        sa.update(experiments)
        .where(columns.experiment_id == experiment_id)
        .values(looks_taken=sa.func.greatest(columns.looks_taken, looks_taken))
    )


async def add_change(session: AsyncSession, experiment_id: str, change: Change) -> None:
    await session.execute(
        sa.insert(experiment_changes).values(
            experiment_id=experiment_id, from_state=change.from_state, to_state=change.to_state, epoch=change.epoch,
            changed_at=change.changed_at, changed_by=change.changed_by, reason=change.reason,
        )
    )  # fmt: skip


async def list_changes(session: AsyncSession, experiment_id: str) -> list[Change]:
    """What was done to an experiment, oldest first."""
    columns = experiment_changes.c
    query = sa.select(experiment_changes).where(columns.experiment_id == experiment_id).order_by(columns.number)
    return [
        Change(
            from_state=None if row.from_state is None else ExperimentState(row.from_state),
            to_state=ExperimentState(row.to_state), epoch=row.epoch, changed_at=row.changed_at,
            changed_by=row.changed_by, reason=row.reason,
        )
        for row in await session.execute(query)
    ]  # fmt: skip


async def add_epoch(session: AsyncSession, experiment: Experiment, *, began_at: datetime) -> None:
    """Keeps the weights of the epoch that an experiment has just begun."""
    await session.execute(
        sa.insert(experiment_epochs).values(
            experiment_id=experiment.experiment_id, epoch=experiment.epoch,
            weights_0_1=list(experiment.weights_0_1), began_at=began_at,
        )
    )  # fmt: skip


async def list_epochs(session: AsyncSession, experiment_id: str) -> list[Epoch]:
    """Epochs of an experiment, in order."""
    columns = experiment_epochs.c
    query = sa.select(experiment_epochs).where(columns.experiment_id == experiment_id).order_by(columns.epoch)
    rows = (await session.execute(query)).all()
    ends = [later.began_at for _, later in pairwise(rows)]
    return (
        [
            Epoch(number=row.epoch, weights_0_1=tuple(row.weights_0_1), began_at=row.began_at, ended_at=ended_at)
            for row, ended_at in zip(rows, [*ends, None], strict=True)
        ]
        if rows
        else []
    )


async def find_experiment(session: AsyncSession, experiment_id: str, *, lock: bool = False) -> Experiment | None:
    query = sa.select(experiments).where(experiments.c.experiment_id == experiment_id)
    row = (await session.execute(query.with_for_update() if lock else query)).mappings().one_or_none()
    return None if row is None else experiment_of(row)


async def get_experiment(session: AsyncSession, experiment_id: str, *, lock: bool = False) -> Experiment:
    """As `find_experiment`.

    Raises:
        NotFound: there is no such experiment.
    """
    experiment = await find_experiment(session, experiment_id, lock=lock)
    if experiment is None:
        raise NotFound("experiment.not-found", f"there is no experiment {experiment_id}", experiment_id=experiment_id)
    return experiment


async def list_open(session: AsyncSession, task_id: str) -> list[Experiment]:
    """Drafts and active experiments of a task, locked."""
    query = (
        sa.select(experiments)
        .where(experiments.c.task_id == task_id, experiments.c.state.in_(OPEN))
        .order_by(experiments.c.created_at, experiments.c.experiment_id)
        .with_for_update()
    )
    return [experiment_of(row) for row in (await session.execute(query)).mappings()]


async def list_active(session: AsyncSession) -> list[Experiment]:
    """Active experiments of all tasks, as they are now, without any lock."""
    query = (
        sa.select(experiments)
        .where(experiments.c.ended_at.is_(None), experiments.c.state.in_(ACTIVE))
        .order_by(experiments.c.experiment_id)
    )
    return [experiment_of(row) for row in (await session.execute(query)).mappings()]


async def find_last_ended(session: AsyncSession, task_id: str) -> Experiment | None:
    """The experiment of a task that ended last, of those that ever ran."""
    query = (
        sa.select(experiments)
        .where(
            experiments.c.task_id == task_id,
            experiments.c.ended_at.is_not(None),
            experiments.c.started_at.is_not(None),
        )
        .order_by(experiments.c.ended_at.desc())
        .limit(1)
    )
    row = (await session.execute(query)).mappings().one_or_none()
    return None if row is None else experiment_of(row)


async def find_findings(session: AsyncSession, experiment_id: str) -> JsonValue:
    """What was found at the end; None while there is no end, or nothing was found."""
    query = sa.select(experiments.c.findings).where(experiments.c.experiment_id == experiment_id)
    return (await session.execute(query)).scalar_one_or_none()


def _values(experiment: Experiment) -> dict[str, object]:
    values: dict[str, object] = {name: getattr(experiment, name) for name in _columns()}
    values |= {
        "weights_0_1": list(experiment.weights_0_1),
        "further_candidate_ids": list(experiment.further_candidate_ids),
        "excluded_units": list(experiment.excluded_units),
        "metric": experiment.metric.model_dump(mode="json"),
        "rollout": experiment.rollout.model_dump(mode="json"),
        "layer": _layer.dump_python(experiment.layer, mode="json"),
    }
    return values


def _columns() -> list[str]:
    return [column.name for column in experiments.c if column.name != "findings"]


def experiment_of(row: sa.RowMapping) -> Experiment:
    """An experiment out of a row of the table."""
    return Experiment(
        **{name: row[name] for name in _columns() if name not in _PARSED},
        kind=ExperimentKind(row["kind"]),
        state=ExperimentState(row["state"]),
        verdict=None if row["verdict"] is None else Verdict(row["verdict"]),
        weights_0_1=tuple(row["weights_0_1"]),
        further_candidate_ids=tuple(row["further_candidate_ids"]),
        excluded_units=tuple(row["excluded_units"]),
        metric=SuccessMetric.model_validate(row["metric"]),
        rollout=RolloutPolicy.model_validate(row["rollout"]),
        layer=_layer.validate_python(row["layer"]),
    )
