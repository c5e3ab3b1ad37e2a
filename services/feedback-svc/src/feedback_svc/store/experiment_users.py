"""What every unit of an experiment contributed, by epoch and arm: counted anew from the ratings whenever one changes."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession

from feedback_svc.domain.experiments import ACTIVE
from feedback_svc.domain.statistics.users import UserMoments
from feedback_svc.store.copying import fetch
from feedback_svc.store.tables import experiment_users


class Place(NamedTuple):
    """Where a unit is counted. Sorted, places are locked in one order by everybody."""

    experiment_id: str
    unit_hash: str
    epoch: int
    arm: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """What must be known of an experiment to count into it.

    Attributes:
        variant_ids: Champion first.
    """

    experiment_id: str
    task_id: str
    metric: str
    variant_ids: tuple[str, ...]

    def place_of(self, unit_hash: str, variant_id: str, *, epoch: int | None, arm: int | None) -> Place | None:
        """Where this is counted; None if the variant took no part.

        Args:
            arm: As the signed id says; ids that do not say it name their arm by its variant.
        """
        if arm is None:
            if variant_id not in self.variant_ids:
                return None
            arm = self.variant_ids.index(variant_id)
        return Place(self.experiment_id, unit_hash, epoch or 1, arm) if arm < len(self.variant_ids) else None


@dataclass(frozen=True, slots=True, kw_only=True)
class SeenUser:
    """A unit that was seen in an epoch and arm, rated or not."""

    place: Place
    exposures: int
    first_exposed_at: datetime | None
    user: UserMoments


async def lock_measured(session: AsyncSession, task_ids: Collection[str]) -> list[Measured]:
    """Active experiments of tasks; until the end of the transaction nobody else counts into them or ends them.

    Take it after every other lock. Whoever has it sees all that was counted before, and so may count from what it sees.
    """
    return [
        Measured(
            experiment_id=row["experiment_id"],
            task_id=row["task_id"],
            metric=row["metric"],
            variant_ids=(row["champion_variant_id"], row["candidate_variant_id"], *row["further_candidate_ids"]),
        )
        for row in await fetch(session, _LOCK, sorted(task_ids), sorted(ACTIVE))
    ]


_LOCK = """
SELECT experiment_id, task_id, metric ->> 'name' AS metric, champion_variant_id, candidate_variant_id,
    further_candidate_ids
FROM feedback.experiments WHERE task_id = ANY ($1) AND state = ANY ($2) ORDER BY experiment_id FOR NO KEY UPDATE
"""


async def add_exposures(session: AsyncSession, exposures: Mapping[Place, Sequence[datetime]]) -> set[tuple[str, str]]:
    """Adds exposures to what was counted so far.

    Args:
        exposures: When units were answered, each place at least once.

    Returns:
        Experiments and units whose first exposure these are: what came before it is to be counted anew.
    """
    first = {place: min(moments) for place, moments in exposures.items()}
    places = sorted(exposures)
    numbers, moments = [len(exposures[place]) for place in places], [first[place] for place in places]
    kept = await fetch(session, _EXPOSE, *_columns_of(places), numbers, moments)
    return {
        (experiment_id, unit_hash)
        for experiment_id, unit_hash, epoch, arm, first_exposed_at in kept
        if first_exposed_at == first[Place(experiment_id, unit_hash, epoch, arm)]
    }


_EXPOSE = """
INSERT INTO feedback.experiment_users AS kept (
    experiment_id, unit_hash, epoch, arm, exposures, first_exposed_at,
    ratings, total, squares, prior_ratings, prior_total
)
SELECT *, 0, 0, 0, 0, 0 FROM unnest($1::text[], $2::text[], $3::int[], $4::int[], $5::int[], $6::timestamptz[])
ON CONFLICT (experiment_id, unit_hash, epoch, arm) DO UPDATE
SET exposures = kept.exposures + excluded.exposures,
    first_exposed_at = least(kept.first_exposed_at, excluded.first_exposed_at)
