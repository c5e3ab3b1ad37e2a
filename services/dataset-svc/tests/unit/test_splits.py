"""Clusters go where they were, else every category fills its shares in order of hash, and no part starves by chance."""

import random
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable
from itertools import count

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from dataset_svc.domain.candidates import Candidate
from dataset_svc.domain.likeness.clusters import Cluster
from dataset_svc.domain.samples import SplitName, sha256_of
from dataset_svc.domain.splits import Allotment, Shares, allot, joined_by_group

CandidateBuilder = Callable[..., Candidate]
SHARES = Shares(held_out_0_1=0.2, validation_0_1=0.1)
HELD_OUT, VALIDATION, TRAIN = SplitName.HELD_OUT, SplitName.VALIDATION, SplitName.TRAIN
# (category, samples) of each cluster
CLUSTERS = st.lists(st.tuples(st.sampled_from([None, "a", "b", "c"]), st.integers(1, 6)), max_size=80)
ANY_SHARES = st.tuples(st.floats(0, 0.6), st.floats(0, 0.35)).map(
    lambda pair: Shares(held_out_0_1=pair[0], validation_0_1=pair[1])
)


def clusters_of(a_candidate: CandidateBuilder, made_of: Iterable[tuple[str | None, int]]) -> list[Cluster]:
    return [
        Cluster(
            samples=[a_candidate(f"question {number}", f"answer {place}", category=category) for place in range(size)]
        )
        for number, (category, size) in enumerate(made_of)
    ]


def alike(a_candidate: CandidateBuilder, *sizes: int) -> list[Cluster]:
    return clusters_of(a_candidate, [(None, size) for size in sizes])


def sizes_of(allotment: Allotment, category: str | None = None) -> dict[SplitName, int]:
    """Samples by part, of one category if it is named."""
    return {
        name: sum(category is None or (sample.category or "") == category for one in parts for sample in one.samples)
        for name, parts in allotment.parts.items()
    }


def part_of(allotment: Allotment) -> dict[str, SplitName]:
    return {
        sample.question: name
        for name, clusters in allotment.parts.items()
        for one in clusters
        for sample in one.samples
    }


@given(CLUSTERS, ANY_SHARES, st.text(max_size=10))
@settings(deadline=None)
def test_every_sample_is_in_exactly_one_part_and_clusters_stay_whole(
    a_candidate: CandidateBuilder, made_of: list[tuple[str | None, int]], shares: Shares, salt: str
) -> None:
    clusters = clusters_of(a_candidate, made_of)
    allotment = allot(clusters, shares, salt=salt)
    placed = [id(one) for part in allotment.parts.values() for one in part]
    assert sorted(placed) == sorted(id(one) for one in clusters)
    assert allotment.strata == len({category for category, _ in made_of})


@given(CLUSTERS, ANY_SHARES, st.text(max_size=10))
@settings(deadline=None)
def test_the_whole_and_every_category_miss_their_shares_by_less_than_a_cluster(
    a_candidate: CandidateBuilder, made_of: list[tuple[str | None, int]], shares: Shares, salt: str
) -> None:
    allotment = allot(clusters_of(a_candidate, made_of), shares, salt=salt)
    samples: Counter[str] = Counter()
    largest: defaultdict[str, int] = defaultdict(int)
    for category, size in made_of:
        samples[category or ""] += size
        largest[category or ""] = max(largest[category or ""], size)
    for name, share in ((HELD_OUT, shares.held_out_0_1), (VALIDATION, shares.validation_0_1)):
        whole = sizes_of(allotment)[name]
        most = max(largest.values(), default=0)
        if sizes_of(allotment)[TRAIN] <= most:
            continue  # there was no cluster left to give
        starving = share * samples.total() < most + 1
        # a whole sample more, for shares of the whole are rounded up
        assert abs(whole - share * samples.total()) < (most if starving else most / 2) + 1
        for category in samples:
            missed = abs(sizes_of(allotment, category)[name] - share * samples[category])
            assert missed <= (2 * most if starving else largest[category])


