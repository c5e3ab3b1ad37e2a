"""Records are masked, analysed and given vectors before any transaction opens: all three take time."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass

from dataset_svc.adapters.embeddings import Embedder
from dataset_svc.adapters.morphology import Morphology
from dataset_svc.domain.personal.masking import mask_text
from dataset_svc.domain.texts.documents import clean
from dataset_svc.domain.texts.retrieval import AnalysedQuery, Fact
from dataset_svc.store.knowledge import PreparedEntry
from loopwright.errors import Conflict, ServingUnavailable


@dataclass(frozen=True, kw_only=True)
class Record:
    """Something to be found: the caller's own, or a chunk of a document."""

    record_id: str
    title: str
    text: str
    facts: dict[str, Fact]
    document_id: str | None = None
    start: int | None = None
    end: int | None = None


@dataclass(frozen=True, kw_only=True)
class Analysis:
    """Queries as they are searched for.

    Attributes:
        without_vectors: Why there are no vectors, if there are none; for people.
    """

    queries: tuple[AnalysedQuery, ...]
    without_vectors: str | None


@dataclass(frozen=True, kw_only=True)
class Analysts:
    """What reads texts: the analyser of words and the maker of vectors."""

    morphology: Morphology
    embedder: Embedder

    async def prepare(self, records: Sequence[Record], *, masked: bool, embedding: str) -> list[PreparedEntry]:
        """Entries in the order of the records.

        Args:
            embedding: What the index's vectors are made by.

        Raises:
            Conflict: this service makes other vectors by now.
            ServingUnavailable: the analyser or the endpoint of the embeddings is away.
        """
        self._check(embedding)
        if masked:
            records = await asyncio.to_thread(_masked, records)
        texts = [f"{record.title}\n{record.text}" for record in records]
        terms = await self.morphology.terms(texts)
        vectors = await self.embedder.embed(texts, terms) if texts else []
        return [
            PreparedEntry(
                record_id=record.record_id,
                title=record.title,
                text=record.text,
                facts=record.facts,
                terms=own,
                vector=vector if any(vector) else None,
                document_id=record.document_id,
                start=record.start,
                end=record.end,
            )
            for record, own, vector in zip(records, terms, vectors, strict=True)
        ]

    async def analyse(self, queries: Sequence[str], *, embedding: str | None, needs_vectors: bool) -> Analysis:
        """Queries analysed as entries are.

        Args:
            embedding: What the index's vectors are made by; None if no vectors are wanted.
            needs_vectors: Whether the search makes no sense without them.

        Raises:
            Conflict: vectors are needed, and this service makes other ones by now.
            ServingUnavailable: the analyser is away, or vectors are needed and their endpoint is.
        """
        texts = [clean(query) for query in queries]
        terms = await self.morphology.terms(texts)
        vectors: list[list[float]] = [[]] * len(texts)
        missing = None
        if embedding is not None:
            try:
                self._check(embedding)
                vectors = await self.embedder.embed(texts, terms)
            except (Conflict, ServingUnavailable) as error:
                if needs_vectors:
                    raise
                missing = error.detail
        found = zip(terms, vectors, strict=True)
        analysed = tuple(AnalysedQuery(terms=own, vector=one if any(one) else []) for own, one in found)
        return Analysis(queries=analysed, without_vectors=missing)

    def _check(self, embedding: str) -> None:
        if embedding != self.embedder.name:
            detail = f"the index was made with the embedding {embedding}, and this service uses {self.embedder.name}"
            raise Conflict("knowledge.other-embedding", detail, index=embedding, service=self.embedder.name)

    async def close(self) -> None:
        await self.morphology.close()
        await self.embedder.close()

    async def keep(self) -> None:
        """Waits until cancelled, then ends the analyser's process and the endpoint's connections."""
        try:
            await asyncio.Event().wait()
        finally:
            await self.close()


def _masked(records: Sequence[Record]) -> list[Record]:
    return [
        Record(
            record_id=record.record_id,
            title=mask_text(clean(record.title))[0],
            text=mask_text(clean(record.text))[0],
            facts=record.facts,
            document_id=record.document_id,
            start=record.start,
            end=record.end,
        )
        for record in records
    ]
