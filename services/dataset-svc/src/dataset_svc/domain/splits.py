"""Which cluster goes to which part of a version: what was decided before stays, every category fills its share by hash."""

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from dataset_svc.domain.candidates import Candidates, Rows
from dataset_svc.domain.likeness.clusters import Clusters
from dataset_svc.domain.samples import SplitName, sha256_of
from dataset_svc.domain.texts.hashes import sha256s_within

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
    """Samples by part, those of a cluster together.

    Attributes:
        remembered_samples: Placed where earlier versions had put their like.
        strata: Categories that were divided each by itself.
    """

    parts: dict[SplitName, Rows]
    remembered_samples: int
    strata: int


@dataclass(kw_only=True)
class _Stratum:
    """Clusters of one category, by their numbers.

    Attributes:
        sizes: Of all clusters, by number.
        free: Not in any part yet, in order of hash.
        undecided: Samples that no earlier version binds to a part.
        new: Of these, samples of which no earlier version said anything.
        placed: Samples by part.
    """

    sizes: Sequence[int]
    free: list[int] = field(default_factory=list)
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

    @property
    def spare(self) -> int:
        """Samples that train unless a part takes them."""
        return self.samples - self.placed[SplitName.HELD_OUT] - self.placed[SplitName.VALIDATION]

    def take_what_fits(self, part: SplitName, room: float, *, spare: int) -> tuple[list[int], float, int]:
        """Clusters in order of hash that have no more samples than there is room for, and the room that is left.

        Args:
            spare: Samples of all strata that train so far, of which some will; what is left of them comes last.
        """
        taken: list[int] = []
        left: list[int] = []
        before = spare
        for cluster in self.free:
            size = self.sizes[cluster]
            if size <= room + _ROUNDING and size < spare:
                taken.append(cluster)
                room -= size
                spare -= size
            else:
                left.append(cluster)
        self.free = left
        self.placed[part] += before - spare
        return taken, room, spare

    def take(self, part: SplitName, place: int) -> int:
        cluster = self.free.pop(place)
        self.placed[part] += self.sizes[cluster]
        return cluster


def joined_by_group(candidates: Candidates, clusters: Clusters, remembered: Mapping[str, SplitName]) -> Clusters:
    """Clusters with samples of one group (a user, a document) become one, so that no group is on two sides.

    Args:
        remembered: Part that earlier versions put a group into, by SHA-256 of its name.
    """
    first_with: dict[str, int] = {}
    roots = _roots(candidates, clusters, first_with)
    if not first_with:
        return clusters
    _, numbers = np.unique(roots, return_inverse=True)
    known = [*clusters.remembered.items()]
    for group, cluster in first_with.items():
        side = remembered.get(sha256_of(group))
        if side is not None:
            known.append((cluster, frozenset({side})))
    sides: dict[int, frozenset[SplitName]] = {}
    for cluster, some in known:
        number = int(numbers[cluster])
        sides[number] = sides.get(number, frozenset()) | some
    of_samples = numbers[clusters.numbers]
    return Clusters(
        rows=clusters.rows[np.argsort(of_samples, kind="stable")], sizes=np.bincount(of_samples), remembered=sides
    )


def _roots(candidates: Candidates, clusters: Clusters, first_with: dict[str, int]) -> Rows:
    """The first of the clusters that each is joined with; notes the first one with samples of each group."""
    roots = list(range(len(clusters)))

    def root_of(place: int) -> int:
        while roots[place] != place:
            roots[place] = roots[roots[place]]
            place = roots[place]
        return place

    groups = [candidates.groups[row] for row in clusters.rows.tolist()]
    for group, place in zip(groups, clusters.numbers.tolist(), strict=True):
        if group is None:
            continue
        first = first_with.setdefault(group, place)
        if first != place:
            one, other = sorted((root_of(place), root_of(first)))
            roots[other] = one
    for place, root in enumerate(roots):  # roots lie before what they are the roots of
        roots[place] = roots[root]
    return np.array(roots, dtype=np.int64)


