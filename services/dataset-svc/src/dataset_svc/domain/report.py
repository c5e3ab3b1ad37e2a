"""The quality report of one build: per check what passed, what went and why."""

from enum import StrEnum

from pydantic import Field

from dataset_svc.domain.samples import SplitName
from dataset_svc.domain.sources.bad_records import BadLine
from loopwright.contracts.base import Share, Value
from loopwright.contracts.tasks import DataPolicy
from loopwright.personal.kinds import PersonalKind


class Check(StrEnum):
    """The checks in the order in which samples meet them."""

    READABLE = "readable"
    NOT_ERASED = "not_erased"
    PERSONAL_DATA = "personal_data"
    QUALITY = "quality"
    CONFLICTING_ANSWER = "conflicting_answer"
    EXACT_DUPLICATE = "exact_duplicate"
    NEAR_DUPLICATE = "near_duplicate"
    CONTAMINATION = "contamination"


class DroppedDuplicate(Value):
    """A sample that went because another one stays."""

    check: Check = Field(description="which kind of duplicate it was")
    dropped: str = Field(description="sample that went")
    kept: str = Field(description="sample that stays in its place")
    why: str = Field(description="one sentence for a person")
    input_similarity_0_1: float | None = Field(default=None, description="Jaccard index of the inputs' 5-grams")
    answer_similarity_0_1: float | None = Field(default=None, description="Jaccard index of the answers' 5-grams")


class CaseSource(Value):
    """Held-out questions that samples to learn from were compared with."""

    dataset_name: str = Field(description="dataset that holds them out")
    version: int | None = Field(description="number of its version; none for the one built and those before it")
    version_id: str | None = Field(description="id of that version")
    cases: int = Field(ge=0, description="questions that were compared with")
    left_out_cases: int = Field(ge=0, description="questions that were not compared with")
    why_left_out: str = Field(description="why they were not; empty if none was left out")


class GivenAway(Value):
    """A sample that went because it gives a held-out case away."""

    dropped: str = Field(description="sample that went")
    why: str = Field(description="how its question gives the case away")
    case: str | None = Field(description="the held-out sample; none if an earlier version held out such a question")
    dataset_name: str = Field(description="dataset that holds it out")
    version: int | None = Field(description="number of its version; none for the one built and those before it")
    version_id: str | None = Field(description="id of that version")
    likeness_0_1: Share | None = Field(description="Jaccard index of the questions' 5-grams, where they are alike")


class Contamination(Value):
    """What was compared with the cases that models of the task are measured by, and what went."""

    sources: tuple[CaseSource, ...] = Field(default=(), description="where the cases came from")
    samples: int = Field(default=0, ge=0, description="samples that went, each for the case that it gives away most")
    examples: tuple[GivenAway, ...] = Field(default=(), description="the first thousand of them by id")


class CheckOutcome(Value):
    """What one check did."""

    check: Check = Field(description="the check")
    passed: int = Field(ge=0, description="samples that went on")
    dropped: int = Field(ge=0, description="samples that went")
    reasons: dict[str, int] = Field(description="dropped samples by reason")


class SplitFigures(Value):
    """How the kept samples were divided."""

    samples: dict[SplitName, int] = Field(description="samples by part")
    remembered_samples: int = Field(ge=0, description="placed where earlier versions had put their like")
    strata: int = Field(default=1, ge=0, description="categories that were divided each by itself")


class QualityReport(Value):
    """All of it, as stored beside the version."""

    request_id: str = Field(description="request that was built")
    task_id: str = Field(description="task")
    dataset_name: str = Field(description="dataset")
    data_policy: DataPolicy = Field(description="policy that was applied")
    expected_lines: int | None = Field(description="lines that the request promised, if it did")
    lines: int = Field(ge=0, description="lines that were found, blank ones left out")
    kept: int = Field(ge=0, description="samples that passed every check")
    quality_score_0_1: Share = Field(description="kept samples over lines")
    checks: tuple[CheckOutcome, ...] = Field(description="check by check, in order")
    personal_data_found: dict[PersonalKind, int] = Field(description="findings by kind in the samples that were read")
    samples_with_personal_data: int = Field(ge=0, description="samples with at least one finding")
    bad_lines: tuple[BadLine, ...] = Field(description="the first thousand lines that are no samples")
    duplicates: tuple[DroppedDuplicate, ...] = Field(description="every sample that went in favour of another")
    contamination: Contamination = Field(
        default_factory=Contamination, description="samples that went because they give a held-out case away"
    )
    flaws: dict[str, int] = Field(
        default_factory=dict[str, int], description="kept samples with each flaw that lowers a score, by its code"
    )
    splits: SplitFigures = Field(description="how the rest was divided")
    rejected_because: tuple[str, ...] = Field(description="why there is no version; empty if there is one")
