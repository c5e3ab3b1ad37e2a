"""Cases of other datasets as they come out of their files, up to what a build can take."""

from collections.abc import Iterable
from dataclasses import dataclass

import msgspec

from dataset_svc.domain.likeness.held_out import Cases, CaseVersion
from dataset_svc.domain.samples import decode
from loopwright.contracts.base import Artifact
from loopwright.contracts.datasets import Split
from loopwright.errors import InvalidPayload


@dataclass(frozen=True, kw_only=True)
class CaseFile:
    """Where the held-out part of a version lies.

    Attributes:
        manifest: Of the version in the history of rows, if it has one.
    """

    version: CaseVersion
    held_out: Split
    manifest: Artifact | None


@dataclass(kw_only=True)
class CaseRoom:
    """What one build takes of other datasets' cases, less what it has."""

    cases: int = 50_000
    characters: int = 32 << 20


class CaseReader:
    """Takes lines of one version's held-out part.

    Args:
        room: Becomes less with `finish`.
        erased_units: Persons whose samples measure no model any more.
    """

    def __init__(self, file: CaseFile, room: CaseRoom, erased_units: frozenset[str]) -> None:
        self._file, self._room, self._erased = file, room, erased_units
        self._sample_ids: list[str] = []
        self._questions: list[str] = []
        self._characters = 0
        self._erased_cases = 0
        self.is_full = False

    def add(self, lines: Iterable[bytes]) -> None:
        """Takes lines until there is no more room.

        Raises:
            InvalidPayload: a line is no sample.
        """
        for line in lines:
            try:
                sample = decode(line)
            except msgspec.DecodeError as error:
                raise InvalidPayload("dataset.bad-case", "a line of a held-out part is no sample") from error
            if sample.unit_hash in self._erased:
                self._erased_cases += 1
                continue
            question = sample.question
            characters = self._characters + len(question)
            if len(self._questions) >= self._room.cases or characters > self._room.characters:
                self.is_full = True
                return
            self._characters = characters
            self._sample_ids.append(sample.sample_id)
            self._questions.append(question)

    def finish(self) -> Cases:
        self._room.cases -= len(self._questions)
        self._room.characters -= self._characters
        left_out = self._file.held_out.samples - len(self._questions) - self._erased_cases if self.is_full else 0
        return Cases(
            version=self._file.version,
            sample_ids=tuple(self._sample_ids),
            questions=tuple(self._questions),
            left_out=left_out,
            why_left_out="other datasets of the task hold out more cases than a build compares with"
            if left_out
            else "",
        )

    def give_up(self, why: str) -> Cases:
        """What becomes of a version that cannot be read: all of its cases are left out."""
        return Cases(
            version=self._file.version,
            sample_ids=(),
            questions=(),
            left_out=self._file.held_out.samples,
            why_left_out=why,
        )
