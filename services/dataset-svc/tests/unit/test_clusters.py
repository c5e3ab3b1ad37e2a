"""Near copies and clusters, checked against comparing every pair, and against datasketch's own index."""

import random
from collections.abc import Callable, Mapping, Sequence
from itertools import combinations
from typing import NamedTuple

import numpy as np
import pytest
from candidate_rows import KEPT, all_rows, candidates, ids_of
from datasketch import MinHash, MinHashLSH
from hypothesis import given, settings
from hypothesis import strategies as st

from dataset_svc.domain.likeness import clusters
from dataset_svc.domain.likeness.clusters import Clusters, RememberedQuestion
from dataset_svc.domain.report import Check, DroppedDuplicate
from dataset_svc.domain.samples import Sample, SplitName, Turn
from loopwright.contracts.datasets import SampleSource

SampleBuilder = Callable[..., Sample]
HELD_OUT, VALIDATION, TRAIN = SplitName.HELD_OUT, SplitName.VALIDATION, SplitName.TRAIN
STEM = "the link of node R{} went down after {} retries and the job was moved to another rack of the machine"


class Outcome(NamedTuple):
    """Ids of each cluster, and by them where its questions were; the cluster of the least id comes first."""

    kept: list[set[str]]
    remembered: list[frozenset[SplitName]]
    dropped: tuple[DroppedDuplicate, ...]


def sift(
    samples: Sequence[Sample], *, threshold_0_1: float, remembered: Mapping[str, SplitName] | None = None
) -> Outcome:
    table = candidates(*samples)
    questions = [RememberedQuestion(text=text, split=split) for text, split in (remembered or {}).items()]
    sifted = clusters.sift(table, all_rows(table), KEPT, threshold_0_1=threshold_0_1, remembered=questions)
    found = sifted.clusters
    assert set(found.remembered) <= set(range(len(found)))
    wholes = [
        (set(ids_of(table, found.rows_of([number]))), found.remembered.get(number, frozenset()))
        for number in range(len(found))
    ]
    kept, sides = zip(*sorted(wholes, key=lambda one: min(one[0])), strict=True)
    return Outcome([*kept], [*sides], sifted.dropped)


def plain_shingles(text: str) -> frozenset[str]:
    text = " ".join(text.casefold().split())
    return frozenset(text[place : place + 5] for place in range(max(1, len(text) - 4)))


def plain_jaccard(one: str, other: str) -> float:
    first, second = plain_shingles(one), plain_shingles(other)
    return len(first & second) / len(first | second)


