"""Test suites: what is read from files, what is refused with which reason, and what names a version."""

import json

import pytest

from loopwright.errors import Invalid
from registry_svc.domain.suite_files import CaseFormat, read_case_file
from registry_svc.domain.suites import (
    MOST_CASE_CHARS,
    MOST_REASONS,
    CaseProblem,
    CaseRules,
    CasesRefused,
    SuiteCase,
    accept_cases,
    content_hash,
    held_out_cases,
    split_suite_id,
)

SCHEMA = {"type": "object", "properties": {"status": {"enum": ["normal", "alert"]}}, "required": ["status"]}


def read(text: str | bytes, form: CaseFormat = CaseFormat.JSONL, **rules: object) -> tuple[SuiteCase, ...]:
    content = text if isinstance(text, bytes) else text.encode()
    known = CaseRules(**({"most_cases": 200} | rules))
    return accept_cases(read_case_file(content, form, most_cases=known.most_cases), known)


def reasons(text: str | bytes, form: CaseFormat = CaseFormat.JSONL, **rules: object) -> dict[str, str]:
    with pytest.raises(CasesRefused) as refused:
        read(text, form, **rules)
    return {problem.place: problem.reason for problem in refused.value.problems}


class TestJsonLines:
    def test_reads_texts_objects_and_names_of_cases(self):
        cases = read(
            '\ufeff{"input": "가", "expected": {"status": "alert"}}\n\n{"case_id":"b","input":"x","expected":"y"}\n'
        )

        assert cases == (
            SuiteCase(number=1, case_id="1", input="가", expected='{"status":"alert"}'),
            SuiteCase(number=2, case_id="b", input="x", expected="y"),
        )

    def test_does_not_split_inside_of_a_string(self):
        assert read('{"input": "a\u2028b", "expected": "c"}')[0].input == "a\u2028b"

    def test_says_for_every_line_what_is_wrong_with_it(self):
        lines = [
            '{"input": "a", "expected": "b"}', "[1]", '{"input": "a"}', '{"input": "a", "expected": "b", "inptu": 1}',
            '{"input": " ", "expected": "b"}', '{"input": "a\\u0000", "expected": "b"}', '{"input": "\\ud800", "expected": "b"}',
            "{", "[" * 100_000, '{"input": ' + "9" * 5000 + "}", json.dumps({"input": "x" * (MOST_CASE_CHARS + 1), "expected": "b"}),
            '{"input": 3, "expected": "b"}',
        ]  # fmt: skip
        found = reasons("\n".join(lines))

        assert set(found) == {f"line {number}" for number in range(2, len(lines) + 1)}
        assert found["line 2"] == "is no JSON object"
        assert found["line 3"] == "expected: Field required"
        assert found["line 4"] == "inptu: no such field"
        assert found["line 5"] == "input: is blank"
        assert "NUL" in found["line 6"]
        assert "not JSON" in found["line 8"]
        assert "too deep" in found["line 9"]
        assert f"at most {MOST_CASE_CHARS}" in found["line 11"]

    def test_says_where_text_is_no_utf8(self):
        assert reasons(b'{"input": "a", "expected": "b"}\n' + "한글".encode("cp949")) == {
            "line 2": "is not UTF-8 (invalid continuation byte)"
        }


