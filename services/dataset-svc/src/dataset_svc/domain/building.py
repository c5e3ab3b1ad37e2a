"""From raw lines to a version: read, leave out, mask, de-duplicate, split, report. Equal inputs give equal bytes."""

import hashlib
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from dataset_svc.domain.clusters import Cluster, RememberedQuestion, sift
from dataset_svc.domain.detectors import PersonalKind
from dataset_svc.domain.duplicates import drop_exact_copies, settle_conflicts
from dataset_svc.domain.lines import Line, LineCutter
from dataset_svc.domain.masking import mask_sample
from dataset_svc.domain.reading import BadLine, ReadingRules, SampleReader
from dataset_svc.domain.report import Check, CheckOutcome, DroppedDuplicate, QualityReport, SplitFigures
from dataset_svc.domain.samples import Sample, SplitName, encode, same_text, sha256_of
from dataset_svc.domain.splits import Allotment, Shares, allot
from loopwright.contracts.tasks import DataPolicy, MaskingMode


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """What is built, and how.

    Attributes:
        expected_lines: Lines that the request promised; None if it promised none.
        max_line_bytes: Longer lines are reported as bad.
    """

    request_id: str
    dataset_name: str
    reading: ReadingRules
    policy: DataPolicy
    expected_lines: int | None
    max_line_bytes: int


@dataclass(frozen=True, kw_only=True)
class Memory:
    """What earlier events and versions decided.

    Attributes:
        erased_units: Persons whose samples are left out.
        questions: Questions of earlier versions of this dataset, with their part.
    """

    erased_units: frozenset[str] = frozenset()
    questions: tuple[RememberedQuestion, ...] = ()


@dataclass(frozen=True, kw_only=True)
class BuiltSample:
    """A sample of the version with what lineage needs to know of it.

    Attributes:
        position: Line of its part, counted from 0.
        content_sha256: Hash of that line.
        question: Its question as later versions must recognise it.
    """

    sample: Sample
    position: int
    content_sha256: str
    question: str
    question_sha256: str


@dataclass(frozen=True, kw_only=True)
class BuiltSplit:
    """One part: its bytes and its samples."""

    content: bytes
    samples: tuple[BuiltSample, ...]


@dataclass(frozen=True, kw_only=True)
class Built:
    """The outcome; `report.rejected_because` says whether the parts may become a version."""

    splits: dict[SplitName, BuiltSplit]
    report: QualityReport


class VersionBuilder:
    """Feed it the source in chunks, then finish. Pure: no clock, no randomness, no files."""

    def __init__(self, recipe: Recipe, memory: Memory) -> None:
        self._recipe = recipe
        self._memory = memory
        self._cutter = LineCutter(max_line_bytes=recipe.max_line_bytes)
        self._reader = SampleReader(recipe.reading)
        self._lines = 0
        self._bad: list[BadLine] = []
        self._samples: list[Sample] = []
        self._erased = 0
        self._found: Counter[PersonalKind] = Counter()
        self._with_personal_data = 0
        self._dropped_for: Counter[str] = Counter()

    def feed(self, chunk: bytes) -> None:
        for line in self._cutter.feed(chunk):
            self._take(line)

    def finish(self) -> Built:
        for line in self._cutter.finish():
            self._take(line)
        settled = settle_conflicts(self._samples)
        distinct = drop_exact_copies(settled.kept)
        policy = self._recipe.policy
        sifted = sift(
            distinct.kept,
            threshold_0_1=policy.near_duplicate_threshold_0_1,
            remembered=self._memory.questions,
        )
        shares = Shares(held_out_0_1=policy.held_out_share_0_1, validation_0_1=policy.validation_share_0_1)
        allotment = allot(sifted.clusters, shares, salt=self._recipe.dataset_name)
        splits = {name: _built_split(clusters) for name, clusters in allotment.parts.items()}
        dropped = (*settled.dropped, *distinct.dropped, *sifted.dropped)
        return Built(splits=splits, report=self._report(splits, dropped, allotment))

    def _take(self, line: Line) -> None:
        self._lines += 1
        sample = self._reader.read(line)
        if isinstance(sample, BadLine):
            self._bad.append(sample)
            return
        if sample.unit_hash in self._memory.erased_units:
            self._erased += 1
            return
        masked = mask_sample(sample)
        self._found += masked.found
        self._with_personal_data += bool(masked.found)
        mode = self._recipe.policy.masking
        if masked.found and mode is MaskingMode.DROP:
            self._dropped_for[f"holds {min(masked.found)}"] += 1
        else:
            self._samples.append(masked.sample if mode is MaskingMode.MASK else sample)

    def _report(
        self, splits: dict[SplitName, BuiltSplit], dropped: Sequence[DroppedDuplicate], allotment: Allotment
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
            bad_lines=tuple(self._bad),
            duplicates=tuple(sorted(dropped, key=lambda duplicate: duplicate.dropped)),
            splits=SplitFigures(
                samples=sizes,
                remembered_samples=allotment.remembered_samples,
                topped_up_samples=allotment.topped_up_samples,
            ),
            rejected_because=self._objections(sizes[SplitName.TRAIN]),
        )

    def _outcomes(self, dropped: Iterable[DroppedDuplicate]) -> tuple[CheckOutcome, ...]:
        reasons: dict[Check, Counter[str]] = {check: Counter() for check in Check}
        reasons[Check.READABLE].update(f"{bad.field}: {bad.reason}" for bad in self._bad)
        reasons[Check.NOT_ERASED].update({"the person's data was erased": self._erased} if self._erased else {})
        reasons[Check.PERSONAL_DATA].update(self._dropped_for)
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
        if len(self._bad) == self._lines:
            return (f"none of the {self._lines} lines could be read as a sample",)
        if training_samples < wanted:
            return (f"{training_samples} clean training samples, and the task's policy wants at least {wanted}",)
        return ()


def _built_split(clusters: Iterable[Cluster]) -> BuiltSplit:
    samples = sorted((sample for cluster in clusters for sample in cluster.samples), key=lambda one: one.sample_id)
    lines = [encode(sample) for sample in samples]
    built: list[BuiltSample] = []
    for position, (sample, line) in enumerate(zip(samples, lines, strict=True)):
        question = same_text(sample.question)
        built.append(
            BuiltSample(
                sample=sample,
                position=position,
                content_sha256=hashlib.sha256(line).hexdigest(),
                question=question,
                question_sha256=sha256_of(question),
            )
        )
    return BuiltSplit(content=b"".join(lines), samples=tuple(built))
