"""Which held-out cases the training split gives away: the same question, or most of a case's long passages in one row.

dataset-svc keeps such cases apart when it builds a version; this looks again at what a model really learned from.
"""

import unicodedata
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from pydantic import Field, ValidationError

from loopwright.contracts.base import ChatMessage, Value
from loopwright.errors import InvalidPayload
from registry_svc.domain.scoring import HeldOutCase

_WORDS: Final = 13  # of a passage, as in GPT-3's decontamination (Brown et al. 2020, appendix C)
_LEAST_SHARE_0_1: Final = 0.5  # of a case's passages; cases and rows of one set share the phrases of a template
_COMMON_ROWS: Final = 10  # a passage in more rows than this is a template's, and gives nothing away


@dataclass(frozen=True, kw_only=True)
class Contamination:
    """What was found.

    Attributes:
        cases: Held-out cases that were looked for.
        given_away: Sample ids of those that a row gives away, in their order.
        rows: Rows of the training split that were read.
    """

    cases: int
    given_away: tuple[str, ...]
    rows: int

    @property
    def share_0_1(self) -> float:
        return len(self.given_away) / self.cases if self.cases else 0.0


class _Row(Value):
    input: str | None = None
    messages: tuple[ChatMessage, ...] = Field(default=())


def question_of(line: bytes) -> str:
    """The question of one line of a split.

    Raises:
        InvalidPayload: the line is no sample.
    """
    try:
        row = _Row.model_validate_json(line)
    except ValidationError as error:
        raise InvalidPayload("evaluation.training-unreadable", "a line of the training split is no sample") from error
    if row.input is not None:
        return row.input
    return next((message.content for message in row.messages if message.role == "user"), "")


class ContaminationSearch:
    """Looks for cases in training rows. Feed it rows in any portions, then finish."""

    def __init__(self, cases: Sequence[HeldOutCase]) -> None:
        self._cases = cases
        self._passages = [_passages(_words(case.input)) for case in cases]
        self._wholes: defaultdict[str, list[int]] = defaultdict(list)
        self._holders: dict[int, list[int]] = {passage: [] for passages in self._passages for passage in passages}
        for place, case in enumerate(cases):
            self._wholes[" ".join(_words(case.input))].append(place)
        self._same: set[int] = set()
        self._rows = 0

    def feed(self, questions: Iterable[str]) -> None:
        for question in questions:
            words = _words(question)
            self._same.update(self._wholes.get(" ".join(words), ()))
            for passage in _passages(words) & self._holders.keys():
                self._holders[passage].append(self._rows)
            self._rows += 1

    def finish(self) -> Contamination:
        found = [
            case.sample_id
            for place, case in enumerate(self._cases)
            if place in self._same or self._is_in_a_row(self._passages[place])
        ]
        return Contamination(cases=len(self._cases), given_away=tuple(found), rows=self._rows)

    def _is_in_a_row(self, passages: frozenset[int]) -> bool:
        held = Counter[int]()
        for passage in passages:
            if len(self._holders[passage]) <= _COMMON_ROWS:
                held.update(self._holders[passage])
        return bool(held) and max(held.values()) >= _LEAST_SHARE_0_1 * len(passages)


def _words(text: str) -> list[str]:
    return unicodedata.normalize("NFC", text).casefold().split()


def _passages(words: Sequence[str]) -> frozenset[int]:
    # hashes of one process are enough, and take less room than the words
    return frozenset(hash(tuple(words[start : start + _WORDS])) for start in range(len(words) - _WORDS + 1))
