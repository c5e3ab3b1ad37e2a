"""A generation is taken, its chunks are answered one by one, and it ends in a request for a version or in a reason."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from dataset_svc.domain.requests import Origin, VersionRequest
from dataset_svc.domain.texts.chunks import Chunk
from dataset_svc.domain.texts.generated_pairs import Template
from dataset_svc.domain.texts.generations import GenerationState, Place, ScoredPair, distinct, line_of
from dataset_svc.handlers.requests import record_request
from dataset_svc.store import documents, generations
from dataset_svc.store.knowledge_tables import GenerationChunkRow, GenerationRow
from loopwright.contracts.base import Artifact
from loopwright.unit_of_work import Work

LEASE = timedelta(seconds=60)
_MOST_CHUNK_FAILURES = 3


@dataclass(frozen=True, kw_only=True)
class OpenChunk:
    """A chunk that is still to be asked about, with its text as it stands in the document."""

    chunk: Chunk
    text: str
    wanted: int


@dataclass(frozen=True, kw_only=True)
class Held:
    """A generation that this attempt works on."""

    generation_id: str
    attempt: int
    template: Template
    min_score_0_1: float
    traceparent: str | None
    open_chunks: tuple[OpenChunk, ...]


@dataclass(frozen=True, kw_only=True)
class ChunkOutcome:
    """What came of one chunk; `failed` if the endpoint said no to it."""

    number: int
    pairs: tuple[ScoredPair, ...]
    refused: Counter[str]
    failed: bool = False


@dataclass(frozen=True, kw_only=True)
class Harvest:
    """All pairs of a generation as lines of a source of samples."""

    lines: tuple[bytes, ...]
    repeated: int


async def take_due_generation(unit: Work, *, now: datetime, attempts_allowed: int) -> Held | None:
    """The generation that has waited longest, with a lease on it; None if none is due."""
    row = await generations.find_due(unit.session, now)
    if row is None:
        return None
    if row.barren_attempts >= attempts_allowed:
        _end_failed(row, f"given up after {row.barren_attempts} attempts without progress", now)
        return None
    row.state = GenerationState.RUNNING
    row.attempts += 1
    row.barren_attempts += 1
    row.next_attempt_at = now + LEASE
    text = (await documents.get_text(unit.session, row.document_id)).text
    open_rows = [one for one in await generations.list_chunks(unit.session, row.generation_id) if not one.done]
    headings = await generations.list_headings(unit.session, open_rows)
    return Held(
        generation_id=row.generation_id,
        attempt=row.attempts,
        template=Template(row.template),
        min_score_0_1=row.min_score_0_1,
        traceparent=row.traceparent,
        open_chunks=tuple(
            OpenChunk(chunk=_chunk_of(one, path), text=text[one.start : one.end], wanted=one.wanted)
            for one, path in zip(open_rows, headings, strict=True)
        ),
    )


async def renew_lease(unit: Work, held: Held, *, now: datetime) -> bool:
    """Says that this attempt still works.

    Returns:
        Whether the generation is still its own.
    """
    row = await generations.find_held(unit.session, held.generation_id, attempt=held.attempt)
    if row is not None:
        row.next_attempt_at = now + LEASE
    return row is not None


async def save_chunk(unit: Work, held: Held, outcome: ChunkOutcome) -> bool:
    """Keeps what came of a chunk; after three failures it is done without pairs.

    Returns:
        Whether the generation is still this attempt's own.
    """
    row = await generations.find_held(unit.session, held.generation_id, attempt=held.attempt)
    if row is None:
        return False
    chunk = await generations.get_chunk(unit.session, held.generation_id, outcome.number)
    if chunk.done:
        return True
    if outcome.failed:
        chunk.failures += 1
        if chunk.failures < _MOST_CHUNK_FAILURES:
            return True
    chunk.done = True
    chunk.pairs = await generations.seal_pairs(unit.session, outcome.pairs)
    chunk.refused = dict(outcome.refused)
    row.chunks_done += 1
    row.pairs_kept += len(outcome.pairs)
    row.refused = generations.add_refusals(row.refused, outcome.refused)
    row.barren_attempts = 0
    return True


async def release(unit: Work, held: Held, *, now: datetime, blameless: bool) -> None:
    """Lets the generation be taken again; the wait doubles, up to five minutes, unless it failed through no fault of its own."""
    row = await generations.find_held(unit.session, held.generation_id, attempt=held.attempt)
    if row is None:
        return
    row.state = GenerationState.QUEUED
    if blameless:
        row.barren_attempts = max(0, row.barren_attempts - 1)
        row.next_attempt_at = now
    else:
        row.next_attempt_at = now + min(timedelta(seconds=2**row.barren_attempts), timedelta(minutes=5))


async def harvest(unit: Work, held: Held) -> Harvest | None:
    """The lines, once every chunk is done; None before that, or if the generation is no longer this attempt's own."""
    row = await generations.find_held(unit.session, held.generation_id, attempt=held.attempt)
    chunks = await generations.list_chunks(unit.session, held.generation_id)
    if row is None or not all(chunk.done for chunk in chunks):
        return None
    paths = await generations.list_headings(unit.session, chunks)
    places = [_place_of(row, _chunk_of(chunk, path)) for chunk, path in zip(chunks, paths, strict=True)]
    pairs = await generations.list_pairs(unit.session, chunks)
    found = [(pair, place) for own, place in zip(pairs, places, strict=True) for pair in own]
    kept, repeated = distinct([pair for pair, _ in found])
    return Harvest(lines=tuple(line_of(*found[place]) for place in kept), repeated=repeated)


