"""One pass over samples, best first: drops near copies of what stays, and joins what stays into clusters of like questions.

Questions that earlier versions already put on one side of the split take part, so that their likes can follow them.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain, starmap
from typing import Final

import msgspec
import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from dataset_svc.domain.candidates import Candidates, Rows
from dataset_svc.domain.kept_lines import Lines
from dataset_svc.domain.likeness.buffers import Dialogues, Groups
from dataset_svc.domain.likeness.kernels import sift_places
from dataset_svc.domain.likeness.minhash import Grams, one_after_the_other, packed, sketches_of, taken
from dataset_svc.domain.likeness.near_pairs import crowd_of, groups_of, limits_of, roots_of, side_of
from dataset_svc.domain.likeness.similarity import banding
from dataset_svc.domain.line_cuts import cut_lines
from dataset_svc.domain.report import Check, DroppedDuplicate
from dataset_svc.domain.samples import SplitName

_CHUNK_LINES: Final = 4096
# of pairs exactly at the threshold; a smaller share would make all questions of one template candidates
_MISSED_0_1: Final = 1e-3


class RememberedQuestion(msgspec.Struct, frozen=True, kw_only=True, array_like=True):
    """A question of an earlier version, and the side of the split that it was on."""

    text: str
    split: SplitName


class RememberedQuestions:
    """Many of them, packed by some hundreds, so that no process stands still while they cross to another one."""

    def __init__(self) -> None:
        self._packed: list[bytes] = []

    def add(self, questions: Sequence[RememberedQuestion]) -> None:
        self._packed.append(msgspec.msgpack.encode(questions))

    def __iter__(self) -> Iterator[RememberedQuestion]:
        return chain.from_iterable(map(_questions.decode, self._packed))


@dataclass(frozen=True, kw_only=True)
class Clusters:
    """Samples whose questions are alike, directly or through others, and what earlier versions decided on them.

    Attributes:
        rows: Of the samples, cluster after cluster.
        sizes: Samples of each cluster, one at least.
        remembered: Where earlier versions put a cluster's questions, by its number; of most they know nothing.
    """

    rows: Rows
    sizes: Rows
    remembered: Mapping[int, frozenset[SplitName]]

    def __len__(self) -> int:
        return len(self.sizes)

    @property
    def firsts(self) -> Rows:
        """Where each cluster begins in `rows`."""
        return np.cumsum(self.sizes) - self.sizes

    @property
    def numbers(self) -> Rows:
        """Of the cluster of each sample."""
        return np.repeat(np.arange(len(self)), self.sizes)

    def rows_of(self, clusters: Sequence[int]) -> Rows:
        """Samples of some clusters, in the order in which these are given."""
        numbers = np.array(clusters, dtype=np.int64)
        sizes = self.sizes[numbers]
        begins = np.repeat(self.firsts[numbers] - np.cumsum(sizes) + sizes, sizes)
        return self.rows[begins + np.arange(len(begins))]


@dataclass(frozen=True, kw_only=True)
class Sifted:
    """Clusters of what stays, and what went."""

    clusters: Clusters
    dropped: tuple[DroppedDuplicate, ...]


def sift(
    candidates: Candidates,
    rows: Rows,
    lines: Lines,
    *,
    threshold_0_1: float,
    remembered: Iterable[RememberedQuestion] = (),
    threads: int = 1,
) -> Sifted:
    """Drops near copies and clusters the rest; the result does not depend on the order of `rows`.

    Best first, a sample goes in favour of the one most like it among those that stay, or stays and joins all whose
    questions are alike. Character 5-grams of questions and answers count, never the system prompt.

    Args:
        lines: Of the samples.
        threshold_0_1: Jaccard index from which on texts are alike.
    """
    known = sorted(remembered, key=lambda question: (question.text, question.split))
    ordered = candidates.best_first(rows)
    asked = one_after_the_other(
        packed([one.text for one in known]), taken(packed(candidates.questions, threads=threads), ordered)
    )
    bands = banding(threshold_0_1, missed_0_1=_MISSED_0_1)
    sketches = sketches_of(asked, Grams.CHARACTERS_5, bands=bands, threads=threads)
    crowd = crowd_of(sketches.band_keys, threads=threads)
    first_sample = int(np.searchsorted(crowd.places, len(known)))
    members = ordered[crowd.places[first_sample:] - len(known)]
    answers = one_after_the_other(
        packed([""] * first_sample), packed(_answers(candidates.places[members], lines), threads=threads)
    )
    dialogues = Dialogues(
        questions=side_of(taken(asked, crowd.places), sketches.low_bytes[crowd.places], Grams.CHARACTERS_5),
        answers=side_of(
            answers,
            sketches_of(answers, Grams.CHARACTERS_5, bands=(0, 1), threads=threads).low_bytes,
            Grams.CHARACTERS_5,
        ),
        first_sample=first_sample,
    )
    groups = groups_of(len(crowd.places))
    sift_places(dialogues, crowd.links, limits_of(threshold_0_1), groups)
    gone = np.flatnonzero(groups.gone)
    pairs = zip(
        gone.tolist(),
        ordered[crowd.places[gone] - len(known)].tolist(),
        ordered[crowd.places[groups.through[gone]] - len(known)].tolist(),
        strict=True,
    )
    return Sifted(
        clusters=_clusters(known, ordered, crowd.places, groups),
        dropped=tuple(_near_copy(candidates, row, kept, groups, member, threshold_0_1) for member, row, kept in pairs),
    )


def _answers(places: NDArray[np.int64], lines: Lines) -> pa.LargeStringArray:
    """Of the samples in their lines, some thousands at a time, since a line is much longer than its answer."""
    chunks = [places[first : first + _CHUNK_LINES] for first in range(0, len(places), _CHUNK_LINES)]
    none = pa.array([], pa.large_string())
    return pa.concat_arrays([none, *(_cut_answers(chunk, lines) for chunk in chunks)])


def _cut_answers(places: NDArray[np.int64], lines: Lines) -> pa.LargeStringArray:
    content = b"".join(starmap(lines.read, places.tolist()))
    sizes = places[:, 1]
    return cut_lines(content, np.stack((np.cumsum(sizes) - sizes, sizes), axis=1)).answers


def _clusters(known: Sequence[RememberedQuestion], ordered: Rows, places: Rows, groups: Groups) -> Clusters:
    """In order of their best place; most samples share a bucket with nobody and are a cluster each.

    Args:
        places: Of the members of groups among all questions, those that are remembered first.
    """
    best = np.arange(len(known) + len(ordered))
    best[places] = places[roots_of(groups.parents)]
    stay = np.ones(len(best), dtype=np.bool_)
    stay[places[groups.gone]] = False
    samples = np.flatnonzero(stay[len(known) :]) + len(known)
    samples = samples[np.argsort(best[samples], kind="stable")]
    firsts, sizes = np.unique(best[samples], return_counts=True)
    numbers = np.searchsorted(firsts, best[: len(known)])
    met = np.flatnonzero(np.append(firsts, -1)[numbers] == best[: len(known)])
    remembered: dict[int, frozenset[SplitName]] = {}
    for place, number in zip(met.tolist(), numbers[met].tolist(), strict=True):
        remembered[number] = remembered.get(number, frozenset()) | {known[place].split}
    return Clusters(rows=ordered[samples - len(known)], sizes=sizes, remembered=remembered)


def _near_copy(
    candidates: Candidates, row: int, kept: int, groups: Groups, member: int, threshold_0_1: float
) -> DroppedDuplicate:
    return DroppedDuplicate(
        check=Check.NEAR_DUPLICATE,
        dropped=candidates.sample_ids[row],
        kept=candidates.sample_ids[kept],
        why=f"input and answer are at least {threshold_0_1:g} alike",
        input_similarity_0_1=round(float(groups.likeness[member]), 4),
        answer_similarity_0_1=round(float(groups.answer_likeness[member]), 4),
    )


_questions = msgspec.msgpack.Decoder(list[RememberedQuestion])
