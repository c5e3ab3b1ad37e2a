"""Near duplicates of whole sets: buckets of equal band keys, candidates checked one by one, clusters, the best one stays.

Locality-sensitive hashing as in Leskovec et al., Mining of Massive Datasets, chapter 3, over arrays instead of dictionaries.
"""

import math
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from dataset_svc.domain.likeness import buckets, kernels
from dataset_svc.domain.likeness.buffers import NOBODY, Groups, Limits, Side, Texts
from dataset_svc.domain.likeness.minhash import Grams, Strings, one_after_the_other, packed, sketches_of, taken
from dataset_svc.domain.likeness.similarity import banding

Rows = NDArray[np.int64]
WALK: Final = 512  # members of one bucket that a text is compared with; a crowd of unlike texts costs no more than that
_SURELY: Final = 1e-9  # chance that a pair at the threshold looks so unlike by its sketches that it is not compared


@dataclass(frozen=True, kw_only=True)
class Likeness:
    """When texts are near duplicates.

    Attributes:
        threshold_0_1: Least Jaccard index of their grams.
        by_signature: Whether the estimate from 128 permutations decides instead of the true index.
        missed_0_1: Share of pairs exactly at the threshold that may be overlooked; of more alike ones fewer are.
    """

    threshold_0_1: float
    grams: Grams = Grams.WORDS_3
    by_signature: bool = False
    missed_0_1: float = 0.01


@dataclass(frozen=True, kw_only=True)
class NearDuplicates:
    """Which texts went and why. Remembered texts count on from the last text, and are never among the dropped.

    Attributes:
        dropped: Texts that went, ascending.
        kept: For each, the best text of its cluster, which stays.
        through: For each, the most like text that was found, by which it belongs to the cluster; often `kept` itself.
        likeness_0_1: For each, its Jaccard index with `through`.
        clusters: For every text and remembered text the best text of its cluster; those without a like are their own.
    """

    dropped: Rows
    kept: Rows
    through: Rows
    likeness_0_1: NDArray[np.float64]
    clusters: Rows


@dataclass(frozen=True, kw_only=True)
class Crowd:
    """The places that share a bucket with others, and the chains between them.

    Attributes:
        places: [members], ascending.
        links: [bands, members], for each the last earlier member of its bucket as an index into `places`; -1 ends it.
    """

    places: Rows
    links: NDArray[np.int32]


def near_duplicates(
    texts: Strings,
    likeness: Likeness,
    *,
    ranks: NDArray[np.float64] | None = None,
    remembered: Strings = (),
    threads: int = 1,
) -> NearDuplicates:
    """Clusters of texts that are alike, directly or through others, of which the best one stays.

    Args:
        ranks: [texts], lower is better; equal ones and None: the first is the best.
        remembered: Texts of other sets; they are better than any text and never go.
    """
    own, known = packed(texts, threads=threads), packed(remembered, threads=threads)
    order = _best_first(len(own.starts), len(known.starts), ranks)
    both = one_after_the_other(own, known)
    bands = banding(likeness.threshold_0_1, missed_0_1=likeness.missed_0_1)
    sketches = sketches_of(both, likeness.grams, bands=bands, threads=threads)
    crowd = crowd_of(sketches.band_keys, order, threads=threads)
    rows = order[crowd.places]
    side = side_of(taken(both, rows), sketches.low_bytes[rows], likeness.grams)
    groups = groups_of(len(rows))
    limits = limits_of(likeness.threshold_0_1, trust_sketches=likeness.by_signature)
    kernels.join_alike(side, crowd.links, limits, groups)
    return _outcome(groups, rows, texts=len(own.starts), total=len(order))