async def finish_generation(unit: Work, held: Held, source: Artifact | None, found: Harvest, *, now: datetime) -> None:
    """Ends a generation: with the request for a version that its samples become, or with the reason why there are none."""
    row = await generations.find_held(unit.session, held.generation_id, attempt=held.attempt)
    if row is None:
        return
    row.pairs_kept = len(found.lines)
    if found.repeated:
        row.refused = generations.add_refusals(row.refused, Counter({"repeated": found.repeated}))
    if source is None:
        chunks = await generations.list_chunks(unit.session, held.generation_id)
        _end_failed(row, _reason(chunks), now)
        return
    request = _request_of(row, source, len(found.lines), now)
    await record_request(unit, request)
    row.state = GenerationState.SUCCEEDED
    row.source, row.request_id, row.finished_at = source, request.request_id, now


def _reason(chunks: Sequence[GenerationChunkRow]) -> str:
    refused = sum(chunk.failures >= _MOST_CHUNK_FAILURES for chunk in chunks)
    if refused == len(chunks):
        return "the model's endpoint says no to every chunk"
    return "no pair was good enough; `refused` counts why"


def _end_failed(row: GenerationRow, reason: str, now: datetime) -> None:
    row.state, row.failed_because, row.finished_at = GenerationState.FAILED, reason, now


def _chunk_of(row: GenerationChunkRow, headings: tuple[str, ...]) -> Chunk:
    return Chunk(number=row.number, start=row.start, end=row.end, headings=headings, page=row.page)


def _place_of(row: GenerationRow, chunk: Chunk) -> Place:
    return Place(
        document_id=row.document_id,
        generation_id=row.generation_id,
        template=Template(row.template),
        chunk=chunk,
    )


def _request_of(row: GenerationRow, source: Artifact, samples: int, now: datetime) -> VersionRequest:
    """A request like any upload's, so that the build does the rest; named by the generation, so made once."""
    return VersionRequest(
        request_id=f"document-{row.generation_id}",
        task_id=row.task_id,
        dataset_name=row.dataset_name,
        description="",
        origin=Origin.UPLOAD,
        requested_by=row.requested_by,
        requested_at=now,
        reason=f"{samples} pairs ({row.template}) from document {row.document_id}",
        source=source,
        sample_count=None,
        policy=row.policy,
        traceparent=row.traceparent,
    )
