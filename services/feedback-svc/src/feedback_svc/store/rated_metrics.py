"""Ratings inside an experiment one by one: other metrics, how they change as users get used, and whose came first."""

from collections import defaultdict
from typing import NamedTuple

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession

from feedback_svc.domain.experiments import Experiment
from feedback_svc.domain.statistics.betting import Arrival
from feedback_svc.domain.statistics.users import UserMoments

_MOST_METRICS = 20  # the most rated ones: raters choose their names
_MOST_DAYS = 60  # later ones count as the last of them


class RatedPlace(NamedTuple):
    """One metric, or one whole day since exposure, of an arm in an epoch."""

    arm: int
    epoch: int
    of: str | int


async def find_other_metrics(session: AsyncSession, experiment: Experiment) -> dict[RatedPlace, list[UserMoments]]:
    """Every user's ratings of metrics that the experiment is not decided by."""
    found: dict[RatedPlace, list[UserMoments]] = defaultdict(list)
    asked = _asked(experiment) | {"at_most": _MOST_METRICS}
    for arm, epoch, metric, ratings, total, squares in await session.execute(_OTHER_METRICS, asked):
        found[RatedPlace(arm, epoch, metric)].append(UserMoments(ratings=ratings, total=total, squares=squares))
    return found


async def find_daily_means(session: AsyncSession, experiment: Experiment) -> dict[RatedPlace, list[float]]:
    """Every user's mean rating of the deciding metric, by whole days since the user's first exposure."""
    found: dict[RatedPlace, list[float]] = defaultdict(list)
    asked = _asked(experiment) | {"last_day": _MOST_DAYS - 1}
    for arm, epoch, day, mean in await session.execute(_DAILY_MEANS, asked):
        found[RatedPlace(arm, epoch, day)].append(mean)
    return found


async def find_first_ratings(session: AsyncSession, experiment: Experiment) -> dict[tuple[int, int], list[Arrival]]:
    """Every user's first rating of the deciding metric, by arm and epoch, as they came in.

    Whoever comes late comes last, so that what earlier looks saw stays as it was, and looking often does not err more.
    """
    found: dict[tuple[int, int], list[Arrival]] = defaultdict(list)
    for arm, epoch, received_at, value in await session.execute(_FIRST_RATINGS, _asked(experiment)):
        found[arm, epoch].append(Arrival(received_at.timestamp(), value))
    return found


def _asked(experiment: Experiment) -> dict[str, object]:
    return {
        "experiment_id": experiment.experiment_id,
        "task_id": experiment.task_id,
        "metric": experiment.metric.name,
        "variants": list(experiment.variant_ids),
    }


_HEARD = """
WITH heard AS (
    SELECT coalesce(arm, array_position(CAST(:variants AS text[]), variant_id) - 1) AS arm, coalesce(epoch, 1) AS epoch,
        metric, unit_hash, value, rating_id, rated_at, received_at
    FROM feedback.ratings
    WHERE experiment_id = :experiment_id AND task_id = :task_id AND counts AND value IS NOT NULL
)"""
_OTHER_METRICS = sa.text(f"""{_HEARD}, named AS (
    SELECT metric FROM heard WHERE metric <> :metric GROUP BY metric ORDER BY count(*) DESC, metric LIMIT :at_most
)
SELECT arm, epoch, metric, count(*), sum(value ORDER BY rating_id), sum(value * value ORDER BY rating_id)
FROM heard JOIN named USING (metric)
WHERE arm < cardinality(CAST(:variants AS text[])) GROUP BY arm, epoch, metric, unit_hash
""")  # noqa: S608 - of constants
_FIRST_RATINGS = sa.text(f"""{_HEARD}
SELECT DISTINCT ON (unit_hash) arm, epoch, received_at, value FROM heard
WHERE metric = :metric AND arm < cardinality(CAST(:variants AS text[]))
ORDER BY unit_hash, received_at, rated_at, rating_id
""")  # noqa: S608 - of constants
_DAILY_MEANS = sa.text(f"""{_HEARD}, exposed AS (
    SELECT unit_hash, min(first_exposed_at) AS first_at FROM feedback.experiment_users
    WHERE experiment_id = :experiment_id AND first_exposed_at IS NOT NULL GROUP BY unit_hash
)
SELECT arm, epoch, day, avg(value ORDER BY rating_id)
FROM heard JOIN exposed USING (unit_hash), LATERAL (
    SELECT least(:last_day, greatest(0, floor(extract(epoch FROM rated_at - first_at) / 86400)))::int AS day
) AS since
WHERE metric = :metric AND arm < cardinality(CAST(:variants AS text[])) GROUP BY arm, epoch, day, unit_hash
""")  # noqa: S608 - of constants
