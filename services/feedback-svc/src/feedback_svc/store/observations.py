"""Everything that an experiment is judged by, read from the rows themselves and not from running sums."""

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession

from feedback_svc.domain.experiments import Experiment
from feedback_svc.domain.observations import Counted, Observed, ServedUnit, observed_of
from feedback_svc.domain.planning import PastRaters
from feedback_svc.domain.statistics.users import UserMoments
from feedback_svc.store.experiments import list_epochs
from feedback_svc.store.rated_metrics import find_daily_means, find_first_ratings, find_other_metrics
from feedback_svc.store.tables import experiment_users, inferences, ratings
from loopwright.contracts.experiments import ExperimentKind
from loopwright.contracts.tasks import MetricKind, TrialMargins

Place = tuple[int, int]  # arm, epoch


async def observe(session: AsyncSession, experiment: Experiment, *, in_full: bool = False) -> Observed:
    """What was counted of an experiment up to now.

    Args:
        in_full: Also what informs and decides nothing: other metrics, ratings by days since exposure, and how units were
            served where no guardrail asks.
    """
    users = await _users(session, experiment.experiment_id)
    watched = experiment.kind is ExperimentKind.SHADOW or experiment.rollout.margins != TrialMargins()
    served = await _served(session, experiment) if watched or in_full else {}
    firsts = await find_first_ratings(session, experiment) if _is_tiny(experiment, users) else {}
    counted = {
        place: Counted(
            users=tuple(users.get(place, ())), served=tuple(served.get(place, ())), firsts=tuple(firsts.get(place, ()))
        )
        for place in users.keys() | served.keys()
    }
    if in_full:
        counted = await _with_the_rest(session, experiment, counted)
    return observed_of(experiment, await list_epochs(session, experiment.experiment_id), counted)


async def _with_the_rest(
    session: AsyncSession, experiment: Experiment, counted: Mapping[Place, Counted]
) -> dict[Place, Counted]:
    days: dict[Place, dict[int, tuple[float, ...]]] = defaultdict(dict)
    for (arm, epoch, day), means in (await find_daily_means(session, experiment)).items():
        days[arm, epoch][int(day)] = tuple(means)
    others: dict[Place, dict[str, tuple[UserMoments, ...]]] = defaultdict(dict)
    for (arm, epoch, metric), users in (await find_other_metrics(session, experiment)).items():
        others[arm, epoch][str(metric)] = tuple(users)
    return {
        place: replace(
            counted.get(place, Counted()),
            daily_means=tuple(days[place].get(day, ()) for day in range(max(days[place], default=-1) + 1)),
            others=others[place],
        )
        for place in counted.keys() | days.keys() | others.keys()
    }


def _is_tiny(experiment: Experiment, users: Mapping[Place, Sequence[UserMoments]]) -> bool:
    """Whether an arm has fewer rated users than a verdict by its intervals takes, and a rating ends somewhere."""
    if experiment.metric.kind is MetricKind.FLOAT:
        return False
    rated = Counter(arm for (arm, _), seen in users.items() for user in seen if user.ratings)
    return any(rated[arm] < experiment.rollout.min_users_per_arm for arm in range(len(experiment.variant_ids)))


async def mark_of(session: AsyncSession, experiment: Experiment) -> str:
    """Changes whenever anything is counted into an experiment: cheaper than to observe it."""
    if experiment.kind is ExperimentKind.SHADOW:  # no unit is exposed to what nobody sees
        columns = inferences.c
        query = sa.select(sa.func.count()).where(columns.experiment_id == experiment.experiment_id)
    else:
        columns = experiment_users.c
        query = sa.select(
            sa.func.count(), sa.func.sum(columns.exposures), sa.func.sum(columns.ratings), sa.func.sum(columns.total),
            sa.func.sum(columns.squares),
        ).where(columns.experiment_id == experiment.experiment_id)  # fmt: skip
    return str(tuple((await session.execute(query)).one()))