def crowd_of(keys: NDArray[np.uint32], order: Rows | None = None, *, threads: int = 1) -> Crowd:
    """Chains of equal keys in order of preference.

    Args:
        keys: [bands, texts]; overwritten.
        order: Texts by place; None where places are texts already.
    """
    places = keys.shape[1]
    slots = 1 << max(4, (2 * places).bit_length())
    links = keys.view(np.int32)

    def link(band: int) -> NDArray[np.bool_]:
        table = np.full(slots, NOBODY, dtype=np.int32)
        row = np.empty(places, dtype=np.int32)
        buckets.link_equal(keys[band] if order is None else keys[band][order], table, row)
        links[band] = row
        crowded = row != NOBODY
        crowded[row[crowded]] = True
        return crowded

    with ThreadPoolExecutor(threads) as pool:
        crowded = np.zeros(places, dtype=np.bool_)
        for members in pool.map(link, range(len(keys))):
            crowded |= members
    chosen = np.flatnonzero(crowded)
    # one more for -1, the end of a chain, which stays -1
    number = np.full(places + 1, NOBODY, dtype=np.int32)
    number[chosen] = np.arange(len(chosen), dtype=np.int32)
    compact = np.empty((len(keys), len(chosen)), dtype=np.int32)
    for band, row in enumerate(links):
        compact[band] = number[row[chosen]]
    return Crowd(places=chosen, links=compact)


def side_of(texts: Texts, sketches: NDArray[np.uint8], grams: Grams) -> Side:
    """Texts and their sketches [texts, 128] with the room that comparing them takes."""
    longest = int((texts.stops - texts.starts).max(initial=0)) + 1
    slots = 1 << max(4, (4 * longest).bit_length())
    return Side(
        texts=texts,
        sketches=np.ascontiguousarray(sketches),
        width=int(grams),
        scratch=kernels.scratch_for(texts, 0, len(texts.starts)),
        grams=np.empty(slots, dtype=np.uint64),
        stamps=np.zeros(slots, dtype=np.int64),
        clock=np.zeros(1, dtype=np.int64),
    )


def groups_of(places: int) -> Groups:
    """Every place alone."""
    return Groups(
        parents=np.arange(places, dtype=np.int32),
        through=np.full(places, NOBODY, dtype=np.int32),
        likeness=np.zeros(places),
        answer_likeness=np.zeros(places),
        gone=np.zeros(places, dtype=np.bool_),
        seen=np.full(places, NOBODY, dtype=np.int32),
        met=np.full(places, NOBODY, dtype=np.int32),
    )


def limits_of(threshold_0_1: float, *, trust_sketches: bool = False) -> Limits:
    """The threshold, and the fewest equal bytes of two sketches at which the true index may still reach it."""
    equal_0_1 = threshold_0_1 + (1 - threshold_0_1) / 256
    least, tail = 0, 0.0
    while least < kernels.PERMUTATIONS:
        chance = (
            math.comb(kernels.PERMUTATIONS, least)
            * equal_0_1**least
            * (1 - equal_0_1) ** (kernels.PERMUTATIONS - least)
        )
        tail += chance
        if tail > _SURELY:
            break
        least += 1
    return Limits(threshold_0_1=threshold_0_1, least_matching=least, walk=WALK, trust_sketches=trust_sketches)


def roots_of(parents: NDArray[np.int32]) -> Rows:
    """The root of every place; a root comes before all others of its group."""
    roots = parents.astype(np.int64)
    while not np.array_equal(roots[roots], roots):
        roots = roots[roots]
    return roots


def _best_first(texts: int, remembered: int, ranks: NDArray[np.float64] | None) -> Rows:
    own = np.arange(texts) if ranks is None else np.argsort(ranks, kind="stable")
    return np.concatenate((np.arange(texts, texts + remembered), own))


def _outcome(groups: Groups, rows: Rows, *, texts: int, total: int) -> NearDuplicates:
    clusters = np.arange(total)
    best = rows[roots_of(groups.parents)]
    clusters[rows] = best
    gone = np.flatnonzero((best != rows) & (rows < texts))
    gone = gone[np.argsort(rows[gone])]
    return NearDuplicates(
        dropped=rows[gone],
        kept=best[gone],
        through=rows[groups.through[gone]],
        likeness_0_1=groups.likeness[gone],
        clusters=clusters,
    )
