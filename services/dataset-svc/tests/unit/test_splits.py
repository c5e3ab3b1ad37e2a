"""Clusters go where they were, else where their hash says, and no part starves by chance."""

from collections.abc import Callable

from hypothesis import given, settings
from hypothesis import strategies as st

from dataset_svc.domain.likeness.clusters import Cluster
from dataset_svc.domain.samples import Sample, SplitName
from dataset_svc.domain.splits import Allotment, Shares, allot, joined_by_group

SampleBuilder = Callable[..., Sample]
SHARES = Shares(held_out_0_1=0.2, validation_0_1=0.1)
HELD_OUT, VALIDATION, TRAIN = SplitName.HELD_OUT, SplitName.VALIDATION, SplitName.TRAIN


def clusters_of(a_sample: SampleBuilder, *sizes: int) -> list[Cluster]:
    return [
        Cluster(samples=[a_sample(f"question {number}", f"answer {place}") for place in range(size)])
        for number, size in enumerate(sizes)
    ]


def sizes_of(allotment: Allotment) -> dict[SplitName, int]:
    return {name: sum(len(one.samples) for one in clusters) for name, clusters in allotment.parts.items()}


def part_of(allotment: Allotment) -> dict[str, SplitName]:
    return {
        sample.input: name for name, clusters in allotment.parts.items() for one in clusters for sample in one.samples
    }


@given(st.lists(st.integers(1, 5), max_size=60), st.text(max_size=10))
@settings(deadline=None)
def test_every_sample_is_in_exactly_one_part_and_clusters_stay_whole(
    a_sample: SampleBuilder, sizes: list[int], salt: str
) -> None:
    clusters = clusters_of(a_sample, *sizes)
    allotment = allot(clusters, SHARES, salt=salt)
    placed = [id(one) for part in allotment.parts.values() for one in part]
    assert sorted(placed) == sorted(id(one) for one in clusters)


def test_a_large_set_gets_about_the_shares_asked_for_without_help(a_sample: SampleBuilder) -> None:
    allotment = allot(clusters_of(a_sample, *[1] * 2000), SHARES, salt="logs")
    sizes = sizes_of(allotment)
    # five standard deviations of 2,000 draws
    assert abs(sizes[HELD_OUT] - 400) < 90
    assert abs(sizes[VALIDATION] - 200) < 68
    assert allotment.topped_up_samples == 0


@given(st.integers(1, 120), st.text(max_size=10))
@settings(deadline=None)
def test_small_sets_hold_out_at_least_half_of_the_share_asked_for(
    a_sample: SampleBuilder, count: int, salt: str
) -> None:
    sizes = sizes_of(allot(clusters_of(a_sample, *[1] * count), SHARES, salt=salt))
    if count >= 3:
        assert sizes[HELD_OUT] >= max(1, 0.1 * count)
        assert sizes[VALIDATION] >= max(1, 0.05 * count)


def test_nothing_is_held_out_where_nothing_is_asked_for(a_sample: SampleBuilder) -> None:
    none = Shares(held_out_0_1=0, validation_0_1=0)
    assert sizes_of(allot(clusters_of(a_sample, *[1] * 50), none, salt="logs"))[TRAIN] == 50


def test_more_samples_of_the_same_questions_move_nothing(a_sample: SampleBuilder) -> None:
    few, many = clusters_of(a_sample, *[1] * 300), clusters_of(a_sample, *[3] * 300)
    assert part_of(allot(few, SHARES, salt="logs")) == part_of(allot(many, SHARES, salt="logs"))


def test_other_datasets_hold_out_other_questions(a_sample: SampleBuilder) -> None:
    clusters = clusters_of(a_sample, *[1] * 300)
    assert part_of(allot(clusters, SHARES, salt="one")) != part_of(allot(clusters, SHARES, salt="other"))


@given(st.lists(st.sets(st.sampled_from(SplitName)), min_size=1, max_size=30), st.text(max_size=5))
@settings(deadline=None)
def test_what_was_decided_stays_and_held_out_is_strongest(
    a_sample: SampleBuilder, decided: list[set[SplitName]], salt: str
) -> None:
    clusters = clusters_of(a_sample, *[1] * len(decided))
    for cluster, parts in zip(clusters, decided, strict=True):
        cluster.remembered |= parts
    allotment = allot(clusters, SHARES, salt=salt)
    placed = part_of(allotment)
    for cluster in clusters:
        part = placed[cluster.samples[0].input]
        if HELD_OUT in cluster.remembered:
            assert part is HELD_OUT
        elif VALIDATION in cluster.remembered:
            assert part is VALIDATION
        elif TRAIN in cluster.remembered:
            assert part is TRAIN
    assert allotment.remembered_samples == sum(bool(parts) for parts in decided)


@given(st.lists(st.lists(st.sampled_from([None, "kim", "lee", "doc:1"]), min_size=1, max_size=3), max_size=12))
def test_no_group_is_on_two_sides_and_nothing_else_is_joined(
    a_sample: SampleBuilder, groups: list[list[str | None]]
) -> None:
    clusters = [
        Cluster(samples=[a_sample(f"q{number}", f"a{place}", group=group) for place, group in enumerate(members)])
        for number, members in enumerate(groups)
    ]
    joined = joined_by_group(clusters)
    assert sorted(one.input for cluster in joined for one in cluster.samples) == sorted(
        one.input for cluster in clusters for one in cluster.samples
    )
    holding = [{one.group for one in cluster.samples} - {None} for cluster in joined]
    assert sum(len(names) for names in holding) == len(set().union(*holding) if holding else set())
    alone = [cluster for cluster in clusters if all(one.group is None for one in cluster.samples)]
    assert all(any(whole.samples == cluster.samples for whole in joined) for cluster in alone)


def test_a_joined_cluster_remembers_what_any_of_its_parts_did(a_sample: SampleBuilder) -> None:
    one = Cluster(samples=[a_sample("q1", group="kim")], remembered={HELD_OUT})
    other = Cluster(samples=[a_sample("q2", group="kim")], remembered={TRAIN})
    [joined] = joined_by_group([one, other])
    assert joined.remembered == {HELD_OUT, TRAIN}
