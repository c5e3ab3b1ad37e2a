"""Experiments as a state machine: draft, running, ramping, and in the end stopped or concluded with a verdict."""

from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import StrEnum

from loopwright.contracts.experiments import ExperimentKind, Layer, Outcome
from loopwright.contracts.tasks import RampStep, RolloutPolicy, SuccessMetric
from loopwright.errors import Conflict, Invalid

BY_EVIDENCE = "evidence"


class ExperimentState(StrEnum):
    """Where an experiment is.

    A draft is in nobody's way: it waits for its turn, or for a person who starts it. While it ramps, larger shares are
    still to come.
    """

    DRAFT = "draft"
    RUNNING = "running"
    RAMPING = "ramping"
    STOPPED = "stopped"
    CONCLUDED = "concluded"


ACTIVE = (ExperimentState.RUNNING, ExperimentState.RAMPING)
OPEN = (ExperimentState.DRAFT, *ACTIVE)


class Verdict(StrEnum):
    """How an experiment ended."""

    PROMOTE = "promote"
    ROLLBACK = "rollback"
    EQUIVALENT = "equivalent"
    INCONCLUSIVE = "inconclusive"
    INVALID = "invalid"
    STOPPED = "stopped"

    @property
    def outcome(self) -> Outcome:
        """What is announced: readers know equivalence as a kind of inconclusive."""
        return Outcome.INCONCLUSIVE if self is Verdict.EQUIVALENT else Outcome(self)


@dataclass(frozen=True, slots=True, kw_only=True)
class Epoch:
    """A stretch of an experiment with the same weights.

    Attributes:
        weights_0_1: Share of each arm, the champion's first.
        ended_at: None for the one that lasts.
    """

    number: int
    weights_0_1: tuple[float, ...]
    began_at: datetime
    ended_at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Ending:
    """How an experiment ends, and why in one sentence.

    Attributes:
        winner_variant_id: Variant that should be in charge; None if none won.
        by: `evidence`, or the subject that stopped it.
    """

    verdict: Verdict
    reason: str
    at: datetime
    winner_variant_id: str | None = None
    by: str = BY_EVIDENCE


@dataclass(frozen=True, slots=True, kw_only=True)
class Experiment:
    """One experiment.

    Attributes:
        salt: Key of the assignment hash; fixed at creation.
        revision: Rises by one with every change that the router must know; 0 for a draft.
        epoch: Rises by one whenever weights change; 0 for a draft.
        looks_taken: Planned looks of a group-sequential experiment that were taken.
        further_candidate_ids: Candidates beside the first.
        weights_0_1: Share of the units of each arm, the champion's first; they sum to 1.
        layer: Part of the task's units that may take part; None for all.
        queued_at: Since when it waits for its turn; None for a draft that a person must start.
        known_at: Registry-svc's time at which the variants were known to be deployed.
        traceparent: Trace that led to it; the conclusion continues it.
    """

    experiment_id: str
    name: str
    task_id: str
    state: ExperimentState
    salt: str
    champion_variant_id: str
    candidate_variant_id: str
    weights_0_1: tuple[float, ...]
    metric: SuccessMetric
    rollout: RolloutPolicy
    known_at: datetime
    traceparent: str | None
    created_at: datetime
    created_by: str
    kind: ExperimentKind = ExperimentKind.AB
    revision: int = 0
    epoch: int = 0
    looks_taken: int = 0
    further_candidate_ids: tuple[str, ...] = ()
    layer: Layer | None = None
    excluded_units: tuple[str, ...] = ()
    forced_units: dict[str, str] = field(default_factory=dict[str, str])
    queued_at: datetime | None = None
    started_at: datetime | None = None
    ended_at: datetime | None = None
    verdict: Verdict | None = None
    winner_variant_id: str | None = None
    reason: str | None = None
    concluded_by: str | None = None

    @property
    def candidate_ids(self) -> tuple[str, ...]:
        return (self.candidate_variant_id, *self.further_candidate_ids)

    @property
    def variant_ids(self) -> tuple[str, ...]:
        """Champion first."""
        return (self.champion_variant_id, *self.candidate_ids)

    @property
    def candidate_share_0_1(self) -> float:
        """Share of the units that get a candidate."""
        return 1 - self.weights_0_1[0]

    @property
    def is_active(self) -> bool:
        return self.state in ACTIVE

    @property
    def steps_left(self) -> tuple[RampStep, ...]:
        """Steps of the ramp that would still enlarge the candidates' share."""
        now = self.candidate_share_0_1 + 1e-9  # shares that sum to 1 are rounded
        return tuple(step for step in self.rollout.ramp if step.share_0_1 > now)

    def started(self, *, champion_variant_id: str, now: datetime) -> "Experiment":
        running = replace(self, champion_variant_id=champion_variant_id, started_at=now, queued_at=None)
        return running.with_weights(self.weights_0_1)

    def with_weights(self, weights_0_1: tuple[float, ...]) -> "Experiment":
        """The experiment in its next epoch.

        Raises:
            Conflict: it has ended.
        """
        check_open(self)
        changed = replace(self, weights_0_1=weights_0_1, epoch=self.epoch + 1, revision=self.revision + 1)
        return replace(changed, state=ExperimentState.RAMPING if changed.steps_left else ExperimentState.RUNNING)

    def with_share(self, share_0_1: float) -> "Experiment":
        """The experiment with a larger share for its candidates, which keep their proportions: a new epoch.

        Raises:
            Invalid: the share is not larger, or leaves the champion without units.
            Conflict: it is not running.
        """
        if not self.is_active:
            raise Conflict("experiment.not-running", f"{self.experiment_id} is {self.state}")
        before = self.candidate_share_0_1
        if not before < share_0_1 < 1:
            raise Invalid(
                "experiment.share-not-larger", f"the share must lie above {before:g} and below 1", share=share_0_1
            )
        candidates = self.weights_0_1[1:]
        grown = (weight / sum(candidates) * share_0_1 for weight in candidates)
        return self.with_weights((1 - share_0_1, *grown))

    def ended(self, ending: Ending) -> "Experiment":
        """The experiment at its end.

        Raises:
            Conflict: it has ended already, or never ran and so has no verdict.
        """
        check_open(self)
        state = ExperimentState.STOPPED if ending.verdict is Verdict.STOPPED else ExperimentState.CONCLUDED
        if self.state is ExperimentState.DRAFT and state is ExperimentState.CONCLUDED:
            raise Conflict("experiment.not-running", "an experiment that never ran can be stopped, not concluded")
        return replace(
            self,
            state=state,
            revision=self.revision + 1,
            queued_at=None,
            ended_at=ending.at,
            verdict=ending.verdict,
            winner_variant_id=ending.winner_variant_id,
            reason=ending.reason,
            concluded_by=ending.by,
        )


