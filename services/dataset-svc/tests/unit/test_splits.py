"""Clusters go where they were, else every category fills its shares in order of hash, and no part starves by chance."""

import random
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from hashlib import sha256
from itertools import chain, count, groupby
from typing import NamedTuple

import numpy as np
import pytest
from candidate_rows import candidates
from hypothesis import example, given, settings
from hypothesis import strategies as st

from dataset_svc.domain.candidates import Candidates, Rows
from dataset_svc.domain.likeness.clusters import Clusters
from dataset_svc.domain.samples import Sample, SplitName, sha256_of
from dataset_svc.domain.splits import Allotment, Shares, allot, joined_by_group

SampleBuilder = Callable[..., Sample]
SHARES = Shares(held_out_0_1=0.2, validation_0_1=0.1)
HELD_OUT, VALIDATION, TRAIN = SplitName.HELD_OUT, SplitName.VALIDATION, SplitName.TRAIN
# (category, samples) of each cluster
CLUSTERS = st.lists(st.tuples(st.sampled_from([None, "a", "b", "c"]), st.integers(1, 6)), max_size=80)
ANY_SHARES = st.tuples(st.floats(0, 0.6), st.floats(0, 0.35)).map(
    lambda pair: Shares(held_out_0_1=pair[0], validation_0_1=pair[1])
)


class Made(NamedTuple):
    """What `allot` and `joined_by_group` take first."""

    candidates: Candidates
    clusters: Clusters


def clustered(members: Iterable[Sequence[Sample]], sides: Mapping[int, set[SplitName]] | None = None) -> Made:
    """Clusters of these samples, and what earlier versions decided on them; rows are counted from the last sample."""
    clusters = list(members)
    sizes = np.array(list(map(len, clusters)), dtype=np.int64)
    remembered = {number: frozenset(names) for number, names in (sides or {}).items() if names}
    table = candidates(*[*chain.from_iterable(clusters)][::-1])
    return Made(table, Clusters(rows=np.arange(len(table))[::-1], sizes=sizes, remembered=remembered))


def samples_of(a_sample: SampleBuilder, made_of: Iterable[tuple[str | None, int]]) -> list[list[Sample]]:
    """Those of a cluster ask the same, which is `question 0` for the first one and so on."""
    return [
        [a_sample(f"question {number}", f"answer {place}", category=category) for place in range(size)]
        for number, (category, size) in enumerate(made_of)
    ]


def clusters_of(
    a_sample: SampleBuilder,
    made_of: Iterable[tuple[str | None, int]],
    before: Mapping[str, SplitName] | None = None,
) -> Made:
    """Clusters, some of whose questions an earlier version had put somewhere."""
    sides = {int(question.removeprefix("question ")): {name} for question, name in (before or {}).items()}
    return clustered(samples_of(a_sample, made_of), sides)


def alike(a_sample: SampleBuilder, *sizes: int) -> Made:
    return clusters_of(a_sample, [(None, size) for size in sizes])


def sizes_of(allotment: Allotment) -> dict[SplitName, int]:
    """Samples by part."""
    return {name: len(rows) for name, rows in allotment.parts.items()}


def sizes_in(made: Made, allotment: Allotment, category: str) -> dict[SplitName, int]:
    """Samples of one category by part."""
    return {
        name: sum((made.candidates.categories[row] or "") == category for row in rows.tolist())
        for name, rows in allotment.parts.items()
    }


def part_of(made: Made, allotment: Allotment) -> dict[str, SplitName]:
    return {question: name for name, rows in allotment.parts.items() for question in made.candidates.questions_of(rows)}


def wholes_of(clusters: Clusters) -> list[list[int]]:
    """Rows of each cluster."""
    return [rows.tolist() for rows in np.split(clusters.rows, clusters.firsts)[1:]]


def runs_of(made: Made, rows: Rows) -> list[list[int]]:
    """Rows of a part, those of one cluster that stand together in one list."""
    numbers = dict(zip(made.clusters.rows.tolist(), made.clusters.numbers.tolist(), strict=True))
    return [list(run) for _, run in groupby(rows.tolist(), numbers.__getitem__)]


def groups_in(made: Made, rows: Iterable[int]) -> set[str]:
    return {group for row in rows if (group := made.candidates.groups[row]) is not None}


@given(CLUSTERS, ANY_SHARES, st.text(max_size=10))
@settings(deadline=None)
def test_every_sample_is_in_exactly_one_part_and_clusters_stay_whole(
    a_sample: SampleBuilder, made_of: list[tuple[str | None, int]], shares: Shares, salt: str
) -> None:
    made = clusters_of(a_sample, made_of)
    allotment = allot(*made, shares, salt=salt)
    placed = [run for rows in allotment.parts.values() for run in runs_of(made, rows)]
    assert sorted(placed) == sorted(wholes_of(made.clusters))
    assert allotment.strata == len({category for category, _ in made_of})


