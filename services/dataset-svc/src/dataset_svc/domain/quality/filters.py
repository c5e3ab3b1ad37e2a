"""Which samples stay by their scores; what goes has a reason, and the reasons are counted."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from dataset_svc.domain.quality.scoring import SampleScores
from loopwright.contracts.tasks import QualityPolicy


class QualityReason(StrEnum):
    """Why a sample went; the value is the sentence for people."""

    LOW_SCORE = "its quality score is below the task's minimum"
    TOXIC = "it is more toxic than the task allows"
    BIASED = "it speaks more ill of a group than the task allows"
    LANGUAGE = "it is in a language that the task does not keep"


@dataclass(frozen=True, kw_only=True)
class Filtered:
    """Places of samples that stay, of those that go with the reason, and how many went for each reason."""

    kept: tuple[int, ...]
    dropped: tuple[tuple[int, QualityReason], ...]
    counts: dict[QualityReason, int]


def reason_to_drop(scores: SampleScores, policy: QualityPolicy) -> QualityReason | None:
    """The first reason that holds, None if the sample may stay."""
    if scores.toxicity_0_1 > policy.max_toxicity_0_1:
        return QualityReason.TOXIC
    if scores.bias_0_1 > policy.max_bias_0_1:
        return QualityReason.BIASED
    if policy.languages and scores.language not in policy.languages:
        return QualityReason.LANGUAGE
    return QualityReason.LOW_SCORE if scores.total < policy.min_score_0_1 else None


def filter_by_quality(scores: Sequence[SampleScores], policy: QualityPolicy) -> Filtered:
    """Applies the filters of a policy; the default policy keeps everything."""
    kept: list[int] = []
    dropped: list[tuple[int, QualityReason]] = []
    for place, score in enumerate(scores):
        reason = reason_to_drop(score, policy)
        if reason is None:
            kept.append(place)
        else:
            dropped.append((place, reason))
    return Filtered(kept=tuple(kept), dropped=tuple(dropped), counts=dict(Counter(reason for _, reason in dropped)))