def even_weights(candidate_share_0_1: float, candidates: int) -> tuple[float, ...]:
    """Weights of champion and candidates, of which each gets as much.

    Raises:
        Invalid: an arm would get no units.
    """
    if not 0 < candidate_share_0_1 < 1:
        raise Invalid("experiment.share-out-of-range", "every variant needs a share of the units")
    return (1 - candidate_share_0_1, *[candidate_share_0_1 / candidates] * candidates)


def check_open(experiment: Experiment) -> None:
    """Refuses to change what has ended.

    Raises:
        Conflict: it has.
    """
    if experiment.state not in OPEN:
        raise Conflict(
            "experiment.already-ended",
            f"{experiment.experiment_id} ended as {experiment.verdict}",
            experiment_id=experiment.experiment_id,
        )


def check_revision(experiment: Experiment, seen: int | None) -> None:
    """Refuses what somebody asks of an experiment that has changed since they looked.

    Raises:
        Conflict: it has.
    """
    if seen is not None and seen != experiment.revision:
        raise Conflict(
            "experiment.changed-meanwhile",
            f"{experiment.experiment_id} is at revision {experiment.revision} by now, not {seen}",
            revision=experiment.revision,
        )


def queued(experiment: Experiment, *, now: datetime) -> Experiment:
    """A draft that waits for its turn.

    Raises:
        Conflict: it is no draft, or waits already.
    """
    if experiment.state is not ExperimentState.DRAFT or experiment.queued_at is not None:
        raise Conflict("experiment.not-a-draft", f"{experiment.experiment_id} runs, waits for its turn, or has ended")
    return replace(experiment, queued_at=now)


def ending_by_choice(experiment: Experiment, winner_variant_id: str, *, by: str, now: datetime) -> Ending:
    """What a person's choice of a winner means.

    Raises:
        Invalid: the variant took no part.
    """
    if winner_variant_id not in experiment.variant_ids:
        raise Invalid("experiment.unknown-winner", f"{winner_variant_id} took no part in the experiment")
    kept = winner_variant_id == experiment.champion_variant_id
    return Ending(
        verdict=Verdict.ROLLBACK if kept else Verdict.PROMOTE,
        reason=f"{by} named {winner_variant_id} the winner",
        at=now,
        winner_variant_id=winner_variant_id,
        by=by,
    )
