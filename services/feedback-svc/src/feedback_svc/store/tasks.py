"""Tasks and deployments as registry-svc declared them last. The task's row is what experiments of it are locked by."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import ARRAY, insert
from sqlalchemy.ext.asyncio import AsyncSession

from feedback_svc.domain.ratings import Criteria
from feedback_svc.domain.serving import Serving
from feedback_svc.store.tables import deployments, tasks
from loopwright.contracts.base import Value
from loopwright.contracts.tasks import (
    DataPolicy,
    PromptTemplate,
    RetrainingPolicy,
    RolloutPolicy,
    SourcePolicy,
    SuccessMetric,
)
from loopwright.errors import NotFound, OutOfOrder


class Policies(Value):
    """What this service applies of a task's definition."""

    base_model: str
    success_metric: SuccessMetric
    data_policy: DataPolicy
    retraining: RetrainingPolicy
    rollout: RolloutPolicy
    prompt: PromptTemplate = PromptTemplate(system="")
    sources: tuple[SourcePolicy, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Task:
    """A task, newest version."""

    task_id: str
    version: int
    policies: Policies
    defined_at: datetime

    @property
    def criteria(self) -> Criteria:
        return Criteria(success=self.policies.success_metric, min_stars=self.policies.retraining.min_stars)


async def save_task(session: AsyncSession, task: Task) -> bool:
    """Keeps a task unless a version as high is known; says whether it was kept."""
    values = {
        "task_id": task.task_id,
        "version": task.version,
        "policies": task.policies.model_dump(mode="json"),
        "defined_at": task.defined_at,
    }
    statement = insert(tasks).values(values)
    statement = statement.on_conflict_do_update(
        index_elements=[tasks.c.task_id], set_=values, where=tasks.c.version < statement.excluded.version
    ).returning(tasks.c.task_id)
    return (await session.execute(statement)).scalar_one_or_none() is not None


async def find_task(session: AsyncSession, task_id: str, *, lock: bool = False) -> Task | None:
    """The task.

    Args:
        lock: Nobody else starts, measures or ends an experiment of it, or asks for its dataset, until the end of the
            transaction. Take it before any lock on an experiment.
    """
    query = sa.select(tasks).where(tasks.c.task_id == task_id)
    row = (await session.execute(query.with_for_update() if lock else query)).one_or_none()
    return None if row is None else _task(row)


async def get_task(session: AsyncSession, task_id: str, *, lock: bool = False) -> Task:
    """As `find_task`.

    Raises:
        NotFound: there is no such task.
    """
    task = await find_task(session, task_id, lock=lock)
    if task is None:
        raise NotFound("task.not-found", f"there is no task {task_id}", task_id=task_id)
    return task


async def expect_task(session: AsyncSession, task_id: str, *, lock: bool = False) -> Task:
    """As `find_task`, for events: their task was defined before them, but by another topic.

    Raises:
        OutOfOrder: its definition has not arrived yet.
    """
    task = await find_task(session, task_id, lock=lock)
    if task is None:
        raise OutOfOrder("task.not-known-yet", f"the task {task_id} is not known yet", task_id=task_id)
    return task


async def expect_tasks(session: AsyncSession, task_ids: Collection[str]) -> dict[str, Task]:
    """As `expect_task`, for several."""
    return {task_id: await expect_task(session, task_id) for task_id in sorted(task_ids)}


async def list_tasks(session: AsyncSession) -> list[Task]:
    return [_task(row) for row in await session.execute(sa.select(tasks).order_by(tasks.c.task_id))]


def _task(row: sa.Row[*tuple[object, ...]]) -> Task:
    return Task(
        task_id=row.task_id,
        version=row.version,
        policies=Policies.model_validate(row.policies),
        defined_at=row.defined_at,
    )


async def save_serving(session: AsyncSession, serving: Serving) -> bool:
    """Keeps a deployment unless a revision as high is known; says whether it was kept."""
    values = {
        "task_id": serving.task_id,
        "revision": serving.revision,
        "champion_variant_id": serving.champion_variant_id,
        "candidate_variant_ids": list(serving.candidate_variant_ids),
        "changed_at": serving.changed_at,
    }
    statement = insert(deployments).values(values)
    statement = statement.on_conflict_do_update(
        index_elements=[deployments.c.task_id],
        set_=values,
        where=deployments.c.revision < statement.excluded.revision,
    ).returning(deployments.c.task_id)
    return (await session.execute(statement)).scalar_one_or_none() is not None


async def find_serving(session: AsyncSession, task_id: str) -> Serving | None:
    row = (await session.execute(sa.select(deployments).where(deployments.c.task_id == task_id))).one_or_none()
    if row is None:
        return None
    return Serving(
        task_id=row.task_id,
        revision=row.revision,
        champion_variant_id=row.champion_variant_id,
        candidate_variant_ids=tuple(row.candidate_variant_ids),
        changed_at=row.changed_at,
    )


async def list_served_tasks(session: AsyncSession, variant_ids: Collection[str]) -> list[str]:
    """Tasks that all of these variants are deployed for."""
    columns = deployments.c
    deployed = sa.func.array_append(columns.candidate_variant_ids, columns.champion_variant_id)
    wanted = sa.cast(sorted(set(variant_ids)), ARRAY(sa.Text))
    query = sa.select(columns.task_id).where(deployed.op("@>")(wanted)).order_by(columns.task_id)
    return list((await session.execute(query)).scalars())
