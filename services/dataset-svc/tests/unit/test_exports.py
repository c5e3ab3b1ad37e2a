"""A version as one file: every format holds every sample with its part."""

import csv
import io
import json

import pyarrow.parquet as pq
import pytest

from dataset_svc.domain.samples import Sample, SplitName, encode
from dataset_svc.domain.versions.exports import COLUMNS, Exporter, ExportFormat

TRAIN, _, HELD_OUT = SplitName


@pytest.fixture
def samples(a_sample):
    return [
        a_sample("디스크 가득", 'say "no",\nthen go', sample_id="s1"),
        a_sample("b", "=1+1", sample_id="s2", unit_hash=None, rating_ids=(), inference_id=None, weight_0_1=0.25),
        a_sample("c", "d", sample_id="s3", category="disk", thumb=False, metadata={"lang": "ko"}),
    ]


def export(wanted, samples):
    exporter = Exporter(wanted)
    pieces = [
        exporter.feed(TRAIN, encode(samples[0]) + encode(samples[1])),
        exporter.feed(HELD_OUT, encode(samples[2])),
    ]
    return b"".join([*pieces, exporter.feed(HELD_OUT, b""), exporter.finish()])


def as_dictionaries(samples):
    return [
        json.loads(encode(one)) | {"split": split}
        for one, split in zip(samples, ("train", "train", "held_out"), strict=True)
    ]


def restored(row):
    """A row of CSV or Parquet as the line said it."""
    as_json = {"messages", "rating_ids", "metadata"}
    return {
        name: json.loads(value) if name in as_json else value for name, value in row.items() if value not in (None, "")
    }


def test_lines_name_their_part_and_are_else_what_they_were(samples):
    assert [json.loads(line) for line in export(ExportFormat.JSONL, samples).splitlines()] == as_dictionaries(samples)


def test_parquet_holds_every_field(samples):
    rows = pq.read_table(io.BytesIO(export(ExportFormat.PARQUET, samples))).to_pylist()
    expected = [{name: value for name, value in one.items() if value is not None} for one in as_dictionaries(samples)]
    assert [restored(row) for row in rows] == expected


def test_csv_holds_every_field(samples):
    rows = list(csv.DictReader(io.StringIO(export(ExportFormat.CSV, samples).decode(), newline="")))
    for row, one in zip(rows, as_dictionaries(samples), strict=True):
        texts = {
            name: value if isinstance(value, str | list | dict) else str(value)
            for name, value in one.items()
            if value is not None
        }
        assert restored(row) == texts


@pytest.mark.parametrize("wanted", ExportFormat)
def test_an_empty_version_is_a_valid_file(wanted):
    content = Exporter(wanted).finish()
    if wanted is ExportFormat.PARQUET:
        assert pq.read_table(io.BytesIO(content)).column_names == list(COLUMNS)
    else:
        assert content.decode().strip() == ("" if wanted is ExportFormat.JSONL else ",".join(COLUMNS))


def test_no_field_of_a_sample_is_left_out():
    assert set(COLUMNS) == {"split", *Sample.__struct_fields__}
