"""Corrected labels of mathematics problems, merged with what was known of the problem before.

Where corrections of one problem differ, each is a vote that weighs as much as its rater is reliable, and less the older
it is; equal votes go to the newest.
"""

import math
from collections import defaultdict
from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta

from pydantic import AliasChoices, ConfigDict, Field

from feedback_svc.domain.sources.source import (
    Filtered,
    Group,
    Heard,
    Name,
    Outcome,
    RecordSchema,
    Source,
    Teaching,
    Text,
    origin_in,
)
from feedback_svc.domain.spelling import spell
from loopwright.contracts.base import Identifier, Value

_UNKNOWN_RELIABILITY_0_1 = 0.5


class Labels(Value):
    """Three levels of the curriculum."""

    model_config = ConfigDict(populate_by_name=True)

    large: Name = Field(alias="대분류", description="first level")
    middle: Name = Field(alias="중분류", description="second level")
    small: Name = Field(alias="하위 분류", description="third level")

    @property
    def answer(self) -> str:
        return spell(self.model_dump(by_alias=True))


class _OfProblem(RecordSchema):
    problem_id: Name = Field(description="problem that it is about")
    problem: Text | None = Field(
        default=None, validation_alias=AliasChoices("problem", "text", "input"), description="its text"
    )
    rater: Identifier | None = Field(default=None, description="keyed hash of who says so")

    def group_of(self, record_id: str) -> str:  # noqa: ARG002 - others are named by their record
        return self.problem_id

    @property
    def labels(self) -> Labels | None:
        return None

    @property
    def claim(self) -> tuple[str, str] | None:
        rater = self.rater or self.unit_hash
        return (rater, self.labels.answer) if rater and self.labels else None


class CorrectedLabels(_OfProblem):
    """What the labels of a problem should be."""

    correct_labels: Labels = Field(description="대분류, 중분류, 하위 분류")

    @property
    def labels(self) -> Labels:
        return self.correct_labels


class KnownProblem(_OfProblem):
    """Earlier data: a problem's text, and its labels if it has any."""

    known_labels: Labels | None = Field(
        default=None, validation_alias="labels", description="대분류, 중분류, 하위 분류"
    )

    @property
    def labels(self) -> Labels | None:
        return self.known_labels


class Options(Value):
    """What a task may say of it."""

    half_life_days: float = Field(default=180, gt=0, le=36_500, description="age at which a vote weighs half")


def teach(group: Group, options: Value, now: datetime) -> Iterator[Outcome]:
    assert isinstance(options, Options)
    ordered = sorted(group.heard, key=lambda one: (one.published_at, one.record_id), reverse=True)
    winner, share = _elect(ordered, group, half_life=timedelta(days=options.half_life_days), now=now)
    if winner is None:
        yield Filtered(key=group.key, reason="waits-for-labels")
        return
    asked, told_by = _text(winner, ordered, group)
    if asked is None or told_by is None:
        yield Filtered(key=group.key, reason="waits-for-problem")
        return
    assert isinstance(winner.said, _OfProblem)
    assert winner.said.labels is not None
    yield Teaching(
        key=group.key, input=asked, answer=winner.said.labels.answer, origin=origin_in([winner] if told_by is winner else [winner, told_by]),
        rater=winner.said.rater or winner.said.unit_hash, weight_0_1=share, metadata={"problem_id": group.key},
    )  # fmt: skip


def _elect(
    newest_first: Sequence[Heard], group: Group, *, half_life: timedelta, now: datetime
) -> tuple[Heard | None, float]:
    """The newest record of the labels that won, and their share of all votes."""
    votes: dict[str, float] = defaultdict(float)
    speakers: dict[str, Heard] = {}
    spoken = set[str]()
    for one in newest_first:
        assert isinstance(one.said, _OfProblem)
        if one.said.labels is None:
            continue
        rater = one.said.rater or one.said.unit_hash or ""
        if rater in spoken:
            continue  # a rater's last word counts; all that is said without a name is one voice
        spoken.add(rater)
        age = max(now - one.published_at, timedelta(0)) / half_life
        reliability = group.reliability_0_1.get(rater, _UNKNOWN_RELIABILITY_0_1)
        votes[one.said.labels.answer] += reliability * 0.5 ** min(age, 1000)
        speakers.setdefault(one.said.labels.answer, one)
    if not votes:
        return None, 0.0
    most = max(votes.values())
    best = next(answer for answer in speakers if math.isclose(votes[answer], most, rel_tol=1e-9))
    total = sum(votes.values())
    return speakers[best], votes[best] / total if total > 0 else 1 / len(votes)


def _text(winner: Heard, newest_first: Sequence[Heard], group: Group) -> tuple[str | None, Heard | None]:
    """The problem's text and the record that leads to it, the winner itself if it can."""
    for one in (winner, *newest_first):
        assert isinstance(one.said, _OfProblem)
        text = one.said.problem or group.inputs.get(one.said.inference_id or "")
        if text:
            return text, one
    return None, None


LABEL_CORRECTIONS = Source(
    name="label-corrections",
    title="corrected labels of mathematics problems",
    schemas={"label.corrected": CorrectedLabels, "label.problem": KnownProblem},
    options=Options,
    teach=teach,
)
