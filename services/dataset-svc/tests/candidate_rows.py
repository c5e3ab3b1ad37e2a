"""Tables of candidates, whose lines wait in one place, and what their rows say."""

from collections.abc import Sequence
from dataclasses import fields

import numpy as np
import pyarrow as pa

from dataset_svc.domain.candidates import CandidateBatch, Candidates, Rows, candidates_of
from dataset_svc.domain.kept_lines import LinesInMemory
from dataset_svc.domain.samples import Sample, decode
from dataset_svc.domain.texts.same_texts import Texts

KEPT = LinesInMemory()


def batch_of(samples: Sequence[Sample]) -> CandidateBatch:
    questions, answers = (sample.question for sample in samples), (sample.answer for sample in samples)
    return candidates_of(samples, Texts.of(questions), Texts.of(answers), KEPT)


def candidates(*samples: Sample) -> Candidates:
    """A row for each sample, in their order."""
    return Candidates.of([batch_of(samples)])


def all_rows(table: Candidates) -> Rows:
    return np.arange(len(table))


def ids_of(table: Candidates, rows: Rows) -> list[str]:
    return [table.sample_ids[row] for row in rows.tolist()]


def sample_at(table: Candidates, row: int) -> Sample:
    return decode(KEPT.read(*table.places[row].tolist()))


def columns_of(table: Candidates) -> dict[str, object]:
    """Every column as plain values, by its name."""
    columns = {field.name: getattr(table, field.name) for field in fields(table)}
    return {name: _plain(column) for name, column in columns.items()}


def _plain(column: object) -> object:
    if isinstance(column, np.ndarray):
        return column.tolist()
    return column.to_pylist() if isinstance(column, pa.Array) else column
