"""Many texts at once become what each would become alone."""

import unicodedata

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dataset_svc.domain.texts.same_texts import Texts, same_texts

# characters that compose, that are white space in one way or another, and their neighbours at the ends of ranges
_ODD = "\0\t\n\x0b\x0c\r\x0e\x1b\x1c\x1f \x7f\x85\xa0·é\u0300\u0301\u0338\u1100\u1161\u11a8\u1680\u2000\u200f\u2010\u2027\u2028"
_EDGES = "\u2126\u3000\u3001\u3099\u30ab\u4dff\u4e00\u4fff\u5000\u9fff\ua000\uabff가각\ud7a3\ud7a4\ud7b0\uf900\ufeff𝔘"
_TEXT = st.text(
    st.one_of(st.sampled_from(_ODD + _EDGES + "ab가나 "), st.characters(exclude_categories=["Cs"])), max_size=12
)


def _alone(text: str) -> str:
    return " ".join(unicodedata.normalize("NFC", text.replace("\0", " ")).split())


@settings(max_examples=300, deadline=None)
@given(st.lists(_TEXT, max_size=8))
def test_every_text_is_composed_and_spaced_as_it_would_be_alone(texts: list[str]) -> None:
    same, encoded = same_texts(Texts.of(texts))
    assert same == [_alone(text) for text in texts]
    assert encoded == [text.encode() for text in same]


@pytest.mark.parametrize("sign", [*_ODD, *_EDGES])
@pytest.mark.parametrize("around", ["{}", "a{}b", "가{}", "{}\u0338", "a {} b", "{} "])
def test_no_sign_is_taken_for_one_that_stays_as_it_is(sign: str, around: str) -> None:
    text = around.format(sign)
    assert same_texts(Texts.of(["before ", text, "after"])).texts == ["before", _alone(text), "after"]


def test_half_a_surrogate_pair_is_no_text_to_write() -> None:
    with pytest.raises(UnicodeEncodeError):
        Texts.of(["fine", "half \ud83d"])
