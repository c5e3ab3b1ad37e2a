"""What a build comes to: the parts of a version with their bytes, and what was seen on the way."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from operator import attrgetter

import msgspec
import numpy as np
from numpy.typing import NDArray

from dataset_svc.domain.candidates import Candidate
from dataset_svc.domain.kept_lines import Lines
from dataset_svc.domain.likeness.clusters import Cluster
from dataset_svc.domain.report import QualityReport
from dataset_svc.domain.samples import SplitName, sha256_of
from dataset_svc.domain.statistics.figures import Statistics
from dataset_svc.domain.versions.origins import SampleOrigin


class BuiltRow(msgspec.Struct, frozen=True, array_like=True):
    """What lineage knows of one sample.

    Attributes:
        position: Line of its part, counted from 0.
        content_sha256: Hash of that line.
        question: Its question as later versions must recognise it.
        group_sha256: Hash of its group's name; None if it has no group.
    """

    sample_id: str
    position: int
    content_sha256: str
    question: str
    question_sha256: str
    group_sha256: str | None
    source: str
    inference_id: str | None
    rating_ids: tuple[str, ...]
    unit_hash: str | None
    weight_0_1: float


@dataclass(frozen=True, kw_only=True)
class BuiltSplit:
    """One part: its samples in the order of its lines."""

    candidates: tuple[Candidate, ...]

    def lines(self, kept: Lines) -> Iterator[bytes]:
        """Its file."""
        return (one.line_in(kept) for one in self.candidates)

    @cached_property
    def places(self) -> NDArray[np.int64]:
        """First byte and size of each line where lines wait `[samples, 2]`."""
        found = [one.first_byte for one in self.candidates], [one.size_bytes for one in self.candidates]
        return np.array(found, dtype=np.int64).T

    @property
    def size_bytes(self) -> int:
        """Of its file."""
        return int(self.places[:, 1].sum())

    def rows(self) -> Iterator[BuiltRow]:
        for position, one in enumerate(self.candidates):
            yield BuiltRow(
                one.sample_id, position, one.line_sha256.hex(), one.question, one.question_sha256.hex(),
                None if one.group is None else sha256_of(one.group), one.source, one.inference_id,
                one.rating_ids, one.unit_hash, one.weight_0_1,
            )  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Built:
    """The outcome; `report.rejected_because` says whether the parts may become a version.

    Attributes:
        measure: Waits for whoever measures the samples, and adds up what they found.
    """

    splits: dict[SplitName, BuiltSplit]
    report: QualityReport
    measure: Callable[[], Statistics]
    origins: tuple[SampleOrigin, ...]

    @cached_property
    def statistics(self) -> Statistics:
        """Of the samples; whoever asks for them last does not wait for others to measure."""
        return self.measure()


def built_split(clusters: Iterable[Cluster]) -> BuiltSplit:
    every = (one for cluster in clusters for one in cluster.samples)
    return BuiltSplit(candidates=tuple(sorted(every, key=attrgetter("sample_id"))))
