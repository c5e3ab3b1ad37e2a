"""The quality report of one build: per check what passed, what went and why."""

from enum import StrEnum

from pydantic import Field

from dataset_svc.domain.personal.personal_kinds import PersonalKind
from dataset_svc.domain.samples import SplitName
from dataset_svc.domain.sources.bad_records import BadLine
from loopwright.contracts.base import Share, Value
from loopwright.contracts.tasks import DataPolicy


class Check(StrEnum):
    """The checks in the order in which samples meet them."""

    READABLE = "readable"
    NOT_ERASED = "not_erased"
    PERSONAL_DATA = "personal_data"
    QUALITY = "quality"
    CONFLICTING_ANSWER = "conflicting_answer"
    EXACT_DUPLICATE = "exact_duplicate"
    NEAR_DUPLICATE = "near_duplicate"


class DroppedDuplicate(Value):
    """A sample that went because another one stays."""

    check: Check = Field(description="which kind of duplicate it was")
    dropped: str = Field(description="sample that went")
    kept: str = Field(description="sample that stays in its place")
    why: str = Field(description="one sentence for a person")
    input_similarity_0_1: float | None = Field(default=None, description="Jaccard index of the inputs' 5-grams")
    answer_similarity_0_1: float | None = Field(default=None, description="Jaccard index of the answers' 5-grams")


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
    topped_up_samples: int = Field(ge=0, description="moved from training because chance gave a part too little")


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
    splits: SplitFigures = Field(description="how the rest was divided")
    rejected_because: tuple[str, ...] = Field(description="why there is no version; empty if there is one")
