"""Samples on their way into a version: each as its line, with what is decided by beside it.

Objects of a sample's own texts take several times the memory of its line; who needs them has them made anew.
"""

import hashlib

import msgspec

from dataset_svc.domain.samples import Sample, decode, encode, preference_of, same_text
from loopwright.contracts.datasets import SampleSource


class Candidate(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """A sample that may become part of a version.

    Attributes:
        line: The sample as its file will hold it.
        question: As `same_text` writes it.
        question_sha256: Hash of that; 32 bytes.
        answer_sha256: Hash of the answer as `same_text` writes it.
        meaning: What is learned from the answer beside itself: that it is to be avoided, or liked more than another.
    """

    sample_id: str
    line: bytes
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

    @property
    def sample(self) -> Sample:
        return decode(self.line)

    @property
    def answer(self) -> str:
        return self.sample.answer

    @property
    def is_avoided(self) -> bool:
        return self.meaning.startswith(_AVOIDED)

    @property
    def preference(self) -> tuple[bool, float, str]:
        return preference_of(self.source, self.weight_0_1, self.sample_id)


_AVOIDED = "avoid\n"


def candidate_of(sample: Sample, question: str | None = None) -> Candidate:
    """The candidate that a sample is; its `question` if that is at hand, since it takes a while to put together."""
    asked = same_text(sample.question if question is None else question)
    meaning = ""
    if sample.thumb is False or sample.rejected is not None:
        meaning = f"{_AVOIDED if sample.thumb is False else ''}{sample.rejected or ''}"
    return Candidate(
        sample.sample_id,
        encode(sample),
        asked,
        hashlib.sha256(asked.encode()).digest(),
        hashlib.sha256(same_text(sample.answer).encode()).digest(),
        meaning,
        sample.source,
        sample.weight_0_1,
        sample.inference_id,
        sample.rating_ids,
        sample.unit_hash,
        sample.category,
        sample.group,
    )


def renamed(candidate: Candidate, sample_id: str) -> Candidate:
    """The same sample under another id."""
    sample = msgspec.structs.replace(candidate.sample, sample_id=sample_id)
    return msgspec.structs.replace(candidate, sample_id=sample_id, line=encode(sample))
