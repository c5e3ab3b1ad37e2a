"""Champion against candidate on live traffic, ended by evidence or by a person."""

from enum import StrEnum

from pydantic import Field

from loopwright.contracts.base import Event, Identifier, Moment, Share, Value


class ExperimentState(StrEnum):
    """Life of an experiment as the router must know it."""

    RUNNING = "running"
    ENDED = "ended"


class ExperimentKind(StrEnum):
    """What is done with the candidates' share of the units."""

    AB = "ab"
    AA = "aa"
    SHADOW = "shadow"


class Allocation(StrEnum):
    """How weights come about: a person's, or drawn anew from the evidence at each epoch."""

    FIXED = "fixed"
    THOMPSON = "thompson"
    TRACK_AND_STOP = "track_and_stop"


class Layer(Value):
    """The part of a layer's units that may take part in an experiment: experiments of one layer never share a unit."""

    name: Identifier = Field(description="layer")
    salt: str = Field(min_length=8, description="key of the layer's hash, the same for all experiments in it")
    from_0_1: Share = Field(default=0.0, description="units from here")
    to_0_1: Share = Field(default=1.0, description="up to here, exclusive")


class Arm(Value):
    """One side of an experiment."""

    variant_id: Identifier = Field(description="variant that units of this arm are assigned to")
    weight_0_1: Share = Field(description="share of the task's units; weights of an experiment sum to 1")


class ExperimentChanged(Event):
    """The whole state of one experiment after a change."""

    experiment_id: Identifier = Field(description="experiment")
    task_id: Identifier = Field(description="task whose traffic it splits")
    revision: int = Field(ge=1, description="rises by one with every change")
    state: ExperimentState = Field(description="running, or ended")
    salt: str = Field(min_length=8, description="key of the assignment hash; never changes while units must stay put")
    champion: Arm = Field(description="arm in charge")
    candidate: Arm = Field(description="challenging arm")
    further_candidates: tuple[Arm, ...] = Field(
        default=(),
        max_length=8,
        description="challenging arms beside it; weights of all arms sum to 1. An arm is dropped by the weight 0: nobody "
        "else moves then. Taking it off the list does the same while another further candidate stays on it",
    )
    kind: ExperimentKind = Field(
        default=ExperimentKind.AB,
        description="ab and aa: units get their arm's answer, in aa often of one and the same variant, so that only the "
        "events' `arm` tells the arms apart; shadow: everybody gets the champion's answer uncounted, and the candidates "
        "are asked too for their share, their answers recorded (`shadow_of`) but not shown",
    )
    epoch: int = Field(
        default=1, ge=1, description="rises when weights or coverage change: epochs are combined, never pooled"
    )
    coverage_0_1: Share = Field(
        default=1.0, description="share of the eligible units that take part; the others get the champion uncounted"
    )
    layer: Layer | None = Field(default=None, description="who may take part; none: every unit of the task")
    hold_out: Layer | None = Field(
        default=None, description="units that never take part, whatever the experiment: the long-term hold-out"
    )
    excluded_units: tuple[Identifier, ...] = Field(
        default=(), max_length=10_000, description="hashes of units that never take part"
    )
    forced_units: dict[Identifier, Identifier] = Field(
        default_factory=dict, max_length=10_000, description="hash of a tester's unit to the variant it gets, uncounted"
    )
    allocation: Allocation = Field(default=Allocation.FIXED, description="how the weights came about")
    changed_at: Moment = Field(description="when")


class Outcome(StrEnum):
    """How an experiment ended."""

    PROMOTE = "promote"
    ROLLBACK = "rollback"
    INCONCLUSIVE = "inconclusive"
    INVALID = "invalid"
    STOPPED = "stopped"


class ArmEvidence(Value):
    """Sufficient statistics of one arm; users are the unit of analysis."""

    users: int = Field(ge=0, description="rated users")
    ratings: int = Field(ge=0, description="ratings that counted")
    mean: float | None = Field(description="mean of the users' mean ratings; none without users")
    variance: float | None = Field(description="sample variance of the users' means; none below two users")


class ComparedArm(Value):
    """A further candidate against the champion."""

    variant_id: Identifier = Field(description="candidate")
    figures: ArmEvidence = Field(description="its arm")
    effect: float | None = Field(description="candidate minus champion, in units of the metric")
    lower: float | None = Field(description="lower end of the deciding interval of the effect")
    upper: float | None = Field(description="upper end of it")


class GuardrailState(StrEnum):
    """What is known of a guardrail."""

    HOLDS = "holds"
    OPEN = "open"
    BREACHED = "breached"
    NOT_COMPUTED = "not_computed"


class GuardrailEvidence(Value):
    """One guardrail of one candidate."""

    name: str = Field(description="latency_ms, error_rate, refusal_rate, toxicity or response_rate")
    variant_id: Identifier = Field(description="candidate")
    margin: float = Field(description="how much worse than the champion it may be")
    worse_by: float | None = Field(description="how much worse it is; below 0: better")
    lower: float | None = Field(description="lower end of the always-valid interval of that")
    upper: float | None = Field(description="upper end of it")
    state: GuardrailState = Field(description="breached: the interval lies above the margin; holds: below it")


class Evidence(Value):
    """Why the decision was taken."""

    method: str = Field(description="name of the decision method")
    alpha: float = Field(description="error rate that it keeps at any number of looks")
    champion: ArmEvidence = Field(description="arm in charge")
    candidate: ArmEvidence = Field(description="challenging arm")
    effect: float | None = Field(description="candidate minus champion, in units of the metric")
    lower: float | None = Field(description="lower end of the always-valid interval of the effect")
    upper: float | None = Field(description="upper end of it")
    welch_p: float | None = Field(default=None, description="fixed-horizon Welch test, reported only")
    mann_whitney_p: float | None = Field(default=None, description="fixed-horizon Mann-Whitney U, reported only")
    further_candidates: tuple[ComparedArm, ...] = Field(
        default=(), max_length=8, description="challenging arms beside it"
    )
    guardrails: tuple[GuardrailEvidence, ...] = Field(
        default=(), max_length=50, description="every guardrail that was watched, by candidate"
    )
    sample_ratio_p: float | None = Field(
        default=None, description="always-valid p-value of the planned split of units; small: it was not kept"
    )
    epochs: int = Field(default=1, ge=1, description="epochs that were combined")
    users_needed: int | None = Field(
        default=None, ge=1, description="users in all that would likely settle it, where it ended without a winner"
    )


class ExperimentConcluded(Event):
    """An experiment ended."""

    experiment_id: Identifier = Field(description="experiment")
    task_id: Identifier = Field(description="task")
    outcome: Outcome = Field(description="what follows from it")
    champion_variant_id: Identifier = Field(description="variant that was in charge")
    candidate_variant_id: Identifier = Field(description="variant that challenged it")
    winner_variant_id: Identifier | None = Field(
        default=None, description="variant that should be in charge; none if neither won"
    )
    equivalent: bool = Field(
        default=False,
        description="inconclusive because the whole interval lies within the smallest effect that matters",
    )
    evidence: Evidence = Field(description="figures behind the outcome")
    reason: str = Field(description="the outcome in one sentence")
    concluded_at: Moment = Field(description="when")
    concluded_by: str = Field(description="`evidence`, or the subject that stopped it")
