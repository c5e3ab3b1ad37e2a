"""Which objects in storage must go, and why."""

from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum

from dataset_svc.domain.samples import SplitName

Rows = dict[SplitName, list[int]]
"""Positions in the files of a version's parts, counted from 0."""

# what other services stored is theirs to delete
_COMPOSED_SOURCES = frozenset({"merges", "splits"})
_OWN_SOURCES = frozenset({"uploads", "generated"}) | _COMPOSED_SOURCES


class ObjectKind(StrEnum):
    """What an object is; whether something still needs it depends on that."""

    PIECE = "piece"  # of an upload
    PART = "part"  # file of a version's part
    ORIGINS = "origins"
    SOURCE = "source"
    REJECTS = "rejects"
    PACK = "pack"


@dataclass(frozen=True, kw_only=True)
class Doomed:
    """An object that must go."""

    uri: str
    kind: ObjectKind


def is_own_source(uri: str) -> bool:
    """Whether this service stored a source."""
    return _folder_of(uri) in _OWN_SOURCES


def is_composed_source(uri: str) -> bool:
    """Whether a source is made of the samples of versions."""
    return _folder_of(uri) in _COMPOSED_SOURCES


def _folder_of(uri: str) -> str:
    """The folder of an object at `<root>/<folder>/<first byte>/<hash><suffix>`."""
    parts = uri.rsplit("/", 3)
    return parts[1] if len(parts) == 4 else ""


def patience(attempts: int) -> timedelta:
    """How long to leave an object alone after so many tries: doubles from a minute to an hour."""
    return min(timedelta(minutes=2 ** min(attempts, 10)), timedelta(hours=1))
