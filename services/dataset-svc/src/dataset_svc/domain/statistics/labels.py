"""Class balance: which fields of the answers take few values, and how often each."""

# ruff: noqa: SLF001 - merging reads what another of the same class holds

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from dataset_svc.domain.statistics.columns import SPLITS
from dataset_svc.domain.statistics.figures import LabelField
from dataset_svc.domain.statistics.tallies import NameTally, smallest_by_hash

WHOLE_ANSWER = "answer"
_LONGEST_LABEL = 40
_LONGEST_JSON = 2_000
_MOST_FIELDS = 100
_MOST_LABELS = 1_000
_MOST_CLASSES = 50
_LEAST_SHARE = 0.2

_Cells = NDArray[np.int64]
_decoder = msgspec.json.Decoder(dict[str, msgspec.Raw])


class LabelTallies:
    """Counts short answers, and short values of answers that are JSON objects, by field."""

    def __init__(self) -> None:
        self._fields: dict[str, NameTally] = {}
        self._samples = 0

    def add(self, answers: pa.LargeStringArray, characters: NDArray[np.int32], splits: NDArray[np.int8]) -> None:
        """Answers with their lengths in characters and the places of their parts in `SplitName`."""
        self._samples += len(answers)
        begins = pc.starts_with(answers, "{")  # pyright: ignore[reportAttributeAccessIssue] - made on import
        is_object: NDArray[np.bool_] = begins.to_numpy(zero_copy_only=False)
        rows = np.flatnonzero((characters <= _LONGEST_LABEL) | (is_object & (characters <= _LONGEST_JSON)))
        coded = answers.take(pa.array(rows)).dictionary_encode()
        codes = coded.indices.to_numpy(zero_copy_only=False)
        cells = np.bincount(codes * len(SPLITS) + splits[rows], minlength=len(coded.dictionary) * len(SPLITS))
        found: dict[str, dict[str, _Cells]] = {}
        for answer, counts in zip(coded.dictionary.to_pylist(), cells.reshape(-1, len(SPLITS)), strict=True):
            for field, label in labels_of(answer):
                labels = found.setdefault(field, {})
                labels[label] = labels[label] + counts if label in labels else counts
        for field, labels in found.items():
            self._tally(field).add_counts(labels)
        self._forget_some()

    def merge(self, other: "LabelTallies") -> None:
        self._samples += other._samples
        for field, tally in other._fields.items():
            self._tally(field).merge(tally)
        self._forget_some()

    def fields(self) -> tuple[LabelField, ...]:
        """Fields that a fifth of the samples have, with at most 50 values that occur twice on average."""
        told: list[LabelField] = []
        for field, tally in sorted(self._fields.items()):
            labels = tally.breakdown()
            few = labels.all_followed and labels.distinct <= min(_MOST_CLASSES, tally.samples // 2)
            if few and tally.samples >= _LEAST_SHARE * self._samples:
                told.append(LabelField(field=field, labels=labels, balance_0_1=round(tally.balance(), 6)))
        return tuple(told)

    def _tally(self, field: str) -> NameTally:
        return self._fields.setdefault(field, NameTally(limit=_MOST_LABELS))

    def _forget_some(self) -> None:
        if len(self._fields) > _MOST_FIELDS:
            self._fields = {field: self._fields[field] for field in smallest_by_hash(self._fields, _MOST_FIELDS)}


def labels_of(answer: str) -> list[tuple[str, str]]:
    """Fields of an answer with values that may be classes: short texts, booleans and whole numbers."""
    text = answer.strip()
    if text.startswith("{"):
        try:
            return [
                (field, label) for field, raw in _decoder.decode(text).items() if (label := _label(raw)) is not None
            ]
        except (msgspec.DecodeError, RecursionError):
            pass
    if 0 < len(text) <= _LONGEST_LABEL and "\n" not in text:
        return [(WHOLE_ANSWER, text)]
    return []


def _label(raw: msgspec.Raw) -> str | None:
    value: object = msgspec.json.decode(raw)
    match value:
        case bool():
            return "true" if value else "false"
        case int() | str() if len(str(value)) <= _LONGEST_LABEL:
            return str(value)
        case _:
            return None
