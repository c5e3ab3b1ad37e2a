"""A stored version is looked at again: what it promised when it was made must still hold."""

import hashlib
from array import array
from dataclasses import dataclass
from enum import StrEnum
from itertools import combinations

import numpy as np
import numpy.typing as npt

from dataset_svc.domain.samples import SplitName, decode, same_text

_EXAMPLES = 5
_DIGEST_BYTES = 8  # two of ten million texts collide by chance once in 400,000 versions
_NO_GROUP = 0
Digests = npt.NDArray[np.uint64]


class VersionCheck(StrEnum):
    """What a version promises."""

    FILES = "files"  # its parts, report, statistics, page and origins are in storage and have the bytes that were named
    HISTORY = "history"  # manifest, indexes and packs give the bytes of the parts' files
    CONTENT = "content"  # hash over the parts, number of samples
    PROVENANCE = "provenance"  # the rows of the database are those of the lines
    QUESTIONS_APART = "questions_apart"  # no question is on two sides
    GROUPS_APART = "groups_apart"  # no user and no document is on two sides


@dataclass(frozen=True, kw_only=True)
class CheckResult:
    """What one check found; the version passed it if that is nothing."""

    check: VersionCheck
    problems: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class PartRows:
    """What the database says of a part's lines.

    Attributes:
        digest: SHA-256 over the hexadecimal hashes of the lines in order.
    """

    rows: int
    digest: str


class _Part:
    def __init__(self) -> None:
        self.lines = 0
        self.digest = hashlib.sha256()
        self.questions = array("Q")
        self.groups = array("Q")


class PartsAudit:
    """Takes the lines of a version's parts, piece after piece, in order; keeps 16 bytes of each."""

    def __init__(self) -> None:
        self._parts = {name: _Part() for name in SplitName}

    def feed(self, split: SplitName, lines: bytes) -> None:
        """Takes whole lines.

        Raises:
            msgspec.DecodeError: a line is no sample.
        """
        part = self._parts[split]
        for line in lines.splitlines(keepends=True):
            sample = decode(line)
            part.lines += 1
            part.digest.update(hashlib.sha256(line).hexdigest().encode())
            part.questions.append(_digest(same_text(sample.question)))
            part.groups.append(_NO_GROUP if sample.group is None else _digest(sample.group))

    def rows_of(self, split: SplitName) -> PartRows:
        """What the database should say of the lines that were taken."""
        return PartRows(rows=self._parts[split].lines, digest=self._parts[split].digest.hexdigest())

    def shared_questions(self) -> tuple[str, ...]:
        """Questions that more than one part asks; a sentence for each pair of parts."""
        return _shared({name: part.questions for name, part in self._parts.items()}, "question")

    def shared_groups(self) -> tuple[str, ...]:
        """Groups of which more than one part has samples; a sentence for each pair of parts."""
        return _shared({name: part.groups for name, part in self._parts.items()}, "group")


def _shared(digests: dict[SplitName, "array[int]"], noun: str) -> tuple[str, ...]:
    found: list[str] = []
    arrays = {name: np.frombuffer(values, dtype=np.uint64) for name, values in digests.items() if values}
    for one, other in combinations(arrays, 2):
        both = np.intersect1d(arrays[one], arrays[other])
        both = both[both != _NO_GROUP]
        if len(both):
            where = ", ".join(
                f"{one} line {_first(arrays[one], digest)} and {other} line {_first(arrays[other], digest)}"
                for digest in both[:_EXAMPLES]
            )
            found.append(f"{len(both)} {noun}{'' if len(both) == 1 else 's'} in {one} and in {other}: {where}")
    return tuple(found)


def _first(digests: Digests, wanted: np.uint64) -> int:
    """Line, counted from 1."""
    return int(np.flatnonzero(digests == wanted)[0]) + 1


def _digest(text: str) -> int:
    # 0 stands for no group
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=_DIGEST_BYTES).digest()) or 1
