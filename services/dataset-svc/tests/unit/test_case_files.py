"""Cases of other datasets as they come out of their files."""

from collections.abc import Callable

import pytest

from dataset_svc.domain.likeness.case_files import CaseFile, CaseReader, CaseRoom
from dataset_svc.domain.likeness.held_out import CaseVersion
from loopwright.contracts.base import Artifact
from loopwright.contracts.datasets import Split
from loopwright.errors import InvalidPayload

LineBuilder = Callable[..., bytes]
NOBODY = frozenset[str]()


@pytest.fixture
def file() -> CaseFile:
    """A held-out part of five samples."""
    artifact = Artifact(uri="file:///x", sha256="a" * 64, size_bytes=1)
    version = CaseVersion(dataset_name="other", number=2, version_id="dsv-2")
    return CaseFile(version=version, held_out=Split(artifact=artifact, samples=5), manifest=None)


@pytest.fixture
def lines(a_line: LineBuilder) -> list[bytes]:
    """Five questions of ten characters, one of them from `gone`."""
    units = ["u1", "gone", "u2", None, "u3"]
    return [a_line(f"question {number}", sample_id=f"s{number}", unit_hash=unit) for number, unit in enumerate(units)]


def test_cases_are_questions_with_their_samples_and_without_the_erased(file: CaseFile, lines: list[bytes]) -> None:
    reader = CaseReader(file, CaseRoom(), frozenset({"gone"}))
    reader.add(lines[:2])
    reader.add(lines[2:])
    cases = reader.finish()
    assert (cases.version, cases.left_out, cases.why_left_out) == (file.version, 0, "")
    assert cases.sample_ids == ("s0", "s2", "s3", "s4")
    assert cases.questions == ("question 0", "question 2", "question 3", "question 4")


@pytest.mark.parametrize("room", [CaseRoom(cases=3), CaseRoom(characters=39)])
def test_what_there_is_no_room_for_is_counted_with_a_reason(file: CaseFile, lines: list[bytes], room: CaseRoom) -> None:
    reader = CaseReader(file, room, NOBODY)
    reader.add(lines)
    cases = reader.finish()
    assert reader.is_full
    assert (len(cases.questions), cases.left_out) == (3, 2)
    assert "more cases than a build compares with" in cases.why_left_out


def test_versions_share_the_room(file: CaseFile, lines: list[bytes]) -> None:
    room = CaseRoom(cases=7)
    first, second = CaseReader(file, room, NOBODY), CaseReader(file, room, NOBODY)
    first.add(lines)
    assert len(first.finish().questions) == 5
    second.add(lines)
    assert (len(second.finish().questions), room.cases) == (2, 0)


def test_a_version_that_cannot_be_read_gives_no_case_and_takes_no_room(file: CaseFile, lines: list[bytes]) -> None:
    room = CaseRoom()
    reader = CaseReader(file, room, NOBODY)
    reader.add(lines[:2])
    with pytest.raises(InvalidPayload, match="no sample"):
        reader.add([b"{}"])
    cases = reader.give_up("gone")
    assert (cases.questions, cases.left_out, cases.why_left_out) == ((), 5, "gone")
    assert room == CaseRoom()
