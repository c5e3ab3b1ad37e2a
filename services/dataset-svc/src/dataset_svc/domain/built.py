"""What a build comes to: the parts of a version with their bytes, and what was seen on the way."""

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass

from dataset_svc.domain.likeness.clusters import Cluster
from dataset_svc.domain.report import QualityReport
from dataset_svc.domain.samples import Sample, SplitName, encode, same_text, sha256_of
from dataset_svc.domain.statistics.figures import Statistics
from dataset_svc.domain.versions.origins import SampleOrigin


@dataclass(frozen=True, kw_only=True)
class BuiltSample:
    """A sample of the version with what lineage needs to know of it.

    Attributes:
        position: Line of its part, counted from 0.
        content_sha256: Hash of that line.
        question: Its question as later versions must recognise it.
        group_sha256: Hash of its group's name; None if it has no group.
    """

    sample: Sample
    position: int
    content_sha256: str
    question: str
    question_sha256: str
    group_sha256: str | None


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
    statistics: Statistics
    origins: tuple[SampleOrigin, ...]


def built_split(clusters: Iterable[Cluster]) -> BuiltSplit:
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
                group_sha256=None if sample.group is None else sha256_of(sample.group),
            )
        )
    return BuiltSplit(content=b"".join(lines), samples=tuple(built))
