"""From a document to training samples: which chunks are asked for how many pairs, and which pairs may stay."""

import hashlib
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

import msgspec

from dataset_svc.domain.personal.masking import mask_text
from dataset_svc.domain.samples import Turn, same_text
from dataset_svc.domain.texts.chunks import Chunk
from dataset_svc.domain.texts.generated_pairs import Pair, Parsed, Refusal, Template
from dataset_svc.domain.texts.grounding import Source, score_of

MOST_PAIRS_A_CHUNK = 8
_LIKE_0_1 = 0.8  # Jaccard index of character 4-grams at which two pairs are one
_GRAM_CHARS = 4


class GenerationState(StrEnum):
    """Where a generation stands."""

    QUEUED = "queued"
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"


class ScoredPair(msgspec.Struct, frozen=True, kw_only=True):
    """A pair that may become a sample."""

    messages: tuple[Turn, ...]
    score_0_1: float


@dataclass(frozen=True, kw_only=True)
class Place:
    """Where in which document a sample comes from; offsets are characters of the document's text."""

    document_id: str
    generation_id: str
    template: Template
    chunk: Chunk


def spread(wanted: int, chunks: int) -> tuple[tuple[int, int], ...]:
    """Chunk numbers and how many pairs each is asked for, evenly over the document.

    At most `MOST_PAIRS_A_CHUNK` a chunk, so a short document can yield fewer than wanted.
    """
    if not chunks:
        return ()
    wanted = min(wanted, chunks * MOST_PAIRS_A_CHUNK)
    asked = min(wanted, chunks)
    return tuple(
        (place * chunks // asked, (place + 1) * wanted // asked - place * wanted // asked) for place in range(asked)
    )


def judge(parsed: Parsed, *, source: str, min_score_0_1: float) -> tuple[tuple[ScoredPair, ...], Counter[Refusal]]:
    """Masks the pairs of one chunk, scores them against it and leaves out what scores too low.

    Args:
        source: The chunk as the model saw it, masked.
    """
    refused = Counter(parsed.refused)
    known = Source(source)
    kept: list[ScoredPair] = []
    for pair in map(_masked, parsed.pairs):
        question = pair.question.replace(source, "")
        score = score_of(known, question=question, answer=pair.answer)
        if score < min_score_0_1:
            refused[Refusal.LOW_SCORE] += 1
        else:
            kept.append(ScoredPair(messages=pair.messages, score_0_1=round(score, 4)))
    return tuple(kept), refused


def _masked(pair: Pair) -> Pair:
    return Pair(messages=tuple(Turn(role=turn.role, content=mask_text(turn.content)[0]) for turn in pair.messages))


def distinct(pairs: Sequence[ScoredPair]) -> tuple[tuple[int, ...], int]:
    """Places of the pairs that stay when like ones go, the better of two first; and how many went."""
    order = sorted(range(len(pairs)), key=lambda place: (-pairs[place].score_0_1, place))
    kept: list[int] = []
    known: list[frozenset[str]] = []
    for place in order:
        grams = _grams(" ".join(turn.content for turn in pairs[place].messages))
        if all(_jaccard(grams, other) < _LIKE_0_1 for other in known):
            kept.append(place)
            known.append(grams)
    return tuple(sorted(kept)), len(pairs) - len(kept)


def _grams(text: str) -> frozenset[str]:
    plain = same_text(text).casefold()
    return frozenset(plain[place : place + _GRAM_CHARS] for place in range(max(1, len(plain) - _GRAM_CHARS + 1)))


def _jaccard(one: frozenset[str], other: frozenset[str]) -> float:
    common = len(one & other)
    return common / (len(one) + len(other) - common)


class _Provenance(msgspec.Struct, frozen=True, kw_only=True):
    document_id: str
    generation_id: str
    template: Template
    chunk: int
    start: int
    end: int
    page: int | None
    headings: str
    score_0_1: float


class _Line(msgspec.Struct, frozen=True, kw_only=True):
    sample_id: str
    group: str
    messages: tuple[Turn, ...]
    weight_0_1: float
    metadata: _Provenance


def line_of(pair: ScoredPair, place: Place) -> bytes:
    """The pair as one line of a source of samples; named by what it says and where it comes from.

    The samples of a chunk are one group: they stay on one side of a split.
    """
    said = msgspec.json.encode((place.document_id, place.chunk.start, place.chunk.end, pair.messages))
    return (
        msgspec.json.encode(
            _Line(
                sample_id=f"document-{hashlib.sha256(said).hexdigest()[:32]}",
                group=f"{place.document_id}:{place.chunk.number}",
                messages=pair.messages,
                weight_0_1=pair.score_0_1,
                metadata=_Provenance(
                    document_id=place.document_id,
                    generation_id=place.generation_id,
                    template=place.template,
                    chunk=place.chunk.number,
                    start=place.chunk.start,
                    end=place.chunk.end,
                    page=place.chunk.page,
                    headings=" > ".join(place.chunk.headings),
                    score_0_1=pair.score_0_1,
                ),
            )
        )
        + b"\n"
    )
