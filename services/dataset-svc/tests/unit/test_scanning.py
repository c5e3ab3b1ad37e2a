"""What one look at all characters says: never less than the shapes that it spares would say."""

import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dataset_svc.domain.personal import scanning
from dataset_svc.domain.personal.anchors import anchors_of, groups_anchored
from dataset_svc.domain.personal.scans import PLAIN_FORMS, scan
from dataset_svc.domain.personal.word_keys import capitalised, table_of
from loopwright.personal.detectors import DETECTORS
from loopwright.personal.findings import NUMBER_SHAPES, TRAIT_SHAPES
from loopwright.personal.kinds import Trait

# what each trait stands for, as a shape
SHAPES = {
    **{getattr(scanning, trait.name): shape for trait, shape in TRAIT_SHAPES.items()},
    scanning.ODD: re.compile("[\uff01-\uff5e\u2010-\u2014\u2212\u00a0\u3000]"),
    scanning.CAPITAL: re.compile(r"[A-Z][a-z]"),
    scanning.HONOURED: re.compile("씨"),
}
EXACT = set(SHAPES) - {scanning.BORN}
OF_NUMBERS = {getattr(scanning, trait.name): shape for trait, shape in NUMBER_SHAPES.items()}
PIECES = st.sampled_from(
    ["1", "23", "4567", ".", "-", " ", "  ", "(", "::", ":", "a", "f", "Z", "Ab", ",", "+/=", "abcdefgh", "로", "동", "호",
     "번지", "일", "에", "출", "생", "태", "씨", "가", "나", "\n", "\u00a0", "\uff11", "\u2013", "😀", "\ud800", "0"]
)  # fmt: skip
TEXTS = st.lists(st.lists(PIECES, max_size=14).map("".join), max_size=4)
PLAIN = str.maketrans({code: chr(plain) for code, plain in PLAIN_FORMS.items()})


@given(TEXTS)
def test_a_text_has_a_trait_where_its_shape_stands(texts: list[str]) -> None:
    for text, traits in zip(texts, scan(texts).traits.tolist(), strict=True):
        for trait, shape in SHAPES.items():
            stands = shape.search(text if trait == scanning.ODD else text.translate(PLAIN)) is not None
            assert bool(traits & trait) == stands if trait in EXACT else bool(traits & trait) >= stands, (text, trait)


NUMBER_PIECES = st.sampled_from(
    ["1", "22", "333", "0333", "55555", "666666", "0000000", "-", "-", " ", " - ", ".", ")", "(", "+", "A", "AB", "가",
     "010", "1588-1234", "4111-1111-1111-1111", "02-123-4567", "900101", "******", "123-45-67891"]
)  # fmt: skip


@given(st.lists(st.lists(NUMBER_PIECES, max_size=12).map("".join), max_size=4))
def test_what_numbers_are_grouped_like_is_told_of_texts_with_a_long_one(texts: list[str]) -> None:
    for text, traits in zip(texts, scan(texts).traits.tolist(), strict=True):
        long = TRAIT_SHAPES[Trait.LONG_NUMBER].search(text) is not None
        for trait, shape in OF_NUMBERS.items():
            assert bool(traits & trait) == (long and shape.search(text) is not None), (text, trait)


@given(st.lists(st.lists(NUMBER_PIECES, max_size=12).map("".join), max_size=4))
def test_numbers_are_found_between_the_long_ones_as_if_looked_for_everywhere(texts: list[str]) -> None:
    told = [detector for detector in DETECTORS if detector.numeric]
    seen = scan(texts)
    for text, traits, (first, last) in zip(texts, seen.traits.tolist(), seen.numbers.tolist(), strict=True):
        long = TRAIT_SHAPES[Trait.LONG_NUMBER].search(text) is not None
        assert bool(traits & scanning.LONG_NUMBER) == long
        for detector in told if long else ():
            found = [match.span() for match in detector.matches(text, (first, last)) if detector.accepts(match)]
            assert found == [match.span() for match in detector.shape.finditer(text) if detector.accepts(match)]


@pytest.mark.parametrize("text", ["A씨", "B 군", "5 C(33) 씨", "D 기자", "서울의 E 모 씨"])
def test_a_capital_alone_before_an_honorific_is_seen(text: str) -> None:
    assert scan([text]).traits[0] & scanning.LETTERED


@given(TEXTS)
def test_words_of_hangul_are_cut_as_the_shape_cuts_them(texts: list[str]) -> None:
    seen = scan(texts)
    firsts = (seen.words.first - seen.starts[seen.words.text]).tolist()
    cut = list(zip(seen.words.text.tolist(), firsts, seen.words.length.tolist(), strict=True))
    matches = ((number, match) for number, text in enumerate(texts) for match in re.finditer("[가-힣]+", text))
    assert cut == [(number, match.start(), len(match[0])) for number, match in matches]


@given(st.lists(st.lists(st.text("abAB로 가@", min_size=2, max_size=4).map(str.lower), max_size=4), max_size=5), TEXTS)
def test_a_group_is_anchored_where_one_of_its_words_stands(groups: list[list[str]], texts: list[str]) -> None:
    seen = scan(texts)
    found = groups_anchored(seen.codes, seen.starts, anchors_of(groups)).tolist()
    lowered = [text.translate(PLAIN).lower() for text in texts]
    assert found == [
        sum(any(word in text for word in words) << place for place, words in enumerate(groups)) for text in lowered
    ]


def test_known_words_are_found_whole_and_capitalised_only() -> None:
    texts = ["John met JOHN, Johnny and xJohn", "", "john; Ann"]
    seen = scan(texts)
    found = capitalised(seen.codes, seen.starts, seen.capitals, table_of(["John", "Ann"]))
    assert np.stack(found, axis=1).tolist() == [[0, 0], [0, 27], [2, 6]]
