"""From raw lines to a version: read, leave out, mask, de-duplicate, split, report. Equal inputs give equal bytes."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import msgspec
import numpy as np
from numpy.typing import NDArray

from dataset_svc.domain.built import Built, BuiltSplit, built_split
from dataset_svc.domain.likeness.clusters import RememberedQuestion, sift
from dataset_svc.domain.likeness.duplicates import drop_exact_copies, settle_conflicts
from dataset_svc.domain.likeness.held_out import Cases, Cleaned, without_giveaways
from dataset_svc.domain.personal.personal_kinds import PersonalKind
from dataset_svc.domain.preparing import BadRecord, Prepared, PreparedSample
from dataset_svc.domain.quality.filters import reason_to_drop
from dataset_svc.domain.quality.parts import PARTS
from dataset_svc.domain.report import Check, CheckOutcome, DroppedDuplicate, QualityReport, SplitFigures
from dataset_svc.domain.samples import Sample, SplitName, encode
from dataset_svc.domain.sources.bad_records import BadLine, BadRecords
from dataset_svc.domain.sources.reading import Names, ReadingRules
from dataset_svc.domain.splits import EVERY_PART, Allotment, Shares, allot, joined_by_group
from dataset_svc.domain.statistics.builder import StatisticsBuilder
from dataset_svc.domain.statistics.columns import Measured, columns_of
from dataset_svc.domain.statistics.figures import LengthPart, Statistics
from dataset_svc.domain.versions.origins import SampleOrigin
from loopwright.contracts.tasks import DataPolicy

_STATISTICS_BATCH = 10_000


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """What is built, and how.

    Attributes:
        expected_lines: Lines that the request promised; None if it promised none.
    """

    request_id: str
    dataset_name: str
    reading: ReadingRules
    policy: DataPolicy
    expected_lines: int | None


@dataclass(frozen=True, kw_only=True)
class Memory:
    """What earlier events and versions decided.

    Attributes:
        erased_units: Persons whose samples are left out.
        questions: Questions of earlier versions of this dataset, with their part.
        groups: Groups of earlier versions by SHA-256 of their name, with their part.
        binding: Parts whose questions and groups stay there; those of the others are divided anew.
        cases: What the newest versions of other datasets of the task hold out.
    """

    erased_units: frozenset[str] = frozenset()
    questions: Iterable[RememberedQuestion] = ()
    groups: Mapping[str, SplitName] = field(default_factory=dict[str, SplitName])
    binding: frozenset[SplitName] = EVERY_PART
    cases: tuple[Cases, ...] = ()


class VersionBuilder:
    """Takes a source in prepared batches, in order, then finishes. Pure: no clock, no randomness, no files.

    Args:
        threads: That the compiled loops may use.
    """

    def __init__(self, recipe: Recipe, memory: Memory, *, threads: int = 1) -> None:
        self._recipe = recipe
        self._memory = memory
        self._threads = threads
        self._names = Names()
        self._lines = 0
        self._bad = BadRecords()
        self._prepared: dict[str, PreparedSample] = {}
        self._erased = 0
        self._found: Counter[PersonalKind] = Counter()
        self._with_personal_data = 0
        self._dropped_for: dict[Check, Counter[str]] = {Check.PERSONAL_DATA: Counter(), Check.QUALITY: Counter()}

    def add(self, batch: Prepared) -> list[BadRecord]:
        """Takes a batch.

        Returns:
            All records of it that are no samples, for the reject file.
        """
        bad = list(batch.bad)
        for one in batch.samples:
            name = self._names.admit(one.sample.sample_id, one.number, named=one.named)
            if isinstance(name, BadLine):
                bad.append(BadRecord(why=name, raw=encode(one.sample)))
            else:
                self._consider(one, name)
        bad.sort(key=lambda record: record.why.line)
        self._lines += len(batch.bad) + len(batch.samples)
        for record in bad:
            self._bad.add(record.why)
        return bad

    def _consider(self, one: PreparedSample, name: str) -> None:
        if one.sample.unit_hash in self._memory.erased_units:
            self._erased += 1
            return
        self._found.update(one.found)
        self._with_personal_data += bool(one.found)
        if one.dropped:
            self._dropped_for[Check.PERSONAL_DATA][f"holds {min(one.found)}"] += 1
            return
        reason = reason_to_drop(one.scores, self._recipe.policy.quality)
        if reason is not None:
            self._dropped_for[Check.QUALITY][reason] += 1
            return
        if name != one.sample.sample_id:
            one = msgspec.structs.replace(one, sample=msgspec.structs.replace(one.sample, sample_id=name))
        self._prepared[name] = one

    def finish(self) -> Built:
        settled = settle_conflicts(one.sample for one in self._prepared.values())
        distinct = drop_exact_copies(settled.kept)
        policy = self._recipe.policy
        sifted = sift(
            distinct.kept,
            threshold_0_1=policy.near_duplicate_threshold_0_1,
            remembered=self._memory.questions,
            threads=self._threads,
        )
        shares = Shares(held_out_0_1=policy.held_out_share_0_1, validation_0_1=policy.validation_share_0_1)
        joined = joined_by_group(sifted.clusters, self._memory.groups)
        allotment = allot(joined, shares, salt=self._recipe.dataset_name, binding=self._memory.binding)
        cleaned = self._without_giveaways(allotment)
        splits = {name: built_split(clusters) for name, clusters in cleaned.parts.items()}
        dropped = (*settled.dropped, *distinct.dropped, *sifted.dropped)
        report = self._report(splits, dropped, allotment, cleaned)
        return Built(
            splits=splits, report=report, statistics=self._statistics(splits, dropped), origins=self._origins(splits)
        )

    def _without_giveaways(self, allotment: Allotment) -> Cleaned:
        memory = self._memory
        cleaned = without_giveaways(
            allotment.parts,
            memory.cases,
            dataset_name=self._recipe.dataset_name,
            earlier=(one.text for one in memory.questions if one.split is SplitName.HELD_OUT),
            threshold_0_1=self._recipe.policy.near_duplicate_threshold_0_1,
            threads=self._threads,
        )
        self._dropped_for[Check.CONTAMINATION] = cleaned.reasons
        return cleaned

    def _statistics(self, splits: Mapping[SplitName, BuiltSplit], dropped: Sequence[DroppedDuplicate]) -> Statistics:
        builder = StatisticsBuilder()
        for name, split in splits.items():
            for first in range(0, len(split.samples), _STATISTICS_BATCH):
                batch = [built.sample for built in split.samples[first : first + _STATISTICS_BATCH]]
                builder.add(columns_of(batch, name, self._measured(batch)))
        builder.note(
            duplicates=Counter(str(duplicate.check) for duplicate in dropped),
            personal_data={str(kind): count for kind, count in self._found.items()},
        )
        return builder.finish()

    def _measured(self, batch: Sequence[Sample]) -> Measured:
        found = [self._prepared[sample.sample_id] for sample in batch]
        parts = np.array([one.scores.parts for one in found])
        scores = {str(part): parts[:, place] for place, part in enumerate(PARTS)}
        scores["total"] = np.array([one.scores.total for one in found])
        tokens: dict[LengthPart, NDArray[np.int32]] = {}
        counts = [one.tokens for one in found if one.tokens is not None]
        if len(counts) == len(found):
            both = np.array(counts, dtype=np.int32)
            tokens = {LengthPart.QUESTION: both[:, 0], LengthPart.ANSWER: both[:, 1]}
        return Measured(
            categories=[sample.category for sample in batch],
            languages=[one.scores.language for one in found],
            tokens=tokens,
            scores=scores,
        )

    def _origins(self, splits: Mapping[SplitName, BuiltSplit]) -> tuple[SampleOrigin, ...]:
        kept = (self._prepared[built.sample.sample_id] for split in splits.values() for built in split.samples)
        return tuple(
            SampleOrigin(sample_id=one.sample.sample_id, source_line=one.number, masked_kinds=tuple(sorted(one.found)))
            for one in kept
        )

    def _report(
        self,
        splits: dict[SplitName, BuiltSplit],
        dropped: Sequence[DroppedDuplicate],
        allotment: Allotment,
        cleaned: Cleaned,
    ) -> QualityReport:
        recipe = self._recipe
        sizes = {name: len(split.samples) for name, split in splits.items()}
        kept = sum(sizes.values())
        return QualityReport(
            request_id=recipe.request_id,
            task_id=recipe.reading.task_id,
            dataset_name=recipe.dataset_name,
            data_policy=recipe.policy,
            expected_lines=recipe.expected_lines,
            lines=self._lines,
            kept=kept,
            quality_score_0_1=kept / self._lines if self._lines else 0.0,
            checks=self._outcomes(dropped),
            personal_data_found=dict(sorted(self._found.items())),
            samples_with_personal_data=self._with_personal_data,
            bad_lines=tuple(self._bad.first),
            duplicates=tuple(sorted(dropped, key=lambda duplicate: duplicate.dropped)),
            contamination=cleaned.contamination,
            splits=SplitFigures(
                samples=sizes,
                remembered_samples=allotment.remembered_samples,
                strata=allotment.strata,
            ),
            rejected_because=self._objections(sizes[SplitName.TRAIN]),
        )

    def _outcomes(self, dropped: Iterable[DroppedDuplicate]) -> tuple[CheckOutcome, ...]:
        reasons: dict[Check, Counter[str]] = {check: Counter() for check in Check}
        reasons[Check.READABLE].update(self._bad.reasons)
        reasons[Check.NOT_ERASED].update({"the person's data was erased": self._erased} if self._erased else {})
        for check, counts in self._dropped_for.items():
            reasons[check].update(counts)
        for duplicate in dropped:
            reasons[duplicate.check][duplicate.why] += 1
        outcomes: list[CheckOutcome] = []
        left = self._lines
        for check in Check:
            gone = reasons[check].total()
            left -= gone
            outcomes.append(CheckOutcome(check=check, passed=left, dropped=gone, reasons=dict(reasons[check])))
        return tuple(outcomes)

    def _objections(self, training_samples: int) -> tuple[str, ...]:
        wanted = self._recipe.policy.min_samples
        if self._bad.total == self._lines:
            return (f"none of the {self._lines} lines could be read as a sample",)
        if training_samples < wanted:
            return (f"{training_samples} clean training samples, and the task's policy wants at least {wanted}",)
        return ()
