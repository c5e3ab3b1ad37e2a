"""Which cluster goes to which part of a version: what was decided before stays, every category fills its share by hash."""

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice

from dataset_svc.domain.likeness.clusters import Cluster
from dataset_svc.domain.samples import SplitName, sha256_of
from dataset_svc.domain.texts.hashes import sha256s

# what is stronger wins where a new question joins clusters of different parts: held out once is held out for ever
_STRENGTH = (SplitName.HELD_OUT, SplitName.VALIDATION, SplitName.TRAIN)
EVERY_PART = frozenset(SplitName)
_NO_CATEGORY = ""
_ROUNDING = 1e-9  # 0.07 * 100 is a little more than 7


@dataclass(frozen=True, kw_only=True)
class Shares:
    """Parts of all samples that are kept from training."""

    held_out_0_1: float
    validation_0_1: float


@dataclass(frozen=True, kw_only=True)
class Allotment:
    """Clusters by part.

    Attributes:
        remembered_samples: Placed where earlier versions had put their like.
        strata: Categories that were divided each by itself.
    """

    parts: dict[SplitName, list[Cluster]]
    remembered_samples: int
    strata: int


@dataclass(kw_only=True)
class _Stratum:
    """Clusters of one category.

    Attributes:
        free: Not in any part yet, in order of hash.
        undecided: Samples that no earlier version binds to a part.
        new: Of these, samples of which no earlier version said anything.
        placed: Samples by part.
    """

    free: list[Cluster] = field(default_factory=list)
    samples: int = 0
    undecided: int = 0
    new: int = 0
    placed: dict[SplitName, int] = field(default_factory=lambda: dict.fromkeys(SplitName, 0))

    def lacks(self, part: SplitName, share_0_1: float) -> float:
        """Samples that a part should get of those that are not decided.

        Where earlier versions put more into the part than its share, new samples give half a share all the same: a part
        that holds nothing new says nothing of what is new. Where they put less, no more than two shares make up for it,
        for what is new must be learned from as well.
        """
        missing = share_0_1 * self.samples - self.placed[part]
        return min(max(missing, share_0_1 * self.new / 2), 2 * share_0_1 * self.undecided)

    def take_what_fits(self, part: SplitName, room: float, *, spare: int) -> tuple[list[Cluster], float]:
        """Clusters in order of hash that have no more samples than there is room for, and the room that is left.

        Args:
            spare: Samples of all strata that train so far; some will.
        """
        taken: list[Cluster] = []
        left: list[Cluster] = []
        for cluster in self.free:
            size = len(cluster.samples)
            if size <= room + _ROUNDING and size < spare:
                taken.append(cluster)
                room -= size
                spare -= size
            else:
                left.append(cluster)
        self.free = left
        self.placed[part] += _size(taken)
        return taken, room

    def take(self, part: SplitName, place: int) -> Cluster:
        cluster = self.free.pop(place)
        self.placed[part] += len(cluster.samples)
        return cluster


def joined_by_group(clusters: Sequence[Cluster], remembered: Mapping[str, SplitName]) -> list[Cluster]:
    """Clusters with samples of one group (a user, a document) become one, so that no group is on two sides.

    Args:
        remembered: Part that earlier versions put a group into, by SHA-256 of its name.
    """
    first_with: dict[str, int] = {}
    roots = _roots(clusters, first_with)
    if not first_with:
        return list(clusters)
    joined: dict[int, Cluster] = {}
    for root, cluster in zip(roots, clusters, strict=True):
        whole = joined.setdefault(root, Cluster())
        whole.samples += cluster.samples
        whole.remembered |= cluster.remembered
    for group, place in first_with.items():
        side = remembered.get(sha256_of(group))
        if side is not None:
            joined[roots[place]].remembered |= {side}
    return list(joined.values())


def _roots(clusters: Sequence[Cluster], first_with: dict[str, int]) -> list[int]:
    """The first of the clusters that each is joined with; notes the first one with samples of each group."""
    roots = list(range(len(clusters)))

    def root_of(place: int) -> int:
        while roots[place] != place:
            roots[place] = roots[roots[place]]
            place = roots[place]
        return place

    for place, cluster in enumerate(clusters):
        for sample in cluster.samples:
            if sample.group is None:
                continue
            first = first_with.setdefault(sample.group, place)
            if first != place:
                one, other = sorted((root_of(place), root_of(first)))
                roots[other] = one
    for place, root in enumerate(roots):  # roots lie before what they are the roots of
        roots[place] = roots[root]
    return roots


