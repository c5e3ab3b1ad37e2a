"""Per-user statistics of experiments, and the same recomputed from the ratings themselves."""

from collections import defaultdict
from collections.abc import Iterable, Mapping

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from feedback_svc.domain.experiments import Experiment
from feedback_svc.domain.statistics import UserStatistics
from feedback_svc.store.tables import experiment_users, ratings

Users = Mapping[str, list[UserStatistics]]


async def is_known_unit(session: AsyncSession, *, experiment_id: str, variant_id: str, unit_hash: str) -> bool:
    """Whether an experiment has seen a unit; a look without any lock."""
    return await find_user(session, experiment_id=experiment_id, variant_id=variant_id, unit_hash=unit_hash) is not None


async def find_user(
    session: AsyncSession, *, experiment_id: str, variant_id: str, unit_hash: str
) -> UserStatistics | None:
    """What a unit contributed so far; None if it was never seen."""
    users = experiment_users.c
    query = sa.select(users.ratings, users.total).where(
        users.experiment_id == experiment_id, users.variant_id == variant_id, users.unit_hash == unit_hash
    )
    row = (await session.execute(query)).one_or_none()
    return None if row is None else UserStatistics(ratings=row.ratings, total=row.total)


async def save_user(
    session: AsyncSession, user: UserStatistics, *, experiment_id: str, variant_id: str, unit_hash: str
) -> None:
    statement = insert(experiment_users).values(
        experiment_id=experiment_id, variant_id=variant_id, unit_hash=unit_hash, ratings=user.ratings, total=user.total
    )
    await session.execute(
        statement.on_conflict_do_update(
            index_elements=list(experiment_users.primary_key.columns),
            set_={"ratings": user.ratings, "total": user.total},
        )
    )


async def list_users(session: AsyncSession, experiment_id: str) -> Users:
    """Rated users by variant, as they were counted."""
    users = experiment_users.c
    query = sa.select(users.variant_id, users.ratings, users.total).where(
        users.experiment_id == experiment_id, users.ratings > 0
    )
    query = query.order_by(users.variant_id, users.unit_hash)
    return _by_variant((await session.execute(query)).mappings())


async def recompute_users(session: AsyncSession, experiment: Experiment) -> Users:
    """Rated users by variant, from the ratings that count: what the counted ones must be equal to while it runs."""
    query = (
        sa.select(
            ratings.c.variant_id,
            sa.func.count().label("ratings"),
            sa.func.sum(ratings.c.value).label("total"),
        )
        .where(
            ratings.c.experiment_id == experiment.experiment_id,
            ratings.c.metric == experiment.metric.name,
            ratings.c.counts,
            ratings.c.value.is_not(None),
        )
        .group_by(ratings.c.variant_id, ratings.c.unit_hash)
        .order_by(ratings.c.variant_id, ratings.c.unit_hash)
    )
    return _by_variant((await session.execute(query)).mappings())


def _by_variant(rows: Iterable[sa.RowMapping]) -> Users:
    users: dict[str, list[UserStatistics]] = defaultdict(list)
    for row in rows:
        users[row["variant_id"]].append(UserStatistics(ratings=row["ratings"], total=row["total"]))
    return users