class TestCsv:
    @pytest.mark.parametrize("delimiter", [",", ";", "\t"])
    def test_reads_any_order_of_columns_and_quoted_line_ends(self, delimiter):
        text = (
            delimiter.join(("Expected", " input ", "case_id")) + "\r\n" + delimiter.join(("b", '"a\nc"', "")) + "\r\n"
        )

        assert read(text, CaseFormat.CSV) == (SuiteCase(number=1, case_id="1", input="a\nc", expected="b"),)

    def test_names_the_line_on_which_a_row_begins(self):
        found = reasons('input,expected\n"a\nb",c\nonly one\nd,\n', CaseFormat.CSV)

        assert found == {
            "line 4": "has 1 fields, the header 2",
            "line 5": "expected: String should have at least 1 character",
        }

    @pytest.mark.parametrize("header", ["", "a,b", "input", "input,expected,expected", "input,expected,colour"])
    def test_refuses_a_header_that_says_nothing(self, header):
        assert "the header must name input, expected" in reasons(f"{header}\nx,y\n", CaseFormat.CSV)["line 1"]

    def test_ends_at_a_quote_that_nobody_closes(self):
        assert "not CSV" in reasons('input,expected\na,b\n"a,b\n', CaseFormat.CSV)["line 3"]

    def test_a_field_without_end_is_refused_and_not_kept(self):
        assert "not CSV: field larger" in reasons("input,expected\n" + "x" * 100_000 + ",b\n", CaseFormat.CSV)["line 2"]

    def test_refuses_nul(self):
        assert reasons("input,expected\na\0,b\n", CaseFormat.CSV) == {"line 2": "holds NUL"}


class TestAccept:
    def test_takes_as_many_cases_as_the_setting_says_and_not_one_more(self):
        lines = ["input,expected", *(f"{number},x" for number in range(200))]

        assert len(read("\n".join(lines), CaseFormat.CSV, most_cases=200)) == 200
        assert reasons("\n".join(lines), CaseFormat.CSV, most_cases=199) == {"file": "holds more than 199 cases"}
        assert reasons("", CaseFormat.JSONL) == {"file": "holds no case"}

    def test_refuses_a_name_that_stands_twice(self):
        line = '{"case_id": "a", "input": "x", "expected": "y"}'
        assert reasons(f"{line}\n{line}") == {"line 2": "case_id: 'a' stands at line 1 already"}

    def test_right_answers_must_be_what_the_task_asks_for(self):
        lines = [
            '{"input": "a", "expected": {"status": "alert"}}', '{"input": "a", "expected": {"status": "bad"}}',
            '{"input": "a", "expected": "alert"}', '{"input": "a", "expected": {"mood": 1}}',
        ]  # fmt: skip
        with pytest.raises(CasesRefused) as refused:
            read("\n".join(lines), answer_schema=SCHEMA, answer_field="status")

        assert [problem.place for problem in refused.value.problems] == ["line 2", "line 3", "line 4", "line 4"]
        said = [problem.reason for problem in refused.value.problems]
        assert said[1:3] == [
            "expected: is not JSON, and the task's answers are",
            "expected: lacks status, which evaluation compares",
        ]

    def test_a_thousand_wrong_lines_are_not_all_told(self):
        refused = CasesRefused(*(CaseProblem(f"line {number}", "wrong") for number in range(1000)))

        assert len(refused.problems) == MOST_REASONS
        assert str(refused).endswith(f"and {1000 - MOST_REASONS} more")


class TestVersions:
    def test_equal_content_has_an_equal_hash_however_it_was_spelled(self):
        jsonl = read('{"input": "a\\u0062", "expected": "c"}')
        table = read("expected;input\nc;ab\n", CaseFormat.CSV)
        other = read('{"input": "ab", "expected": "d"}')

        assert content_hash(jsonl) == content_hash(table)
        assert content_hash(jsonl) != content_hash(other)
        # what moves from one field to the next is other content
        assert content_hash(read('{"input":"a","expected":"bc"}')) != content_hash(
            read('{"input":"ab","expected":"c"}')
        )

    def test_cases_are_asked_as_held_out_cases_are(self):
        (case,) = held_out_cases(read('{"case_id": "k", "input": "a", "expected": "b"}'))
        assert (case.number, case.sample_id, case.input, case.expected) == (1, "k", "a", "b")

    @pytest.mark.parametrize("text", ["", "a", "a@", "@1", "a@x", "a@-1", "a@²", "a@" + "9" * 30])
    def test_an_id_that_is_none_is_refused(self, text):
        with pytest.raises(Invalid):
            split_suite_id(text)

    def test_an_id_names_suite_and_version(self):
        assert split_suite_id("smoke@12") == ("smoke", 12)
