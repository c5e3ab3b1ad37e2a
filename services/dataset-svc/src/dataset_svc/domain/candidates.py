"""Samples on their way into a version: where the line of each waits, and what is decided by beside it.

Objects of a sample's own texts take several times the memory of its line; who needs them has them made anew.
"""

from collections.abc import Sequence

import msgspec
import numpy as np

from dataset_svc.domain.kept_lines import Lines
from dataset_svc.domain.samples import Sample, decode, encode_all, preference_of
from dataset_svc.domain.texts.hashes import sha256s, sha256s_within
from dataset_svc.domain.texts.same_texts import Texts, same_texts
from loopwright.contracts.datasets import SampleSource


class Candidate(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """A sample that may become part of a version.

    Attributes:
        first_byte: Where its line waits, the sample as its file will hold it.
        line_sha256: Hash of the line; 32 bytes, as all hashes.
        question: As `same_text` writes it.
        question_sha256: Hash of that.
        answer_sha256: Hash of the answer as `same_text` writes it.
        meaning: What is learned from the answer beside itself: that it is to be avoided, or liked more than another.
    """

    sample_id: str
    first_byte: int
    size_bytes: int
    line_sha256: bytes
    question: str
    question_sha256: bytes
    answer_sha256: bytes
    meaning: str
    source: SampleSource
    weight_0_1: float
    inference_id: str | None
    rating_ids: tuple[str, ...]
    unit_hash: str | None
    category: str | None
    group: str | None

    def line_in(self, lines: Lines) -> bytes:
        return lines.read(self.first_byte, self.size_bytes)

    def sample_in(self, lines: Lines) -> Sample:
        return decode(self.line_in(lines))

    @property
    def is_avoided(self) -> bool:
        return self.meaning.startswith(_AVOIDED)

    @property
    def preference(self) -> tuple[bool, float, str]:
        return preference_of(self.source, self.weight_0_1, self.sample_id)


_AVOIDED = "avoid\n"


def candidates_of(samples: Sequence[Sample], questions: Texts, answers: Texts, lines: Lines) -> list[Candidate]:
    """The candidates that samples are; their lines are put aside.

    Args:
        questions: Of the samples, which take a while to put together; so do `answers`.
    """
    asked, answered = same_texts(questions), same_texts(answers)
    written, ends = encode_all(samples)
    starts = ends - np.diff(ends, prepend=0)
    places = (starts + lines.add(written)).tolist()
    return [
        Candidate(
            sample.sample_id, first_byte, size, line_sha256, question, question_sha256, answer_sha256,
            _meaning_of(sample), sample.source, sample.weight_0_1, sample.inference_id, sample.rating_ids,
            sample.unit_hash, sample.category, sample.group,
        )
        for sample, first_byte, size, line_sha256, question, question_sha256, answer_sha256 in zip(
            samples, places, (ends - starts).tolist(), sha256s_within(written, starts, ends),
            asked.texts, sha256s(asked.utf_8), sha256s(answered.utf_8), strict=True,
        )
    ]  # fmt: skip


def candidate_of(sample: Sample, lines: Lines) -> Candidate:
    """The candidate that a sample is."""
    return candidates_of([sample], Texts.of([sample.question]), Texts.of([sample.answer]), lines)[0]


def _meaning_of(sample: Sample) -> str:
    if sample.rejected is None and sample.thumb is not False:  # most samples
        return ""
    return f"{_AVOIDED if sample.thumb is False else ''}{sample.rejected or ''}"


def renamed(candidate: Candidate, sample_id: str, lines: Lines) -> Candidate:
    """The same sample under another id."""
    return candidate_of(msgspec.structs.replace(candidate.sample_in(lines), sample_id=sample_id), lines)
