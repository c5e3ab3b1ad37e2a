r"""The automata behind the patterns by which byte-level BPE tokenizers cut text.

GPT2         's|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+
GPT2_DIGITS  the same on what lies between digits, each of which is a piece
GPT4         (?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*
             |\s*[\r\n]+|\s+(?!\S)|\s+           (or \p{N} for \p{N}{1,3})
"""

from dataclasses import dataclass
from enum import Enum, IntEnum, auto
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from dataset_svc.domain.tokens.pieces import (
    CUT_AFTER_LINE,
    CUT_BEFORE_LAST,
    CUT_HERE,
    END,
    KINDS,
    MARK_LINE,
    ODD,
)


class Kind(IntEnum):
    """What a sign can be to a pattern; some letters and spaces are a kind of their own."""

    END = END
    OTHER = auto()
    QUOTE = auto()
    LETTER = auto()
    S_T_M_D = auto()
    R_V = auto()
    E = auto()
    L = auto()
    NUMBER = auto()
    SPACE = auto()
    BLANK = auto()
    LINE = auto()
    UNSURE = auto()


_LETTERS = frozenset({Kind.LETTER, Kind.S_T_M_D, Kind.R_V, Kind.E, Kind.L})
_OTHERS = frozenset({Kind.OTHER, Kind.QUOTE})
_SPACES = frozenset({Kind.SPACE, Kind.BLANK, Kind.LINE})


class Family(Enum):
    """Patterns that are cut alike."""

    GPT2 = auto()
    GPT2_DIGITS = auto()
    GPT4 = auto()


@dataclass(frozen=True, kw_only=True)
class Pattern:
    """One of the patterns above.

    Attributes:
        digits: Most numbers of one piece; 0 if there may be any number of them.
    """

    family: Family
    digits: int = 0


class _At(Enum):
    DONE = auto()  # whatever follows is another piece
    LETTERS = auto()
    NUMBERS = auto()
    OTHERS = auto()
    ONE_OTHER = auto()
    LINES = auto()  # after others
    SPACES = auto()
    QUOTE = auto()
    QUOTE_R_V = auto()
    QUOTE_L = auto()


class _State(NamedTuple):
    """What is known of the piece so far.

    Attributes:
        many: Numbers, or spaces since the last line break; two stands for more.
        blank: Whether the last space is U+0020.
        lines: Whether a line break is among the spaces.
    """

    at: _At
    many: int = 0
    blank: bool = False
    lines: bool = False


_Step = tuple[_State, int]
_DONE, _LETTERS_RUN, _OTHERS_RUN = _State(_At.DONE), _State(_At.LETTERS), _State(_At.OTHERS)


def steps_of(pattern: Pattern) -> NDArray[np.int32]:
    """The automaton of a pattern as `cut` reads it; state 0 is the beginning of a text."""
    automaton = _Automaton(pattern)
    numbers, rows = {_DONE: 0}, list[list[int]]()
    waiting = [_DONE]
    for state in waiting:
        row = [ODD] * KINDS
        for kind in Kind:
            if kind is Kind.UNSURE:
                continue
            after, actions = automaton.step(state, kind)
            if after not in numbers:
                numbers[after] = len(numbers)
                waiting.append(after)
            row[kind] = (numbers[after] * KINDS << 5) | actions
        rows.append(row)
    return np.array(rows, dtype=np.int32).reshape(-1)


