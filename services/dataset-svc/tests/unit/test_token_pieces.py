"""Text is cut into pieces as Hugging Face `tokenizers` cuts it, or not at all."""

import itertools
import unicodedata
from collections.abc import Callable
from functools import cache

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from tokenizers import Regex, Tokenizer, models, normalizers, pre_tokenizers
from tokenizers.pre_tokenizers import ByteLevel, Digits, Sequence, Split

from dataset_svc.domain.tokens.automata import Family, Kind, Pattern, steps_of
from dataset_svc.domain.tokens.layouts import layout_of
from dataset_svc.domain.tokens.pieces import Rules, Texts, cut
from dataset_svc.domain.tokens.signs import CODES, all_signs, kinds_of_signs, leave_composed

LLAMA = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
QWEN = LLAMA.replace("{1,3}", "")
LEFT = "isolated"


def split(pattern: str, behavior: str = LEFT, *, invert: bool = False) -> pre_tokenizers.PreTokenizer:
    return Sequence([Split(Regex(pattern), behavior, invert), ByteLevel(add_prefix_space=False, use_regex=False)])


CUTTERS: dict[str, pre_tokenizers.PreTokenizer] = {
    "gpt2": ByteLevel(add_prefix_space=False),
    "digits": Sequence([Digits(individual_digits=True), ByteLevel(add_prefix_space=False)]),
    "llama": split(LLAMA),
    "qwen": split(QWEN),
}
EDGES = [
    "  two  spaces \t\n 's  1 ",
    "it's IT'S 'tis 'LL'rE'v 'r 'l 're've'll'd 's's ''s 'é 'ſ",
    " \n\n  \r\n x \n\t\n  !\n\n!a !!a \u00a0b \u00a0!",
    "1234567 12 1a ½Ⅷ١٢٣ 한글 한글12글 ㅋㅋㅋ!!",
    "e\u0301 \u1112\u1161\u11ab 👩‍👩‍👧‍👦🇰🇷👍🏽 \ufeff\u200b\u2028\x85\x00\x1c\x1f\x7f",
]
SIGNS = st.one_of(
    st.sampled_from(
        [*"'strevmdlSTREVMDL  \n\r\t!a1.é가ㅋ\u00a0\u3000\u0301\u200d\x85\x1c😀½", "  ", "\r\n", "'ll", "\n\n"]
    ),
    st.characters(exclude_categories=["Cs"]),
)
TEXT = st.lists(SIGNS, max_size=30).map("".join)


def erased(pattern: str, text: str) -> str:
    return normalizers.Replace(Regex(pattern), "").normalize_str(text)


def file_of(cutter: pre_tokenizers.PreTokenizer, model: models.Model | None = None) -> Tokenizer:
    tokenizer = Tokenizer(model or models.BPE())
    tokenizer.pre_tokenizer = cutter
    return tokenizer


@cache
def rules_of(name: str) -> Rules:
    layout = layout_of(file_of(CUTTERS[name]).to_str())
    assert layout is not None
    kinds = kinds_of_signs(erased, caseless=layout.pattern.family is Family.GPT4)
    return Rules(kinds=kinds, steps=steps_of(layout.pattern))


def cut_all(texts: list[str], rules: Rules) -> list[list[str] | None]:
    """Pieces of each text; None for those that are left uncut."""
    encoded = [text.encode() for text in texts]
    content = b"".join(encoded)
    offsets = np.cumsum([0, *map(len, encoded)], dtype=np.int64)
    odd = np.zeros(len(texts), dtype=np.bool_)
    ends, firsts = np.empty(len(content) + 1, dtype=np.int64), np.empty(len(offsets), dtype=np.int64)
    cut(Texts(np.frombuffer(content, dtype=np.uint8), offsets, odd), rules, ends, firsts)
    found: list[list[str] | None] = []
    for text in range(len(texts)):
        places = [int(offsets[text]), *ends[firsts[text] : firsts[text + 1]].tolist()]
        pieces = [content[start:end].decode() for start, end in itertools.pairwise(places)]
        found.append(None if odd[text] else pieces)
    return found


def as_the_library_cuts(cutter: pre_tokenizers.PreTokenizer, text: str) -> list[str]:
    return [text[start:end] for _, (start, end) in cutter.pre_tokenize_str(text)]


@pytest.mark.parametrize("name", CUTTERS)
def test_pieces_are_those_of_the_library_and_one_by_itself_is_one_again(name: str) -> None:
    rules, cutter = rules_of(name), CUTTERS[name]

    @settings(max_examples=300, deadline=None)
    @given(st.lists(TEXT, min_size=1, max_size=4))
    @example(EDGES)
    def agree(texts: list[str]) -> None:
        for text, pieces in zip(texts, cut_all(texts, rules), strict=True):
            if pieces is not None:
                assert pieces == as_the_library_cuts(cutter, text)
                assert [as_the_library_cuts(cutter, piece) for piece in pieces] == [[piece] for piece in pieces]

    agree()


