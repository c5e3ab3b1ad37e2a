"""Experiments as a state machine: waiting, running, ended; and what a change of the deployment does to them."""

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from enum import StrEnum

from feedback_svc.domain.statistics import ArmStatistics
from loopwright.contracts.experiments import Outcome
from loopwright.contracts.tasks import RolloutPolicy, SuccessMetric
from loopwright.errors import Conflict, Invalid

_PROMOTION_PATIENCE = timedelta(minutes=1)  # longer than clocks of two services differ


class ExperimentState(StrEnum):
    """One experiment of a task runs at a time; the next candidates wait."""

    WAITING = "waiting"
    RUNNING = "running"
    ENDED = "ended"


class Role(StrEnum):
    """The two sides."""

    CHAMPION = "champion"
    CANDIDATE = "candidate"


@dataclass(frozen=True, slots=True, kw_only=True)
class Serving:
    """What serves a task, as registry-svc said last."""

    task_id: str
    revision: int
    champion_variant_id: str
    candidate_variant_ids: tuple[str, ...]
    changed_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Experiment:
    """One experiment.

    Attributes:
        salt: Key of the assignment hash; fixed at creation.
        revision: Rises by one with every change that the router must know; 0 while it waits.
        candidate_share_0_1: Share of units that get the candidate.
        known_at: Registry-svc's time at which the two variants were known to be deployed.
        traceparent: Trace that led to it; the conclusion continues it.
    """

    experiment_id: str
    name: str
    task_id: str
    state: ExperimentState
    salt: str
    revision: int
    champion_variant_id: str
    candidate_variant_id: str
    candidate_share_0_1: float
    metric: SuccessMetric
    rollout: RolloutPolicy
    known_at: datetime
    traceparent: str | None
    created_at: datetime
    created_by: str
    started_at: datetime | None = None
    ended_at: datetime | None = None
    outcome: Outcome | None = None
    winner_variant_id: str | None = None
    reason: str | None = None
    concluded_by: str | None = None
    champion: ArmStatistics = field(default_factory=ArmStatistics)
    candidate: ArmStatistics = field(default_factory=ArmStatistics)

    @property
    def shares_0_1(self) -> tuple[float, float]:
        """Champion's and candidate's share."""
        return (1 - self.candidate_share_0_1, self.candidate_share_0_1)

    def role_of(self, variant_id: str) -> Role | None:
        if variant_id == self.candidate_variant_id:
            return Role.CANDIDATE
        return Role.CHAMPION if variant_id == self.champion_variant_id else None

    def arm(self, role: Role) -> ArmStatistics:
        return self.candidate if role is Role.CANDIDATE else self.champion

    def with_arm(self, role: Role, arm: ArmStatistics) -> "Experiment":
        return replace(self, candidate=arm) if role is Role.CANDIDATE else replace(self, champion=arm)

    def started(self, *, champion_variant_id: str, now: datetime) -> "Experiment":
        return replace(
            self,
            state=ExperimentState.RUNNING,
            revision=self.revision + 1,
            champion_variant_id=champion_variant_id,
            started_at=now,
        )


def check_share(candidate_share_0_1: float) -> None:
    """Refuses splits that leave an arm empty.

    Raises:
        Invalid: the share is not strictly between 0 and 1.
    """
    if not 0 < candidate_share_0_1 < 1:
        raise Invalid("experiment.share-out-of-range", "both variants need a share of the units")


def check_open(experiment: Experiment) -> None:
    """Refuses to end what has ended.

    Raises:
        Conflict: it has.
    """
    if experiment.state is ExperimentState.ENDED:
        raise Conflict(
            "experiment.already-ended",
            f"{experiment.experiment_id} ended as {experiment.outcome}",
            experiment_id=experiment.experiment_id,
        )


def outcome_for_winner(experiment: Experiment, winner_variant_id: str) -> Outcome:
    """What a person's choice of a winner means.

    Raises:
        Invalid: the variant took no part.
        Conflict: the experiment never ran.
    """
    if experiment.state is ExperimentState.WAITING:
        raise Conflict("experiment.not-running", "an experiment that still waits can be stopped, not concluded")
    match experiment.role_of(winner_variant_id):
        case Role.CANDIDATE:
            return Outcome.PROMOTE
        case Role.CHAMPION:
            return Outcome.ROLLBACK
        case None:
            raise Invalid("experiment.unknown-winner", f"{winner_variant_id} took no part in the experiment")


def winner_of(experiment: Experiment, outcome: Outcome) -> str | None:
    """Variant that should be in charge after an outcome; None if neither won."""
    match outcome:
        case Outcome.PROMOTE:
            return experiment.candidate_variant_id
        case Outcome.ROLLBACK:
            return experiment.champion_variant_id
        case _:
            return None


def why_untenable(experiment: Experiment, serving: Serving | None) -> str | None:
    """Why an open experiment cannot go on under what serves its task now; None if it can.

    What is known of the deployment may be older than the experiment: topics are not ordered among each other.
    """
    if serving is None or serving.changed_at <= experiment.known_at:
        return None
    candidate = experiment.candidate_variant_id
    if candidate == serving.champion_variant_id:
        return f"{candidate} is in charge already"
    if candidate not in serving.candidate_variant_ids:
        return f"{candidate} is no longer deployed"
    changed = serving.champion_variant_id != experiment.champion_variant_id
    if experiment.state is ExperimentState.RUNNING and changed:
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
    if last_ended is None or last_ended.outcome is not Outcome.PROMOTE or serving is None:
        return False
    assert last_ended.ended_at is not None
    return (
        serving.champion_variant_id == last_ended.champion_variant_id
        and last_ended.candidate_variant_id in serving.candidate_variant_ids
        and serving.changed_at <= last_ended.ended_at + _PROMOTION_PATIENCE
    )


def next_to_start(waiting: Iterable[Experiment]) -> Experiment | None:
    """Who came first starts first."""
    return min(waiting, key=lambda experiment: (experiment.created_at, experiment.experiment_id), default=None)
