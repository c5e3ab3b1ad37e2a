"""Near duplicates of whole sets against comparing every pair: who goes, in whose favour, and what never goes."""

import random
from itertools import combinations

import numpy as np
import pytest
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from dataset_svc.domain.likeness.buckets import link_equal
from dataset_svc.domain.likeness.buffers import NOBODY
from dataset_svc.domain.likeness.minhash import Grams
from dataset_svc.domain.likeness.near_pairs import WALK, Likeness, NearDuplicates, limits_of, near_duplicates

WORDS = [f"{one}{two}" for one in ("sea", "land", "하늘", "바람") for two in range(60)]


def texts_of(seed: int, *, count: int) -> list[str]:
    """Families of texts with a few words changed."""
    rng = random.Random(seed)
    stems = [[rng.choice(WORDS) for _ in range(rng.randrange(1, 50))] for _ in range(count // 5)]
    texts = []
    for _ in range(count):
        words = rng.choice(stems)[:]
        for _ in range(rng.randrange(4)):
            words[rng.randrange(len(words))] = rng.choice(WORDS)
        texts.append(" ".join(words))
    return texts


def plain_jaccard(one: str, other: str, grams: Grams) -> float:
    first, second = (plain_grams(text, grams) for text in (one, other))
    return len(first & second) / len(first | second)


def plain_grams(text: str, grams: Grams) -> set[tuple[str, ...]]:
    units = text.lower().split() if grams > 0 else list(" ".join(text.lower().split()))
    width = abs(grams)
    return {tuple(units[place : place + width]) for place in range(max(1, len(units) - width + 1))}


def clusters_by_hand(texts: list[str], threshold: float, grams: Grams) -> list[int]:
    pairs = [
        pair for pair in combinations(range(len(texts)), 2)
        if plain_jaccard(texts[pair[0]], texts[pair[1]], grams) >= threshold
    ]  # fmt: skip
    ones, others = zip(*pairs, strict=True)
    graph = coo_array((np.ones(len(pairs)), (ones, others)), shape=(len(texts), len(texts)))
    return connected_components(graph, directed=False)[1].tolist()


def best_of(labels: list[int], ranks: list[float]) -> list[int]:
    best: dict[int, int] = {}
    for place in sorted(range(len(labels)), key=lambda one: (ranks[one], one)):
        best.setdefault(labels[place], place)
    return [best[label] for label in labels]


@pytest.mark.parametrize("grams", [Grams.WORDS_3, Grams.CHARACTERS_5])
@pytest.mark.parametrize("seed", range(4))
def test_agrees_with_comparing_every_pair(seed: int, grams: Grams) -> None:
    texts = texts_of(seed, count=150)
    ranks = [random.Random(seed + place).random() for place in range(len(texts))]
    found = near_duplicates(texts, Likeness(threshold_0_1=0.7, grams=grams), ranks=np.array(ranks))
    best = best_of(clusters_by_hand(texts, 0.7, grams), ranks)
    assert found.clusters.tolist() == best
    assert found.dropped.tolist() == [place for place in range(len(texts)) if best[place] != place]
    assert len(found.dropped) > 30


def test_says_in_whose_favour_and_how_alike_they_are() -> None:
    texts = texts_of(5, count=100)
    found = near_duplicates(texts, Likeness(threshold_0_1=0.7))
    for row, kept, through, likeness in zip(found.dropped, found.kept, found.through, found.likeness_0_1, strict=True):
        assert kept not in found.dropped
        assert kept < row
        assert found.clusters[through] == kept
        assert likeness == pytest.approx(plain_jaccard(texts[row], texts[through], Grams.WORDS_3))
        assert likeness >= 0.7


def test_remembered_texts_never_go_and_texts_like_them_do() -> None:
    texts = ["one two three four five six seven", "a b c d e f g h"]
    remembered = ["One two three four five six seven", "one two three four five six  seven", "x y z"]
    found = near_duplicates(texts, Likeness(threshold_0_1=0.7), remembered=remembered)
    assert outcome(found) == [(0, 2)]
    assert found.clusters.tolist() == [2, 1, 2, 2, 4]


def outcome(found: NearDuplicates) -> list[tuple[int, int]]:
    return list(zip(found.dropped.tolist(), found.kept.tolist(), strict=True))


def test_short_and_empty_texts_are_alike_only_when_they_are_the_same() -> None:
    texts = ["yes", "no", "Yes", "", "yes it", " ", "yes it is"]
    assert outcome(near_duplicates(texts, Likeness(threshold_0_1=0.7))) == [(2, 0), (5, 3)]


@pytest.mark.parametrize("texts", [[], ["alone"], ["", "a"]])
def test_sets_without_likes_lose_nothing(texts: list[str]) -> None:
    assert outcome(near_duplicates(texts, Likeness(threshold_0_1=0.7), threads=2)) == []


def test_signatures_alone_may_decide_and_then_estimate() -> None:
    base = [f"w{place}" for place in range(100)]
    changed = [*base[:50], "other", *base[51:]]
    found = near_duplicates([" ".join(base), " ".join(changed)], Likeness(threshold_0_1=0.7, by_signature=True))
    assert outcome(found) == [(1, 0)]
    # 95 of 101 grams in common; five standard errors of 128 permutations
    assert found.likeness_0_1[0] == pytest.approx(95 / 101, abs=0.11)
    assert found.likeness_0_1[0] != pytest.approx(95 / 101, abs=1e-9)


def test_a_crowd_of_equal_texts_ends_in_one() -> None:
    found = near_duplicates(["same words in every row"] * (3 * WALK), Likeness(threshold_0_1=0.7))
    assert found.kept.tolist() == [0] * (3 * WALK - 1)


def test_links_lead_to_the_last_earlier_place_with_the_same_key() -> None:
    keys = np.array([7, 8, 7, 9, 7, 8], dtype=np.uint32)
    links = np.empty(6, dtype=np.int32)
    link_equal(keys, np.full(16, NOBODY, dtype=np.int32), links)
    assert links.tolist() == [-1, -1, 0, -1, 2, 1]


@pytest.mark.parametrize(("threshold", "least"), [(0.0, 0), (0.7, range(50, 70)), (0.9, range(85, 105)), (1.0, 128)])
def test_sketches_rule_out_only_what_is_far_below_the_threshold(threshold: float, least: int | range) -> None:
    matching = limits_of(threshold).least_matching
    assert matching in least if isinstance(least, range) else matching == least
