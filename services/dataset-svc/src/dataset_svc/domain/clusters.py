"""One pass over samples, best first: drops near copies of what stays, and joins what stays into clusters of like questions.

Questions that earlier versions already put on one side of the split take part, so that their likes can follow them.
"""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field

from datasketch import MinHash

from dataset_svc.domain.report import Check, DroppedDuplicate
from dataset_svc.domain.samples import Sample, SplitName
from dataset_svc.domain.similarity import Shingles, SimilarityIndex, jaccard, shingles_of


@dataclass(frozen=True, kw_only=True)
class RememberedQuestion:
    """A question of an earlier version, and the side of the split that it was on."""

    text: str
    split: SplitName


@dataclass(kw_only=True)
class Cluster:
    """Samples whose questions are alike, directly or through others, and what earlier versions decided on them."""

    samples: list[Sample] = field(default_factory=list)
    remembered: set[SplitName] = field(default_factory=set)


@dataclass(frozen=True, kw_only=True)
class Sifted:
    """Clusters of what stays, and what went."""

    clusters: tuple[Cluster, ...]
    dropped: tuple[DroppedDuplicate, ...]


@dataclass(frozen=True, kw_only=True)
class _Node:
    question: Shingles
    sample: Sample | None
    answer: Shingles | None
    split: SplitName | None


class NearSift:
    """The pass itself. Feed remembered questions before samples, and samples best first.

    Args:
        threshold_0_1: Jaccard index from which on texts are alike.
    """

    def __init__(self, *, threshold_0_1: float) -> None:
        self._threshold = threshold_0_1
        self._index = SimilarityIndex(threshold_0_1=threshold_0_1)
        self._nodes: list[_Node] = []
        self._parents: list[int] = []
        self._dropped: list[DroppedDuplicate] = []

    def remember(self, question: RememberedQuestion) -> None:
        shingles = shingles_of(question.text)
        node = _Node(question=shingles, sample=None, answer=None, split=question.split)
        self._add(node, self._index.sketch(shingles))

    def take(self, sample: Sample) -> None:
        """Keeps a sample, or drops it in favour of the kept one most like it."""
        question, answer = shingles_of(sample.question), shingles_of(sample.answer)
        sketch = self._index.sketch(question)
        alike = self._alike(question, sketch)
        copies = [
            (similarity, likeness, place)
            for place, similarity in alike
            if (likeness := self._answers_alike(place, answer)) >= self._threshold
        ]
        if copies:
            similarity, likeness, place = max(copies, key=lambda copy: (copy[0], copy[1], -copy[2]))
            self._drop(sample, place, similarity=similarity, likeness=likeness)
            return
        own = self._add(_Node(question=question, sample=sample, answer=answer, split=None), sketch)
        for place, _ in alike:
            self._join(own, place)

    def finish(self) -> Sifted:
        clusters: dict[int, Cluster] = defaultdict(Cluster)
        for place, node in enumerate(self._nodes):
            cluster = clusters[self._root(place)]
            if node.sample is not None:
                cluster.samples.append(node.sample)
            if node.split is not None:
                cluster.remembered.add(node.split)
        occupied = tuple(cluster for cluster in clusters.values() if cluster.samples)
        return Sifted(clusters=occupied, dropped=tuple(self._dropped))

    def _alike(self, question: Shingles, sketch: MinHash) -> list[tuple[int, float]]:
        found: list[tuple[int, float]] = []
        for key in self._index.candidates(sketch):
            assert isinstance(key, int)
            similarity = jaccard(question, self._nodes[key].question)
            if similarity >= self._threshold:
                found.append((key, similarity))
        return sorted(found)

    def _answers_alike(self, place: int, answer: Shingles) -> float:
        other = self._nodes[place].answer
        return -1.0 if other is None else jaccard(answer, other)

    def _drop(self, sample: Sample, place: int, *, similarity: float, likeness: float) -> None:
        kept = self._nodes[place].sample
        assert kept is not None, "only samples have answers"
        self._dropped.append(
            DroppedDuplicate(
                check=Check.NEAR_DUPLICATE,
                dropped=sample.sample_id,
                kept=kept.sample_id,
                why=f"input and answer are at least {self._threshold:g} alike",
                input_similarity_0_1=round(similarity, 4),
                answer_similarity_0_1=round(likeness, 4),
            )
        )

    def _add(self, node: _Node, sketch: MinHash) -> int:
        place = len(self._nodes)
        self._nodes.append(node)
        self._parents.append(place)
        self._index.insert(place, sketch)
        return place

    def _root(self, place: int) -> int:
        while self._parents[place] != place:
            self._parents[place] = self._parents[self._parents[place]]
            place = self._parents[place]
        return place

    def _join(self, one: int, other: int) -> None:
        low, high = sorted((self._root(one), self._root(other)))
        self._parents[high] = low


def sift(samples: Iterable[Sample], *, threshold_0_1: float, remembered: Iterable[RememberedQuestion] = ()) -> Sifted:
    """Drops near copies and clusters the rest; the result does not depend on the order of `samples`."""
    sieve = NearSift(threshold_0_1=threshold_0_1)
    for question in sorted(remembered, key=lambda question: (question.text, question.split)):
        sieve.remember(question)
    for sample in sorted(samples, key=lambda sample: sample.preference):
        sieve.take(sample)
    return sieve.finish()
