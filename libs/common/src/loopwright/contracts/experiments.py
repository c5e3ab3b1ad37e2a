"""Champion against candidate on live traffic, ended by evidence or by a person."""

from enum import StrEnum

from pydantic import Field

from loopwright.contracts.base import Event, Identifier, Moment, Share, Value


class ExperimentState(StrEnum):
    """Life of an experiment as the router must know it."""

    RUNNING = "running"
    ENDED = "ended"


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
    evidence: Evidence = Field(description="figures behind the outcome")
    reason: str = Field(description="the outcome in one sentence")
    concluded_at: Moment = Field(description="when")
    concluded_by: str = Field(description="`evidence`, or the subject that stopped it")
