"""Chunks: where they may be cut, how large they are, and that nothing between them is lost."""

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from dataset_svc.domain.texts.chunks import ChunkRules, Unit, cut, estimated_tokens, sentences
from dataset_svc.domain.texts.documents import Block, assemble

KOREAN = (
    "서버가 응답하지 않으면 먼저 전원을 확인합니다. 그다음 케이블을 점검하세요! 해결되지 않나요? 담당자에게 알립니다."
)
ENGLISH = "Check the power first. Dr. Kim paid 3.5 dollars, e.g. for cables. Is it solved? Call us!"


def document(*blocks: Block):
    return assemble(blocks, max_chars=1_000_000)


def texts(found, rules):
    return [found.text[chunk.start : chunk.end] for chunk in cut(found, rules)]


class TestSentences:
    def test_korean_sentences_end_at_their_marks(self):
        found = [KOREAN[start:end] for start, end in sentences(KOREAN)]
        assert found == [
            "서버가 응답하지 않으면 먼저 전원을 확인합니다.", "그다음 케이블을 점검하세요!", "해결되지 않나요?", "담당자에게 알립니다.",
        ]  # fmt: skip

    def test_neither_a_number_nor_an_abbreviation_ends_a_sentence(self):
        found = [ENGLISH[start:end] for start, end in sentences(ENGLISH)]
        assert found == [
            "Check the power first.", "Dr. Kim paid 3.5 dollars, e.g. for cables.", "Is it solved?", "Call us!",
        ]  # fmt: skip


class TestCut:
    def test_a_chunk_ends_before_a_heading_and_knows_the_headings_above_it(self):
        body = "이 절에는 충분히 긴 설명이 들어 있습니다. " * 5
        found = document(
            Block(text="설치", level=1), Block(text=body), Block(text="오류", level=2), Block(text=body),
            Block(text="삭제", level=1), Block(text=body),
        )  # fmt: skip
        chunks = cut(found, ChunkRules(size=400, overlap=0))
        assert [chunk.headings for chunk in chunks] == [("설치",), ("설치", "오류"), ("삭제",)]
        assert [found.text[chunk.start :][:2] for chunk in chunks] == ["설치", "오류", "삭제"]

    def test_a_tiny_section_goes_together_with_the_next(self):
        found = document(Block(text="A", level=1), Block(text="B", level=2), Block(text="Words. " * 40))
        assert len(cut(found, ChunkRules(size=400, overlap=0))) == 1

    def test_a_chunk_repeats_whole_sentences_of_the_one_before(self):
        found = document(Block(text=" ".join(f"This is sentence number {n} of the text." for n in range(40))))
        pieces = texts(found, ChunkRules(size=200, overlap=50))
        for before, after in pairwise(pieces):
            repeated = after[: after.index(".") + 1]
            assert before.endswith(repeated)
        assert len(pieces) > 5

    def test_a_chunk_knows_its_page(self):
        found = document(*(Block(text=f"Page {n}. " * 30, page=n) for n in (1, 2, 3)))
        assert [chunk.page for chunk in cut(found, ChunkRules(size=250, overlap=0))][-1] == 3

    def test_tokens_count_as_they_are_estimated(self):
        found = document(Block(text=KOREAN * 40))
        for piece in texts(found, ChunkRules(size=200, overlap=0, unit=Unit.TOKENS)):
            assert 50 < estimated_tokens(piece) <= 200

    @given(
        st.lists(st.text("가나다 abc.?!\n1", min_size=1, max_size=400), min_size=1, max_size=6),
        st.integers(100, 400), st.integers(0, 60), st.sampled_from(Unit),
    )  # fmt: skip
    def test_every_letter_is_in_a_chunk_and_none_is_too_large(self, blocks, size, overlap, unit):
        found = document(Block(text="x"), *(Block(text=text) for text in blocks))
        rules = ChunkRules(size=size, overlap=overlap, unit=unit)
        held = [False] * len(found.text)
        for chunk in cut(found, rules):
            piece = found.text[chunk.start : chunk.end]
            assert (len(piece) if unit is Unit.CHARACTERS else estimated_tokens(piece)) <= size
            held[chunk.start : chunk.end] = [True] * len(piece)
        assert all(kept or sign.isspace() for kept, sign in zip(held, found.text, strict=True))
