"""Which samples stay by their scores; what goes has a reason."""

from enum import StrEnum

import numpy as np

from dataset_svc.domain.quality.parts import LANGUAGES, PARTS, Part
from dataset_svc.domain.quality.scoring import SCALE, ScoreTable
from loopwright.contracts.tasks import QualityPolicy


class QualityReason(StrEnum):
    """Why a sample went; the value is the sentence for people."""

    LOW_SCORE = "its quality score is below the task's minimum"
    TOXIC = "it is more toxic than the task allows"
    BIASED = "it speaks more ill of a group than the task allows"
    LANGUAGE = "it is in a language that the task does not keep"


def reasons_to_drop(scores: ScoreTable, policy: QualityPolicy) -> dict[int, QualityReason]:
    """The first reason that holds of each row that goes; the default policy keeps everything."""
    parts = scores.parts / SCALE
    kept = [place for place, language in enumerate(LANGUAGES) if not policy.languages or language in policy.languages]
    holds = {
        QualityReason.LOW_SCORE: scores.totals / SCALE < policy.min_score_0_1,
        QualityReason.LANGUAGE: ~np.isin(scores.languages, kept),
        QualityReason.BIASED: 1 - parts[:, PARTS.index(Part.BIAS)] > policy.max_bias_0_1,
        QualityReason.TOXIC: 1 - parts[:, PARTS.index(Part.TOXICITY)] > policy.max_toxicity_0_1,
    }
    reasons: dict[int, QualityReason] = {}
    for reason, rows in holds.items():  # later ones come first
        reasons |= dict.fromkeys(np.flatnonzero(rows).tolist(), reason)
    return reasons
