"""Reads records one by one, where a build takes them by batches."""

import msgspec

from dataset_svc.domain.samples import Sample
from dataset_svc.domain.sources.bad_records import BadLine
from dataset_svc.domain.sources.lines import Line
from dataset_svc.domain.sources.reading import Names, ReadingRules, as_samples, read_record
from dataset_svc.domain.sources.records import Row


class SampleReader:
    """Reads the records of one source one after the other."""

    def __init__(self, rules: ReadingRules) -> None:
        self._rules = rules
        self._names = Names()

    def read(self, one: Line | Row) -> Sample | BadLine:
        record = read_record(one, self._rules)
        if isinstance(record, BadLine):
            return record
        [sample] = as_samples([record], self._rules)
        name = self._names.admit(sample.sample_id, one.number, named=record.sample_id is not None)
        return name if isinstance(name, BadLine) else msgspec.structs.replace(sample, sample_id=name)
