"""Training policies of tasks, and the dataset versions that jobs can learn from."""

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from loopwright.contracts.datasets import DatasetValidated
from loopwright.contracts.jobs import TrainingData
from loopwright.contracts.tasks import TaskDefined
from loopwright.errors import NotFound
from trainer_svc.domain.jobs import Policy, training_data_of
from trainer_svc.store.tables import dataset_versions, policies


async def keep_newest_policy(session: AsyncSession, event: TaskDefined) -> None:
    """Stores a task's policy unless a newer version is known."""
    values = {"version": event.version, "base_model": event.base_model, "training": event.training}
    statement = insert(policies).values(task_id=event.task_id, **values)
    await session.execute(
        statement.on_conflict_do_update(
            index_elements=[policies.c.task_id], set_=values, where=policies.c.version < event.version
        )
    )


async def find_policy(session: AsyncSession, task_id: str) -> Policy | None:
    row = (await session.execute(sa.select(policies).where(policies.c.task_id == task_id))).one_or_none()
    if row is None:
        return None
    return Policy(task_id=row.task_id, base_model=row.base_model, training=row.training)


async def add_version(session: AsyncSession, event: DatasetValidated) -> None:
    statement = insert(dataset_versions).values(
        version_id=event.version_id,
        dataset_id=event.dataset_id,
        version=event.version,
        task_id=event.task_id,
        training_data=training_data_of(event),
        validated_at=event.validated_at,
    )
    await session.execute(statement.on_conflict_do_nothing())


async def get_training_data(session: AsyncSession, dataset_id: str) -> tuple[str, TrainingData]:
    """Task and splits of a dataset version, or of the newest version of a dataset.

    Raises:
        NotFound: no such dataset was validated.
    """
    table = dataset_versions
    statement = (
        sa.select(table.c.task_id, table.c.training_data)
        .where(sa.or_(table.c.version_id == dataset_id, table.c.dataset_id == dataset_id))
        .order_by(table.c.version.desc())
        .limit(1)
    )
    row = (await session.execute(statement)).one_or_none()
    if row is None:
        raise NotFound("job.dataset-not-found", f"no validated dataset {dataset_id} is known", dataset_id=dataset_id)
    return row.task_id, row.training_data
