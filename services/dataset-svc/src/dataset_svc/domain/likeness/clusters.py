"""One pass over samples, best first: drops near copies of what stays, and joins what stays into clusters of like questions.

Questions that earlier versions already put on one side of the split take part, so that their likes can follow them.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain, compress
from operator import attrgetter
from typing import Final

import msgspec
import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from dataset_svc.domain.candidates import Candidate
from dataset_svc.domain.kept_lines import Lines
from dataset_svc.domain.likeness.buffers import Dialogues, Groups
from dataset_svc.domain.likeness.kernels import PERMUTATIONS, sift_places
from dataset_svc.domain.likeness.minhash import Grams, Sketches, one_after_the_other, packed, sketches_of
from dataset_svc.domain.likeness.near_pairs import crowd_of, groups_of, limits_of, roots_of, side_of
from dataset_svc.domain.likeness.similarity import banding
from dataset_svc.domain.line_cuts import cut_lines
from dataset_svc.domain.report import Check, DroppedDuplicate
from dataset_svc.domain.samples import SplitName
from loopwright.contracts.datasets import SampleSource

_CHUNK_TEXTS: Final = 50_000
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


class Cluster(msgspec.Struct, kw_only=True):
    """Samples whose questions are alike, directly or through others, and what earlier versions decided on them."""

    samples: list[Candidate] = msgspec.field(default_factory=list[Candidate])
    remembered: frozenset[SplitName] = frozenset()


@dataclass(frozen=True, kw_only=True)
class Sifted:
    """Clusters of what stays, and what went."""

    clusters: tuple[Cluster, ...]
    dropped: tuple[DroppedDuplicate, ...]


def sift(
    samples: Iterable[Candidate],
    lines: Lines,
    *,
    threshold_0_1: float,
    remembered: Iterable[RememberedQuestion] = (),
    threads: int = 1,
) -> Sifted:
    """Drops near copies and clusters the rest; the result does not depend on the order of `samples`.

    Best first, a sample goes in favour of the one most like it among those that stay, or stays and joins all whose
    questions are alike. Character 5-grams of questions and answers count, never the system prompt.

    Args:
        lines: Of the samples.
        threshold_0_1: Jaccard index from which on texts are alike.
    """
    known = sorted(remembered, key=lambda question: (question.text, question.split))
    ordered = _best_first(samples)
    bands = banding(threshold_0_1, missed_0_1=_MISSED_0_1)
    every = [one.text for one in known] + [one.question for one in ordered]
    sketches = _sketches(every, bands=bands, threads=threads)
    crowd = crowd_of(sketches.band_keys, threads=threads)
    first_sample = int(np.searchsorted(crowd.places, len(known)))
    members = [ordered[place - len(known)] for place in crowd.places[first_sample:]]
    answers = one_after_the_other(packed([""] * first_sample), packed(_answers(members, lines), threads=threads))
    dialogues = Dialogues(
        questions=side_of(
            packed([every[place] for place in crowd.places], threads=threads),
            sketches.low_bytes[crowd.places],
            Grams.CHARACTERS_5,
        ),
        answers=side_of(
            answers,
            sketches_of(answers, Grams.CHARACTERS_5, bands=(0, 1), threads=threads).low_bytes,
            Grams.CHARACTERS_5,
        ),
        first_sample=first_sample,
    )
    groups = groups_of(len(crowd.places))
    sift_places(dialogues, crowd.links, limits_of(threshold_0_1), groups)
    return _sifted(known, ordered, crowd.places, groups, threshold_0_1)


def _answers(members: Sequence[Candidate], lines: Lines) -> pa.LargeStringArray:
    """Of the samples in their lines, some thousands at a time, since a line is much longer than its answer."""
    chunks = [members[first : first + _CHUNK_LINES] for first in range(0, len(members), _CHUNK_LINES)]
    none = pa.array([], pa.large_string())
    return pa.concat_arrays([none, *(_cut_answers(chunk, lines) for chunk in chunks)])


def _cut_answers(members: Sequence[Candidate], lines: Lines) -> pa.LargeStringArray:
    sizes = np.fromiter((one.size_bytes for one in members), dtype=np.int64, count=len(members))
    content = b"".join([one.line_in(lines) for one in members])
    return cut_lines(content, np.stack((np.cumsum(sizes) - sizes, sizes), axis=1)).answers


def _best_first(samples: Iterable[Candidate]) -> list[Candidate]:
    """In order of `Candidate.preference`."""
    by_id = sorted(samples, key=attrgetter("sample_id"))
    rated = np.array([sample.source is not SampleSource.CORRECTION for sample in by_id], dtype=np.bool_)
    weights = np.array([sample.weight_0_1 for sample in by_id], dtype=np.float64)
    return [by_id[number] for number in np.lexsort((-weights, rated))]


def _sketches(texts: Sequence[str], *, bands: tuple[int, int], threads: int) -> Sketches:
    """A chunk at a time, so that the texts are not in memory twice."""
    low_bytes = np.empty((len(texts), PERMUTATIONS), dtype=np.uint8)
    keys = np.empty((bands[0], len(texts)), dtype=np.uint32)
    for first in range(0, len(texts), _CHUNK_TEXTS):
        chunk = texts[first : first + _CHUNK_TEXTS]
        sketches = sketches_of(packed(chunk, threads=threads), Grams.CHARACTERS_5, bands=bands, threads=threads)
        low_bytes[first : first + len(chunk)] = sketches.low_bytes
        keys[:, first : first + len(chunk)] = sketches.band_keys
    return Sketches(low_bytes=low_bytes, band_keys=keys)


def _sifted(
    known: Sequence[RememberedQuestion],
    ordered: Sequence[Candidate],
    places: NDArray[np.int64],
    groups: Groups,
    threshold_0_1: float,
) -> Sifted:
    """Clusters in order of their best place; most samples share a bucket with nobody and are a cluster each."""
    joined: dict[int, Cluster] = {}
    firsts: list[int] = []
    dropped: list[DroppedDuplicate] = []
    members = zip(places.tolist(), roots_of(groups.parents).tolist(), groups.gone.tolist(), strict=True)
    for member, (place, root, gone) in enumerate(members):
        if gone:
            kept = ordered[int(places[groups.through[member]]) - len(known)]
            dropped.append(_near_copy(ordered[place - len(known)], kept, member, groups, threshold_0_1))
            continue
        cluster = joined.get(root)
        if cluster is None:
            cluster = joined[root] = Cluster()
            firsts.append(place)
        if place < len(known):
            cluster.remembered |= {known[place].split}
        else:
            cluster.samples.append(ordered[place - len(known)])
    alone = np.ones(len(ordered), dtype=np.bool_)
    alone[places[places >= len(known)] - len(known)] = False
    clusters = [Cluster(samples=[one]) for one in compress(ordered, alone.tolist())]
    order = np.argsort(np.concatenate((np.flatnonzero(alone) + len(known), np.array(firsts, dtype=np.int64))))
    clusters += joined.values()
    in_order = map(clusters.__getitem__, order.tolist())
    return Sifted(clusters=tuple(cluster for cluster in in_order if cluster.samples), dropped=tuple(dropped))


def _near_copy(
    sample: Candidate, kept: Candidate, member: int, groups: Groups, threshold_0_1: float
) -> DroppedDuplicate:
    return DroppedDuplicate(
        check=Check.NEAR_DUPLICATE,
        dropped=sample.sample_id,
        kept=kept.sample_id,
        why=f"input and answer are at least {threshold_0_1:g} alike",
        input_similarity_0_1=round(float(groups.likeness[member]), 4),
        answer_similarity_0_1=round(float(groups.answer_likeness[member]), 4),
    )


_questions = msgspec.msgpack.Decoder(list[RememberedQuestion])
