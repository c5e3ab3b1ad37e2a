"""A piece is counted once, what is remembered is bounded, and no count is ever taken from another piece."""

from functools import cache

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dataset_svc.domain.tokens.automata import Family, Kind, Pattern, steps_of
from dataset_svc.domain.tokens.piece_counts import Counts, PieceCounter
from dataset_svc.domain.tokens.pieces import Rules
from dataset_svc.domain.tokens.signs import CODES

WORDS = [f"{letter}{other}" for letter in "abcdefghij" for other in "klmnopqrst"]


@cache
def rules() -> Rules:
    kinds = np.full(CODES, Kind.LETTER, dtype=np.uint8)
    kinds[ord(" ")], kinds[ord("?")] = Kind.BLANK, Kind.UNSURE
    return Rules(kinds=kinds, steps=steps_of(Pattern(family=Family.GPT2)))


class Asked:
    """Counts signs, and notes what it was asked."""

    def __init__(self) -> None:
        self.pieces: list[str] = []

    def __call__(self, pieces: list[str]) -> Counts:
        self.pieces += pieces
        return np.array([len(piece) for piece in pieces], dtype=np.int32)


def counter(asked: Asked, *, slots: int = 1 << 10, marks: tuple[str, ...] = ()) -> PieceCounter:
    return PieceCounter(rules(), marks, asked, most_slots=slots)


def counted(one: PieceCounter, texts: list[str]) -> list[int]:
    counts, odd = one.count([text.encode() for text in texts])
    assert not odd.any()
    return counts.tolist()


def test_a_piece_is_asked_for_once_however_often_it_comes() -> None:
    one = counter(asked := Asked())
    assert counted(one, ["ab cd ab", "", "ab  cd"]) == [8, 0, 6]
    assert counted(one, ["cd ab", "ab"]) == [5, 2]
    assert asked.pieces == ["ab", " cd", " ab", " ", "cd"]


@settings(max_examples=60, deadline=None)
@given(st.lists(st.lists(st.sampled_from([*WORDS, "가나다", "x" * 128, "y" * 129, ""]), max_size=60).map(" ".join)))
def test_a_table_that_overflows_counts_right(texts: list[str]) -> None:
    one = counter(Asked(), slots=16)
    for _ in range(2):
        assert counted(one, texts) == [len(text) for text in texts]
    table = one._table
    assert len(table.slots) == 16
    assert table.used[0] <= 8
    assert table.used[1] <= len(table.store)


def test_a_full_table_is_emptied_so_that_new_pieces_find_room() -> None:
    one = counter(asked := Asked(), slots=64)
    counted(one, [" ".join(WORDS)])
    assert one._table.used[0] == 32
    counted(one, ["new"])
    assert one._table.used[0] == 1
    asked.pieces.clear()
    assert counted(one, ["new new"]) == [7]
    assert asked.pieces == [" new"]


@pytest.mark.parametrize(("piece", "others"), [("ab", 2), ("a" * 12, 12), ("a" * 40, 40)])
def test_pieces_with_one_hash_are_told_apart_by_their_bytes(piece: str, others: int) -> None:
    one = counter(asked := Asked())
    counted(one, [piece])
    table = one._table
    (slot,) = np.flatnonzero(table.slots[:, 2])
    table.slots[slot, 3] = 99
    assert counted(one, [piece]) == [99]
    # as if another piece with the same hash, and the same beginning, were there
    if others <= 16:
        table.slots[slot, 0 if others <= 8 else 1] += 1
    else:
        table.store[others - 1] += 1
    assert counted(one, [piece]) == [len(piece)]
    assert asked.pieces == [piece, piece]


def test_a_short_piece_is_not_one_with_zeros_after_it() -> None:
    one = counter(Asked())
    texts = ["a", "a\0", "a\0\0", "a" * 8, "a" * 8 + "\0", "a" * 16, "a" * 16 + "\0", "\0"]
    for _ in range(2):
        assert counted(one, texts) == [len(text) for text in texts]


def test_the_table_grows_with_what_it_has_to_remember() -> None:
    one = PieceCounter(rules(), (), asked := Asked())
    texts = ["".join(f" {at:x}" for at in range(first, first + 10_000)) for first in range(0, 200_000, 10_000)]
    for _ in range(2):
        assert counted(one, texts) == [len(text) for text in texts]
    asked.pieces.clear()
    assert counted(one, texts) == [len(text) for text in texts]
    assert asked.pieces == []


def test_long_pieces_are_not_remembered() -> None:
    one = counter(asked := Asked())
    assert counted(one, ["x" * 129 + " " + "y" * 127]) == [257]
    assert counted(one, ["x" * 129]) == [129]
    assert one._table.used.tolist() == [1, 128]
    assert asked.pieces.count("x" * 129) == 2


def test_a_crowded_place_of_the_table_is_searched_only_so_far() -> None:
    one = counter(asked := Asked(), slots=256)
    one._table.slots[:, 2] = 200  # every slot taken by some piece of another length
    assert counted(one, ["ab ab"]) == [5]
    assert asked.pieces == ["ab", " ab"]
    assert one._table.used.tolist() == [0, 0]


def test_a_count_that_fails_leaves_nothing_half_known() -> None:
    one = counter(asked := Asked())

    def fail(pieces: list[str]) -> Counts:
        raise KeyboardInterrupt

    one._count_pieces = fail
    with pytest.raises(KeyboardInterrupt):
        one.count([b"ab cd"])
    one._count_pieces = asked
    assert counted(one, ["ab cd"]) == [5]


def test_texts_with_marks_or_unsure_signs_are_left_to_others() -> None:
    one = counter(Asked(), marks=("<s>", "<|x|>"))
    counts, odd = one.count([b"ab", b"a<s>b", b"a?", b"<s", b">", b"<|x|>", b"cd"])
    assert odd.tolist() == [False, True, True, False, False, True, False]
    assert counts[~odd].tolist() == [2, 2, 1, 2]


def test_texts_larger_than_a_chunk_and_many_of_them_are_counted_in_order() -> None:
    texts = ["ab " * 200_000, "cd", *(" ".join(WORDS[at % 100 :]) for at in range(3_000)), "가" * 600_000]
    one = counter(Asked())
    assert counted(one, texts) == [len(text) for text in texts]