@given(CLUSTERS, ANY_SHARES, st.text(max_size=10))
@settings(deadline=None)
def test_the_whole_and_every_category_miss_their_shares_by_less_than_a_cluster(
    a_sample: SampleBuilder, made_of: list[tuple[str | None, int]], shares: Shares, salt: str
) -> None:
    made = clusters_of(a_sample, made_of)
    allotment = allot(*made, shares, salt=salt)
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
            missed = abs(sizes_in(made, allotment, category)[name] - share * samples[category])
            assert missed <= (2 * most if starving else largest[category])


@example(sizes={"a": 1, "b": 30}, salt="")  # the one that lacks has nothing left to give
@given(st.dictionaries(st.sampled_from("abcdef"), st.integers(1, 200), min_size=1), st.text(max_size=10))
@settings(deadline=None)
def test_single_samples_give_exactly_the_rounded_shares_as_long_as_there_are_any(
    a_sample: SampleBuilder, sizes: dict[str, int], salt: str
) -> None:
    made_of = [(category, 1) for category, size in sizes.items() for _ in range(size)]
    made = clusters_of(a_sample, made_of)
    allotment = allot(*made, SHARES, salt=salt)
    total = len(made_of)
    # a category whose one sample is held out has none left for its part of a sample to validate with
    spent = [name for name, size in sizes.items() if size == 1 and sizes_in(made, allotment, name)[HELD_OUT]]
    if total >= 3:
        assert sizes_of(allotment)[HELD_OUT] == -(-total // 5)
        assert 0 <= -(-total // 10) - sizes_of(allotment)[VALIDATION] <= len(spent)
    for category, size in sizes.items():
        assert abs(sizes_in(made, allotment, category)[HELD_OUT] - size / 5) < 1
        assert abs(sizes_in(made, allotment, category)[VALIDATION] - size / 10) < 1


def test_categories_with_one_sample_each_are_drawn_by_hash_and_not_by_name(a_sample: SampleBuilder) -> None:
    made_of = [(f"category {number:03}", 1) for number in range(100)]
    made = clusters_of(a_sample, made_of)
    held_out = allot(*made, SHARES, salt="logs").parts[HELD_OUT]
    names = sorted(made.candidates.categories[row] or "" for row in held_out.tolist())
    assert len(names) == 20
    assert names[0] < "category 020"
    assert names[-1] > "category 080"


def test_a_cluster_counts_for_the_category_that_most_of_it_has_and_else_for_the_first_by_name(
    a_sample: SampleBuilder,
) -> None:
    numbers = count()
    made = clustered(
        [a_sample(f"q{next(numbers)}", category=name) for name in names]
        for names in (["c", "c", "a"], ["c", "b"], ["c"])
        for _ in range(10)
    )
    allotment = allot(*made, Shares(held_out_0_1=0.1, validation_0_1=0), salt="logs")
    runs = runs_of(made, allotment.parts[HELD_OUT])
    held_out = Counter("".join(sorted(made.candidates.categories[row] or "" for row in run)) for run in runs)
    # strata: 20 samples of b, all in pairs; 40 of c, in triples and alone
    assert allotment.strata == 2
    assert held_out["bc"] == 1
    assert 3 * held_out["acc"] + held_out["c"] == 4


@given(CLUSTERS, st.randoms(use_true_random=False))
@settings(deadline=None)
def test_order_changes_nothing(
    a_sample: SampleBuilder, made_of: list[tuple[str | None, int]], rng: random.Random
) -> None:
    samples = [
        [a_sample(f"question {number} {place}", category=category) for place in range(size)]
        for number, (category, size) in enumerate(made_of)
    ]
    shuffled = [rng.sample(members, len(members)) for members in samples]
    rng.shuffle(shuffled)
    one, other = clustered(samples), clustered(shuffled)
    assert part_of(one, allot(*one, SHARES, salt="logs")) == part_of(other, allot(*other, SHARES, salt="logs"))


def test_clusters_are_held_out_by_the_least_salted_hash_of_their_questions(a_sample: SampleBuilder) -> None:
    questions = [[f"question {number} {place}" for place in range(3)] for number in range(20)]

    def point(members: list[str]) -> bytes:
        return min(sha256(b"logs\n" + sha256(question.encode()).digest()).digest() for question in members)

    made = clustered([a_sample(question) for question in members] for members in questions)
    held_out = made.candidates.questions_of(allot(*made, SHARES, salt="logs").parts[HELD_OUT])
    assert held_out == [question for members in sorted(questions, key=point)[:4] for question in members]


@pytest.mark.parametrize("sizes", [(60, 60, 60, 70), (100, 100, 100)])
def test_a_part_gets_a_small_cluster_rather_than_nothing_where_training_keeps_as_much(
    a_sample: SampleBuilder, sizes: tuple[int, ...]
) -> None:
    placed = sizes_of(allot(*alike(a_sample, *sizes), SHARES, salt="logs"))
    assert min(placed.values()) > 0
    assert placed[TRAIN] >= max(placed[HELD_OUT], placed[VALIDATION])


@given(st.lists(st.integers(1, 300), min_size=1, max_size=6), ANY_SHARES)
@settings(deadline=None)
def test_something_always_trains(a_sample: SampleBuilder, sizes: list[int], shares: Shares) -> None:
    assert sizes_of(allot(*alike(a_sample, *sizes), shares, salt="logs"))[TRAIN] > 0


def test_nothing_is_held_out_where_nothing_is_asked_for(a_sample: SampleBuilder) -> None:
    none = Shares(held_out_0_1=0, validation_0_1=0)
    assert sizes_of(allot(*alike(a_sample, *[1] * 50), none, salt="logs"))[TRAIN] == 50


def test_more_samples_of_the_same_questions_move_nothing(a_sample: SampleBuilder) -> None:
    few, many = alike(a_sample, *[1] * 300), alike(a_sample, *[3] * 300)
    assert part_of(few, allot(*few, SHARES, salt="logs")) == part_of(many, allot(*many, SHARES, salt="logs"))


def test_a_set_that_grows_moves_only_what_lies_next_to_a_border(a_sample: SampleBuilder) -> None:
    made_of = [(name, 1) for name in "abcd" for _ in range(500)]
    small, grown = clusters_of(a_sample, made_of), clusters_of(a_sample, [*made_of, *[("a", 1)] * 20])
    before, after = (part_of(made, allot(*made, SHARES, salt="logs")) for made in (small, grown))
    assert sum(after[question] is not part for question, part in before.items()) <= 10


def test_other_datasets_hold_out_other_questions(a_sample: SampleBuilder) -> None:
    made = alike(a_sample, *[1] * 300)
    one, other = (part_of(made, allot(*made, SHARES, salt=salt)) for salt in ("one", "other"))
    assert one != other


class TestWhatEarlierVersionsDecided:
    @given(st.lists(st.sets(st.sampled_from(SplitName)), min_size=1, max_size=30), st.text(max_size=5))
    @settings(deadline=None)
    def test_it_stays_and_held_out_is_strongest(
        self, a_sample: SampleBuilder, decided: list[set[SplitName]], salt: str
    ) -> None:
        made = clustered(samples_of(a_sample, [(None, 1)] * len(decided)), dict(enumerate(decided)))
        allotment = allot(*made, SHARES, salt=salt)
        placed = part_of(made, allotment)
        for number, sides in enumerate(decided):
            strongest = [name for name in (HELD_OUT, VALIDATION, TRAIN) if name in sides]
            assert placed[f"question {number}"] in strongest[:1] or not strongest
        assert allotment.remembered_samples == sum(bool(parts) for parts in decided)

    @given(CLUSTERS, st.integers(0, 80))
    @settings(deadline=None)
    def test_it_stays_when_the_set_grows(
        self, a_sample: SampleBuilder, made_of: list[tuple[str | None, int]], known: int
    ) -> None:
        small = clusters_of(a_sample, made_of[:known])
        before = part_of(small, allot(*small, SHARES, salt="logs"))
        grown = clusters_of(a_sample, made_of, before)
        after = part_of(grown, allot(*grown, SHARES, salt="logs"))
        assert before.items() <= after.items()

    def test_a_set_that_doubles_by_versions_keeps_its_shares(self, a_sample: SampleBuilder) -> None:
        known: dict[str, SplitName] = {}
        for size in range(100, 1100, 100):
            made = clusters_of(a_sample, [("ab"[place % 3 == 0], 1) for place in range(size)], known)
            known = part_of(made, allot(*made, SHARES, salt="logs"))
            sizes = Counter(known.values())
            assert (sizes[HELD_OUT], sizes[VALIDATION]) == (size // 5, size // 10)

    @pytest.mark.parametrize(("held_before", "wanted"), [(0, 40), (300, 10)])
    def test_new_samples_neither_repay_all_that_was_missed_nor_go_all_to_training(
        self, a_sample: SampleBuilder, held_before: int, wanted: int
    ) -> None:
        sides = {place: {HELD_OUT if place < held_before else TRAIN} for place in range(1000)}
        made = clustered(samples_of(a_sample, [(None, 1)] * 1100), sides)
        held_out = sizes_of(allot(*made, SHARES, salt="logs"))[HELD_OUT]
        assert held_out == held_before + wanted

    @given(CLUSTERS, ANY_SHARES)
    @settings(deadline=None)
    def test_a_new_split_takes_nothing_out_of_the_held_out_part_and_may_move_all_else(
        self, a_sample: SampleBuilder, made_of: list[tuple[str | None, int]], shares: Shares
    ) -> None:
        first = clusters_of(a_sample, made_of)
        before = part_of(first, allot(*first, SHARES, salt="logs"))
        made = clusters_of(a_sample, made_of, before)
        anew = allot(*made, shares, salt="logs", binding=frozenset({HELD_OUT}))
        held_out = {question for question, part in part_of(made, anew).items() if part is HELD_OUT}
        assert {question for question, part in before.items() if part is HELD_OUT} <= held_out
        if shares.validation_0_1 == 0:
            assert sizes_of(anew)[VALIDATION] == 0

    def test_a_new_split_with_larger_shares_has_them(self, a_sample: SampleBuilder) -> None:
        made_of = [(name, 1) for name in "ab" for _ in range(100)]
        first = clusters_of(a_sample, made_of)
        before = part_of(first, allot(*first, SHARES, salt="logs"))
        made = clusters_of(a_sample, made_of, before)
        shares = Shares(held_out_0_1=0.3, validation_0_1=0.25)
        anew = allot(*made, shares, salt="logs", binding=frozenset({HELD_OUT}))
        assert sizes_of(anew) == {HELD_OUT: 60, VALIDATION: 50, TRAIN: 90}
        assert sizes_in(made, anew, "a") == {HELD_OUT: 30, VALIDATION: 25, TRAIN: 45}
        assert anew.remembered_samples == 40


class TestGroups:
    @given(st.lists(st.lists(st.sampled_from([None, "kim", "lee", "doc:1"]), min_size=1, max_size=3), max_size=12))
    def test_none_is_on_two_sides_and_nothing_else_is_joined(
        self, a_sample: SampleBuilder, groups: list[list[str | None]]
    ) -> None:
        made = clustered(
            [a_sample(f"q{number}", f"a{place}", group=group) for place, group in enumerate(members)]
            for number, members in enumerate(groups)
        )
        wanted: list[list[int]] = []
        for rows in wholes_of(made.clusters):
            met = [whole for whole in wanted if groups_in(made, whole) & groups_in(made, rows)]
            wanted = [*(whole for whole in wanted if whole not in met), sorted(chain(rows, *met))]
        joined = joined_by_group(*made, {})
        assert sorted(map(sorted, wholes_of(joined))) == sorted(wanted)
        assert joined.remembered == {}

    def test_a_joined_cluster_remembers_what_any_of_its_parts_did(self, a_sample: SampleBuilder) -> None:
        made = clustered(
            [[a_sample("q0")], [a_sample("q1", group="kim")], [a_sample("q2", group="kim")]],
            {1: {HELD_OUT}, 2: {TRAIN}},
        )
        joined = joined_by_group(*made, {})
        assert (joined.sizes.tolist(), joined.remembered) == ([1, 2], {1: {HELD_OUT, TRAIN}})

    def test_clusters_through_which_groups_meet_later_become_one(self, a_sample: SampleBuilder) -> None:
        groups = (["kim"], ["lee"], [None], ["doc:1"], ["lee", "doc:1"], ["kim", "doc:1"])
        made = clustered([[a_sample(f"q{at}", group=name) for name in names] for at, names in enumerate(groups)], {4: {TRAIN}, 2: {HELD_OUT}})  # fmt: skip
        joined = joined_by_group(*made, {sha256_of("kim"): VALIDATION})
        assert joined.sizes.tolist() == [7, 1]
        assert joined.remembered == {0: {TRAIN, VALIDATION}, 1: {HELD_OUT}}

    def test_a_cluster_remembers_the_sides_of_its_groups(self, a_sample: SampleBuilder) -> None:
        kim = [a_sample("q1"), a_sample("q2", group="kim")]
        made = clustered([kim, [a_sample("q3", group="lee")], [a_sample("q4")]])
        joined = joined_by_group(*made, {sha256_of("kim"): VALIDATION, sha256_of("gone"): TRAIN})
        assert joined.remembered == {0: {VALIDATION}}
        assert part_of(made, allot(made.candidates, joined, SHARES, salt="logs"))["q1"] is VALIDATION
