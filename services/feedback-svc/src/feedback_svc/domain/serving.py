"""What serves a task, and what a change of it does to experiments."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

from feedback_svc.domain.experiments import Experiment, Verdict
from loopwright.contracts.experiments import Layer

_PROMOTION_PATIENCE = timedelta(minutes=1)  # longer than clocks of two services differ


@dataclass(frozen=True, slots=True, kw_only=True)
class Serving:
    """What serves a task, as registry-svc said last."""

    task_id: str
    revision: int
    champion_variant_id: str
    candidate_variant_ids: tuple[str, ...]
    changed_at: datetime


def why_untenable(experiment: Experiment, serving: Serving | None) -> str | None:
    """Why an open experiment cannot go on under what serves its task now; None if it can.

    What is known of the deployment may be older than the experiment: topics are not ordered among each other.
    """
    if serving is None or serving.changed_at <= experiment.known_at:
        return None
    for candidate in experiment.candidate_ids:
        if candidate == serving.champion_variant_id:
            return f"{candidate} is in charge already"
        if candidate not in serving.candidate_variant_ids:
            return f"{candidate} is no longer deployed"
    changed = serving.champion_variant_id != experiment.champion_variant_id
    if experiment.is_active and changed:
        return f"{serving.champion_variant_id} was put in charge meanwhile"
    return None


def champion_at_start(experiment: Experiment, serving: Serving | None) -> str:
    """The variant that a waiting experiment would now start against."""
    if serving is None or serving.changed_at <= experiment.known_at:
        return experiment.champion_variant_id
    return serving.champion_variant_id


def awaits_promotion(last_ended: Experiment | None, serving: Serving | None) -> bool:
    """Whether a winner was announced and the deployment has not followed yet: until then nothing new starts.

    The loser still in charge and the winner still beside it, in a deployment that is not much younger than the end of
    the experiment: registry-svc has not followed yet. In a younger one somebody has decided otherwise.
    """
    if last_ended is None or last_ended.verdict is not Verdict.PROMOTE or serving is None:
        return False
    assert last_ended.ended_at is not None
    return (
        serving.champion_variant_id == last_ended.champion_variant_id
        and last_ended.winner_variant_id in serving.candidate_variant_ids
        and serving.changed_at <= last_ended.ended_at + _PROMOTION_PATIENCE
    )


def are_disjoint(one: Layer | None, other: Layer | None) -> bool:
    """Whether two experiments of a task can never share a unit: ranges of one layer that do not overlap."""
    if one is None or other is None or one.name != other.name:
        return False
    return one.to_0_1 <= other.from_0_1 or other.to_0_1 <= one.from_0_1


def next_to_start(waiting: Iterable[Experiment], active: Iterable[Experiment]) -> Experiment | None:
    """Who waited longest starts first, of those that share no unit with what runs."""
    running = list(active)
    free = (one for one in waiting if all(are_disjoint(one.layer, other.layer) for other in running))
    return min(free, key=lambda one: (one.queued_at or one.created_at, one.experiment_id), default=None)
