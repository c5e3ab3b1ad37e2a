"""Finds English names of persons: a title, a cue or a known given name before capitalised words."""

import re
from collections.abc import Sequence
from functools import cache
from typing import Final

import numpy as np

from dataset_svc.domain.personal.anchors import anchors_of, groups_anchored
from dataset_svc.domain.personal.foreign_names import AMBIGUOUS_ENGLISH, ENGLISH_NAMES
from dataset_svc.domain.personal.lexicon import holds_any, lexicon
from dataset_svc.domain.personal.scanning import CAPITAL, ENTITLED, Ints, Keys, Scan
from dataset_svc.domain.personal.word_keys import capitalised, table_of

_NAME = r"[A-Z][a-z]+(?:['’\-][A-Z][a-z]+)?"
_FULL = rf"{_NAME}(?: (?:[A-Z]\.|van|von|de|la|bin|al))?(?: {_NAME}){{0,2}}"
# no letter before the first one: shapes that begin with letters are looked for several times as fast
_LEFT = "(?<![A-Za-z].)"
_TITLED = re.compile(
    rf"(?:M{_LEFT}(?:rs?|s|iss|adam)|D{_LEFT}r|P{_LEFT}rof(?:essor)?|S{_LEFT}ir)\.?\s(?P<value>{_FULL})"
)
_CUED = re.compile(
    r"(?:My name is|my name is|Name is|name is|I am called|Dear|Sincerely,|Regards,|regards,|Cheers,|Full [Nn]ame:|full [Nn]ame:"
    rf"|N{_LEFT}ame:|F{_LEFT}rom:|Signed(?: by)?:?|signed(?: by)?:?|Attn:?|성명:|이름:|이름은|담당자:?)\s{{1,3}}(?P<value>{_FULL})"
)
_SINGLE = re.compile(rf"(?<![A-Za-z0-9_./@\-]){_NAME}(?![A-Za-z0-9_@/])")
_INITIAL = re.compile(r" [A-Z]\.(?= [A-Z])")
_AFTER = re.compile(rf" {_NAME}(?![A-Za-z0-9_@/])")
_NO_NAMES = lexicon(
    """
Dr Mr Mrs Ms Step Finding Yes No Hi Hello Certainly Please Thank Thanks Sure Peter_ Unknown None Null True False Sir Madam Team Customer Customers User Users All Hiring Manager Friend Friends Editor Reader Readers Colleague Colleagues Admin Administrator Support Service Services Department Human Resources The This That A An My Our Your His Her In On At For From To And Or But If Of Is Are Was Were Who What When Where Why How
Street Avenue Road University College School Institute Company Corporation Inc Ltd Foundation Award Prize Theorem Law Laws Equation Algorithm Method Function Model Test Effect River Lake Mountain Mount Island County City State Bridge Park Hotel Hospital Airport Museum Library Square Tower Hall House Church Center Centre Day Night Morning January February March April May June July August September October November December Monday Tuesday Wednesday Thursday Friday Saturday Sunday
"""
)
_CUES = (
    "ame is",
    "ame:",
    "am called",
    "Dear",
    "Sincerely",
    "egards",
    "Cheers",
    "From:",
    "igned",
    "Attn",
    "성명",
    "이름",
    "담당자",
)
# what stands before names, in lower case: a group for `groups_anchored`
BEFORE_NAMES: Final = tuple(word.lower() for word in _CUES)
_ANCHORS = anchors_of([BEFORE_NAMES])
_NAME_ALONE = re.compile("[A-Z][a-z]+")
Span = tuple[int, int]


@cache
def _given_names() -> Keys:
    return table_of(name for name in ENGLISH_NAMES if _NAME_ALONE.fullmatch(name))


def cued_texts(seen: Scan, anchored: Ints | None = None) -> dict[int, int]:
    """By number of the texts that may hold what stands before a name: 1 of a title, 2 of a cue, 3 of both.

    Args:
        anchored: Of every text, whether it holds one of BEFORE_NAMES, if that is at hand; 0 if not.
    """
    cues = groups_anchored(seen.codes, seen.starts, _ANCHORS) if anchored is None else anchored
    bits = ((seen.traits & ENTITLED) != 0) + 2 * (cues != 0)
    numbers = np.flatnonzero((bits != 0) & ((seen.traits & CAPITAL) != 0))
    return dict(zip(numbers.tolist(), bits[numbers].tolist(), strict=True))


def known_given_names(seen: Scan) -> dict[int, list[int]]:
    """Where words stand that are known given names, by number of the text."""
    texts, places = capitalised(seen.codes, seen.starts, seen.capitals, _given_names())
    known: dict[int, list[int]] = {}
    for text, place in zip(texts.tolist(), places.tolist(), strict=True):
        known.setdefault(text, []).append(place)
    return known


def find_english_names(text: str, known: Sequence[int], before: int) -> list[Span]:
    """Start and end of each name, later ones never inside earlier ones.

    Args:
        known: Where known given names stand, in order.
        before: What may stand before names, as `cued_texts` says it.
    """
    spans: list[Span] = []
    shapes = [_TITLED] if before & 1 else []
    if before & 2 and holds_any(text, _CUES):
        shapes.append(_CUED)
    for shape in shapes:
        spans += [match.span("value") for match in shape.finditer(text) if match["value"].split()[0] not in _NO_NAMES]
    cued = bytearray(len(text) if spans else 0)
    for one, two in spans:
        cued[one:two] = b"\1" * (two - one)
    end = 0
    for place in known:
        match = _SINGLE.match(text, place)
        if match is None or match[0] not in ENGLISH_NAMES or place < end or (cued and cued[place]):
            continue
        end = _end_of_name(text, match.end())
        if text[match.end() : end].split() or match[0] not in AMBIGUOUS_ENGLISH:
            spans.append((place, end))
    return spans


def _end_of_name(text: str, end: int) -> int:
    initial = _INITIAL.match(text, end)
    if initial:
        end = initial.end()
    for _ in range(2):
        after = _AFTER.match(text, end)
        if after is None or after[0].strip() in _NO_NAMES:
            break
        end = after.end()
    return end
