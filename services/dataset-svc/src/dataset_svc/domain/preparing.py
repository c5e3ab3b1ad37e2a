"""What is done to each record by itself: read, mask, measure. Needs no other record, so batches may be prepared anywhere."""

import hashlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

import msgspec
import numpy as np
from numpy.typing import NDArray

from dataset_svc.domain.candidates import CandidateBatch, candidates_of
from dataset_svc.domain.kept_lines import Lines
from dataset_svc.domain.measurements import Measurements
from dataset_svc.domain.personal.masking import Masked, Masker
from dataset_svc.domain.quality.filters import reasons_to_drop
from dataset_svc.domain.quality.scoring import score_table
from dataset_svc.domain.report import Check
from dataset_svc.domain.sources.bad_records import BadLine
from dataset_svc.domain.sources.lines import Line
from dataset_svc.domain.sources.reading import ReadingRules, as_samples, read_record
from dataset_svc.domain.sources.records import Record, Row
from dataset_svc.domain.texts.same_texts import Texts
from loopwright.contracts.tasks import DataPolicy
from loopwright.personal.kinds import PersonalKind

TokenCount = Callable[[Sequence[bytes]], NDArray[np.int32]]


@dataclass(frozen=True, kw_only=True)
class PreparationRules:
    """What is asked of every record.

    Attributes:
        pseudonym_key: Secret of the dataset, if the policy wants pseudonyms.
    """

    reading: ReadingRules
    policy: DataPolicy
    pseudonym_key: bytes | None = None


class BadRecord(msgspec.Struct, frozen=True, kw_only=True):
    """A record that is no sample, with its bytes for the reject file; None if they were too many."""

    why: BadLine
    raw: bytes | None


class Refusal(msgspec.Struct, frozen=True, array_like=True):
    """Why the policy lets a sample not in."""

    check: Check
    why: str


class Prepared(msgspec.Struct, frozen=True, kw_only=True):
    """A batch, in order; what only some samples have is kept by their place in it.

    Attributes:
        candidates: As the policy leaves them. The id is that of the record; one without is named by what it says.
        named: Whether the record brought its id, so that another one with the same id is a fault.
        found: Personal data that they held, by kind.
    """

    candidates: CandidateBatch
    named: list[bool]
    measurements: Measurements
    found: dict[int, Mapping[PersonalKind, int]]
    refused: dict[int, Refusal]
    bad: list[BadRecord]


class Preparer:
    """Prepares batches of one source.

    Args:
        count_tokens: Counts texts in UTF-8 as the task's tokenizer does; None if there is none at hand.
    """

    def __init__(self, rules: PreparationRules, count_tokens: TokenCount | None = None) -> None:
        self._rules = rules
        self._count_tokens = count_tokens
        key = rules.pseudonym_key if rules.policy.pseudonymise else None
        self._masker = Masker(rules.policy.masking, pseudonym_key=key)

    def prepare(self, records: Iterable[Line | Row], lines: Lines) -> Prepared:
        """Prepares a batch.

        Args:
            lines: Takes the samples' lines.
        """
        reading = self._rules.reading
        bad: list[BadRecord] = []
        good: list[Record] = []
        numbers: list[int] = []
        for one in records:
            record = read_record(one, reading)
            if isinstance(record, BadLine):
                bad.append(BadRecord(why=record, raw=one.content if isinstance(one, Line) else one.raw))
                continue
            good.append(record)
            numbers.append(one.number)
        masked = self._masker.mask_samples(as_samples(good, reading))
        samples = [one.sample for one in masked]
        questions = Texts.of(sample.question for sample in samples)
        answers = Texts.of(sample.answer for sample in samples)
        tokens = self._tokens(questions, answers)
        policy = self._rules.policy.quality
        counted = None if tokens is None else tokens.sum(axis=1).tolist()
        scores = score_table(samples, policy, tokens=counted, texts=(questions.texts, answers.texts))
        refused = {place: Refusal(Check.QUALITY, why) for place, why in reasons_to_drop(scores, policy).items()}
        return Prepared(
            candidates=candidates_of(samples, questions, answers, lines),
            named=[record.sample_id is not None for record in good],
            measurements=Measurements.of(numbers, scores, tokens),
            found={place: one.found for place, one in enumerate(masked) if one.found},
            refused=refused | _refused(masked),
            bad=bad,
        )

    def _tokens(self, questions: Texts, answers: Texts) -> NDArray[np.int32] | None:
        """Of question and answer [samples, 2]."""
        if self._count_tokens is None:
            return None
        return self._count_tokens([*questions.utf_8, *answers.utf_8]).reshape(2, -1).T


def _refused(masked: Iterable[Masked]) -> dict[int, Refusal]:
    return {
        place: Refusal(Check.PERSONAL_DATA, f"holds {min(one.found)}")
        for place, one in enumerate(masked)
        if one.dropped
    }


def dataset_key(secret: bytes, dataset_name: str) -> bytes:
    """The key of one dataset's pseudonyms: no relation between those of two datasets."""
    return hashlib.blake2b(dataset_name.encode(), key=secret[:64], person=b"pseudonyms").digest()