@pytest.mark.parametrize("name", ["digits", "qwen"])
def test_every_character_is_cut_as_the_library_cuts_it(name: str) -> None:
    rules, cutter = rules_of(name), CUTTERS[name]
    # ideographs and Korean syllables are all alike
    signs = [
        sign for sign in all_signs() if ord(sign) < 0x3400 or unicodedata.category(sign) != "Lo" or ord(sign) % 64 == 0
    ]
    sure = [sign for sign in signs if rules.kinds[ord(sign)] != Kind.UNSURE]
    assert len(sure) >= len(signs) - 1  # U+017F
    texts = [
        "".join(f"a{sign} {sign}1{sign}'{sign}" for sign in sure[at : at + 500]) for at in range(0, len(sure), 500)
    ]
    for text, pieces in zip(texts, cut_all(texts, rules), strict=True):
        assert pieces == as_the_library_cuts(cutter, text)


def test_a_text_with_a_sign_of_no_sure_kind_is_left_uncut_and_its_neighbours_are_not() -> None:
    texts = ["one two", "a \U00050000", "", "three's"]
    assert cut_all(texts, rules_of("gpt2")) == [["one", " two"], None, [], ["three", "'s"]]


@given(TEXT)
@example("한글 e\u0301")
@example("\u1112\u1161\u11ab")
@example("A\u030a \u212b")
@settings(max_examples=200, deadline=None)
def test_text_of_sure_signs_is_in_normal_form_already(text: str) -> None:
    if not (composed_kinds()[[ord(sign) for sign in text]] == Kind.UNSURE).any():
        assert normalizers.NFC().normalize_str(text) == text == unicodedata.normalize("NFC", text)


@cache
def composed_kinds() -> np.ndarray:
    kinds = kinds_of_signs(erased, caseless=True)
    leave_composed(kinds, normalizers.NFC().normalize_str)
    return kinds


def test_ordinary_text_is_sure_to_be_in_normal_form() -> None:
    assert not (composed_kinds()[[ord(sign) for sign in "안녕, 漢字 — “it's” é\n\t½ ㅋㅋ😀"]] == Kind.UNSURE).any()


def test_what_another_version_of_the_normal_form_changes_is_not_sure() -> None:
    kinds = np.full(CODES, Kind.LETTER, dtype=np.uint8)
    leave_composed(kinds, lambda text: text.replace("가", "나"))
    assert kinds[ord("가")] == Kind.UNSURE
    assert kinds[ord("나")] == Kind.LETTER


@pytest.mark.parametrize(
    ("name", "pattern"),
    [
        ("gpt2", Pattern(family=Family.GPT2)),
        ("digits", Pattern(family=Family.GPT2_DIGITS)),
        ("llama", Pattern(family=Family.GPT4, digits=3)),
        ("qwen", Pattern(family=Family.GPT4, digits=1)),
    ],
)
def test_tokenizers_that_cut_in_a_known_way_are_recognised(name: str, pattern: Pattern) -> None:
    tokenizer = file_of(CUTTERS[name])
    tokenizer.add_special_tokens(["<s>", "</s>"])
    tokenizer.normalizer = normalizers.NFC()
    layout = layout_of(tokenizer.to_str())
    assert layout is not None
    assert (layout.pattern, layout.composed, layout.marks) == (pattern, True, ("<s>", "</s>"))


@pytest.mark.parametrize(
    "cutter",
    [
        ByteLevel(add_prefix_space=True),
        ByteLevel(add_prefix_space=False, use_regex=False),
        Sequence([Digits(individual_digits=False), ByteLevel(add_prefix_space=False)]),
        Sequence([ByteLevel(add_prefix_space=False), Digits(individual_digits=True)]),
        split(LLAMA.replace("{1,3}", "{1,2}")),
        split(LLAMA, "removed"),
        split(LLAMA, invert=True),
        pre_tokenizers.Whitespace(),
    ],
)
def test_any_other_way_of_cutting_is_not_recognised(cutter: pre_tokenizers.PreTokenizer) -> None:
    assert layout_of(file_of(cutter).to_str()) is None


def lower(tokenizer: Tokenizer) -> None:
    tokenizer.normalizer = normalizers.Lowercase()


def fallen_back(tokenizer: Tokenizer) -> None:
    tokenizer.model = models.BPE(byte_fallback=True)


def random_merges(tokenizer: Tokenizer) -> None:
    tokenizer.model = models.BPE(dropout=0.1)


def whole_words(tokenizer: Tokenizer) -> None:
    tokenizer.model = models.WordLevel({"[UNK]": 0}, unk_token="[UNK]")


@pytest.mark.parametrize("change", [lower, fallen_back, random_merges, whole_words])
def test_a_tokenizer_that_does_more_than_merge_bytes_is_not_recognised(change: Callable[[Tokenizer], None]) -> None:
    tokenizer = file_of(CUTTERS["gpt2"])
    assert layout_of(tokenizer.to_str()) is not None
    change(tokenizer)
    assert layout_of(tokenizer.to_str()) is None