def mutated(seed: int, a_sample: SampleBuilder, *, count: int = 60) -> list[Sample]:
    """Families of texts with a few characters changed; answers from a small set."""
    rng = random.Random(seed)
    stems = [STEM.format(rng.randrange(99), rng.randrange(9)) for _ in range(count // 6)]
    samples = []
    for place in range(count):
        text = list(rng.choice(stems))
        for _ in range(rng.randrange(4)):
            text[rng.randrange(len(text))] = rng.choice("abc ")
        weight = rng.choice([0.25, 0.5, 1.0])
        samples.append(
            a_sample("".join(text), rng.choice(["alert", "normal"]), sample_id=f"s{place:03}", weight_0_1=weight)
        )
    return samples


def test_a_near_copy_with_the_same_answer_goes_and_the_report_says_why(a_sample: SampleBuilder) -> None:
    first = a_sample(STEM.format(11, 3), "alert", sample_id="a")
    second = a_sample(STEM.format(12, 3), "alert", sample_id="b", weight_0_1=0.5)
    sifted = sift([second, first], threshold_0_1=0.8)
    assert sifted.kept == [{"a"}]
    [drop] = sifted.dropped
    assert (drop.dropped, drop.kept, drop.check) == ("b", "a", Check.NEAR_DUPLICATE)
    assert drop.input_similarity_0_1 == pytest.approx(plain_jaccard(first.question, second.question), abs=1e-4)
    assert drop.answer_similarity_0_1 == 1


def test_a_near_copy_with_another_answer_stays_in_the_same_cluster(a_sample: SampleBuilder) -> None:
    first = a_sample(STEM.format(11, 3), "alert", sample_id="a")
    second = a_sample(STEM.format(12, 3), "normal", sample_id="b")
    assert sift([first, second], threshold_0_1=0.8).kept == [{"a", "b"}]


def test_the_system_prompt_makes_nothing_alike(a_sample: SampleBuilder) -> None:
    system = Turn(role="system", content="the same long system prompt " * 50)
    samples = [
        a_sample(question, sample_id=name, messages=(system, Turn("user", question), Turn("assistant", "alert")))
        for name, question in (("a", "disk full"), ("b", "boot done"))
    ]
    assert sift(samples, threshold_0_1=0.5).kept == [{"a"}, {"b"}]


def test_a_correction_stays_and_the_rating_goes(a_sample: SampleBuilder) -> None:
    rated = a_sample(STEM.format(11, 3), "alert", sample_id="a")
    corrected = a_sample(STEM.format(12, 3), "alert", sample_id="b", source=SampleSource.CORRECTION, weight_0_1=0.1)
    assert sift([rated, corrected], threshold_0_1=0.8).kept == [{"b"}]


@pytest.mark.parametrize("threshold", [0.6, 0.75, 0.9])
@pytest.mark.parametrize("seed", range(4))
def test_agrees_with_comparing_every_pair(a_sample: SampleBuilder, seed: int, threshold: float) -> None:
    samples = mutated(seed, a_sample)
    sifted = sift(samples, threshold_0_1=threshold)
    by_id = {sample.sample_id: sample for sample in samples}
    kept: list[Sample] = []
    for sample in sorted(samples, key=lambda one: one.preference):
        if not any(near_copies(sample, other, threshold) for other in kept):
            kept.append(sample)
    assert set().union(*sifted.kept) == {sample.sample_id for sample in kept}
    for drop in sifted.dropped:
        assert near_copies(by_id[drop.dropped], by_id[drop.kept], threshold)
    assert len(sifted.dropped) == len(samples) - len(kept)
    assert len(sifted.dropped) > 0
    cluster_of = {one.sample_id: number for number, ids in enumerate(sifted.kept) for one in kept if one.sample_id in ids}  # fmt: skip
    for one, other in combinations(kept, 2):
        if plain_jaccard(one.question, other.question) >= threshold:
            assert cluster_of[one.sample_id] == cluster_of[other.sample_id]


def near_copies(one: Sample, other: Sample, threshold: float) -> bool:
    """Answers of `mutated` are equal or quite unlike."""
    alike = plain_jaccard(one.question, other.question) >= threshold
    return alike and one.answer == other.answer


def test_finds_every_true_pair_that_datasketch_finds(a_sample: SampleBuilder) -> None:
    samples = [sample for sample in mutated(7, a_sample, count=120) if sample.answer == "alert"]
    lsh = MinHashLSH(threshold=0.7, num_perm=128)
    sketches = {}
    for sample in samples:
        sketch = MinHash(num_perm=128)
        sketch.update_batch([shingle.encode() for shingle in plain_shingles(sample.question)])
        sketches[sample.sample_id] = sketch
        lsh.insert(sample.sample_id, sketch)
    dropped = {drop.dropped for drop in sift(samples, threshold_0_1=0.7).dropped}
    by_id = {sample.sample_id: sample for sample in samples}
    pairs = 0
    for sample in samples:
        for other in lsh.query(sketches[sample.sample_id]):
            if other != sample.sample_id and plain_jaccard(sample.question, by_id[other].question) >= 0.7:
                pairs += 1
                assert sample.sample_id in dropped or other in dropped
    assert pairs > 50


@given(st.integers(0, 10_000), st.randoms(use_true_random=False))
@settings(max_examples=20, deadline=None)
def test_order_does_not_matter(a_sample: SampleBuilder, seed: int, rng: random.Random) -> None:
    samples = mutated(seed, a_sample, count=24)
    shuffled = samples[:]
    rng.shuffle(shuffled)
    assert sift(samples, threshold_0_1=0.8) == sift(shuffled, threshold_0_1=0.8)


def test_only_the_rows_that_are_asked_for_take_part_whatever_their_order(a_sample: SampleBuilder) -> None:
    table = candidates(*(a_sample(STEM.format(11 + place, 3), sample_id=f"s{place}") for place in range(4)))
    for rows in ([3, 1], [1, 3]):
        sifted = clusters.sift(table, np.array(rows), KEPT, threshold_0_1=0.8)
        assert ids_of(table, sifted.clusters.rows) == ["s1"]
        assert [(drop.dropped, drop.kept) for drop in sifted.dropped] == [("s3", "s1")]


def test_of_no_rows_there_are_no_clusters(a_sample: SampleBuilder) -> None:
    question = RememberedQuestion(text="disk full", split=HELD_OUT)
    none = np.zeros(0, dtype=np.int64)
    sifted = clusters.sift(candidates(a_sample()), none, KEPT, threshold_0_1=0.8, remembered=[question])
    assert (len(sifted.clusters), sifted.clusters.remembered, sifted.dropped) == (0, {}, ())


class TestRemembered:
    def test_likes_of_a_remembered_question_know_where_it_was(self, a_sample: SampleBuilder) -> None:
        like, unlike = a_sample(STEM.format(12, 3), sample_id="a"), a_sample("boot done", sample_id="b")
        sifted = sift([like, unlike], threshold_0_1=0.8, remembered={STEM.format(11, 3): HELD_OUT})
        assert sifted == Outcome([{"a"}, {"b"}], [frozenset({HELD_OUT}), frozenset()], ())

    def test_a_question_that_is_like_no_sample_decides_nothing(self, a_sample: SampleBuilder) -> None:
        samples = [
            a_sample(STEM.format(12, 3), "alert", sample_id="a"), a_sample(STEM.format(13, 3), "normal", sample_id="b"),
            a_sample("boot done", sample_id="c"),
        ]  # fmt: skip
        # the first two are like each other, and come before all others
        gone = {"a word of nobody " * 5: HELD_OUT, "a word of nobody " * 5 + "at all": TRAIN, "unlike all": VALIDATION}
        assert sift(samples, threshold_0_1=0.8, remembered=gone) == sift(samples, threshold_0_1=0.8)
        known = gone | {"boot done": TRAIN}
        assert sift(samples, threshold_0_1=0.8, remembered=known).remembered == [frozenset(), {TRAIN}]

    def test_of_several_that_are_like_each_other_and_a_sample_all_count(self, a_sample: SampleBuilder) -> None:
        samples = [
            a_sample("boot done", sample_id="a"),
            a_sample(STEM.format(11, 3), "alert", sample_id="b"), a_sample(STEM.format(12, 3), "normal", sample_id="c"),
        ]  # fmt: skip
        known = {STEM.format(11, 3): HELD_OUT, STEM.format(13, 3): TRAIN, STEM.format(14, 3): TRAIN}
        sifted = sift(samples, threshold_0_1=0.8, remembered=known)
        assert sifted == Outcome([{"a"}, {"b", "c"}], [frozenset(), frozenset({HELD_OUT, TRAIN})], ())

    def test_a_copy_that_goes_leaves_what_is_remembered_to_the_one_that_stays(self, a_sample: SampleBuilder) -> None:
        better, worse = (a_sample(STEM.format(11, 3 + place), sample_id="ab"[place]) for place in range(2))
        sifted = sift([worse, better], threshold_0_1=0.8, remembered={worse.question: VALIDATION})
        assert (sifted.kept, sifted.remembered) == ([{"a"}], [{VALIDATION}])
        assert [drop.dropped for drop in sifted.dropped] == ["b"]


class TestClusters:
    @given(st.lists(st.integers(1, 4), max_size=8), st.randoms(use_true_random=False))
    def test_rows_of_some_clusters_come_in_the_order_in_which_these_are_given(
        self, sizes: list[int], rng: random.Random
    ) -> None:
        rows = rng.sample(range(100), sum(sizes))
        made = Clusters(rows=np.array(rows, dtype=np.int64), sizes=np.array(sizes, dtype=np.int64), remembered={})
        wholes = [rows[sum(sizes[:number]) : sum(sizes[: number + 1])] for number in range(len(sizes))]
        chosen = rng.sample(range(len(sizes)), rng.randint(0, len(sizes)))
        assert made.rows_of(chosen).tolist() == [row for number in chosen for row in wholes[number]]
        assert made.numbers.tolist() == [number for number, size in enumerate(sizes) for _ in range(size)]
        assert made.firsts.tolist() == [sum(sizes[:number]) for number in range(len(sizes))]
