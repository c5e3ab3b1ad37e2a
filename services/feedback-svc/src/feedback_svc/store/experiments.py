"""Experiments with the statistics of their two arms. Whoever writes one holds the lock on its task."""

from collections.abc import Iterable

import sqlalchemy as sa
from pydantic import TypeAdapter
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from feedback_svc.domain.experiments import Experiment, ExperimentState
from feedback_svc.domain.statistics import ArmStatistics
from feedback_svc.store.tables import evaluations, experiments
from loopwright.contracts.experiments import Evidence, Outcome
from loopwright.contracts.models import ModelEvaluated
from loopwright.contracts.tasks import RolloutPolicy, SuccessMetric
from loopwright.errors import NotFound

_arm = TypeAdapter(ArmStatistics)
_OPEN = (ExperimentState.WAITING, ExperimentState.RUNNING)


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


async def save_experiment(session: AsyncSession, experiment: Experiment, *, evidence: Evidence | None = None) -> None:
    """Writes a changed experiment back.

    Args:
        evidence: What its conclusion rested on.
    """
    values = _values(experiment)
    if evidence is not None:
        values["evidence"] = evidence.model_dump(mode="json")
    await session.execute(
        sa.update(experiments).where(experiments.c.experiment_id == experiment.experiment_id).values(values)
    )


async def save_arms(session: AsyncSession, experiment: Experiment) -> None:
    """Writes only the statistics back: what every rating changes."""
    await session.execute(
        sa.update(experiments)
        .where(experiments.c.experiment_id == experiment.experiment_id)
        .values(
            champion=_arm.dump_python(experiment.champion, mode="json"),
            candidate=_arm.dump_python(experiment.candidate, mode="json"),
        )
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
    """Waiting and running experiments of a task, locked."""
    query = (
        sa.select(experiments)
        .where(experiments.c.task_id == task_id, experiments.c.state.in_(_OPEN))
        .order_by(experiments.c.created_at, experiments.c.experiment_id)
        .with_for_update()
    )
    return [experiment_of(row) for row in (await session.execute(query)).mappings()]


async def find_last_ended(session: AsyncSession, task_id: str) -> Experiment | None:
    """The experiment of a task that ended last, of those that ever ran."""
    query = (
        sa.select(experiments)
        .where(
            experiments.c.task_id == task_id,
            experiments.c.state == ExperimentState.ENDED,
            experiments.c.started_at.is_not(None),
        )
        .order_by(experiments.c.ended_at.desc())
        .limit(1)
    )
    row = (await session.execute(query)).mappings().one_or_none()
    return None if row is None else experiment_of(row)


def _values(experiment: Experiment) -> dict[str, object]:
    values = {name: getattr(experiment, name) for name in _plain_columns()}
    values["metric"] = experiment.metric.model_dump(mode="json")
    values["rollout"] = experiment.rollout.model_dump(mode="json")
    values["champion"] = _arm.dump_python(experiment.champion, mode="json")
    values["candidate"] = _arm.dump_python(experiment.candidate, mode="json")
    return values


def _plain_columns() -> Iterable[str]:
    """Columns that hold an attribute of the same name as it is."""
    return (c.name for c in experiments.c if c.name not in {"metric", "rollout", "champion", "candidate", "evidence"})


def experiment_of(row: sa.RowMapping) -> Experiment:
    """An experiment out of a row of the table."""
    plain = {name: row[name] for name in _plain_columns()}
    plain["state"] = ExperimentState(row["state"])
    plain["outcome"] = None if row["outcome"] is None else Outcome(row["outcome"])
    return Experiment(
        **plain,
        metric=SuccessMetric.model_validate(row["metric"]),
        rollout=RolloutPolicy.model_validate(row["rollout"]),
        champion=_arm.validate_python(row["champion"]),
        candidate=_arm.validate_python(row["candidate"]),
    )
