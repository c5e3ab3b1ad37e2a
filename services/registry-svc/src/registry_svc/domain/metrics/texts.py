"""How near a text comes to the expected one: 1 is the same, 0 has nothing in common."""

import re
import unicodedata
from collections import Counter
from typing import Final

_WORD: Final = re.compile(r"\w+")
_CHRF_ORDERS: Final = 6
_CHRF_BETA: Final = 2.0
_MOST_CHARACTERS: Final = 20_000  # of a text that is compared; what a model writes beyond it is left out


def exact_match(answer: str, expected: str) -> float:
    """Whether the texts are the same but for outer white space and Unicode composition (as in SQuAD, Rajpurkar 2016)."""
    return float(_composed(answer).strip() == _composed(expected).strip())


def rouge_l(answer: str, expected: str) -> float:
    """F1 of the longest common subsequence of words (Lin 2004, with beta = 1); words are runs of letters and digits."""
    ours, theirs = _words(answer), _words(expected)
    if not ours or not theirs:
        return float(ours == theirs)
    common = longest_common_subsequence(ours, theirs)
    return 2 * common / (len(ours) + len(theirs))


def chrf(answer: str, expected: str) -> float:
    """F2 of character n-grams of 1 to 6 characters, white space left out (Popović 2015, chrF2).

    Orders that one of the texts is too short for are left out of the mean, as sacreBLEU does by default.
    """
    ours, theirs = _packed(answer), _packed(expected)
    if not ours or not theirs:
        return float(ours == theirs)
    orders = range(1, min(_CHRF_ORDERS, len(ours), len(theirs)) + 1)
    precision, recall = 0.0, 0.0
    for order in orders:
        given, wanted = _grams(ours, order), _grams(theirs, order)
        common = (given & wanted).total()
        precision += common / given.total() / len(orders)
        recall += common / wanted.total() / len(orders)
    if precision + recall == 0:
        return 0.0
    return (1 + _CHRF_BETA**2) * precision * recall / (_CHRF_BETA**2 * precision + recall)


def longest_common_subsequence(one: list[str], other: list[str]) -> int:
    """Its length, by whole rows of bits at a time (Hyyrö 2004): 20,000 words against as many take a moment."""
    places: dict[str, int] = {}
    for place, word in enumerate(one):
        places[word] = places.get(word, 0) | 1 << place
    every = (1 << len(one)) - 1
    row = every
    for word in other:
        matches = row & places.get(word, 0)
        row = ((row + matches) | (row - matches)) & every
    return len(one) - row.bit_count()


def _composed(text: str) -> str:
    return unicodedata.normalize("NFC", text[:_MOST_CHARACTERS])


def _words(text: str) -> list[str]:
    return _WORD.findall(_composed(text).casefold())


def _packed(text: str) -> str:
    return "".join(_composed(text).split())


def _grams(text: str, order: int) -> Counter[str]:
    return Counter(text[start : start + order] for start in range(len(text) - order + 1))