async def find_past_raters(session: AsyncSession, task_id: str, metric: str, *, since: datetime) -> PastRaters:
    """How a task was rated of late, whatever served it."""
    columns = ratings.c
    means = (
        sa.select(sa.func.avg(columns.value).label("mean"))
        .where(
            columns.task_id == task_id, columns.metric == metric, columns.counts, columns.value.is_not(None),
            columns.rated_at >= since,
        )
        .group_by(columns.unit_hash)
        .subquery()
    )  # fmt: skip
    users, std_dev = (await session.execute(sa.select(sa.func.count(), sa.func.stddev_samp(means.c.mean)))).one()
    return PastRaters(users=users, std_dev=std_dev)


async def _users(session: AsyncSession, experiment_id: str) -> dict[Place, list[UserMoments]]:
    """Every unit by arm and epoch; many rated alike, and are read as one row."""
    columns = experiment_users.c
    alike = (
        columns.arm, columns.epoch, columns.ratings, columns.total, columns.squares, columns.prior_ratings,
        columns.prior_total,
    )  # fmt: skip
    query = sa.select(*alike, sa.func.count()).where(columns.experiment_id == experiment_id).group_by(*alike)
    users: dict[Place, list[UserMoments]] = defaultdict(list)
    for arm, epoch, heard, total, squares, prior_ratings, prior_total, number in await session.execute(query):
        before = prior_total / prior_ratings if prior_ratings else None
        user = UserMoments(ratings=heard, total=total, squares=squares, before=before, before_ratings=prior_ratings)
        users[arm, epoch] += [user] * number
    return users


async def _served(session: AsyncSession, experiment: Experiment) -> dict[Place, list[ServedUnit]]:
    """Means over each unit's requests, counted to the arm that the unit was assigned to."""
    margins = experiment.rollout.margins
    asked = {
        "experiment_id": experiment.experiment_id,
        "variants": list(experiment.variant_ids),
        "shadow": experiment.kind is ExperimentKind.SHADOW,
        "refusals": margins.max_refusal_rise_0_1 is not None,
        "toxicity": margins.max_toxicity_rise_0_1 is not None,
    }
    served: dict[Place, list[ServedUnit]] = defaultdict(list)
    for arm, epoch, first_at, *means in await session.execute(_SERVED, asked):
        latency_ms, error_rate, refusal_rate, toxicity = means
        served[arm, epoch].append(
            ServedUnit(
                first_at=first_at, latency_ms=latency_ms, error_rate=error_rate, refusal_rate=refusal_rate,
                toxicity=toxicity,
            )
        )  # fmt: skip
    return served


# a shadow's champion is whoever answered what was copied to its candidates
_SERVED = sa.text("""
WITH own AS (
    SELECT coalesce(arm, array_position(CAST(:variants AS text[]), variant_id) - 1) AS arm, coalesce(epoch, 1) AS epoch,
        unit_hash, latency_ms, http_status, refuses, completed_at, inference_id, shadow_of
    FROM feedback.inferences
    WHERE experiment_id = :experiment_id AND NOT pinned AND (shadow_of IS NOT NULL) = :shadow
), asked AS (
    SELECT arm, epoch, unit_hash, latency_ms, http_status, refuses, completed_at, inference_id FROM own
    UNION ALL
    SELECT 0, own.epoch, own.unit_hash, shown.latency_ms, shown.http_status, shown.refuses, shown.completed_at,
        shown.inference_id
    FROM own JOIN feedback.inferences AS shown ON shown.inference_id = own.shadow_of
)
SELECT arm, epoch, min(completed_at), avg(latency_ms), avg((http_status >= 500)::int)::float8,
    avg(refuses::int) FILTER (WHERE :refusals)::float8, avg(toxicity_0_1)
FROM asked LEFT JOIN feedback.answer_toxicity AS scored ON :toxicity AND scored.inference_id = asked.inference_id
WHERE arm < cardinality(CAST(:variants AS text[])) GROUP BY arm, epoch, unit_hash
ORDER BY unit_hash, arm, epoch
""")
