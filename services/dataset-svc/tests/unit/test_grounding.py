"""Grounding: what an answer may say of its source, in Korean and English."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dataset_svc.domain.texts.grounding import Source, score_of

KOREAN = (
    "VPN 연결이 끊기면 먼저 네트워크 어댑터를 재시작합니다. 비밀번호는 90일마다 바꿔야 하며, 5회 틀리면 계정이 30분 동안 잠깁니다. "
    "장애 접수는 서비스데스크에서 담당합니다."
)
ENGLISH = "The backup of node db-07 runs at 02:30 and keeps 14 copies. Restore needs the role operator."


class TestKorean:
    @pytest.mark.parametrize(
        "answer",
        [
            "네트워크 어댑터를 재시작하세요.",
            "90일마다 비밀번호를 바꿔야 합니다.",
            "서비스데스크가 장애 접수를 담당한다.",
            "계정은 30분간 잠깁니다. 5회 틀렸을 때입니다.",
            "VPN 연결이 끊겼다면 어댑터를 재시작합니다.",
        ],
    )
    def test_other_particles_and_endings_are_grounded(self, answer):
        assert Source(KOREAN).grounding_of(answer).score_0_1 >= 0.7

    def test_a_formal_ending_hides_no_stem(self):
        assert Source("백업은 매일 새벽에 돌고 끝난다.").grounding_of("백업은 매일 새벽에 돕니다.").words == 1.0

    @pytest.mark.parametrize(
        "answer",
        [
            "비밀번호는 60일마다 바꿔야 합니다.",
            "계정이 3시간 동안 잠깁니다.",
            "프린터 드라이버를 새로 설치하고 토너를 교체합니다.",
            "LDAP 연결이 끊기면 네트워크 어댑터를 재시작합니다.",
        ],
    )
    def test_another_number_name_or_matter_is_not(self, answer):
        assert Source(KOREAN).grounding_of(answer).score_0_1 < 0.7


class TestEnglish:
    def test_what_the_source_says_is_grounded(self):
        assert Source(ENGLISH).grounding_of("It keeps 14 copies of db-07.").score_0_1 == 1.0

    @pytest.mark.parametrize(
        "answer", ["It keeps 15 copies.", "The backup of web_09 runs at 02:30.", "Ask the CEO for help."]
    )
    def test_another_number_or_name_is_not(self, answer):
        assert Source(ENGLISH).grounding_of(answer).score_0_1 < 0.7

    def test_numbers_are_compared_as_numbers(self):
        assert Source("It costs 1,250.50 won.").grounding_of("1250.5 won").numbers == 1.0


class TestScore:
    def test_a_question_foreign_to_the_source_costs(self):
        near = score_of(Source(ENGLISH), question="When does the backup run?", answer="The backup runs at 02:30.")
        far = score_of(Source(ENGLISH), question="Which pizza tastes best?", answer="The backup runs at 02:30.")
        assert near > 0.9
        assert far < 0.75

    @given(st.text(max_size=300), st.text(max_size=300), st.text(max_size=100))
    def test_any_texts_score_from_0_to_1_and_a_text_grounds_itself(self, source, answer, question):
        assert 0.0 <= score_of(Source(source), question=question, answer=answer) <= 1.0
        assert Source(source).grounding_of(source).score_0_1 == pytest.approx(1.0)
