"""Samples: what can be learned from one inference and the ratings of it that count."""

import hashlib
import json
from collections import defaultdict
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from feedback_svc.domain.ratings import Criteria, Opinion, Rating, opinion_of
from feedback_svc.domain.spelling import spelt_like
from loopwright.contracts.datasets import SampleSource


class SampleState(StrEnum):
    """Life of a sample; once it is exported, nothing changes it."""

    READY = "ready"
    WITHDRAWN = "withdrawn"
    QUARANTINED = "quarantined"  # curation looks at it again before each request; a person may decide
    REJECTED = "rejected"  # by a person, for good
    EXPORTED = "exported"


_FIXED = frozenset({SampleState.EXPORTED, SampleState.REJECTED})
_WAITING = frozenset({SampleState.READY, SampleState.QUARANTINED})


@dataclass(frozen=True, slots=True, kw_only=True)
class Draft:
    """What an inference, or a thing that records tell of, teaches as things stand.

    Attributes:
        answer: What the model should have said.
        rating_ids: Ratings that it was learned from.
        weight_0_1: 1 for a correction; else the share of raters who endorse, among those who have an opinion.
        input: What was asked, if no inference says so.
    """

    answer: str
    source: SampleSource
    rating_ids: tuple[str, ...]
    weight_0_1: float
    input: str | None = None

    @property
    def lesson(self) -> tuple[str | None, str]:
        """Two drafts that agree in it teach the same."""
        return (self.input, self.answer)


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """One training example with its provenance."""

    sample_id: str
    inference_id: str | None
    state: SampleState
    draft: Draft


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """What becomes of an inference's samples.

    Attributes:
        withdraw: Id of a sample that teaches no longer.
        save: What is to be ready from now on.
    """

    withdraw: str | None = None
    save: Draft | None = None


@dataclass(slots=True)
class _Word:
    """A rater's last word."""

    opinion: Opinion = Opinion.SILENT
    spoken: list[Rating] = field(default_factory=list[Rating])
    correction: Rating | None = None


def sample_id_of(origin: str, answer: str) -> str:
    """Names a sample by what it is, so that forming it twice makes one.

    Args:
        origin: The inference that it answers, or what `origin_of` says.
    """
    return "smp-" + hashlib.sha256(f"{origin}\n{answer}".encode()).hexdigest()[:32]


def origin_of(task_id: str, source: str, key: str, asked: str) -> str:
    """Where a sample comes from that answers no inference: task, source, key within it, and what was asked."""
    return json.dumps([task_id, source, key, asked], ensure_ascii=False)


def claim_of(answer: str) -> str:
    """What a rater claims, or a sample says, of a thing that records tell of: equal ones are found by it, without the words."""
    return hashlib.sha256(answer.encode()).hexdigest()


def draft_sample(answer: str | None, ratings: Sequence[Rating], criteria: Criteria) -> Draft | None:
    """Decides what an inference teaches.

    The latest correction wins. Without one the model's own answer is learned if more raters endorse it than object.

    Args:
        answer: What the model said; None if it said nothing.
        ratings: Those that count.
    """
    by_rater: dict[str, list[Rating]] = defaultdict(list)
    for rating in sorted(ratings, key=lambda rating: rating.order):
        by_rater[rating.rater_hash].append(rating)
    words = [_last_word(spoken, criteria) for spoken in by_rater.values()]
    corrections = [word.correction for word in words if word.correction is not None]
    if corrections:
        return _corrected(corrections, answer)
    return _endorsed(answer, words) if answer else None


def _last_word(spoken: Sequence[Rating], criteria: Criteria) -> _Word:
    """Goes through a rater's ratings in their order: who endorses the answer takes back an earlier correction."""
    word = _Word()
    objected = False
    for rating in spoken:
        opinion = opinion_of(rating, criteria)
        if opinion is Opinion.ENDORSES:
            word.correction = None
        objected = objected or opinion is Opinion.OBJECTS
        if opinion is not Opinion.SILENT:
            word.spoken.append(rating)
            word.opinion = Opinion.OBJECTS if objected else Opinion.ENDORSES
        if rating.correction and rating.correction.strip():
            word.correction = rating
    return word


def _corrected(corrections: Sequence[Rating], answer: str | None) -> Draft:
    latest = max(corrections, key=lambda rating: rating.order)
    right = {rating.rating_id: spelt_like(answer, rating.correction or "") for rating in corrections}
    wanted = right[latest.rating_id]
    agreeing = sorted(rating_id for rating_id, text in right.items() if text == wanted)
    return Draft(answer=wanted, source=SampleSource.CORRECTION, rating_ids=tuple(agreeing), weight_0_1=1.0)


def _endorsed(answer: str, words: Sequence[_Word]) -> Draft | None:
    endorsing = [word for word in words if word.opinion is Opinion.ENDORSES]
    objecting = [word for word in words if word.opinion is Opinion.OBJECTS]
    if len(endorsing) <= len(objecting):
        return None
    return Draft(
        answer=answer,
        source=SampleSource.RATING,
        rating_ids=tuple(sorted(rating.rating_id for word in endorsing for rating in word.spoken)),
        weight_0_1=len(endorsing) / (len(endorsing) + len(objecting)),
    )


def settle(draft: Draft | None, samples: Collection[Sample]) -> Change:
    """Compares what an inference teaches now with the samples made of it so far.

    An exported sample stays as it is, and so does one that a person rejected. Another answer after the export is a sample
    of its own, which travels with the next export; dataset-svc prefers a correction where answers to one question differ.
    """
    waiting = next((sample for sample in samples if sample.state in _WAITING), None)
    fixed = {sample.draft.lesson for sample in samples if sample.state in _FIXED}
    if draft is None or draft.lesson in fixed:
        return Change(withdraw=waiting.sample_id if waiting else None)
    if waiting is None:
        return Change(save=draft)
    if waiting.draft == draft:
        return Change()
    return Change(withdraw=None if waiting.draft.lesson == draft.lesson else waiting.sample_id, save=draft)
