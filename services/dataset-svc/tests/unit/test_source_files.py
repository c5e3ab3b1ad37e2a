"""A file is what its bytes say: every format, packing and encoding gives the same samples; nothing hostile gets further."""

import csv
import gzip
import io
import json
import random
from collections.abc import Callable
from pathlib import Path
from typing import ClassVar

import cramjam
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sample_reader import SampleReader

from dataset_svc.adapters.source_files import SourceLimits, open_source
from dataset_svc.domain.samples import Sample
from dataset_svc.domain.sources.bad_records import BadLine
from dataset_svc.domain.sources.columns import ColumnMapping, Part
from dataset_svc.domain.sources.formats import Compression, Encoding, Format, SourceKind
from dataset_svc.domain.sources.reading import ReadingRules
from loopwright.errors import Invalid

SHARED = Path(__file__).parents[4].parent / "shared/data/sft"
LIMITS = SourceLimits(max_unpacked_bytes=1 << 20, max_record_bytes=20_000)
Outcome = Sample | BadLine
Fields = dict[str, str]


def read(
    content: bytes, name: str = "", *, mapping: ColumnMapping | None = None, limits: SourceLimits = LIMITS
) -> tuple[SourceKind, list[Outcome]]:
    source = open_source(io.BytesIO(content), name=name, limits=limits, mapping=mapping)
    reader = SampleReader(ReadingRules(task_id="t", mapping=mapping))
    return source.kind, [reader.read(record) for record in source.records()]


def outcomes_or_none(content: bytes, name: str = "") -> list[Outcome | Invalid]:
    """Nothing if the file as a whole is refused with one of the reasons that there are."""
    refusals = {"source.damaged", "source.too-large-unpacked", "source.too-many-columns"}
    try:
        return [*read(content, name)[1]]
    except Invalid as refused:
        return [] if refused.code in refusals else [refused]


def samples(content: bytes, name: str = "", **options: object) -> list[Sample]:
    outcomes = read(content, name, **options)[1]
    assert all(isinstance(one, Sample) for one in outcomes), outcomes
    return [one for one in outcomes if isinstance(one, Sample)]


def as_lines(rows: list[Fields]) -> bytes:
    return "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows).encode()


def as_array(rows: list[Fields]) -> bytes:
    return json.dumps(rows, ensure_ascii=False, indent=2).encode()


def as_wrapped(rows: list[Fields]) -> bytes:
    return json.dumps({"version": "1.0", "data": rows}).encode()


def as_csv(rows: list[Fields], delimiter: str = ",") -> bytes:
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, fieldnames=list(rows[0]), delimiter=delimiter)
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue().encode()


def as_parquet(rows: list[Fields]) -> bytes:
    target = io.BytesIO()
    pq.write_table(pa.Table.from_pylist(rows), target, row_group_size=2)
    return target.getvalue()


WRITERS: dict[Format, Callable[[list[Fields]], bytes]] = {
    Format.JSON_LINES: as_lines, Format.JSON_ARRAY: as_array, Format.JSON_WRAPPED: as_wrapped, Format.CSV: as_csv,
    Format.PARQUET: as_parquet,
}  # fmt: skip
PACKERS: dict[Compression, Callable[[bytes], bytes]] = {
    Compression.NONE: bytes,
    Compression.GZIP: gzip.compress,
    Compression.ZSTD: lambda content: bytes(cramjam.zstd.compress(content)),
}
ROWS = [
    {"instruction": f'{number}번 노드의 디스크가 찼습니다, "왜"?', "input": "", "output": f"로그를 지우세요\n{number}"}
    for number in range(5)
]  # fmt: skip


@pytest.mark.parametrize("packing", PACKERS)
@pytest.mark.parametrize("layout", WRITERS)
def test_equal_records_in_every_format_and_packing_give_equal_samples(layout: Format, packing: Compression) -> None:
    content = PACKERS[packing](WRITERS[layout](ROWS))
    kind, outcomes = read(content)
    assert (kind.format, kind.compression) == (layout, packing)
    assert outcomes == samples(as_lines(ROWS))
    assert len(outcomes) == len(ROWS)


TEXTS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1, max_size=12).filter(str.strip)  # fmt: skip


@given(st.lists(st.tuples(TEXTS, TEXTS), min_size=2, max_size=5))
def test_whatever_texts_say_they_are_the_same_in_every_format(pairs: list[tuple[str, str]]) -> None:
    rows = [{"prompt": asked, "completion": answered} for asked, answered in pairs]
    wanted = samples(as_lines(rows))
    for layout in (Format.JSON_ARRAY, Format.JSON_WRAPPED, Format.PARQUET, Format.CSV):
        assert samples(WRITERS[layout](rows), "rows.csv" if layout is Format.CSV else "") == wanted


