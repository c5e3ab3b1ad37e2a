"""From raw lines to a version: read, leave out, mask, de-duplicate, split, report. Equal inputs give equal bytes."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache, partial

import numpy as np
from numpy.typing import NDArray

from dataset_svc.domain.built import Built, BuiltSplit
from dataset_svc.domain.candidates import CandidateBatch, Candidates, Rows
from dataset_svc.domain.kept_lines import Lines
from dataset_svc.domain.likeness.clusters import Clusters, RememberedQuestion, sift
from dataset_svc.domain.likeness.duplicates import drop_exact_copies, settle_conflicts
from dataset_svc.domain.likeness.held_out import Cases, Cleaned, own_cases, without_giveaways
from dataset_svc.domain.measurements import Measurements
from dataset_svc.domain.preparing import BadRecord, Prepared
from dataset_svc.domain.report import Check, CheckOutcome, DroppedDuplicate, QualityReport, SplitFigures
from dataset_svc.domain.samples import SplitName
from dataset_svc.domain.sources.bad_records import BadLine, BadRecords
from dataset_svc.domain.sources.reading import Names, ReadingRules
from dataset_svc.domain.splits import EVERY_PART, Allotment, Shares, allot, joined_by_group
from dataset_svc.domain.statistics.builder import StatisticsBuilder
from dataset_svc.domain.statistics.columns import SPLITS
from dataset_svc.domain.statistics.figures import Statistics
from dataset_svc.domain.statistics.portions import Gather, Portion, measured_here
from dataset_svc.domain.statistics.terms import term_bound
from dataset_svc.domain.versions.origins import SampleOrigin
from loopwright.contracts.tasks import DataPolicy
from loopwright.personal.kinds import PersonalKind

_STRETCH_BYTES = 8 << 20  # lines of some thousands of samples


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
    """Takes a source in prepared batches, in order, then finishes. Pure: no clock, no randomness.

    Args:
        lines: Where the lines of prepared samples wait.
        threads: That the compiled loops may use.
        gather: Has portions of the kept samples measured, here or by other processes meanwhile.
    """

    def __init__(
        self, recipe: Recipe, memory: Memory, lines: Lines, *, threads: int = 1, gather: Gather = measured_here
    ) -> None:
        self._recipe = recipe
        self._memory = memory
        self._kept = lines
        self._threads = threads
        self._gather = gather
        self._names = Names()
        self._lines = 0
        self._bad = BadRecords()
        self._batches: list[CandidateBatch] = []
        self._chosen: list[Rows] = []  # of all batches together
        self._rows = 0
        self._measurements: list[Measurements] = []
        self._masked: dict[int, tuple[PersonalKind, ...]] = {}  # by row
        self._erased = 0
        self._found: Counter[PersonalKind] = Counter()
        self._with_personal_data = 0
        self._dropped_for: dict[Check, Counter[str]] = {Check.PERSONAL_DATA: Counter(), Check.QUALITY: Counter()}

    def add(self, batch: Prepared) -> list[BadRecord]:
        """Takes a batch.

        Returns:
            All records of it that are no samples, for the reject file.
        """
        bad, names = list(batch.bad), dict[int, str]()
        numbers = batch.measurements.line_numbers().tolist()
        stays = np.ones(len(batch.candidates), dtype=np.bool_)
        for place, (given, named, number) in enumerate(
            zip(batch.candidates.sample_ids, batch.named, numbers, strict=True)
        ):
            name = self._names.admit(given, number, named=named)
            if isinstance(name, BadLine):
                bad.append(BadRecord(why=name, raw=batch.candidates.line(place, self._kept)))
                stays[place] = False
            elif name != given:
                names[place] = name
        self._leave_out(batch, stays)
        bad.sort(key=lambda record: record.why.line)
        self._batches.append(batch.candidates.renamed(names, self._kept))
        self._chosen.append(np.flatnonzero(stays) + self._rows)
        self._rows += len(batch.candidates)
        self._lines += len(batch.bad) + len(batch.candidates)
        self._measurements.append(batch.measurements)
        for record in bad:
            self._bad.add(record.why)
        return bad

    def _leave_out(self, batch: Prepared, stays: NDArray[np.bool_]) -> None:
        """Takes those out of what stays that may not, and notes what was found in them."""
        if self._memory.erased_units:
            for place, unit in enumerate(batch.candidates.unit_hashes):
                if stays[place] and unit in self._memory.erased_units:
                    self._erased += 1
                    stays[place] = False
        for place, found in batch.found.items():
            if stays[place]:
                self._found.update(found)
                self._with_personal_data += 1
                self._masked[self._rows + place] = _ordered(tuple(found))
        for place, refusal in sorted(batch.refused.items()):
            if stays[place]:
                self._dropped_for[refusal.check][refusal.why] += 1
                stays[place] = False

    def finish(self) -> Built:
        """The version; nothing can be added afterwards, for what went is forgotten on the way."""
        candidates, self._batches = Candidates.of(self._batches), []
        clusters, dropped = self._sifted(candidates)
        policy = self._recipe.policy
        shares = Shares(held_out_0_1=policy.held_out_share_0_1, validation_0_1=policy.validation_share_0_1)
        joined = joined_by_group(candidates, clusters, self._memory.groups)
        allotment = allot(candidates, joined, shares, salt=self._recipe.dataset_name, binding=self._memory.binding)
        cleaned = self._without_giveaways(candidates, allotment)
        splits = {
            name: BuiltSplit(candidates=candidates, chosen=candidates.by_id(rows))
            for name, rows in cleaned.parts.items()
        }
        measured = Measurements.joined(self._measurements)
        self._measurements, self._names = [], Names()
        portions = self._gather(_portions(candidates, splits, measured), self._kept)
        kept = np.concatenate([split.chosen for split in splits.values()])
        report = self._report(splits, dropped, allotment, cleaned, measured.flaws_of(kept))
        origins = self._origins(candidates, kept, measured.line_numbers()[kept].tolist())
        return Built(
            splits=splits, report=report, measure=partial(self._statistics, portions, dropped), origins=origins
        )

    def _sifted(self, candidates: Candidates) -> tuple[Clusters, tuple[DroppedDuplicate, ...]]:
        """Clusters of what stays, and what went."""
        settled = settle_conflicts(candidates, np.concatenate([np.zeros(0, dtype=np.int64), *self._chosen]))
        distinct = drop_exact_copies(candidates, settled.kept)
        sifted = sift(
            candidates,
            distinct.kept,
            self._kept,
            threshold_0_1=self._recipe.policy.near_duplicate_threshold_0_1,
            remembered=self._memory.questions,
            threads=self._threads,
        )
        return sifted.clusters, (*settled.dropped, *distinct.dropped, *sifted.dropped)

    def _without_giveaways(self, candidates: Candidates, allotment: Allotment) -> Cleaned:
        memory = self._memory
        earlier = (one.text for one in memory.questions if one.split is SplitName.HELD_OUT)
        cleaned = without_giveaways(
            candidates,
            allotment.parts,
            (own_cases(candidates, allotment.parts[SplitName.HELD_OUT], earlier), *memory.cases),
            dataset_name=self._recipe.dataset_name,
            threshold_0_1=self._recipe.policy.near_duplicate_threshold_0_1,
            threads=self._threads,
        )
        self._dropped_for[Check.CONTAMINATION] = cleaned.reasons
        return cleaned

    def _statistics(self, portions: Iterable[StatisticsBuilder], dropped: Sequence[DroppedDuplicate]) -> Statistics:
        builder = StatisticsBuilder()
        for portion in portions:
            builder.merge(portion)
        builder.note(
            duplicates=Counter(str(duplicate.check) for duplicate in dropped),
            personal_data={str(kind): count for kind, count in self._found.items()},
        )
        return builder.finish()

    def _origins(self, candidates: Candidates, kept: Rows, numbers: Iterable[int]) -> tuple[SampleOrigin, ...]:
        rows = kept.tolist()
        masked = [self._masked.get(row, ()) for row in rows]
        return tuple(map(SampleOrigin, map(candidates.sample_ids.__getitem__, rows), numbers, masked))

    def _report(
        self,
        splits: dict[SplitName, BuiltSplit],
        dropped: Sequence[DroppedDuplicate],
        allotment: Allotment,
        cleaned: Cleaned,
        flaws: dict[str, int],
    ) -> QualityReport:
        recipe = self._recipe
        sizes = {name: len(split) for name, split in splits.items()}
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
            flaws=flaws,
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


def _portions(
    candidates: Candidates, splits: Mapping[SplitName, BuiltSplit], measured: Measurements
) -> Iterator[Portion]:
    """What to measure: samples whose lines begin in one stretch of the file, so that one look reads them all."""
    rows = np.concatenate([split.chosen for split in splits.values()])
    parts = np.repeat(
        np.array([SPLITS.index(name) for name in splits], dtype=np.int8), [len(split) for split in splits.values()]
    )
    bound = term_bound([candidates.sample_ids[row] for row in rows.tolist()])
    order = np.argsort(candidates.places[rows, 0])
    rows, parts = rows[order], parts[order]
    cuts = np.flatnonzero(np.diff(candidates.places[rows, 0] // _STRETCH_BYTES)) + 1
    for some, of_parts in zip(np.split(rows, cuts), np.split(parts, cuts), strict=True):
        if len(some):
            yield Portion(
                places=candidates.places[some],
                splits=of_parts,
                measured=measured.of_rows(some),
                categories=[candidates.categories[row] for row in some.tolist()],
                term_bound=bound,
            )


@lru_cache(maxsize=1024)
def _ordered(kinds: tuple[PersonalKind, ...]) -> tuple[PersonalKind, ...]:
    """Few different ones, of which many samples share the same object."""
    return tuple(sorted(kinds))
