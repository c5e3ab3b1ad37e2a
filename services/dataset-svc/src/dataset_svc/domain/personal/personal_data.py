"""Finds personal data and secrets in a text."""
# numpy's scalars are the integers of compiled loops:
# pyright: reportArgumentType=false, reportReturnType=false

import threading
from collections.abc import Sequence
from functools import cache
from itertools import chain, groupby

import numpy as np

from dataset_svc.domain.personal import scanning
from dataset_svc.domain.personal.anchors import anchors_of, groups_anchored
from dataset_svc.domain.personal.english_names import BEFORE_NAMES
from dataset_svc.domain.personal.person_names import NameFinder
from dataset_svc.domain.personal.scanning import ODD, Ints
from dataset_svc.domain.personal.scans import PLAIN_FORMS, Room, scan
from loopwright.compiling import compiled
from loopwright.personal.detectors import DETECTORS
from loopwright.personal.findings import Finding, settle, without_placeholders
from loopwright.personal.kinds import Detector, Trait

_BITS: dict[Trait, int] = {trait: getattr(scanning, trait.name) for trait in Trait if trait is not Trait.ANYTHING} | {
    Trait.ANYTHING: 0
}

# neighbours that ask for the same are asked for it once; a group's bit is 1 << its place
_GROUPS = tuple(
    (_BITS[trait], anchors, tuple(members))
    for (trait, anchors), members in groupby(DETECTORS, key=lambda detector: (detector.trait, detector.anchors))
)
_TRAITS = np.array([trait for trait, _, _ in _GROUPS], dtype=np.int64)
_ANCHORED = sum(1 << place for place, (_, anchors, _) in enumerate(_GROUPS) if anchors)
_ANCHORS = anchors_of([*(anchors for _, anchors, _ in _GROUPS), BEFORE_NAMES])


@compiled
def _askable(traits: Ints, anchored: Ints, wanted: Ints) -> Ints:
    """Of each text, the bits of the groups whose shapes it can hold.

    Args:
        anchored: Bits of the groups that need no word or hold one of theirs.
        wanted: What each group asks of the traits; 0 if nothing.
    """
    askable = np.zeros(len(anchored), dtype=np.int64)
    for text in range(len(anchored)):
        for place in range(len(wanted)):
            if wanted[place] == 0 or traits[text] & wanted[place]:
                askable[text] |= np.int64(1) << place
        askable[text] &= anchored[text]
    return askable


@cache
def _detectors_of(groups: int) -> tuple[Detector, ...]:
    return tuple(chain.from_iterable(members for place, (*_, members) in enumerate(_GROUPS) if groups >> place & 1))


class Finder:
    """Finds in batches, which costs a fraction of text by text; a text's findings do not depend on its batch."""

    def __init__(self) -> None:
        self._names = NameFinder()
        self._room = Room()
        self._lock = threading.Lock()

    def find(self, texts: Sequence[str]) -> list[tuple[Finding, ...]]:
        """Everything personal in each text, from left to right, without overlaps; placeholders are never looked into.

        Threads may call it; one at a time works.
        """
        with self._lock:
            return self._find(texts)

    def _find(self, texts: Sequence[str]) -> list[tuple[Finding, ...]]:
        plain = [without_placeholders(text) if "[" in text else text for text in texts]
        seen = scan(plain, self._room)
        for number in np.flatnonzero(seen.traits & ODD).tolist():
            plain[number] = plain[number].translate(PLAIN_FORMS)
        anchored = groups_anchored(seen.codes, seen.starts, _ANCHORS)
        names = self._names.find(plain, seen, cued=anchored >> len(_GROUPS))
        found: list[tuple[Finding, ...]] = [()] * len(plain)
        groups = _askable(seen.traits, anchored | ~_ANCHORED, _TRAITS)
        numbers = seen.numbers
        for number in {*np.flatnonzero(groups).tolist(), *names}:
            found[number] = settle(
                plain[number],
                _detectors_of(int(groups[number])),
                names=names.get(number, ()),
                numbers=(int(numbers[number, 0]), int(numbers[number, 1])),
            )
        return found


@cache
def shared_finder() -> Finder:
    """One for all who look at a text now and then: what it remembers takes megabytes."""
    return Finder()