class _Automaton:
    def __init__(self, pattern: Pattern) -> None:
        self._gpt4 = pattern.family is Family.GPT4
        self._alone = pattern.family is Family.GPT2_DIGITS
        self._digits = pattern.digits

    def step(self, state: _State, kind: Kind) -> _Step:
        """Where a sign of this kind leads, and which pieces end."""
        if kind is Kind.END:
            return _DONE, CUT_HERE | self._open_cut(state)
        if state.at is _At.SPACES:
            return self._after_spaces(state, kind)
        if state.at in {_At.QUOTE, _At.QUOTE_R_V, _At.QUOTE_L}:
            return self._after_quote(state, kind)
        return self._joined(state, kind) or self._begin(kind)

    def _open_cut(self, state: _State) -> int:
        """What the end of the text decides."""
        if state.at in {_At.QUOTE_R_V, _At.QUOTE_L} and not self._gpt4:
            return CUT_BEFORE_LAST
        return CUT_AFTER_LINE if state.lines and state.many else 0

    def _begin(self, kind: Kind) -> _Step:
        """A piece begins with the sign."""
        if kind in _LETTERS:
            return _LETTERS_RUN, CUT_HERE
        if kind is Kind.NUMBER:
            return (_DONE if self._alone or self._digits == 1 else _State(_At.NUMBERS, many=1)), CUT_HERE
        if kind is Kind.QUOTE:
            return _State(_At.QUOTE), CUT_HERE
        if kind is Kind.OTHER:
            return _State(_At.ONE_OTHER), CUT_HERE
        state, actions = self._space(_State(_At.SPACES), kind)
        return state, actions | CUT_HERE

    def _joined(self, state: _State, kind: Kind) -> _Step | None:
        """The same piece goes on; None if it does not."""
        match state.at:
            case _At.LETTERS if kind in _LETTERS:
                return state, 0
            case _At.NUMBERS if kind is Kind.NUMBER:
                return self._next_number(state.many)
            case _At.ONE_OTHER if self._gpt4 and kind in _LETTERS:
                return _LETTERS_RUN, 0
            case _At.ONE_OTHER | _At.OTHERS if kind in _OTHERS:
                return _OTHERS_RUN, 0
            case _At.ONE_OTHER | _At.OTHERS | _At.LINES if self._gpt4 and kind is Kind.LINE:
                return _State(_At.LINES), 0
            case _:
                return None

    def _next_number(self, count: int) -> _Step:
        if not self._digits:
            return _State(_At.NUMBERS, many=1), 0
        return (_DONE if count + 1 == self._digits else _State(_At.NUMBERS, many=count + 1)), 0

    def _space(self, state: _State, kind: Kind) -> _Step:
        if self._gpt4 and kind is Kind.LINE:
            return _State(_At.SPACES, lines=True), MARK_LINE
        return state._replace(many=min(2, state.many + 1), blank=kind is Kind.BLANK), 0

    def _after_spaces(self, state: _State, kind: Kind) -> _Step:
        if kind in _SPACES:
            return self._space(state, kind)
        if not state.many or (self._alone and kind is Kind.NUMBER):
            return self._begin(kind)
        actions = (CUT_AFTER_LINE if state.lines else 0) | (CUT_BEFORE_LAST if state.many > 1 else 0)
        if kind in _LETTERS and (state.blank or self._gpt4):
            return _LETTERS_RUN, actions
        if kind in _OTHERS and state.blank:
            return _OTHERS_RUN, actions
        if kind is Kind.NUMBER and state.blank and not self._gpt4:
            return _State(_At.NUMBERS, many=1), actions
        after, more = self._begin(kind)
        return after, actions | more

    def _after_quote(self, state: _State, kind: Kind) -> _Step:
        """Within a contraction, or what might have become one."""
        if state.at is _At.QUOTE:
            ends: _State | None = {
                Kind.S_T_M_D: _DONE,
                Kind.R_V: _State(_At.QUOTE_R_V),
                Kind.L: _State(_At.QUOTE_L),
            }.get(kind)
            state = _State(_At.ONE_OTHER)
            return (ends, 0) if ends else (self._joined(state, kind) or self._begin(kind))
        if kind is (Kind.E if state.at is _At.QUOTE_R_V else Kind.L):
            return _DONE, 0
        after, actions = self._joined(_LETTERS_RUN, kind) or self._begin(kind)
        return after, actions | (0 if self._gpt4 else CUT_BEFORE_LAST)