@pytest.mark.parametrize("layout", [Format.JSON_LINES, Format.JSON_ARRAY, Format.CSV])
@pytest.mark.parametrize(
    ("mark", "codec", "encoding"),
    [
        (b"", "utf-8", Encoding.UTF_8), (b"", "utf-8-sig", Encoding.UTF_8), (b"\xff\xfe", "utf-16-le", Encoding.UTF_16_LE),
        (b"\xfe\xff", "utf-16-be", Encoding.UTF_16_BE), (b"", "cp949", Encoding.CP949), (b"", "euc-kr", Encoding.CP949),
    ],
)  # fmt: skip
def test_every_encoding_is_detected(layout: Format, mark: bytes, codec: str, encoding: Encoding) -> None:
    content = mark + WRITERS[layout](ROWS).decode().encode(codec)
    kind, outcomes = read(content)
    assert (kind.format, kind.encoding) == (layout, encoding)
    assert outcomes == samples(as_lines(ROWS))


def test_korean_far_behind_plain_text_still_tells_the_encoding() -> None:
    rows = [{"prompt": f"q{number}", "completion": "a" * 1000} for number in range(300)] + ROWS
    text = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
    kind, outcomes = read(
        text.encode("cp949"), limits=SourceLimits(max_unpacked_bytes=1 << 22, max_record_bytes=20_000)
    )
    assert kind.encoding is Encoding.CP949
    assert all(isinstance(one, Sample) for one in outcomes)


def test_one_damaged_line_does_not_change_the_encoding() -> None:
    lines = as_lines(ROWS).splitlines(keepends=True)
    kind, outcomes = read(b"".join([lines[0], b'{"instruction": "\xb0\xa1", "output": "x"}\n', *lines[1:]]))
    assert kind.encoding is Encoding.UTF_8
    assert outcomes[1] == BadLine(line=2, field="line", reason="not UTF-8")
    assert sum(isinstance(one, Sample) for one in outcomes) == len(ROWS)


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
def test_the_delimiter_is_found_by_looking(delimiter: str) -> None:
    kind, outcomes = read(as_csv(ROWS, delimiter))
    assert (kind.format, kind.delimiter) == (Format.CSV, delimiter)
    assert outcomes == samples(as_lines(ROWS))


@pytest.mark.parametrize(
    ("content", "layout"),
    [
        (b"", Format.JSON_LINES),
        (b'bad\n{"a": 1}\n', Format.JSON_LINES),
        (b'{"messages": [\n{"a": 1}\n', Format.JSON_LINES),
        (b'{\n  "prompt": "a",\n  "completion": "b"\n}\n', Format.JSON_OBJECTS),
        (b'{"data": [1], "messages": []}\n{"a": 1}\n', Format.JSON_LINES),
        (b'  [\n{"a": 1}]', Format.JSON_ARRAY),
        (b"One sentence.\nAnother, with a comma.\nAnd a third.\n", Format.JSON_LINES),
    ],
)
def test_the_layout_is_found_by_looking(content: bytes, layout: Format) -> None:
    assert read(content)[0].format is layout


def test_a_name_decides_only_where_the_content_does_not() -> None:
    assert read(as_lines(ROWS), "rows.json")[0].format is Format.JSON_LINES
    assert read(b"prompt,completion\n", "rows.csv")[0].format is Format.CSV
    assert read(as_parquet(ROWS), "rows.jsonl")[0].format is Format.PARQUET


class TestCsv:
    def test_a_stray_quote_costs_its_own_row_only(self) -> None:
        content = b'prompt,completion\n"5 inch,broken\nq1,a1\nq2,a2\n' + b"q,a\n" * 6000
        _, outcomes = read(content, "rows.csv")
        assert outcomes[0] == BadLine(line=2, field="line", reason="a quote is never closed")
        assert sum(isinstance(one, Sample) for one in outcomes) >= 6000

    def test_quotes_in_the_middle_of_cells_are_text(self) -> None:
        found = samples(b'prompt,completion\n5" pipe,a\n6" pipe,b\nq,c\n', "rows.csv")
        assert [one.input for one in found] == ['5" pipe', '6" pipe', "q"]

    def test_a_row_of_another_width_is_reported_by_its_line(self) -> None:
        _, outcomes = read(b'prompt,completion\n"two\nlines",a\nx,y,z\nq,a\n')
        assert [type(one) for one in outcomes] == [Sample, BadLine, Sample]
        assert outcomes[1] == BadLine(line=4, field="line", reason="3 cells where the header has 2")

    def test_quotes_that_open_in_every_line_take_no_longer_than_others(self) -> None:
        _, outcomes = read(b"prompt,completion\n" + b'y"z,"\n' * 20_000, "rows.csv", limits=SourceLimits(max_unpacked_bytes=1 << 20, max_record_bytes=1 << 19))  # fmt: skip
        assert all(isinstance(one, BadLine) for one in outcomes)


