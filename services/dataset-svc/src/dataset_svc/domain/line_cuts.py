# numba types scalars by itself; what numpy's stubs make of their arithmetic is wrong for compiled code
# pyright: reportArgumentType=false, reportReturnType=false
"""Cuts what statistics want out of the lines of samples, in one pass and without an object a text.

It knows lines as `samples.encode` writes them, the order of their fields and the ways of quoting included, and no other
JSON.
"""

from dataclasses import dataclass
from itertools import starmap

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from dataset_svc.domain.sources import reading
from loopwright.compiling import compiled, compiled_inner

ROLES = tuple(sorted(reading.ROLES))

_SYSTEM = ROLES.index("system")
_STRANGE = len(ROLES)
_QUOTE, _BACKSLASH, _BRACKET, _COMMA, _BRACE = (np.uint8(ord(sign)) for sign in '"\\],}')
_LINE_END, _COLON, _SPACE, _U = (np.uint8(ord(sign)) for sign in "\n: u")
_BLOCK = np.uint64(64)  # bytes that are looked at together: of fewer LLVM makes no vectors
_ONE = np.uint64(1)

# from where one value ends to where the next begins; of a text, its end is the closing quote
_TO_ID = len('{"sample_id":"')
_TO_TASK = len('","task_id":"')
_TO_INPUT = len('","input":"')
_TO_TURNS = len('","messages":[')
_TO_ROLE = len('{"role":"')
_TO_CONTENT = len('","content":"')
_TO_CALLS = len('","tool_calls":"')
_TO_SOURCE = len('],"source":"')
_TO_INFERENCE = len('","inference_id":')
_TO_RATINGS = len(',"rating_ids":[')
_TO_UNIT = len('],"unit_hash":')
_TO_WEIGHT = len(',"weight_0_1":')
_NULL = len("null")

_Bytes = NDArray[np.uint8]
_Places = NDArray[np.int64]


@dataclass(frozen=True, kw_only=True)
class LineCuts:
    """What lines say; one entry a line.

    Attributes:
        questions: What `Sample.question` gives.
        turns: Turns by role, in the order of ROLES `int32 [lines, roles]`.
    """

    sample_ids: pa.LargeStringArray
    questions: pa.LargeStringArray
    answers: pa.LargeStringArray
    sources: pa.LargeStringArray
    weights: NDArray[np.float64]
    turns: NDArray[np.int32]


def cut_lines(content: bytes, places: NDArray[np.int64]) -> LineCuts:
    """Cuts lines.

    Args:
        content: Has the lines in it, and maybe others between them.
        places: First byte and size of each line `[lines, 2]`.

    Raises:
        ValueError: a turn's role is none of ROLES.
    """
    kinds, room = 5, int(places[:, 1].sum()) + 1  # what is not written of it costs no memory
    texts = tuple(np.empty(room, dtype=np.uint8) for _ in range(kinds))
    ends = np.zeros((kinds, len(places) + 1), dtype=np.int64)
    turns = np.zeros((len(places), len(ROLES) + 1), dtype=np.int32)
    _cut(np.frombuffer(content, dtype=np.uint8), np.ascontiguousarray(places), texts, ends, turns)
    if turns[:, _STRANGE].any():
        raise ValueError("a turn's role is not known")
    sample_ids, questions, answers, sources, weights = starmap(_as_texts, zip(texts, ends, strict=True))
    return LineCuts(
        sample_ids=sample_ids,
        questions=questions,
        answers=answers,
        sources=sources,
        weights=weights.cast(pa.float64()).to_numpy(),
        turns=turns[:, :_STRANGE],
    )


def _as_texts(text: _Bytes, ends: _Places) -> pa.LargeStringArray:
    return pa.LargeStringArray.from_buffers(len(ends) - 1, pa.py_buffer(ends), pa.py_buffer(text[: ends[-1]]))


def _table(values: dict[str, int]) -> _Bytes:
    table = np.zeros(256, dtype=np.uint8)
    for sign, value in values.items():
        table[ord(sign)] = value
    return table


_ESCAPED = _table({sign: ord(meant) for sign, meant in zip('"\\bfnrt', '"\\\b\f\n\r\t', strict=True)})
_DIGITS = _table({sign: int(sign, 16) for sign in "0123456789abcdef"})
_ROLE_SIZES = np.array([len(role) for role in ROLES], dtype=np.int64)
_ROLE_SIGNS = np.array([[*f'{role}"'.ljust(16).encode()] for role in ROLES], dtype=np.uint8)


@compiled_inner
def _stop(content: _Bytes, first: int) -> int:
    """The next quote or backslash; places without a sign are looked up without a check for negative ones."""
    place, size = np.uint64(first), np.uint64(len(content))
    while place + _BLOCK <= size:
        found = np.uint8(0)
        for step in range(_BLOCK):
            byte = content[place + np.uint64(step)]
            found = np.uint8(found | np.uint8(byte == _QUOTE) | np.uint8(byte == _BACKSLASH))
        if found:
            break
        place += _BLOCK
    while content[place] != _QUOTE and content[place] != _BACKSLASH:
        place += _ONE
    return np.int64(place)


