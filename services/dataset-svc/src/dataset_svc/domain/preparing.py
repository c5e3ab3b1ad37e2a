"""What is done to each record by itself: read, mask, measure. Needs no other record, so batches may be prepared anywhere."""

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import msgspec
import numpy as np
from numpy.typing import NDArray

from dataset_svc.domain.personal.masking import Masker
from dataset_svc.domain.personal.personal_kinds import PersonalKind
from dataset_svc.domain.quality.scoring import SampleScores, score_samples
from dataset_svc.domain.samples import Sample
from dataset_svc.domain.sources.bad_records import BadLine
from dataset_svc.domain.sources.lines import Line
from dataset_svc.domain.sources.reading import ReadingRules, as_sample, read_record
from dataset_svc.domain.sources.records import Row
from loopwright.contracts.tasks import DataPolicy

TokenCount = Callable[[Sequence[str]], NDArray[np.int32]]


@dataclass(frozen=True, kw_only=True)
class PreparationRules:
    """What is asked of every record.

    Attributes:
        pseudonym_key: Secret of the dataset, if the policy wants pseudonyms.
    """

    reading: ReadingRules
    policy: DataPolicy
    pseudonym_key: bytes | None = None


class PreparedSample(msgspec.Struct, frozen=True, kw_only=True):
    """A record that is a sample, as the policy leaves it.

    Attributes:
        sample: Its id is that of the record; a record without one is named by what it says.
        number: Line or row of the source.
        named: Whether the record brought its id, so that another one with the same id is a fault.
        found: Personal data that it held, by kind.
        dropped: Whether the policy drops it for that.
        tokens: Of question and answer; None if they were not counted.
    """

    sample: Sample
    number: int
    named: bool
    found: dict[PersonalKind, int]
    dropped: bool
    scores: SampleScores
    tokens: tuple[int, int] | None


class BadRecord(msgspec.Struct, frozen=True, kw_only=True):
    """A record that is no sample, with its bytes for the reject file; None if they were too many."""

    why: BadLine
    raw: bytes | None


class Prepared(msgspec.Struct, frozen=True, kw_only=True):
    """A batch, in order."""

    samples: list[PreparedSample]
    bad: list[BadRecord]


class Preparer:
    """Prepares batches of one source.

    Args:
        count_tokens: Counts as the task's tokenizer does; None if there is none at hand.
    """

    def __init__(self, rules: PreparationRules, count_tokens: TokenCount | None = None) -> None:
        self._rules = rules
        self._count_tokens = count_tokens
        key = rules.pseudonym_key if rules.policy.pseudonymise else None
        self._masker = Masker(rules.policy.masking, pseudonym_key=key)

    def prepare(self, records: Sequence[Line | Row]) -> Prepared:
        reading = self._rules.reading
        bad: list[BadRecord] = []
        raw: list[tuple[Sample, int, bool]] = []
        for one in records:
            record = read_record(one, reading)
            if isinstance(record, BadLine):
                bad.append(BadRecord(why=record, raw=one.content if isinstance(one, Line) else one.raw))
            else:
                raw.append((as_sample(record, reading), one.number, record.sample_id is not None))
        return Prepared(samples=self._measured(raw), bad=bad)

    def _measured(self, raw: Sequence[tuple[Sample, int, bool]]) -> list[PreparedSample]:
        masked = self._masker.mask_samples([sample for sample, _, _ in raw])
        samples = [one.sample for one in masked]
        tokens = self._tokens(samples)
        scores = score_samples(
            samples, self._rules.policy.quality, tokens=None if tokens is None else [sum(pair) for pair in tokens]
        )
        return [
            PreparedSample(
                sample=one.sample,
                number=number,
                named=named,
                found=dict(one.found),
                dropped=one.dropped,
                scores=score,
                tokens=None if tokens is None else tokens[place],
            )
            for place, ((_, number, named), one, score) in enumerate(zip(raw, masked, scores, strict=True))
        ]

    def _tokens(self, samples: Sequence[Sample]) -> list[tuple[int, int]] | None:
        if self._count_tokens is None:
            return None
        questions = self._count_tokens([sample.question for sample in samples])
        answers = self._count_tokens([sample.answer for sample in samples])
        return list(zip(questions.tolist(), answers.tolist(), strict=True))


def dataset_key(secret: bytes, dataset_name: str) -> bytes:
    """The key of one dataset's pseudonyms: no relation between those of two datasets."""
    return hashlib.blake2b(dataset_name.encode(), key=secret[:64], person=b"pseudonyms").digest()