@example(sizes={"a": 1, "b": 30}, salt="")  # the one that lacks has nothing left to give
@given(st.dictionaries(st.sampled_from("abcdef"), st.integers(1, 200), min_size=1), st.text(max_size=10))
@settings(deadline=None)
def test_single_samples_give_exactly_the_rounded_shares_as_long_as_there_are_any(
    a_candidate: CandidateBuilder, sizes: dict[str, int], salt: str
) -> None:
    made_of = [(category, 1) for category, size in sizes.items() for _ in range(size)]
    allotment = allot(clusters_of(a_candidate, made_of), SHARES, salt=salt)
    total = len(made_of)
    # a category whose one sample is held out has none left for its part of a sample to validate with
    spent = [name for name, size in sizes.items() if size == 1 and sizes_of(allotment, name)[HELD_OUT]]
    if total >= 3:
        assert sizes_of(allotment)[HELD_OUT] == -(-total // 5)
        assert 0 <= -(-total // 10) - sizes_of(allotment)[VALIDATION] <= len(spent)
    for category, size in sizes.items():
        assert abs(sizes_of(allotment, category)[HELD_OUT] - size / 5) < 1
        assert abs(sizes_of(allotment, category)[VALIDATION] - size / 10) < 1


def test_categories_with_one_sample_each_are_drawn_by_hash_and_not_by_name(a_candidate: CandidateBuilder) -> None:
    made_of = [(f"category {number:03}", 1) for number in range(100)]
    held_out = allot(clusters_of(a_candidate, made_of), SHARES, salt="logs").parts[HELD_OUT]
    names = sorted(cluster.samples[0].category or "" for cluster in held_out)
    assert len(names) == 20
    assert names[0] < "category 020"
    assert names[-1] > "category 080"


def test_a_cluster_counts_for_the_category_that_most_of_it_has_and_else_for_the_first_by_name(
    a_candidate: CandidateBuilder,
) -> None:
    numbers = count()
    clusters = [
        Cluster(samples=[a_candidate(f"q{next(numbers)}", category=name) for name in names])
        for names in (["b", "b", "a"], ["b", "a"], ["b"])
        for _ in range(10)
    ]
    allotment = allot(clusters, Shares(held_out_0_1=0.1, validation_0_1=0), salt="logs")
    held_out = Counter(
        "".join(sorted(sample.category or "" for sample in cluster.samples)) for cluster in allotment.parts[HELD_OUT]
    )
    # strata: 20 samples of a, all in pairs; 40 of b, in triples and alone
    assert allotment.strata == 2
    assert held_out["ab"] == 1
    assert 3 * held_out["abb"] + held_out["b"] == 4


@given(CLUSTERS, st.randoms(use_true_random=False))
@settings(deadline=None)
def test_order_changes_nothing(
    a_candidate: CandidateBuilder, made_of: list[tuple[str | None, int]], rng: random.Random
) -> None:
    clusters = clusters_of(a_candidate, made_of)
    shuffled = [Cluster(samples=rng.sample(cluster.samples, len(cluster.samples))) for cluster in clusters]
    rng.shuffle(shuffled)
    assert part_of(allot(clusters, SHARES, salt="logs")) == part_of(allot(shuffled, SHARES, salt="logs"))


@pytest.mark.parametrize("sizes", [(60, 60, 60, 70), (100, 100, 100)])
def test_a_part_gets_a_small_cluster_rather_than_nothing_where_training_keeps_as_much(
    a_candidate: CandidateBuilder, sizes: tuple[int, ...]
) -> None:
    placed = sizes_of(allot(alike(a_candidate, *sizes), SHARES, salt="logs"))
    assert min(placed.values()) > 0
    assert placed[TRAIN] >= max(placed[HELD_OUT], placed[VALIDATION])


@given(st.lists(st.integers(1, 300), min_size=1, max_size=6), ANY_SHARES)
@settings(deadline=None)
def test_something_always_trains(a_candidate: CandidateBuilder, sizes: list[int], shares: Shares) -> None:
    assert sizes_of(allot(alike(a_candidate, *sizes), shares, salt="logs"))[TRAIN] > 0


def test_nothing_is_held_out_where_nothing_is_asked_for(a_candidate: CandidateBuilder) -> None:
    none = Shares(held_out_0_1=0, validation_0_1=0)
    assert sizes_of(allot(alike(a_candidate, *[1] * 50), none, salt="logs"))[TRAIN] == 50


def test_more_samples_of_the_same_questions_move_nothing(a_candidate: CandidateBuilder) -> None:
    few, many = alike(a_candidate, *[1] * 300), alike(a_candidate, *[3] * 300)
    assert part_of(allot(few, SHARES, salt="logs")) == part_of(allot(many, SHARES, salt="logs"))


def test_a_set_that_grows_moves_only_what_lies_next_to_a_border(a_candidate: CandidateBuilder) -> None:
    made_of = [(name, 1) for name in "abcd" for _ in range(500)]
    before = part_of(allot(clusters_of(a_candidate, made_of), SHARES, salt="logs"))
    after = part_of(allot(clusters_of(a_candidate, [*made_of, *[("a", 1)] * 20]), SHARES, salt="logs"))
    assert sum(after[question] is not part for question, part in before.items()) <= 10


def test_other_datasets_hold_out_other_questions(a_candidate: CandidateBuilder) -> None:
    clusters = alike(a_candidate, *[1] * 300)
    assert part_of(allot(clusters, SHARES, salt="one")) != part_of(allot(clusters, SHARES, salt="other"))


class TestWhatEarlierVersionsDecided:
    @given(st.lists(st.sets(st.sampled_from(SplitName)), min_size=1, max_size=30), st.text(max_size=5))
    @settings(deadline=None)
    def test_it_stays_and_held_out_is_strongest(
        self, a_candidate: CandidateBuilder, decided: list[set[SplitName]], salt: str
    ) -> None:
        clusters = alike(a_candidate, *[1] * len(decided))
        for cluster, parts in zip(clusters, decided, strict=True):
            cluster.remembered |= parts
        allotment = allot(clusters, SHARES, salt=salt)
        placed = part_of(allotment)
        for cluster in clusters:
            strongest = [name for name in (HELD_OUT, VALIDATION, TRAIN) if name in cluster.remembered]
            assert placed[cluster.samples[0].question] in strongest[:1] or not strongest
        assert allotment.remembered_samples == sum(bool(parts) for parts in decided)

    @given(CLUSTERS, st.integers(0, 80))
    @settings(deadline=None)
    def test_it_stays_when_the_set_grows(
        self, a_candidate: CandidateBuilder, made_of: list[tuple[str | None, int]], known: int
    ) -> None:
        before = part_of(allot(clusters_of(a_candidate, made_of[:known]), SHARES, salt="logs"))
        clusters = clusters_of(a_candidate, made_of)
        for cluster in clusters[:known]:
            cluster.remembered |= {before[cluster.samples[0].question]}
        after = part_of(allot(clusters, SHARES, salt="logs"))
        assert before.items() <= after.items()

    def test_a_set_that_doubles_by_versions_keeps_its_shares(self, a_candidate: CandidateBuilder) -> None:
        known: dict[str, SplitName] = {}
        for size in range(100, 1100, 100):
            clusters = clusters_of(a_candidate, [("ab"[place % 3 == 0], 1) for place in range(size)])
            for cluster in clusters:
                cluster.remembered |= {known[one.question] for one in cluster.samples if one.question in known}
            known = part_of(allot(clusters, SHARES, salt="logs"))
            sizes = Counter(known.values())
            assert (sizes[HELD_OUT], sizes[VALIDATION]) == (size // 5, size // 10)

    @pytest.mark.parametrize(("held_before", "wanted"), [(0, 40), (300, 10)])
    def test_new_samples_neither_repay_all_that_was_missed_nor_go_all_to_training(
        self, a_candidate: CandidateBuilder, held_before: int, wanted: int
    ) -> None:
        clusters = alike(a_candidate, *[1] * 1100)
        for place, cluster in enumerate(clusters[:1000]):
            cluster.remembered |= {HELD_OUT if place < held_before else TRAIN}
        held_out = sizes_of(allot(clusters, SHARES, salt="logs"))[HELD_OUT]
        assert held_out == held_before + wanted

    @given(CLUSTERS, ANY_SHARES)
    @settings(deadline=None)
    def test_a_new_split_takes_nothing_out_of_the_held_out_part_and_may_move_all_else(
        self, a_candidate: CandidateBuilder, made_of: list[tuple[str | None, int]], shares: Shares
    ) -> None:
        before = part_of(allot(clusters_of(a_candidate, made_of), SHARES, salt="logs"))
        clusters = clusters_of(a_candidate, made_of)
        for cluster in clusters:
            cluster.remembered |= {before[cluster.samples[0].question]}
        anew = allot(clusters, shares, salt="logs", binding=frozenset({HELD_OUT}))
        held_out = {question for question, part in part_of(anew).items() if part is HELD_OUT}
        assert {question for question, part in before.items() if part is HELD_OUT} <= held_out
        if shares.validation_0_1 == 0:
            assert sizes_of(anew)[VALIDATION] == 0

    def test_a_new_split_with_larger_shares_has_them(self, a_candidate: CandidateBuilder) -> None:
        made_of = [(name, 1) for name in "ab" for _ in range(100)]
        before = part_of(allot(clusters_of(a_candidate, made_of), SHARES, salt="logs"))
        clusters = clusters_of(a_candidate, made_of)
        for cluster in clusters:
            cluster.remembered |= {before[cluster.samples[0].question]}
        shares = Shares(held_out_0_1=0.3, validation_0_1=0.25)
        anew = allot(clusters, shares, salt="logs", binding=frozenset({HELD_OUT}))
        assert sizes_of(anew) == {HELD_OUT: 60, VALIDATION: 50, TRAIN: 90}
        assert sizes_of(anew, "a") == {HELD_OUT: 30, VALIDATION: 25, TRAIN: 45}
        assert anew.remembered_samples == 40


class TestGroups:
    @given(st.lists(st.lists(st.sampled_from([None, "kim", "lee", "doc:1"]), min_size=1, max_size=3), max_size=12))
    def test_none_is_on_two_sides_and_nothing_else_is_joined(
        self, a_candidate: CandidateBuilder, groups: list[list[str | None]]
    ) -> None:
        clusters = [
            Cluster(
                samples=[a_candidate(f"q{number}", f"a{place}", group=group) for place, group in enumerate(members)]
            )
            for number, members in enumerate(groups)
        ]
        joined = joined_by_group(clusters, {})
        assert sorted(one.question for cluster in joined for one in cluster.samples) == sorted(
            one.question for cluster in clusters for one in cluster.samples
        )
        holding = [{one.group for one in cluster.samples} - {None} for cluster in joined]
        assert sum(len(names) for names in holding) == len(set().union(*holding) if holding else set())
        alone = [cluster for cluster in clusters if all(one.group is None for one in cluster.samples)]
        assert all(any(whole.samples == cluster.samples for whole in joined) for cluster in alone)

    def test_a_joined_cluster_remembers_what_any_of_its_parts_did(self, a_candidate: CandidateBuilder) -> None:
        one = Cluster(samples=[a_candidate("q1", group="kim")], remembered=frozenset({HELD_OUT}))
        other = Cluster(samples=[a_candidate("q2", group="kim")], remembered=frozenset({TRAIN}))
        [joined] = joined_by_group([one, other], {})
        assert joined.remembered == {HELD_OUT, TRAIN}

    def test_a_cluster_remembers_the_sides_of_its_groups(self, a_candidate: CandidateBuilder) -> None:
        kim = Cluster(samples=[a_candidate("q1"), a_candidate("q2", group="kim")])
        others = [Cluster(samples=[a_candidate("q3", group="lee")]), Cluster(samples=[a_candidate("q4")])]
        joined = joined_by_group([kim, *others], {sha256_of("kim"): VALIDATION, sha256_of("gone"): TRAIN})
        assert [cluster.remembered for cluster in joined] == [{VALIDATION}, set(), set()]
        assert part_of(allot(joined, SHARES, salt="logs"))["q1"] is VALIDATION
