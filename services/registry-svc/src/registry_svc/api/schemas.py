"""Bodies of requests."""

from pydantic import BaseModel, ConfigDict, Field

from loopwright.contracts.base import Identifier, Storable
from registry_svc.domain.evaluations import Extra
from registry_svc.domain.suites import CaseDraft


class DecisionRequest(BaseModel):
    """What every change of a deployment says of itself."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    revision: int = Field(ge=1, le=2**31 - 1, description="revision of the deployment that the decision was made on")
    reason: Storable = Field(min_length=1, max_length=2000, description="why, for the record")


class RollbackRequest(DecisionRequest):
    """Puts an earlier champion back in charge."""

    variant_id: Identifier | None = Field(
        default=None,
        description="champion of an earlier revision, `<model>:<version>`; none for the one before this one",
    )


class PromotionRequest(DecisionRequest):
    """Puts a version in charge of a task, or has it loaded beside the champion, or takes it away."""

    task_id: Identifier = Field(description="task; a base model may serve several")


class EvaluationRequest(BaseModel):
    """Measures a version that is served on held-out cases of the task's dataset, or on a suite."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    task_id: Identifier = Field(description="task; a base model may serve several")
    against: Identifier | None = Field(
        default=None, description="version to compare with, `<model>:<version>`; none: what is in charge"
    )
    suite_id: Identifier | None = Field(
        default=None, description="suite whose cases are asked; none: held-out cases of what the version learned from"
    )
    extras: tuple[Extra, ...] = Field(
        default=(), max_length=len(Extra), description="what costs further requests: probes, a judge, perplexity"
    )


class SuiteCasesRequest(BaseModel):
    """The cases of a version of a test suite."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    cases: tuple[CaseDraft, ...] = Field(min_length=1, max_length=100_000, description="in the order they are asked in")


class SuiteRequest(SuiteCasesRequest):
    """A test suite with its first version."""

    name: str = Field(
        min_length=1, max_length=100, pattern=r"^[A-Za-z0-9][A-Za-z0-9._\-]*$", description="its name, for good"
    )
    task_id: Identifier = Field(description="task whose answers the cases expect")
    description: Storable = Field(default="", max_length=2000, description="what it is for")


class BenchmarkRequest(BaseModel):
    """Measures a version in public benchmarks."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    benchmarks: tuple[Identifier, ...] = Field(min_length=1, max_length=50, description="names, as `/benchmarks` lists")
    most_cases: int | None = Field(
        default=None,
        ge=1,
        le=1_000_000,
        description="the first ones of each benchmark; none: all, the only figures to report",
    )
    shots: int = Field(default=0, ge=0, le=32, description="solved cases before each question")
