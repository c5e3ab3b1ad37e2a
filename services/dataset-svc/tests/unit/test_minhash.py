"""Compiled grams and signatures against plain Python and datasketch, and folding against the Unicode tables."""

import numpy as np
import pyarrow as pa
import pytest
from datasketch import MinHash, MinHashLSH
from hypothesis import given, settings
from hypothesis import strategies as st

from dataset_svc.domain.likeness.minhash import Grams, packed, plain_text, signatures_of, sketches_of, whole_hashes
from dataset_svc.domain.likeness.scans import INERT_RANGES
from dataset_svc.domain.likeness.similarity import banding, shingles_of

MASK = 2**64 - 1
TEXTS = st.text(alphabet="abÀàAB가나ㅋΣςİﬁ1.\u0301 \t\n\0\u3000\u00a0", max_size=60)


def mixed(value: int) -> int:
    value = ((value ^ (value >> 30)) * 0xBF58476D1CE4E5B9) & MASK
    value = ((value ^ (value >> 27)) * 0x94D049BB133111EB) & MASK
    return value ^ (value >> 31)


def folded(values: list[int]) -> int:
    total = 0
    for value in values:
        total = (total * 0x9E3779B97F4A7C15 + value) & MASK
    return total


def plain_grams(text: str, grams: Grams) -> set[int]:
    """The same hashes by the definition, without compiled code."""
    plain = plain_text(text)
    if grams > 0:
        units = [mixed(folded([ord(one) + 1 for one in word])) for word in plain.split()]
    else:
        units = [ord(one) + 1 for one in plain]
    width = abs(grams)
    return {mixed(folded(units[place : place + width])) for place in range(max(1, len(units) - width + 1))}


@pytest.mark.parametrize("grams", list(Grams))
@given(text=TEXTS)
@settings(deadline=None)
def test_grams_are_those_of_plain_python(grams: Grams, text: str) -> None:
    assert set(shingles_of(text, grams).tolist()) == plain_grams(text, grams)


@pytest.mark.parametrize("grams", [Grams.WORDS_3, Grams.CHARACTERS_5])
@given(texts=st.lists(TEXTS, max_size=8))
@settings(deadline=None, max_examples=40)
def test_signatures_are_those_of_datasketch_bit_by_bit(grams: Grams, texts: list[str]) -> None:
    signatures = signatures_of(packed(texts), grams)
    assert signatures.shape == (len(texts), 128)
    for text, signature in zip(texts, signatures, strict=True):
        sketch = MinHash(num_perm=128, scheme="affine32", hashfunc=int)
        for gram in plain_grams(text, grams):
            sketch.update(gram & 0xFFFFFFFF)
        assert signature.tolist() == sketch.hashvalues.tolist()


def test_datasketch_finds_a_row_of_the_matrix() -> None:
    texts = [
        f"row {number} " + " ".join(f"w{(number * 37 + place) % 991}" for place in range(40)) for number in range(50)
    ]
    permutations = MinHash(num_perm=128).permutations
    index = MinHashLSH(threshold=0.7, num_perm=128)
    sketches = [
        MinHash(hashvalues=row, permutations=permutations, scheme="affine32")
        for row in signatures_of(packed(texts), Grams.WORDS_3)
    ]
    for number, sketch in enumerate(sketches):
        index.insert(number, sketch)
    assert all(number in index.query(sketch) for number, sketch in enumerate(sketches))


def test_more_threads_change_nothing() -> None:
    texts = [f"text number {number} of many é" for number in range(9000)]
    one, two = (sketches_of(packed(texts, threads=n), Grams.CHARACTERS_5, bands=(32, 4), threads=n) for n in (1, 2))
    assert np.array_equal(one.low_bytes, two.low_bytes)
    assert np.array_equal(one.band_keys, two.band_keys)


def test_characters_left_to_the_compiled_loop_are_inert_in_unicode() -> None:
    for low, high in INERT_RANGES:
        for code in range(low, high + 1):
            text = f"가{chr(code)}a{chr(code)}{chr(code)}一"
            assert plain_text(text) == text, hex(code)


@given(TEXTS, TEXTS)
@settings(deadline=None)
def test_whole_hashes_agree_exactly_where_plain_texts_do(one: str, other: str) -> None:
    first, second, shouted = whole_hashes(packed([one, other, f" {one.upper().lower()}\n"]))
    assert (first == second) == (plain_text(one) == plain_text(other))
    if plain_text(one) == plain_text(one.upper().lower()):
        assert first == shouted


@given(st.lists(st.text(max_size=20), min_size=3, max_size=12), st.integers(0, 2))
@settings(deadline=None)
def test_arrow_arrays_of_any_width_and_slice_read_as_lists_do(texts: list[str], skipped: int) -> None:
    texts = [text.encode(errors="replace").decode() for text in texts]
    wanted = signatures_of(packed(texts[skipped:]), Grams.CHARACTERS_5)
    for kind in (pa.string(), pa.large_string()):
        array = pa.array(texts, type=kind)[skipped:]
        assert np.array_equal(signatures_of(packed(array), Grams.CHARACTERS_5), wanted)


def test_half_a_surrogate_pair_is_read() -> None:
    assert signatures_of(packed(["a\ud800b", ""]), Grams.WORDS_3).shape == (2, 128)


def test_sketches_keep_the_low_byte_and_a_key_per_band() -> None:
    texts = packed(["one two three four", "One  two three four", "five six seven eight"])
    sketches = sketches_of(texts, Grams.WORDS_3, bands=banding(0.7, missed_0_1=0.01))
    assert np.array_equal(sketches.low_bytes, signatures_of(texts, Grams.WORDS_3) & 0xFF)
    assert sketches.band_keys.shape == (32, 3)
    assert (sketches.band_keys[:, 0] == sketches.band_keys[:, 1]).all()
    assert not (sketches.band_keys[:, 0] == sketches.band_keys[:, 2]).any()
