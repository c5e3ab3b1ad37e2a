"""Which chunks are asked, which pairs stay, and what a sample says of where it comes from."""

import json
from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from dataset_svc.domain.samples import Turn
from dataset_svc.domain.texts.chunks import Chunk
from dataset_svc.domain.texts.generated_pairs import Pair, Parsed, Refusal, Template
from dataset_svc.domain.texts.generations import MOST_PAIRS_A_CHUNK, Place, ScoredPair, distinct, judge, line_of, spread

SOURCE = "장애가 나면 010-1234-5678 로 알립니다. 백업은 매일 02:30에 돕니다."
CHUNK = Chunk(number=3, start=100, end=150, headings=("장애", "연락"), page=2)


def turns(question, answer):
    return (Turn(role="user", content=question), Turn(role="assistant", content=answer))


def scored(question, answer, score=0.9):
    return ScoredPair(messages=turns(question, answer), score_0_1=score)


class TestSpread:
    def test_ten_pairs_over_many_chunks_reach_from_first_to_last(self):
        plan = spread(10, 100)
        assert [number for number, _ in plan] == [0, 10, 20, 30, 40, 50, 60, 70, 80, 90]
        assert all(wanted == 1 for _, wanted in plan)

    @given(st.integers(1, 500), st.integers(0, 400))
    def test_adds_up_and_asks_no_chunk_for_too_much(self, wanted, chunks):
        plan = spread(wanted, chunks)
        assert sum(asked for _, asked in plan) == min(wanted, chunks * MOST_PAIRS_A_CHUNK)
        numbers = [number for number, _ in plan]
        assert len(set(numbers)) == len(numbers)
        assert all(0 <= number < chunks for number in numbers)
        assert all(1 <= asked <= MOST_PAIRS_A_CHUNK for _, asked in plan)


class TestJudge:
    def test_keeps_the_grounded_pair_and_counts_the_invented_one(self):
        pairs = (
            Pair(messages=turns("백업은 언제 도나요?", "백업은 매일 02:30에 돕니다.")),
            Pair(messages=turns("백업은 언제 도나요?", "백업은 매주 04:00에 돕니다.")),
        )
        kept, refused = judge(Parsed(pairs=pairs, refused=Counter([Refusal.ECHO])), source=SOURCE, min_score_0_1=0.7)
        assert [pair.messages[-1].content for pair in kept] == ["백업은 매일 02:30에 돕니다."]
        assert refused == Counter([Refusal.ECHO, Refusal.LOW_SCORE])

    def test_personal_data_never_enters_a_pair(self):
        pair = Pair(messages=turns("어디로 알리나요?", "장애가 나면 010-1234-5678 로 알립니다."))
        kept, _ = judge(Parsed(pairs=(pair,), refused=Counter()), source=SOURCE, min_score_0_1=0.0)
        assert "010-1234-5678" not in str(kept)


class TestDistinct:
    def test_of_like_pairs_the_better_stays(self):
        pairs = [
            scored("백업은 언제 도나요?", "매일 02:30에 돕니다.", 0.8),
            scored("백업은 언제 도나요??", "매일 02:30에 돕니다.", 0.9),
            scored("누구에게 알리나요?", "담당자에게 알립니다.", 0.7),
        ]
        assert distinct(pairs) == ((1, 2), 1)


class TestLines:
    def test_a_sample_names_document_chunk_and_offsets(self):
        place = Place(document_id="doc-1", generation_id="g1", template=Template.QA, chunk=CHUNK)
        line = json.loads(line_of(scored("q", "a", 0.83), place))
        assert line["messages"][-1] == {"role": "assistant", "content": "a"}
        assert (line["weight_0_1"], line["group"]) == (0.83, "doc-1:3")
        assert line["metadata"] == {
            "document_id": "doc-1", "generation_id": "g1", "template": "qa", "chunk": 3, "start": 100, "end": 150, "page": 2,
            "headings": "장애 > 연락", "score_0_1": 0.83,
        }  # fmt: skip
        other = Place(document_id="doc-2", generation_id="g1", template=Template.QA, chunk=CHUNK)
        assert json.loads(line_of(scored("q", "a"), other))["sample_id"] != line["sample_id"]
