"""The compiled counts agree with plain Python on texts that are small enough to count by hand."""

import re
from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dataset_svc.domain.quality.keyboard import as_korean, is_mistyped
from dataset_svc.domain.quality.measuring import measure
from dataset_svc.domain.quality.profiles import FENCES, LONGEST_RUN, LZ_UNITS, OPEN_BRACKETS
from dataset_svc.domain.quality.words import DISTINCT, REPEATED_3, REPEATED_LINE_CHARS, WORDS
from loopwright.toxicity.characters import CLASS_OF, HANGUL, JAMO, LOWER
from loopwright.toxicity.disguises import undisguised
from loopwright.toxicity.streams import stream_of
from loopwright.toxicity.terms import find_terms, trie_of

TEXTS = st.text(alphabet="ab가나 다\n.(1", max_size=60)


def squeeze(text: str) -> str:
    stream = stream_of(["", text])
    hiding, plain = undisguised(stream)
    where, place = (plain, 0) if len(hiding) else (stream, 1)
    return "".join(map(chr, where.codes[where.starts[place] : where.starts[place + 1] - 1]))


@settings(max_examples=100, deadline=None)
@given(TEXTS)
def test_words_and_characters_are_counted_as_plain_python_counts_them(text: str) -> None:
    side = measure([""], [text]).answer
    words = re.findall(r"[ab가나다1]+", text)
    assert (side.length[0], side.words[0, WORDS], side.words[0, DISTINCT]) == (len(text), len(words), len(set(words)))
    assert side.profile[0, HANGUL] == sum(char in "가나다" for char in text)
    runs = [len(match[0]) for match in re.finditer(r"([^ \n])\1*", text)]
    assert side.profile[0, LONGEST_RUN] == max(runs, default=0) or not runs


@settings(max_examples=100, deadline=None)
@given(st.lists(st.sampled_from("abcd"), max_size=30))
def test_repeated_trigrams_cover_what_plain_python_finds(words: list[str]) -> None:
    covered: set[int] = set()
    seen: set[tuple[str, ...]] = set()
    for place in range(len(words) - 2):
        gram = tuple(words[place : place + 3])
        covered |= set(range(place, place + 3)) if gram in seen else set()
        seen.add(gram)
    assert measure([""], [" ".join(words)]).answer.words[0, REPEATED_3] == len(covered)


@settings(max_examples=100, deadline=None)
@given(TEXTS)
def test_terms_are_the_leftmost_longest(text: str) -> None:
    terms = {0: ("가나",), 1: ("가나다", "나다"), 2: ("다",)}
    [found] = find_terms(stream_of([text]), trie_of(terms))
    expected = [(match.start(), match[0]) for match in re.finditer("가나다|가나|나다|다", text)]
    assert found.place.tolist() == [place for place, _ in expected]
    kinds = {"가나": 0, "가나다": 1, "나다": 1, "다": 2}
    assert found.kind.tolist() == [kinds[term] for _, term in expected]


def test_latin_terms_are_whole_words_and_marked_korean_terms_begin_one() -> None:
    trie = trie_of({0: ("ass", "damn*"), 1: ("|시발",)})
    [found] = find_terms(stream_of(["ass class ass. damned", "다시발표 시발 시발점"]), trie)
    assert Counter(found.text.tolist()) == {0: 3, 1: 2}


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("시1발", "시발"),
        ("시..발", "시발"),
        ("개 새 끼", "개새끼"),
        ("f u c k", "fuck"),
        ("f-u-c-k", "fuck"),
        ("fuuuuck", "fuck"),
        ("sh1t", "shit"),
        ("$hit", "shit"),
        ("ＦＵＣＫ", "fuck"),
        ("다시 발표", "다시 발표"),
        ("good book", "good book"),
        ("2018년 3월", "2018년 3월"),
    ],
)
def test_disguises_are_undone_and_plain_text_stays(written: str, meant: str) -> None:
    assert squeeze(written) == meant


def test_compression_runs_fences_brackets_and_lines_are_seen() -> None:
    line = "the same line again\n"
    side = measure(["", "", ""], [line * 10, "```py\n(((x)```", "abcdefghij"]).answer
    assert side.profile[0, LZ_UNITS] < 0.2 * side.length[0]
    assert side.words[0, REPEATED_LINE_CHARS] == 9 * (len(line) - 1)
    assert (side.profile[1, FENCES], side.profile[1, OPEN_BRACKETS]) == (2, 2)
    assert side.profile[2, LZ_UNITS] == 10


def test_stems_forget_particles_and_inflection() -> None:
    shared = measure(["모델을 학습하라", "servers crashed"], ["모델이 학습됩니다", "the server is crashing"]).shared
    assert shared[:, 2].tolist() == [2, 2]


def test_classes_cover_the_whole_plane() -> None:
    assert [CLASS_OF[ord(char)] for char in "가ㅋa"] == [HANGUL, JAMO, LOWER]
    assert len(CLASS_OF) == 0x10000


def test_the_keyboard_is_undone_for_korean_only() -> None:
    assert as_korean("dkssudgktpdy") == "안녕하세요"
    assert as_korean("rkatkgkqslek") == "감사합니다"
    assert as_korean("keyboard") is None
    assert is_mistyped("tjqjrk ajacnTdjdy")
    assert not is_mistyped("The server stopped because its disk was full.")
    assert not is_mistyped("")


def test_time_and_memory_grow_with_the_text_and_not_with_its_square() -> None:
    for hostile in ("(" * 500_000, "a " * 250_000, "시" * 500_000, "\n" * 500_000, "```" * 150_000):
        side = measure([""], [hostile]).answer
        assert side.length[0] == len(hostile)
        assert np.all(side.words >= 0)
