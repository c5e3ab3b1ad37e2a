"""Finds personal data and secrets in a text."""

import threading
from collections.abc import Sequence
from functools import cache
from itertools import chain, groupby

import numpy as np

from dataset_svc.domain.personal import scanning
from dataset_svc.domain.personal.anchors import anchors_of, groups_anchored
from dataset_svc.domain.personal.english_names import BEFORE_NAMES
from dataset_svc.domain.personal.person_names import NameFinder
from dataset_svc.domain.personal.scanning import ODD, PLAIN_FORMS, Ints, Scan, scan
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
_ANCHORS = anchors_of([*(anchors for _, anchors, _ in _GROUPS), *BEFORE_NAMES])


def _askable(seen: Scan, anchored: Ints) -> list[int]:
    """Of each text, the bits of the groups whose shapes it can hold."""
    bits = np.zeros(len(anchored), dtype=np.int64)
    for place, (trait, anchors, _) in enumerate(_GROUPS):
        holds = (anchored >> place & 1).astype(np.bool_) if anchors else np.ones(len(bits), dtype=np.bool_)
        if trait:
            holds &= (seen.traits & trait) != 0
        bits |= holds.astype(np.int64) << place
    return bits.tolist()


@cache
def _detectors_of(groups: int) -> tuple[Detector, ...]:
    return tuple(chain.from_iterable(members for place, (*_, members) in enumerate(_GROUPS) if groups >> place & 1))


class Finder:
    """Finds in batches, which costs a fraction of text by text; a text's findings do not depend on its batch."""

    def __init__(self) -> None:
        self._names = NameFinder()
        self._lock = threading.Lock()

    def find(self, texts: Sequence[str]) -> list[tuple[Finding, ...]]:
        """Everything personal in each text, from left to right, without overlaps; placeholders are never looked into.

        Threads may call it; one at a time works.
        """
        with self._lock:
            return self._find(texts)

    def _find(self, texts: Sequence[str]) -> list[tuple[Finding, ...]]:
        plain = [without_placeholders(text) for text in texts]
        seen = scan(plain)
        for number in np.flatnonzero(seen.traits & ODD).tolist():
            plain[number] = plain[number].translate(PLAIN_FORMS)
        anchored = groups_anchored(seen.codes, seen.starts, _ANCHORS)
        names = self._names.find(plain, seen, cued=anchored >> len(_GROUPS))
        return [
            settle(text, _detectors_of(groups), names=names.get(number, ())) if groups or number in names else ()
            for number, (text, groups) in enumerate(zip(plain, _askable(seen, anchored), strict=True))
        ]


@cache
def shared_finder() -> Finder:
    """One for all who look at a text now and then: what it remembers takes megabytes."""
    return Finder()
