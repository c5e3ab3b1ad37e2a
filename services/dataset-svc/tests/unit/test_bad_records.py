"""Bad records are counted without end, reported up to a thousand, and kept aside as they stood."""

import json

from dataset_svc.domain.sources.bad_records import MOST_REPORTED, BadLine, BadRecords, reject_line


def test_the_report_keeps_the_first_thousand_and_counts_the_rest() -> None:
    records = BadRecords()
    for line in range(1, 5001):
        records.add(BadLine(line=line, field=f"messages[{line}].content", reason="missing"))
    assert (records.total, len(records.first), records.first[-1].line) == (5000, MOST_REPORTED, MOST_REPORTED)
    assert records.reasons == {"messages[].content: missing": 5000}


def test_reasons_that_never_repeat_are_counted_together() -> None:
    records = BadRecords()
    for line in range(1, 5001):
        records.add(BadLine(line=line, field=f"field{line}", reason=f"already used in line {line}"))
    assert len(records.reasons) <= 201
    assert records.reasons.total() == 5000


def test_the_reject_file_holds_the_record_as_it_stood() -> None:
    bad = BadLine(line=3, field="line", reason="not JSON")
    found = [json.loads(reject_line(bad, raw)) for raw in ('{"이름: "홍'.encode(), b"\xff\xfe", None)]
    assert [line.pop("raw") for line in found] == ['{"이름: "홍', "\\xff\\xfe", None]
    assert found == [{"line": 3, "field": "line", "reason": "not JSON"}] * 3