@compiled_inner
def _end(content: _Bytes, place: int) -> int:
    """Of the text that begins there."""
    place = _stop(content, place)
    while content[place] != _QUOTE:
        place = _stop(content, place + 2)
    return place


@compiled_inner
def _copy(content: _Bytes, place: int, text: _Bytes, at: int) -> tuple[int, int]:
    """Copies the text that begins there without its escapes; gives its end, and that of its copy."""
    while True:
        stop = _stop(content, place)
        for step in range(np.uint64(stop - place)):
            text[np.uint64(at) + step] = content[np.uint64(place) + step]
        at += stop - place
        if content[stop] == _QUOTE:
            return stop, at
        if content[stop + 1] == _U:  # only signs below 32 are written so
            text[at] = (_DIGITS[content[stop + 4]] << 4) | _DIGITS[content[stop + 5]]
            place = stop + 6
        else:
            text[at] = _ESCAPED[content[stop + 1]]
            place = stop + 2
        at += 1


@compiled_inner
def _after_value(content: _Bytes, place: int) -> int:
    """Behind the text or null that begins there."""
    return _end(content, place + 1) + 1 if content[place] == _QUOTE else place + _NULL


@compiled_inner
def _role(content: _Bytes, place: int) -> int:
    """Which role begins there."""
    for role in range(_STRANGE):
        same = 0
        while same <= _ROLE_SIZES[role] and content[place + same] == _ROLE_SIGNS[role, same]:
            same += 1
        if same > _ROLE_SIZES[role]:
            return role
    return _STRANGE


@compiled_inner
def _after_turn(content: _Bytes, place: int) -> int:
    """Behind the turn whose content begins there."""
    place = _end(content, place)
    if content[place + 1] == _COMMA:
        place = _end(content, place + _TO_CALLS)
    return place + 2


@compiled_inner
def _count_turns(content: _Bytes, place: int, turns: NDArray[np.int32], row: int) -> tuple[int, int, int]:
    """Counts them by role; gives their end, where the last one's content begins, and how many ask before it."""
    asking = 0
    while True:
        place += _TO_ROLE
        role = _role(content, place)
        turns[row, role] += 1
        said = _end(content, place) + _TO_CONTENT
        place = _after_turn(content, said)
        if content[place] != _COMMA:
            return place, said, asking
        asking += role != _SYSTEM
        place += 1


@compiled_inner
def _join_turns(content: _Bytes, place: int, text: _Bytes, at: int) -> int:
    """Writes the turns that ask; gives the end of what was written."""
    first = at
    while True:
        place += _TO_ROLE
        role = _role(content, place)
        said = _end(content, place) + _TO_CONTENT
        after = _after_turn(content, said)
        if content[after] != _COMMA:
            return at
        if role != _SYSTEM:
            if at > first:
                text[at] = _LINE_END
                at += 1
            _, at = _copy(content, place, text, at)
            text[at], text[at + 1] = _COLON, _SPACE
            _, at = _copy(content, said, text, at + 2)
        place = after + 1


@compiled_inner
def _to_weight(content: _Bytes, place: int) -> int:
    """Where the weight begins, of a line whose source ends there."""
    place = _after_value(content, place + _TO_INFERENCE) + _TO_RATINGS
    while content[place] != _BRACKET:
        place = _end(content, place + 1) + 1
        place += content[place] == _COMMA
    return _after_value(content, place + _TO_UNIT) + _TO_WEIGHT


@compiled_inner
def _copy_number(content: _Bytes, place: int, text: _Bytes, at: int) -> int:
    while content[place] != _COMMA and content[place] != _BRACE:
        text[at] = content[place]
        place += 1
        at += 1
    return at


@compiled
def _cut(
    content: _Bytes, places: _Places, texts: tuple[_Bytes, ...], ends: _Places, turns: NDArray[np.int32]
) -> None:  # fmt: skip
    ids, questions, answers, sources, weights = texts
    for row in range(len(places)):
        place, ends[0, row + 1] = _copy(content, places[row, 0] + _TO_ID, ids, ends[0, row])
        asked = _end(content, place + _TO_TASK) + _TO_INPUT
        first = _end(content, asked) + _TO_TURNS
        place, said, asking = _count_turns(content, first, turns, row)
        if asking == 1:
            _, ends[1, row + 1] = _copy(content, asked, questions, ends[1, row])
        else:
            ends[1, row + 1] = _join_turns(content, first, questions, ends[1, row])
        _, ends[2, row + 1] = _copy(content, said, answers, ends[2, row])
        place, ends[3, row + 1] = _copy(content, place + _TO_SOURCE, sources, ends[3, row])
        ends[4, row + 1] = _copy_number(content, _to_weight(content, place), weights, ends[4, row])
