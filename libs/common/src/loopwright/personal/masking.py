"""Puts placeholders where personal data stood."""

from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from typing import Protocol

from loopwright.personal.findings import Finding, without_placeholders
from loopwright.personal.kinds import PLACEHOLDERS, PersonalKind

_MOST_PASSES = 10
# what stands for a value: of its kind, and perhaps of the value itself
Naming = Callable[[PersonalKind, str], str]
Kinds = Mapping[PersonalKind, int]
_NONE: Kinds = {}


class Finds(Protocol):
    """Says where in texts something personal stands."""

    def find(self, texts: Sequence[str]) -> list[tuple[Finding, ...]]: ...


def placeholder(kind: PersonalKind, _value: str = "") -> str:
    return f"[{PLACEHOLDERS[kind]}]"


def mask_texts(texts: Sequence[str], finder: Finds, naming: Naming = placeholder) -> list[tuple[str, Kinds]]:
    """Each text with placeholders, and what they stand for; masking it again changes nothing."""
    changed = changed_texts(texts, finder, naming)
    return [changed.get(place, (text, _NONE)) for place, text in enumerate(texts)]


def changed_texts(texts: Sequence[str], finder: Finds, naming: Naming = placeholder) -> dict[int, tuple[str, Kinds]]:
    """By place, what `mask_texts` makes of the texts that hold something.

    A placeholder can uncover what its neighbour hid (two numbers joined by a hyphen), hence the passes; ten bound the
    time that a hostile text can take.
    """
    changed: dict[int, tuple[str, Kinds]] = {}
    places, asked = list(range(len(texts))), list(texts)
    for _ in range(_MOST_PASSES):
        findings = [(place, found) for place, found in zip(places, finder.find(asked), strict=True) if found]
        if not findings:
            break
        places.clear()
        asked.clear()
        for place, found in findings:
            text, kinds = changed.get(place, (texts[place], _NONE))
            counts = dict(kinds)
            for one in found:
                counts[one.kind] = counts.get(one.kind, 0) + 1
            masked, hidden = _replaced(text, found, naming)
            changed[place] = (masked, counts)
            places.append(place)
            asked.append(hidden)
    return changed


def _replaced(text: str, findings: Sequence[Finding], naming: Naming) -> tuple[str, str]:
    """The text with names instead of findings, and the same with nothing where placeholders are, as finders read it."""
    pieces: list[str] = []
    hidden: list[str] = []
    end = 0
    for finding in findings:
        before, name = text[end : finding.start], naming(finding.kind, text[finding.start : finding.end])
        pieces += (before, name)
        hidden += (before, _hidden(name))
        end = finding.end
    behind = text[end:]
    return "".join(pieces) + behind, "".join(hidden) + behind


_hidden = lru_cache(maxsize=1 << 10)(without_placeholders)
