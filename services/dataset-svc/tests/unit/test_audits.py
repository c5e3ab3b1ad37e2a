"""What an audit of a version's lines notices."""

import hashlib
from collections.abc import Callable

import msgspec
import pytest

from dataset_svc.domain.samples import Sample, SplitName, encode
from dataset_svc.domain.versions.audits import PartsAudit

SampleBuilder = Callable[..., Sample]
HELD_OUT, VALIDATION, TRAIN = SplitName.HELD_OUT, SplitName.VALIDATION, SplitName.TRAIN


def audited(**parts: list[Sample]) -> PartsAudit:
    audit = PartsAudit()
    for name, samples in parts.items():
        for sample in samples:  # in pieces, as they are read
            audit.feed(SplitName(name), encode(sample))
    return audit


def test_a_version_without_leaks_has_no_problems(a_sample: SampleBuilder) -> None:
    audit = audited(
        train=[a_sample("q1"), a_sample("q1", "other"), a_sample("q2", group="kim"), a_sample("q3", group="kim")],
        held_out=[a_sample("q4", group="lee"), a_sample("q5")],
    )
    assert audit.shared_questions() == audit.shared_groups() == ()
    assert audited().shared_questions() == audited().shared_groups() == ()


def test_a_question_on_two_sides_is_found_whatever_its_spacing_and_named_by_lines(a_sample: SampleBuilder) -> None:
    audit = audited(
        train=[a_sample("q0"), a_sample("disk  full")],
        validation=[a_sample("q1"), a_sample("q2"), a_sample(" disk full")],
        held_out=[a_sample("q2", "other")],
    )
    assert audit.shared_questions() == (
        "1 question in train and in validation: train line 2 and validation line 3",
        "1 question in validation and in held_out: validation line 2 and held_out line 1",
    )
    assert audit.shared_groups() == ()


def test_a_group_on_two_sides_is_found_and_only_some_are_named(a_sample: SampleBuilder) -> None:
    train = [a_sample(f"t{number}", group=f"g{number}") for number in range(50)]
    held_out = [a_sample(f"h{number}", group=f"g{number}") for number in range(50)]
    [problem] = audited(train=train, held_out=held_out).shared_groups()
    assert problem.startswith("50 groups in train and in held_out: train line ")
    assert problem.count("held_out line") == 5
    assert audited(train=train, held_out=held_out).shared_questions() == ()


def test_rows_are_counted_and_hashed_in_order(a_sample: SampleBuilder) -> None:
    one, other = a_sample("q1"), a_sample("q2")
    rows = audited(train=[one, other]).rows_of(TRAIN)
    hashes = "".join(hashlib.sha256(encode(sample)).hexdigest() for sample in (one, other))
    assert (rows.rows, rows.digest) == (2, hashlib.sha256(hashes.encode()).hexdigest())
    assert audited(train=[other, one]).rows_of(TRAIN).digest != rows.digest
    assert audited(train=[one]).rows_of(HELD_OUT).rows == 0


@pytest.mark.parametrize("line", [b"no json\n", b"{}\n", b"\n", b"[1]\n"])
def test_a_line_that_is_no_sample_is_an_error(line: bytes) -> None:
    with pytest.raises(msgspec.DecodeError):
        PartsAudit().feed(VALIDATION, line)