def allot(
    clusters: Iterable[Cluster], shares: Shares, *, salt: str, binding: frozenset[SplitName] = EVERY_PART
) -> Allotment:
    """Places every cluster; the order of clusters and of their samples changes nothing.

    A stratum is the category that most samples of a cluster have. Each gives a part what fits into its share in order
    of hash, which hardly changes as the set grows; then the strata that lack most (largest remainders) give one cluster
    more while that brings the whole nearer to its share. Without earlier decisions the whole misses its share by no more
    than half a cluster and a sample, and a stratum its own by less than a cluster. Where clusters are so large that a
    part would be half empty, it gets the smallest.

    Args:
        salt: Name of the dataset; other datasets hold out other questions.
        binding: Parts whose earlier decisions hold; what was in another part is placed anew.
    """
    given = list(clusters)
    points = _points(given, f"{salt}\n".encode())
    ordered = [given[place] for place in sorted(range(len(given)), key=points.__getitem__)]
    by_category: dict[str, list[Cluster]] = {}
    for category, cluster in zip(map(_category_of, ordered), ordered, strict=True):
        by_category.setdefault(category, []).append(cluster)
    parts: dict[SplitName, list[Cluster]] = {name: [] for name in SplitName}
    found = [_stratum_of(members, binding, parts) for members in by_category.values()]
    remembered = sum(_size(placed) for placed in parts.values())
    parts[SplitName.HELD_OUT] += _chosen(found, SplitName.HELD_OUT, shares.held_out_0_1)
    parts[SplitName.VALIDATION] += _chosen(found, SplitName.VALIDATION, shares.validation_0_1)
    parts[SplitName.TRAIN] += [cluster for stratum in found for cluster in stratum.free]
    return Allotment(parts=parts, remembered_samples=remembered, strata=len(found))


def _stratum_of(
    clusters: list[Cluster], binding: frozenset[SplitName], parts: Mapping[SplitName, list[Cluster]]
) -> _Stratum:
    """A stratum of clusters in order of hash; those that earlier decisions bind go to their part at once."""
    stratum = _Stratum(free=clusters, samples=_size(clusters))
    said = [cluster for cluster in clusters if cluster.remembered]
    stratum.undecided, stratum.new = stratum.samples, stratum.samples - _size(said)
    if any(cluster.remembered & binding for cluster in said):
        stratum.free = []
        for cluster in clusters:
            bound = cluster.remembered & binding
            if not bound:
                stratum.free.append(cluster)
                continue
            decided = next(name for name in _STRENGTH if name in bound)
            stratum.placed[decided] += len(cluster.samples)
            stratum.undecided -= len(cluster.samples)
            parts[decided].append(cluster)
    return stratum


def _chosen(strata: Sequence[_Stratum], part: SplitName, share_0_1: float) -> list[Cluster]:
    rooms = [stratum.lacks(part, share_0_1) for stratum in strata]
    share = math.ceil(share_0_1 * sum(stratum.samples for stratum in strata) - _ROUNDING)
    wanted = min(share, _placed(strata, part) + math.ceil(sum(room for room in rooms if room > 0) - _ROUNDING))
    chosen: list[Cluster] = []
    lacking: list[tuple[float, _Stratum]] = []
    spare = _spare(strata)
    for stratum, room in zip(strata, rooms, strict=True):
        taken, left = stratum.take_what_fits(part, room, spare=spare)
        chosen += taken
        spare -= _size(taken)
        lacking.append((left, stratum))
    short = wanted - _placed(strata, part)
    # sorting is stable, and strata are in order of their first cluster's hash
    for left, stratum in sorted(lacking, key=lambda one: -one[0]):
        most = min(2 * short, spare) - 1
        if left <= _ROUNDING or most < 1:
            break
        place = next((at for at, cluster in enumerate(stratum.free) if len(cluster.samples) <= most), None)
        if place is not None:
            chosen.append(stratum.take(part, place))
            short -= len(chosen[-1].samples)
            spare -= len(chosen[-1].samples)
    return chosen + _rescued(strata, part, wanted)


def _rescued(strata: Sequence[_Stratum], part: SplitName, wanted: int) -> list[Cluster]:
    """The smallest clusters, for a part that would have less than half of what it should, for all clusters are large."""
    rescued: list[Cluster] = []
    while 2 * _placed(strata, part) < wanted:
        rest = [
            (len(cluster.samples), number, place)
            for number, stratum in enumerate(strata)
            for place, cluster in enumerate(stratum.free)
        ]
        size, number, place = min(rest, default=(0, 0, 0))
        if not size or 2 * size > _spare(strata):  # training must keep as much
            break
        rescued.append(strata[number].take(part, place))
    return rescued


def _placed(strata: Iterable[_Stratum], part: SplitName) -> int:
    return sum(stratum.placed[part] for stratum in strata)


def _spare(strata: Iterable[_Stratum]) -> int:
    """Samples that train unless a part takes them."""
    return sum(_size(stratum.free) + stratum.placed[SplitName.TRAIN] for stratum in strata)


def _points(clusters: Sequence[Cluster], begin: bytes) -> list[bytes]:
    """Hash of each first question in order of hashes, so that more samples of the same questions change nothing."""
    sizes = [len(cluster.samples) for cluster in clusters]
    hashes = iter(sha256s([begin + one.question_sha256 for cluster in clusters for one in cluster.samples]))
    return [next(hashes) if size == 1 else min(islice(hashes, size)) for size in sizes]


def _category_of(cluster: Cluster) -> str:
    if len(cluster.samples) == 1:  # the rule, and by far faster
        return cluster.samples[0].category or _NO_CATEGORY
    counts = Counter(sample.category or _NO_CATEGORY for sample in cluster.samples)
    return min(counts, key=lambda name: (-counts[name], name))


def _size(clusters: Iterable[Cluster]) -> int:
    return sum([len(cluster.samples) for cluster in clusters])
