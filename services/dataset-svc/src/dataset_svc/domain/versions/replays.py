"""Which samples of an earlier version are learned again beside new ones: the same share of every category, by hash."""

from collections.abc import Sequence

import msgspec
import numpy as np

from dataset_svc.domain.samples import decode
from dataset_svc.domain.versions.row_hashes import Spans, Words

_ODD = np.uint64(0x9E3779B97F4A7C15)  # golden ratio in 64 bits (Knuth, multiplicative hashing)


class _Categorised(msgspec.Struct):
    source: str = ""
    category: str | None = None


_categorised = msgspec.json.Decoder(_Categorised)


def category_of(line: bytes) -> str:
    """The category that a line names; where it names none, where it was learned from."""
    said = _categorised.decode(line)
    return said.category or said.source


def choose_replays(ids: Words, categories: Sequence[str], *, share_0_1: float, seed: int) -> Spans:
    """Rows to replay, ascending: the share of each category, remainders to those that lost most by rounding down.

    A sample's rank follows from its id and the seed, so what is chosen hardly changes as the set grows, and a larger
    share chooses what a smaller one chose and more.

    Args:
        ids: Hashes of sample ids `[rows, 2]`.
        categories: Category of each row.
    """
    names, codes = np.unique(np.array(categories, dtype=object), return_inverse=True)
    sizes = np.bincount(codes, minlength=len(names))
    quotas = _quotas(sizes, share_0_1)
    ranks = _ranks(ids, seed)
    order = np.lexsort((ids[:, 1], ranks, codes))
    firsts = np.concatenate(([0], np.cumsum(sizes)[:-1])) if len(names) else sizes
    chosen = [order[first : first + quota] for first, quota in zip(firsts, quotas, strict=True)]
    return np.sort(np.concatenate([np.empty(0, dtype=np.int64), *chosen]))


def preferred(one: bytes, other: bytes) -> bytes:
    """Of two lines of one sample id the one that the builder would prefer; the first if it has no preference."""
    first, second = decode(one), decode(other)
    return other if second.preference < first.preference else one


def _quotas(sizes: Spans, share_0_1: float) -> Spans:
    """Largest remainders (Hamilton), ties to the first category in order of name."""
    exact = sizes * share_0_1
    quotas = np.floor(exact).astype(np.int64)
    short = round(float(exact.sum())) - int(quotas.sum())
    quotas[np.argsort(quotas - exact, kind="stable")[:short]] += 1
    return np.minimum(quotas, sizes)


def _ranks(ids: Words, seed: int) -> Words:
    salt = np.uint64((seed * int(_ODD)) & 0xFFFF_FFFF_FFFF_FFFF)
    mixed = (ids[:, 0] ^ salt) * _ODD
    return (mixed ^ (mixed >> np.uint64(32))) * _ODD