def allot(
    candidates: Candidates,
    clusters: Clusters,
    shares: Shares,
    *,
    salt: str,
    binding: frozenset[SplitName] = EVERY_PART,
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
    sizes = clusters.sizes.tolist()
    categories = _categories(candidates, clusters)
    by_category: dict[str, list[int]] = {}
    for cluster in _in_order_of_hash(candidates, clusters, f"{salt}\n".encode()).tolist():
        by_category.setdefault(categories[cluster], []).append(cluster)
    parts: dict[SplitName, list[int]] = {name: [] for name in SplitName}
    found = [_stratum_of(members, sizes, clusters.remembered, binding, parts) for members in by_category.values()]
    remembered = sum(sizes[cluster] for placed in parts.values() for cluster in placed)
    parts[SplitName.HELD_OUT] += _chosen(found, SplitName.HELD_OUT, shares.held_out_0_1)
    parts[SplitName.VALIDATION] += _chosen(found, SplitName.VALIDATION, shares.validation_0_1)
    parts[SplitName.TRAIN] += [cluster for stratum in found for cluster in stratum.free]
    return Allotment(
        parts={name: clusters.rows_of(placed) for name, placed in parts.items()},
        remembered_samples=remembered,
        strata=len(found),
    )


def _stratum_of(
    clusters: list[int],
    sizes: Sequence[int],
    remembered: Mapping[int, frozenset[SplitName]],
    binding: frozenset[SplitName],
    parts: Mapping[SplitName, list[int]],
) -> _Stratum:
    """A stratum of clusters in order of hash; those that earlier decisions bind go to their part at once."""
    stratum = _Stratum(sizes=sizes, free=clusters)
    stratum.samples = stratum.undecided = sum([sizes[cluster] for cluster in clusters])
    said = [cluster for cluster in clusters if cluster in remembered] if remembered else []
    stratum.new = stratum.samples - sum(sizes[cluster] for cluster in said)
    bound = {cluster: sides for cluster in said if (sides := remembered[cluster] & binding)}
    if bound:
        stratum.free = [cluster for cluster in clusters if cluster not in bound]
        for cluster, sides in bound.items():
            decided = next(name for name in _STRENGTH if name in sides)
            stratum.placed[decided] += sizes[cluster]
            stratum.undecided -= sizes[cluster]
            parts[decided].append(cluster)
    return stratum


def _chosen(strata: Sequence[_Stratum], part: SplitName, share_0_1: float) -> list[int]:
    rooms = [stratum.lacks(part, share_0_1) for stratum in strata]
    share = math.ceil(share_0_1 * sum(stratum.samples for stratum in strata) - _ROUNDING)
    wanted = min(share, _placed(strata, part) + math.ceil(sum(room for room in rooms if room > 0) - _ROUNDING))
    chosen: list[int] = []
    lacking: list[tuple[float, _Stratum]] = []
    spare = sum(stratum.spare for stratum in strata)
    for stratum, room in zip(strata, rooms, strict=True):
        taken, left, spare = stratum.take_what_fits(part, room, spare=spare)
        chosen += taken
        lacking.append((left, stratum))
    short = wanted - _placed(strata, part)
    # sorting is stable, and strata are in order of their first cluster's hash
    for left, stratum in sorted(lacking, key=lambda one: -one[0]):
        most = min(2 * short, spare) - 1
        if left <= _ROUNDING or most < 1:
            break
        place = next((at for at, cluster in enumerate(stratum.free) if stratum.sizes[cluster] <= most), None)
        if place is not None:
            chosen.append(stratum.take(part, place))
            short -= stratum.sizes[chosen[-1]]
            spare -= stratum.sizes[chosen[-1]]
    return chosen + _rescued(strata, part, wanted)


def _rescued(strata: Sequence[_Stratum], part: SplitName, wanted: int) -> list[int]:
    """The smallest clusters, for a part that would have less than half of what it should, for all clusters are large."""
    rescued: list[int] = []
    while 2 * _placed(strata, part) < wanted:
        rest = [
            (stratum.sizes[cluster], number, place)
            for number, stratum in enumerate(strata)
            for place, cluster in enumerate(stratum.free)
        ]
        size, number, place = min(rest, default=(0, 0, 0))
        if not size or 2 * size > sum(stratum.spare for stratum in strata):  # training must keep as much
            break
        rescued.append(strata[number].take(part, place))
    return rescued


def _placed(strata: Iterable[_Stratum], part: SplitName) -> int:
    return sum(stratum.placed[part] for stratum in strata)


def _in_order_of_hash(candidates: Candidates, clusters: Clusters, begin: bytes) -> Rows:
    """Clusters by the least hash of a question in them, so that more samples of the same questions change nothing."""
    if not len(clusters):
        return np.zeros(0, dtype=np.int64)
    hashes = candidates.question_hashes[clusters.rows]
    salted = np.hstack((np.broadcast_to(np.frombuffer(begin, dtype=np.uint8), (len(hashes), len(begin))), hashes))
    ends = np.arange(1, len(hashes) + 1) * salted.shape[1]
    points = sha256s_within(salted.tobytes(), ends - salted.shape[1], ends).view(">u8").astype(np.uint64)
    ranks = np.empty(len(points), dtype=np.int64)
    ranks[np.lexsort(points.T[::-1])] = np.arange(len(points))
    return np.argsort(np.minimum.reduceat(ranks, clusters.firsts))


def _categories(candidates: Candidates, clusters: Clusters) -> list[str]:
    """Of each cluster the one that most of its samples have, of several the first by name."""
    of_rows, rows = candidates.categories, clusters.rows.tolist()
    firsts = clusters.firsts.tolist()
    found = [of_rows[rows[first]] or _NO_CATEGORY for first in firsts]
    for cluster in np.flatnonzero(clusters.sizes > 1).tolist():
        first = firsts[cluster]
        members = rows[first : first + int(clusters.sizes[cluster])]
        counts = Counter(of_rows[row] or _NO_CATEGORY for row in members)
        found[cluster] = min(counts, key=lambda name: (-counts[name], name))
    return found
