"""Finds English names of persons: a title, a cue or a known given name before capitalised words."""

import re

from dataset_svc.domain.personal.foreign_names import AMBIGUOUS_ENGLISH, ENGLISH_NAMES
from dataset_svc.domain.personal.lexicon import lexicon

_NAME = r"[A-Z][a-z]+(?:['’\-][A-Z][a-z]+)?"
_FULL = rf"{_NAME}(?: (?:[A-Z]\.|van|von|de|la|bin|al))?(?: {_NAME}){{0,2}}"
_TITLED = re.compile(rf"(?<![A-Za-z])(?:Mr|Mrs|Ms|Miss|Dr|Prof|Professor|Sir|Madam)\.?\s(?P<value>{_FULL})")
_CUED = re.compile(
    rf"(?:[Mm]y name is|[Nn]ame is|I am called|Dear|Sincerely,|[Rr]egards,|Cheers,|[Ff]ull [Nn]ame:|(?<![A-Za-z])Name:|(?<![A-Za-z])From:|[Ss]igned(?: by)?:?|Attn:?|성명:|이름:|이름은|담당자:?)\s{{1,3}}(?P<value>{_FULL})"
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
_TITLES = ("Mr", "Ms", "Miss", "Dr", "Prof", "Sir", "Madam")
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
_CAPITAL = re.compile("[A-Z][a-z]")
Span = tuple[int, int]


def find_english_names(text: str) -> list[Span]:
    """Start and end of each name, later ones never inside earlier ones."""
    if text.islower() or not _CAPITAL.search(text):
        return []
    spans: list[Span] = []
    for shape, anchors in ((_TITLED, _TITLES), (_CUED, _CUES)):
        if any(anchor in text for anchor in anchors):
            spans += [
                match.span("value") for match in shape.finditer(text) if match["value"].split()[0] not in _NO_NAMES
            ]
    cued = tuple(spans)
    end = 0
    for match in _SINGLE.finditer(text):
        given = match[0]
        if given not in ENGLISH_NAMES or match.start() < end or any(one <= match.start() < two for one, two in cued):
            continue
        end = _end_of_name(text, match.end())
        family = text[match.end() : end].split()
        if family or given not in AMBIGUOUS_ENGLISH:
            spans.append((match.start(), end))
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