class TestMapping:
    MAPPING: ClassVar[ColumnMapping] = {Part.PROMPT: "질문", Part.COMPLETION: "답변", Part.CATEGORY: "분류"}
    ROWS: ClassVar = [{"질문": f"왜 {number}?", "답변": "모름", "분류": "디스크", "메모": "x"} for number in range(3)]

    @pytest.mark.parametrize("layout", WRITERS)
    def test_odd_columns_are_read_as_they_are_mapped(self, layout: Format) -> None:
        found = samples(WRITERS[layout](self.ROWS), mapping=self.MAPPING)
        assert [(one.input, one.answer, one.category) for one in found] == [(f"왜 {n}?", "모름", "디스크") for n in range(3)]  # fmt: skip

    @pytest.mark.parametrize("layout", WRITERS)
    def test_a_column_that_is_not_there_is_a_problem_that_names_those_that_are(self, layout: Format) -> None:
        with pytest.raises(Invalid, match=r"'답'.*'질문', '답변', '분류', '메모'") as refused:
            read(WRITERS[layout](self.ROWS), mapping={Part.PROMPT: "질문", Part.COMPLETION: "답"})
        assert refused.value.code == "source.columns-missing"


class TestHostile:
    @pytest.mark.parametrize("pack", [gzip.compress, PACKERS[Compression.ZSTD]])
    @pytest.mark.parametrize("start", [b"", b"[", b"PAR1"])
    def test_a_bomb_is_refused(self, pack: Callable[[bytes], bytes], start: bytes) -> None:
        with pytest.raises(Invalid) as refused:
            read(pack(start + bytes(30 << 20)))
        assert refused.value.code == "source.too-large-unpacked"

    @pytest.mark.parametrize("packing", [Compression.GZIP, Compression.ZSTD])
    def test_a_file_that_is_cut_off_is_refused(self, packing: Compression) -> None:
        whole = PACKERS[packing](random.Random(1).randbytes(5000))
        with pytest.raises(Invalid) as refused:
            read(whole[:-50])
        assert refused.value.code == "source.damaged"

    @given(st.binary(max_size=300), st.sampled_from([b"", b"[", b"{", b"PAR1", b"\x1f\x8b", b"\x28\xb5\x2f\xfd", b"\xff\xfe", b'a,b\n"', b'{"data": [']))  # fmt: skip
    def test_any_bytes_are_records_or_a_reason(self, content: bytes, start: bytes) -> None:
        for name in ("", "x.csv"):
            assert all(isinstance(one, Sample | BadLine) for one in outcomes_or_none(start + content, name))

    @settings(suppress_health_check=[HealthCheck.too_slow])
    @given(st.sampled_from(list(WRITERS)), st.sampled_from(list(PACKERS)), st.data())
    def test_a_damaged_file_is_records_or_a_reason(
        self, layout: Format, packing: Compression, data: st.DataObject
    ) -> None:
        content = bytearray(PACKERS[packing](WRITERS[layout](ROWS)))
        for place in data.draw(st.lists(st.integers(0, len(content) - 1), min_size=1, max_size=5)):
            content[place] = data.draw(st.integers(0, 255))
        assert all(isinstance(one, Sample | BadLine) for one in outcomes_or_none(bytes(content)))


@pytest.mark.parametrize("name", ["alpaca_en_demo", "dpo_en_demo", "glaive_toolcall_en_demo", "kto_en_demo"])
def test_files_that_people_really_upload_have_no_bad_record(name: str) -> None:
    path = SHARED / f"{name}.json"
    if not path.exists():
        pytest.skip("the shared training sets are not beside the project")
    content = path.read_bytes()
    found = samples(content, limits=SourceLimits(max_unpacked_bytes=1 << 30, max_record_bytes=1 << 20))
    records = json.loads(content)
    assert len(found) == len(records)
    assert sum(one.rejected is not None for one in found) == sum("rejected" in one for one in records)
    assert [one.thumb for one in found] == [one.get("label") for one in records]
    assert sum(one.tools is not None for one in found) == sum(one.get("tools", "[]") != "[]" for one in records)
    calls = sum(turn["from"] == "function_call" for one in records for turn in one.get("conversations", ()))
    assert sum(turn.tool_calls is not None for one in found for turn in one.messages) == calls
