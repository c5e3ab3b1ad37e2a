"""What people send to experiments."""

from datetime import timedelta
from typing import Annotated, Self

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, model_validator

from feedback_svc.domain.terms import Terms
from feedback_svc.handlers.people import SUCCESS_METRIC, CreateExperiment
from loopwright.contracts.base import Identifier, Share
from loopwright.contracts.experiments import Allocation, ExperimentKind
from loopwright.contracts.tasks import DecisionRule, RampStep, TrialMargins

_ISO_DURATION = r"^P([0-9]{1,3}W|[0-9]{1,3}D|([0-9]{1,3}D)?T[0-9]{1,4}[HMS])$"
_YEAR_S = 31_536_000
_timedelta = TypeAdapter(timedelta)

Seconds = Annotated[int, Field(ge=1, le=_YEAR_S)]
IsoDuration = Annotated[str, Field(pattern=_ISO_DURATION, examples=["P7D", "PT12H"])]


class TrafficSplit(BaseModel):
    """Parts of the units; only their ratio counts, so 50 and 50 are the same as 0.5 and 0.5."""

    model_config = ConfigDict(extra="forbid")

    a: float = Field(gt=0, le=1e6, description="for the variant in charge")
    b: float = Field(gt=0, le=1e6, description="for the candidates, in equal parts")


class LayerRange(BaseModel):
    """A part of a layer's units: experiments in parts that do not overlap run side by side and share no unit."""

    model_config = ConfigDict(extra="forbid")

    name: Identifier = Field(default="main", max_length=100, description="layer")
    from_0_1: Share = Field(default=0.0, description="from here")
    to_0_1: Share = Field(default=1.0, description="up to here, exclusive")

    @model_validator(mode="after")
    def _is_not_empty(self) -> Self:
        if self.from_0_1 >= self.to_0_1:
            raise ValueError("a part must begin before it ends")
        return self


class NewExperiment(BaseModel):
    """Candidates to try against the variant in charge; what is left out is the task's rollout policy."""

    model_config = ConfigDict(extra="forbid")

    experiment_name: str = Field(min_length=1, max_length=200, pattern=r"^[^\x00-\x1f\x7f]+$", description="for people")
    task_id: Identifier | None = Field(default=None, description="task; none: the one that the variants serve")
    model_a_id: Identifier | None = Field(default=None, description="variant in charge; none: whichever is")
    model_b_id: Identifier | None = Field(default=None, description="variant to try; it is deployed as a candidate")
    candidate_variant_id: Identifier | None = Field(default=None, description="the same by its other name")
    further_candidate_ids: tuple[Identifier, ...] = Field(
        default=(), max_length=8, description="variants to try beside it"
    )
    traffic_split: TrafficSplit | None = Field(default=None, description="who gets how many of the units")
    candidate_share_0_1: Share | None = Field(default=None, description="the same as a share, of all candidates")
    target_samples: int | None = Field(
        default=None, ge=4, le=10_000_000,
        description="rated users that are planned for: the horizon of fixed and group-sequential rules; an always-valid "
        "one may take up to twice as many",
    )  # fmt: skip
    duration: Seconds | IsoDuration | None = Field(
        default=None, description="seconds, or ISO 8601, after which it ends without a winner if none is found"
    )
    success_metric: Identifier = Field(
        default=SUCCESS_METRIC, description=f"`{SUCCESS_METRIC}` or the name of the task's success metric"
    )
    rule: DecisionRule | None = Field(default=None, description="what may name a winner")
    kind: ExperimentKind = Field(default=ExperimentKind.AB, description="ab, aa (a check of the platform) or shadow")
    coverage_0_1: Share | None = Field(default=None, gt=0, description="share of the eligible units that take part")
    layer: LayerRange | None = Field(default=None, description="who is eligible; none: every unit")
    hold_out_share_0_1: float | None = Field(default=None, ge=0, lt=1, description="units that never take part")
    ramp: tuple[RampStep, ...] | None = Field(default=None, max_length=20, description="larger shares, in order")
    allocation: Allocation | None = Field(default=None, description="fixed weights, or drawn anew from the evidence")
    guardrails: TrialMargins | None = Field(default=None, description="how much worse a candidate may be")
    min_run_s: int | None = Field(default=None, ge=0, le=_YEAR_S, description="seconds before which none is promoted")
    smallest_effect: float | None = Field(default=None, gt=0, le=1e9, description="smallest difference that matters")
    excluded_units: tuple[Identifier, ...] = Field(
        default=(), max_length=10_000, description="hashes of units that never take part"
    )
    forced_units: dict[Identifier, Identifier] = Field(
        default_factory=dict, max_length=10_000, description="hashes of testers' units to their variants, uncounted"
    )
    start: bool = Field(default=True, description="let it wait for its turn at once; else it stays a draft")

    @model_validator(mode="after")
    def _names_each_thing_once(self) -> Self:
        if (self.model_b_id is None) == (self.candidate_variant_id is None):
            raise ValueError("name the variant to try once, as model_b_id or candidate_variant_id")
        if self.traffic_split is not None and self.candidate_share_0_1 is not None:
            raise ValueError("name the split once, as traffic_split or candidate_share_0_1")
        if len(set(self.candidate_ids)) < len(self.candidate_ids):
            raise ValueError("name each candidate once")
        return self

    @property
    def candidate_ids(self) -> tuple[str, ...]:
        first = self.model_b_id or self.candidate_variant_id
        assert first is not None
        return (first, *self.further_candidate_ids)

    def wish(self, *, by: str) -> CreateExperiment:
        """The same in the words of the handlers."""
        split, layer = self.traffic_split, self.layer
        terms = Terms(
            candidate_share_0_1=split.b / (split.a + split.b) if split else self.candidate_share_0_1,
            rule=self.rule, target_users=self.target_samples, max_run_s=_seconds(self.duration),
            min_run_s=self.min_run_s, smallest_effect=self.smallest_effect, coverage_0_1=self.coverage_0_1,
            hold_out_share_0_1=self.hold_out_share_0_1, ramp=self.ramp, allocation=self.allocation,
            margins=self.guardrails,
        )  # fmt: skip
        return CreateExperiment(
            name=self.experiment_name, task_id=self.task_id, champion_id=self.model_a_id,
            candidate_ids=self.candidate_ids, terms=terms, metric=self.success_metric, kind=self.kind,
            layer=(layer.name, layer.from_0_1, layer.to_0_1) if layer else None,
            excluded_units=self.excluded_units, forced_units=self.forced_units, start=self.start, by=by,
        )  # fmt: skip


def _seconds(duration: int | str | None) -> int | None:
    if not isinstance(duration, str):
        return duration
    return min(_YEAR_S, max(1, round(_timedelta.validate_python(duration).total_seconds())))


class LargerShare(BaseModel):
    """A step of a ramp."""

    model_config = ConfigDict(extra="forbid")

    candidate_share_0_1: Share = Field(description="share of the units that get a candidate from now on")


class NamedWinner(BaseModel):
    """A person's conclusion."""

    model_config = ConfigDict(extra="forbid")

    winner_variant_id: Identifier = Field(description="a candidate, to promote it, or the champion, to keep it")
