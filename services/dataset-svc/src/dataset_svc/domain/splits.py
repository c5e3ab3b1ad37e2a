"""Which cluster goes to which part of a version: what was decided before stays, the rest is decided by hash."""

import hashlib
import math
from collections.abc import Sequence
from dataclasses import dataclass

from dataset_svc.domain.likeness.clusters import Cluster
from dataset_svc.domain.samples import SplitName, same_text

# what is stronger wins where a new question joins clusters of different parts: held out once is held out for ever
_STRENGTH = (SplitName.HELD_OUT, SplitName.VALIDATION, SplitName.TRAIN)


@dataclass(frozen=True, kw_only=True)
class Shares:
    """Parts of all samples that are kept from training."""

    held_out_0_1: float
    validation_0_1: float


@dataclass(frozen=True, kw_only=True)
class Allotment:
    """Clusters by part, and how the exceptions to the plain hash came about, in samples."""

    parts: dict[SplitName, list[Cluster]]
    remembered_samples: int
    topped_up_samples: int


@dataclass(frozen=True, kw_only=True)
class _Placed:
    cluster: Cluster
    point_0_1: float


def joined_by_group(clusters: Sequence[Cluster]) -> list[Cluster]:
    """Clusters with samples of one group (a user, a document) become one, so that no group is on two sides."""
    roots = list(range(len(clusters)))

    def root_of(place: int) -> int:
        while roots[place] != place:
            roots[place] = roots[roots[place]]
            place = roots[place]
        return place

    first_with: dict[str, int] = {}
    for place, cluster in enumerate(clusters):
        for sample in cluster.samples:
            if sample.group is not None:
                one, other = sorted((root_of(place), root_of(first_with.setdefault(sample.group, place))))
                roots[other] = one
    joined: dict[int, Cluster] = {}
    for place, cluster in enumerate(clusters):
        whole = joined.setdefault(root_of(place), Cluster())
        whole.samples += cluster.samples
        whole.remembered |= cluster.remembered
    return list(joined.values())


def allot(clusters: Sequence[Cluster], shares: Shares, *, salt: str) -> Allotment:
    """Places every cluster.

    A cluster's hash is that of its first question in order of hashes, so more samples of the same questions change
    nothing. Small sets can get too little by chance alone: a part with less than half of its share takes the next
    clusters in order of hash until it has its share.

    Args:
        salt: Name of the dataset; other datasets hold out other questions.
    """
    parts: dict[SplitName, list[Cluster]] = {name: [] for name in SplitName}
    free: list[_Placed] = []
    remembered = 0
    for cluster in clusters:
        decided = next((name for name in _STRENGTH if name in cluster.remembered), None)
        if decided is None:
            free.append(_Placed(cluster=cluster, point_0_1=_point(cluster, salt)))
        else:
            parts[decided].append(cluster)
            remembered += len(cluster.samples)
    free.sort(key=lambda placed: placed.point_0_1)
    spare: list[Cluster] = []
    for placed in free:
        name = _part_of(placed.point_0_1, shares)
        (spare if name is SplitName.TRAIN else parts[name]).append(placed.cluster)
    topped_up = _top_up(parts, spare, shares)
    parts[SplitName.TRAIN] += spare
    return Allotment(parts=parts, remembered_samples=remembered, topped_up_samples=topped_up)


def _point(cluster: Cluster, salt: str) -> float:
    digests = (hashlib.sha256(f"{salt}\n{same_text(sample.question)}".encode()).digest() for sample in cluster.samples)
    return int.from_bytes(min(digests)[:8]) / 2**64


def _part_of(point_0_1: float, shares: Shares) -> SplitName:
    if point_0_1 < shares.held_out_0_1:
        return SplitName.HELD_OUT
    if point_0_1 < shares.held_out_0_1 + shares.validation_0_1:
        return SplitName.VALIDATION
    return SplitName.TRAIN


def _top_up(parts: dict[SplitName, list[Cluster]], spare: list[Cluster], shares: Shares) -> int:
    total = _size(spare) + sum(_size(clusters) for clusters in parts.values())
    moved = 0
    for name, share in ((SplitName.HELD_OUT, shares.held_out_0_1), (SplitName.VALIDATION, shares.validation_0_1)):
        wanted = math.ceil(share * total)
        if _size(parts[name]) * 2 >= wanted:
            continue
        while spare and _size(parts[name]) < wanted:
            cluster = spare.pop(0)
            parts[name].append(cluster)
            moved += len(cluster.samples)
    return moved


def _size(clusters: Sequence[Cluster]) -> int:
    return sum(len(cluster.samples) for cluster in clusters)