RETURNING experiment_id, unit_hash, epoch, arm, first_exposed_at
"""


async def add_places(session: AsyncSession, places: Iterable[Place]) -> None:
    """Makes room for units that are rated before their inference arrives."""
    await fetch(session, _MAKE_ROOM, *_columns_of(sorted(places)))


_MAKE_ROOM = """
INSERT INTO feedback.experiment_users (
    experiment_id, unit_hash, epoch, arm, exposures, ratings, total, squares, prior_ratings, prior_total
)
SELECT *, 0, 0, 0, 0, 0, 0 FROM unnest($1::text[], $2::text[], $3::int[], $4::int[])
ON CONFLICT DO NOTHING
"""


async def find_known(
    session: AsyncSession, experiment_ids: Collection[str], units: Collection[str]
) -> set[tuple[str, str]]:
    """Which of these units were seen in which of these experiments."""
    return {(row[0], row[1]) for row in await fetch(session, _KNOWN, sorted(experiment_ids), sorted(units))}


_KNOWN = """
SELECT experiment_id, unit_hash FROM feedback.experiment_users
WHERE experiment_id = ANY ($1) AND unit_hash = ANY ($2)
"""


def _columns_of(places: Sequence[Place]) -> list[list[object]]:
    return [list(column) for column in zip(*places, strict=True)]


async def recount(session: AsyncSession, pairs: Collection[tuple[str, str]]) -> None:
    """Counts these units of these experiments anew, from the ratings that count; the caller holds `lock_measured`."""
    ordered = sorted(pairs)
    await fetch(session, _RECOUNT, [pair[0] for pair in ordered], [pair[1] for pair in ordered])


async def list_seen(session: AsyncSession, experiment_id: str) -> list[SeenUser]:
    """Everybody who was seen in an experiment, in one fixed order."""
    query = sa.select(experiment_users).where(experiment_users.c.experiment_id == experiment_id)
    query = query.order_by(*experiment_users.primary_key.columns)
    return [
        SeenUser(
            place=Place(row.experiment_id, row.unit_hash, row.epoch, row.arm),
            exposures=row.exposures,
            first_exposed_at=row.first_exposed_at,
            user=UserMoments(
                ratings=row.ratings,
                total=row.total,
                squares=row.squares,
                before=row.prior_total / row.prior_ratings if row.prior_ratings else None,
                before_ratings=row.prior_ratings,
            ),
        )
        for row in await session.execute(query)
    ]


# sums go in the order of the ids, for floating-point sums of the same numbers differ by their order; each unit is looked
# up by itself, for a plan that joins sets of unknown size may compare each with each
_RECOUNT = """
WITH figures AS (
    SELECT known.experiment_id, known.unit_hash, known.epoch, known.arm, heard.ratings, heard.total, heard.squares,
        prior.ratings AS prior_ratings, prior.total AS prior_total
    FROM unnest($1::text[], $2::text[]) AS named (experiment_id, unit_hash)
    CROSS JOIN LATERAL (
        SELECT experiment_id, task_id, metric ->> 'name' AS metric,
            ARRAY[champion_variant_id, candidate_variant_id] || further_candidate_ids AS variant_ids
        FROM feedback.experiments WHERE experiment_id = named.experiment_id
    ) AS experiment
    JOIN feedback.experiment_users AS known
        ON known.experiment_id = named.experiment_id AND known.unit_hash = named.unit_hash
    CROSS JOIN LATERAL (
        SELECT count(*) AS ratings, coalesce(sum(value ORDER BY rating_id), 0) AS total,
            coalesce(sum(value * value ORDER BY rating_id), 0) AS squares
        FROM feedback.ratings
        WHERE counts AND value IS NOT NULL AND ratings.experiment_id IS NOT NULL
            AND ratings.experiment_id = named.experiment_id AND ratings.unit_hash = named.unit_hash
            AND ratings.task_id = experiment.task_id AND ratings.metric = experiment.metric
            AND coalesce(ratings.epoch, 1) = known.epoch
            AND coalesce(ratings.arm, array_position(variant_ids, ratings.variant_id) - 1) = known.arm
    ) AS heard
    CROSS JOIN LATERAL (
        SELECT coalesce(min(first_exposed_at), (
            SELECT min(rated_at) FROM feedback.ratings
            WHERE counts AND value IS NOT NULL AND ratings.experiment_id IS NOT NULL
                AND ratings.experiment_id = named.experiment_id AND ratings.unit_hash = named.unit_hash
                AND ratings.task_id = experiment.task_id AND ratings.metric = experiment.metric
        )) AS at
        FROM feedback.experiment_users AS every
        WHERE every.experiment_id = named.experiment_id AND every.unit_hash = named.unit_hash
    ) AS began
    CROSS JOIN LATERAL (
        SELECT count(*) AS ratings, coalesce(sum(value ORDER BY rating_id), 0) AS total
        FROM feedback.ratings
        WHERE counts AND value IS NOT NULL AND rated_at < began.at AND ratings.unit_hash = named.unit_hash
            AND ratings.task_id = experiment.task_id AND ratings.metric = experiment.metric
            AND ratings.experiment_id IS DISTINCT FROM named.experiment_id
    ) AS prior
)
UPDATE feedback.experiment_users AS kept
SET ratings = figures.ratings, total = figures.total, squares = figures.squares,
    prior_ratings = figures.prior_ratings, prior_total = figures.prior_total
FROM figures
WHERE kept.experiment_id = figures.experiment_id AND kept.unit_hash = figures.unit_hash
    AND kept.epoch = figures.epoch AND kept.arm = figures.arm
    AND (kept.ratings, kept.total, kept.squares, kept.prior_ratings, kept.prior_total)
        <> (figures.ratings, figures.total, figures.squares, figures.prior_ratings, figures.prior_total)
"""
