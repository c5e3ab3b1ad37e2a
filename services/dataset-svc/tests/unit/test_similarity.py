"""The compact shingles agree with plain sets of strings, and the index with datasketch's promises."""

import pytest
from datasketch import MinHash
from hypothesis import given, settings
from hypothesis import strategies as st

from dataset_svc.domain.likeness.similarity import SimilarityIndex, banding, jaccard, shingles_of


def plain_shingles(text: str) -> set[str]:
    text = " ".join(text.casefold().split())
    return {text[place : place + 5] for place in range(max(1, len(text) - 4))}


TEXTS = st.text(alphabet="abAB가나 ", max_size=40)


@given(TEXTS, TEXTS)
@settings(deadline=None)  # the first call may compile
def test_jaccard_is_that_of_the_sets_of_five_characters(one: str, other: str) -> None:
    first, second = plain_shingles(one), plain_shingles(other)
    assert jaccard(shingles_of(one), shingles_of(other)) == pytest.approx(len(first & second) / len(first | second))


def test_case_and_spacing_do_not_count_and_characters_do() -> None:
    assert jaccard(shingles_of("Disk  full\n"), shingles_of("disk full")) == 1
    assert jaccard(shingles_of("yes"), shingles_of("no")) == 0
    assert jaccard(shingles_of(""), shingles_of("no")) == 0
    assert jaccard(shingles_of("\ud55c"), shingles_of("\u1112\u1161\u11ab")) == 1  # one syllable, composed or not


@pytest.mark.parametrize("threshold", [0.5, 0.7, 0.8, 0.9, 0.95, 1.0])
def test_the_index_overlooks_at_most_one_pair_in_a_million_at_the_threshold(threshold: float) -> None:
    bands, rows = banding(threshold)
    assert bands * rows <= 128
    assert (1 - threshold**rows) ** bands <= 1e-6


def test_sketches_estimate_jaccard_as_datasketch_does() -> None:
    index = SimilarityIndex(threshold_0_1=0.9)
    one = "generating core dump for program %d on node R02-M1 after a fatal interrupt " * 3
    other = one.replace("fatal", "normal").replace("core", "crash")
    sketches = [index.sketch(text) for text in (one, other)]
    reference = [MinHash(num_perm=128) for _ in range(2)]
    for text, sketch in zip((one, other), reference, strict=True):
        sketch.update_batch([shingle.encode() for shingle in plain_shingles(text)])
    true = jaccard(shingles_of(one), shingles_of(other))
    # the standard error of 128 permutations is below 0.045
    assert sketches[0].jaccard(sketches[1]) == pytest.approx(true, abs=0.15)
    assert reference[0].jaccard(reference[1]) == pytest.approx(true, abs=0.15)


def test_datasketch_finds_the_likes_of_a_signature_made_here() -> None:
    index = SimilarityIndex(threshold_0_1=0.8)
    texts = [
        "the node lost its link and the job moved",
        "bread rises in a warm and quiet place",
        "네트워크가 끊어졌습니다",
    ]
    for number, text in enumerate(texts):
        index.insert(number, index.sketch(text))
    assert [index.candidates(index.sketch(f" {text.upper()}.")) for text in texts] == [[0], [1], [2]]


def test_one_missed_pair_in_a_hundred_at_seven_tenths_takes_32_bands_of_4_rows() -> None:
    assert banding(0.7, missed_0_1=0.01) == (32, 4)
