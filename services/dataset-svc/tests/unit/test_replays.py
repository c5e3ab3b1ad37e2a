"""Replays are the same share of every category, chosen by seed and id alone."""

from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dataset_svc.domain.samples import encode
from dataset_svc.domain.versions.replays import category_of, choose_replays, preferred
from dataset_svc.domain.versions.row_hashes import Lines, hash_spans
from loopwright.contracts.datasets import SampleSource

categories = st.lists(st.sampled_from(["a", "b", "c", ""]), max_size=80)
shares = st.floats(0, 1)
seeds = st.integers(0, 2**63 - 1)


def ids_of(count):
    names = [f"s{number:05d}".encode() for number in range(count)]
    starts = np.arange(count, dtype=np.int64) * 6
    return hash_spans(b"".join(names), Lines(starts=starts, lengths=np.full(count, 6, dtype=np.int64)), bytes(16))


def choose(names, share, seed):
    return choose_replays(ids_of(len(names)), names, share_0_1=share, seed=seed).tolist()


@settings(deadline=None)  # the first call compiles
@given(categories, shares, seeds)
def test_every_category_gives_its_share_to_within_one(names, share, seed):
    chosen = choose(names, share, seed)
    assert len(chosen) == round(len(names) * share) or abs(len(chosen) - len(names) * share) <= 0.5
    assert len(set(chosen)) == len(chosen)
    sizes, taken = Counter(names), Counter(names[row] for row in chosen)
    assert all(abs(taken[name] - share * size) < 1 for name, size in sizes.items())


@settings(deadline=None)
@given(categories, seeds)
def test_all_and_none_are_what_they_say(names, seed):
    assert choose(names, 1.0, seed) == list(range(len(names)))
    assert choose(names, 0.0, seed) == []


def test_the_same_seed_chooses_the_same_and_another_seed_others():
    names = ["a"] * 200 + ["b"] * 100
    assert choose(names, 0.3, 5) == choose(names, 0.3, 5)
    assert choose(names, 0.3, 5) != choose(names, 0.3, 6)


def test_what_is_chosen_does_not_depend_on_the_order_of_the_rows():
    ids, names = ids_of(100), ["a", "b"] * 50
    order = np.random.default_rng(1).permutation(100)
    shuffled = choose_replays(ids[order], [names[row] for row in order], share_0_1=0.4, seed=9)
    assert sorted(order[shuffled].tolist()) == choose(names, 0.4, 9)


def test_a_larger_share_keeps_what_a_smaller_one_chose():
    names = ["a"] * 60
    assert set(choose(names, 0.2, 3)) < set(choose(names, 0.5, 3))


@pytest.mark.parametrize(
    ("changes", "category"),
    [({"category": "disk"}, "disk"), ({}, "rating"), ({"source": SampleSource.UPLOAD}, "upload")],
)
def test_a_line_without_a_category_counts_by_its_source(a_sample, changes, category):
    assert category_of(encode(a_sample(**changes))) == category


def test_of_one_sample_twice_the_correction_stays_else_the_heavier(a_sample):
    rated, heavier = (
        encode(a_sample(answer="x", weight_0_1=0.5, sample_id="s")),
        encode(a_sample(answer="y", sample_id="s")),
    )
    corrected = encode(a_sample(answer="z", source=SampleSource.CORRECTION, weight_0_1=0.1, sample_id="s"))
    assert preferred(rated, heavier) == preferred(heavier, rated) == heavier
    assert preferred(heavier, corrected) == corrected
    assert preferred(rated, rated.replace(b'"x"', b'"w"')) == rated
