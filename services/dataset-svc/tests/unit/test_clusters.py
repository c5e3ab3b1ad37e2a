"""Near copies and clusters, checked against comparing every pair, and against datasketch's own index."""

import random
from collections.abc import Callable
from functools import partial
from itertools import combinations

import pytest
from datasketch import MinHash, MinHashLSH
from hypothesis import given, settings
from hypothesis import strategies as st

from dataset_svc.domain.candidates import Candidate
from dataset_svc.domain.kept_lines import LinesInMemory
from dataset_svc.domain.likeness import clusters
from dataset_svc.domain.likeness.clusters import RememberedQuestion, Sifted
from dataset_svc.domain.report import Check
from dataset_svc.domain.samples import SplitName, Turn
from loopwright.contracts.datasets import SampleSource

CandidateBuilder = Callable[..., Candidate]
Sift = Callable[..., Sifted]
STEM = "the link of node R{} went down after {} retries and the job was moved to another rack of the machine"


@pytest.fixture(scope="session")
def sift(kept_lines: LinesInMemory) -> Sift:
    return partial(clusters.sift, lines=kept_lines)


def plain_shingles(text: str) -> frozenset[str]:
    text = " ".join(text.casefold().split())
    return frozenset(text[place : place + 5] for place in range(max(1, len(text) - 4)))


def plain_jaccard(one: str, other: str) -> float:
    first, second = plain_shingles(one), plain_shingles(other)
    return len(first & second) / len(first | second)


def kept_ids(sifted: Sifted) -> list[set[str]]:
    return sorted(({sample.sample_id for sample in cluster.samples} for cluster in sifted.clusters), key=min)


def mutated(seed: int, a_candidate: CandidateBuilder, *, count: int = 60) -> list[Candidate]:
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
            a_candidate("".join(text), rng.choice(["alert", "normal"]), sample_id=f"s{place:03}", weight_0_1=weight)
        )
    return samples


def test_a_near_copy_with_the_same_answer_goes_and_the_report_says_why(
    a_candidate: CandidateBuilder, sift: Sift
) -> None:
    first = a_candidate(STEM.format(11, 3), "alert", sample_id="a")
    second = a_candidate(STEM.format(12, 3), "alert", sample_id="b", weight_0_1=0.5)
    sifted = sift([second, first], threshold_0_1=0.8)
    assert kept_ids(sifted) == [{"a"}]
    [drop] = sifted.dropped
    assert (drop.dropped, drop.kept, drop.check) == ("b", "a", Check.NEAR_DUPLICATE)
    assert drop.input_similarity_0_1 == pytest.approx(plain_jaccard(first.question, second.question), abs=1e-4)
    assert drop.answer_similarity_0_1 == 1


def test_a_near_copy_with_another_answer_stays_in_the_same_cluster(a_candidate: CandidateBuilder, sift: Sift) -> None:
    first = a_candidate(STEM.format(11, 3), "alert", sample_id="a")
    second = a_candidate(STEM.format(12, 3), "normal", sample_id="b")
    assert kept_ids(sift([first, second], threshold_0_1=0.8)) == [{"a", "b"}]


def test_the_system_prompt_makes_nothing_alike(a_candidate: CandidateBuilder, sift: Sift) -> None:
    system = Turn(role="system", content="the same long system prompt " * 50)
    samples = [
        a_candidate(question, sample_id=name, messages=(system, Turn("user", question), Turn("assistant", "alert")))
        for name, question in (("a", "disk full"), ("b", "boot done"))
    ]
    assert kept_ids(sift(samples, threshold_0_1=0.5)) == [{"a"}, {"b"}]


def test_a_correction_stays_and_the_rating_goes(a_candidate: CandidateBuilder, sift: Sift) -> None:
    rated = a_candidate(STEM.format(11, 3), "alert", sample_id="a")
    corrected = a_candidate(STEM.format(12, 3), "alert", sample_id="b", source=SampleSource.CORRECTION, weight_0_1=0.1)
    assert kept_ids(sift([rated, corrected], threshold_0_1=0.8)) == [{"b"}]


@pytest.mark.parametrize("threshold", [0.6, 0.75, 0.9])
@pytest.mark.parametrize("seed", range(4))
def test_agrees_with_comparing_every_pair(
    a_candidate: CandidateBuilder, sift: Sift, seed: int, threshold: float
) -> None:
    samples = mutated(seed, a_candidate)
    sifted = sift(samples, threshold_0_1=threshold)
    by_id = {sample.sample_id: sample for sample in samples}
    kept: list[Candidate] = []
    for sample in sorted(samples, key=lambda one: one.preference):
        if not any(near_copies(sample, other, threshold) for other in kept):
            kept.append(sample)
    assert {sample.sample_id for cluster in sifted.clusters for sample in cluster.samples} == {
        sample.sample_id for sample in kept
    }
    for drop in sifted.dropped:
        assert near_copies(by_id[drop.dropped], by_id[drop.kept], threshold)
    assert len(sifted.dropped) == len(samples) - len(kept)
    assert len(sifted.dropped) > 0
    cluster_of = {one.sample_id: number for number, ids in enumerate(kept_ids(sifted)) for one in kept if one.sample_id in ids}  # fmt: skip
    for one, other in combinations(kept, 2):
        if plain_jaccard(one.question, other.question) >= threshold:
            assert cluster_of[one.sample_id] == cluster_of[other.sample_id]


def near_copies(one: Candidate, other: Candidate, threshold: float) -> bool:
    """Answers of `mutated` are equal or quite unlike."""
    alike = plain_jaccard(one.question, other.question) >= threshold
    return alike and one.answer_sha256 == other.answer_sha256


def test_finds_every_true_pair_that_datasketch_finds(
    a_candidate: CandidateBuilder, sift: Sift, kept_lines: LinesInMemory
) -> None:
    samples = [
        sample for sample in mutated(7, a_candidate, count=120) if sample.sample_in(kept_lines).answer == "alert"
    ]
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
def test_order_does_not_matter(a_candidate: CandidateBuilder, sift: Sift, seed: int, rng: random.Random) -> None:
    samples = mutated(seed, a_candidate, count=24)
    shuffled = samples[:]
    rng.shuffle(shuffled)
    one, other = sift(samples, threshold_0_1=0.8), sift(shuffled, threshold_0_1=0.8)
    assert kept_ids(one) == kept_ids(other)
    assert one.dropped == other.dropped


def test_likes_of_a_remembered_question_know_where_it_was(a_candidate: CandidateBuilder, sift: Sift) -> None:
    remembered = [RememberedQuestion(text=STEM.format(11, 3), split=SplitName.HELD_OUT)]
    like, unlike = a_candidate(STEM.format(12, 3), sample_id="a"), a_candidate("boot done", sample_id="b")
    sifted = sift([like, unlike], threshold_0_1=0.8, remembered=remembered)
    known = {cluster.samples[0].sample_id: cluster.remembered for cluster in sifted.clusters}
    assert known == {"a": {SplitName.HELD_OUT}, "b": set()}
    assert sifted.dropped == ()
