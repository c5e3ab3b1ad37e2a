"""Held-out cases that a training split gives away."""

import json

import pytest

from loopwright.errors import InvalidPayload
from registry_svc.domain.contamination import ContaminationSearch, question_of
from registry_svc.domain.scoring import HeldOutCase

LONG = (
    "the disk of the third database server in the second rack reported seven hundred read errors since the last restart"
)


def found(case: str, *rows: str) -> tuple[str, ...]:
    search = ContaminationSearch([HeldOutCase(number=1, sample_id="s1", input=case, expected="x")])
    for row in rows:
        search.feed([row])
    return search.finish().given_away


class TestSearch:
    def test_finds_the_same_question_whatever_its_case_and_spaces(self):
        assert found("Disk  full\n", "other", "disk full") == ("s1",)

    def test_finds_most_of_a_long_question_inside_a_row(self):
        assert found(LONG, f"please look: {LONG.upper()} and nothing else") == ("s1",)

    def test_a_smaller_part_is_no_copy(self):
        words = LONG.split()
        assert found(LONG, " ".join(words[:14]) + " but this one goes on otherwise for a good while longer") == ()

    def test_what_many_rows_hold_is_a_template(self):
        assert found(LONG + " one", *(f"{LONG} {number}" for number in range(11))) == ()
        assert found(LONG + " one", *(f"{LONG} {number}" for number in range(10))) == ("s1",)

    def test_short_questions_are_compared_as_a_whole_only(self):
        assert found("disk full", "the disk full alarm came again") == ()

    def test_counts_cases_and_rows(self):
        cases = [HeldOutCase(number=n, sample_id=f"s{n}", input=f"question {n}", expected="x") for n in range(4)]
        search = ContaminationSearch(cases)
        search.feed(["question 1", "question 2", "x"])
        result = search.finish()
        assert (result.cases, result.rows, result.share_0_1, result.given_away) == (4, 3, 0.5, ("s1", "s2"))


class TestQuestionOf:
    def test_is_the_input_or_else_the_users_first_turn(self):
        messages = [{"role": "system", "content": "s"}, {"role": "user", "content": "u"}]
        assert question_of(json.dumps({"input": "i", "messages": messages}).encode()) == "i"
        assert question_of(json.dumps({"messages": messages}).encode()) == "u"

    @pytest.mark.parametrize("line", [b"{", b"[1]", b'{"messages": 1}', b"\xff"])
    def test_refuses_what_is_no_sample(self, line: bytes):
        with pytest.raises(InvalidPayload):
            question_of(line)
