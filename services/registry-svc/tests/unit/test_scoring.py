"""What counts as a right answer, and which held-out lines can be read."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loopwright.errors import InvalidPayload
from registry_svc.domain.scoring import read_cases, score_answer

SCHEMA = {
    "type": "object",
    "properties": {"status": {"type": "string", "enum": ["normal", "alert"]}},
    "required": ["status"],
    "additionalProperties": False,
}
RIGHT = '{"status": "alert"}'


def line(**changes: object) -> dict[str, object]:
    return {
        "sample_id": "s1",
        "input": "disk full",
        "messages": [{"role": "user", "content": "x"}, {"role": "assistant", "content": RIGHT}],
    } | changes


class TestScoreAnswer:
    @pytest.mark.parametrize(
        ("answer", "correct", "valid"),
        [
            (RIGHT, True, True),
            ('{"status":"alert"}\n', True, True),
            ('{"status": "normal"}', False, True),
            ('{"status": "alert", "why": 1}', True, False),
            ('{"state": "alert"}', False, False),
            ('["alert"]', False, False),
            ("alert", False, False),
            (RIGHT + " indeed", False, False),
            ("", False, False),
            ("null", False, False),
        ],
    )
    def test_compares_the_field_of_a_structured_answer(self, answer, correct, valid):
        score = score_answer(answer, RIGHT, schema=SCHEMA, field="status")

        assert (score.correct, score.schema_valid) == (correct, valid)

    def test_compares_whole_values_without_a_field(self):
        assert score_answer('{"b": 1, "a": 2}', '{"a": 2, "b": 1}', schema={}, field=None).correct
        assert not score_answer('{"a": true}', '{"a": 1}', schema={}, field=None).correct

    def test_compares_texts_without_a_schema(self):
        assert score_answer(" yes\n", "yes", schema=None, field=None).correct
        assert not score_answer("Yes", "yes", schema=None, field=None).correct

    def test_is_wrong_when_the_right_answer_cannot_be_read(self):
        assert not score_answer(RIGHT, "alert", schema=SCHEMA, field="status").correct

    def test_a_field_that_both_lack_is_no_agreement(self):
        assert not score_answer("{}", "{}", schema={}, field="status").correct

    @given(st.text())
    def test_never_fails_on_what_a_model_writes(self, text: str):
        score_answer(text, RIGHT, schema=SCHEMA, field="status")


class TestReadCases:
    def test_reads_input_and_right_answer_and_skips_blank_lines(self):
        lines = json.dumps(line()) + "\n\n" + json.dumps(line(sample_id="s2", input="a\u2028b")) + "\n"
        cases = read_cases(lines.encode())

        assert [(case.number, case.sample_id) for case in cases] == [(1, "s1"), (3, "s2")]
        assert cases[0].expected == RIGHT

    def test_keeps_characters_that_python_takes_for_line_ends(self):
        raw = json.dumps(line(input="a\u2028b\x85c"), ensure_ascii=False)

        assert read_cases(raw.encode())[0].input == "a\u2028b\x85c"

    @pytest.mark.parametrize(
        ("bad", "words"),
        [
            ("{", "line 1"),
            (json.dumps({"sample_id": "s"}), "input"),
            (json.dumps(line(messages=[])), "messages"),
            (json.dumps(line(messages=[{"role": "user", "content": "x"}])), "does not end with an answer"),
        ],
    )
    def test_says_which_line_cannot_be_read(self, bad: str, words: str):
        with pytest.raises(InvalidPayload, match=words):
            read_cases(bad.encode())
