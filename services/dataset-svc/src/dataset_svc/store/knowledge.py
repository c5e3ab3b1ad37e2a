"""Entries of knowledge bases: which hold in a version, and the two searches over them."""

import uuid
from collections.abc import Collection, Sequence
from dataclasses import dataclass

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import ARRAY, JSONB, insert
from sqlalchemy.ext.asyncio import AsyncSession

from dataset_svc.domain.texts.retrieval import Fact, Ranked, query_literal, vector_literal
from dataset_svc.store.knowledge_tables import EntryRow, IndexRow, VectorRow
from loopwright.errors import NotFound
from loopwright.sealed_columns import ColumnOpener, ColumnSealer, sealer_for

_BATCH = 200
# BM25 (Robertson & Zaragoza 2009) with k1 = 1.2 and b = 0.75 over the entries that hold in the version and pass the filter
_BY_TEXT = sa.text("""
WITH live AS MATERIALIZED (
    SELECT entry_id, terms, terms_count FROM dataset.knowledge_entries
    WHERE index_id = :index_id AND valid_from <= :version AND (valid_to IS NULL OR valid_to > :version)
      AND metadata @> :filter
), size AS (
    SELECT count(*) AS entries, greatest(avg(terms_count), 1) AS mean FROM live
), hits AS MATERIALIZED (
    SELECT live.entry_id, live.terms_count, found.lexeme, cardinality(found.positions) AS times
    FROM live CROSS JOIN LATERAL unnest(live.terms) AS found
    WHERE live.terms @@ CAST(:query AS tsquery) AND found.lexeme = ANY(:terms)
), rarity AS (
    SELECT lexeme, ln(1 + (size.entries - count(*) + 0.5) / (count(*) + 0.5)) AS weight
    FROM hits CROSS JOIN size GROUP BY lexeme, size.entries
)
SELECT hits.entry_id,
    CAST(sum(rarity.weight * times * 2.2 / (times + 1.2 * (0.25 + 0.75 * terms_count / size.mean))) AS float8) AS score
FROM hits JOIN rarity USING (lexeme) CROSS JOIN size
GROUP BY hits.entry_id ORDER BY score DESC, hits.entry_id LIMIT :depth
""").bindparams(sa.bindparam("filter", type_=JSONB), sa.bindparam("terms", type_=ARRAY(sa.Text)))
# exact, without an index over the vectors: an approximate one would lose recall behind the conditions on version and filter
_BY_VECTOR = sa.text("""
SELECT entry_id, 1 - (embedding <=> CAST(:vector AS vector)) AS score
FROM dataset.knowledge_entries JOIN dataset.knowledge_vectors USING (entry_id)
WHERE index_id = :index_id AND valid_from <= :version AND (valid_to IS NULL OR valid_to > :version)
  AND metadata @> :filter
ORDER BY embedding <=> CAST(:vector AS vector), entry_id LIMIT :depth
""").bindparams(sa.bindparam("filter", type_=JSONB), sa.bindparam("vector", type_=ARRAY(sa.REAL)))


@dataclass(frozen=True, kw_only=True)
class PreparedEntry:
    """A record that is ready to be searched for.

    Attributes:
        terms: As often and in the order in which they stand in title and text.
        vector: Unit vector; None where there are none.
        document_id: Document that it is a chunk of, `start` to `end`.
    """

    record_id: str
    title: str
    text: str
    facts: dict[str, Fact]
    terms: tuple[str, ...]
    vector: list[float] | None
    document_id: str | None = None
    start: int | None = None
    end: int | None = None


@dataclass(frozen=True, kw_only=True)
class Scope:
    """What of which index is searched, and how deep.

    Attributes:
        facts: Metadata that entries must have.
        depth: Most entries of one method.
    """

    index_id: str
    version: int
    facts: dict[str, Fact]
    depth: int = 200


async def has_vectors(session: AsyncSession) -> bool:
    """Whether this database has the table of vectors, that is, pgvector."""
    found = await session.execute(sa.text("SELECT to_regclass('dataset.knowledge_vectors') IS NOT NULL"))
    return bool(found.scalar_one())


async def get_index(session: AsyncSession, index_id: str, *, for_change: bool = False) -> IndexRow:
    """An index, locked if it is to be changed.

    Raises:
        NotFound: there is none with that id.
    """
    row = await session.get(IndexRow, index_id, with_for_update=for_change or None)
    if row is None:
        raise NotFound("knowledge.index-not-found", "there is no such index", index_id=index_id)
    return row


async def count_live(session: AsyncSession, index_id: str) -> int:
    statement = sa.select(sa.func.count()).where(EntryRow.index_id == index_id, EntryRow.valid_to.is_(None))
    return (await session.execute(statement)).scalar_one()


async def retire(session: AsyncSession, index_id: str, record_ids: Collection[str], *, version: int) -> int:
    """Ends the newest entries of these records before a version.

    Returns:
        How many there were.
    """
    statement = (
        sa.update(EntryRow)
        .where(EntryRow.index_id == index_id, EntryRow.valid_to.is_(None), EntryRow.record_id.in_(record_ids))
        .values(valid_to=version)
        .returning(EntryRow.entry_id)
    )
    return len((await session.execute(statement)).all())


async def list_record_ids(session: AsyncSession, index_id: str, document_ids: Collection[str]) -> list[str]:
    """Newest records that are chunks of these documents."""
    statement = sa.select(EntryRow.record_id).where(
        EntryRow.index_id == index_id, EntryRow.valid_to.is_(None), EntryRow.document_id.in_(document_ids)
    )
    return list((await session.execute(statement)).scalars())


async def add_entries(
    session: AsyncSession, index_id: str, entries: Sequence[PreparedEntry], *, version: int, vectors: bool
) -> None:
    """Adds entries that hold from a version on."""
    sealer = await sealer_for(session, EntryRow.__tablename__)
    for place in range(0, len(entries), _BATCH):
        named = [(uuid.uuid4().hex, entry) for entry in entries[place : place + _BATCH]]
        literal = sa.cast(sa.bindparam("literal", type_=sa.Text), EntryRow.terms.type)
        await session.execute(
            insert(EntryRow).values(terms=literal),
            [
                {"entry_id": entry_id, "index_id": index_id, "valid_from": version} | _values(entry, sealer)
                for entry_id, entry in named
            ],
        )
        vector = sa.cast(sa.bindparam("vector", type_=ARRAY(sa.REAL)), VectorRow.embedding.type)
        given = [{"entry_id": entry_id, "vector": entry.vector} for entry_id, entry in named if entry.vector]
        if vectors and given:
            await session.execute(insert(VectorRow).values(embedding=vector), given)


def _values(entry: PreparedEntry, sealer: ColumnSealer) -> dict[str, object]:
    return {
        "record_id": entry.record_id,
        "title": sealer.seal(entry.title.encode()),
        "text": sealer.seal(entry.text.encode()),
        "facts": entry.facts,
        "document_id": entry.document_id,
        "start": entry.start,
        "end": entry.end,
        "literal": vector_literal(entry.terms),
        "terms_count": len(entry.terms),
    }


async def list_contents(session: AsyncSession, rows: Sequence[EntryRow]) -> list[tuple[str, str]]:
    """Title and text of each entry."""
    opener = ColumnOpener(session, EntryRow.__tablename__)
    titles = await opener.open_all([row.title for row in rows])
    texts = await opener.open_all([row.text for row in rows])
    return [(title.decode(), text.decode()) for title, text in zip(titles, texts, strict=True)]


async def search_text(session: AsyncSession, scope: Scope, terms: Sequence[str]) -> tuple[Ranked, ...]:
    """Entries that hold any of the terms, best first by BM25."""
    if not terms:
        return ()
    literal = query_literal(terms)
    return await _ranked(session, _BY_TEXT, scope, {"query": literal, "terms": sorted(set(terms))})


async def search_vector(session: AsyncSession, scope: Scope, vector: list[float]) -> tuple[Ranked, ...]:
    """Entries whose vectors are closest by cosine."""
    return await _ranked(session, _BY_VECTOR, scope, {"vector": vector})


async def _ranked(
    session: AsyncSession, statement: sa.TextClause, scope: Scope, wanted: dict[str, object]
) -> tuple[Ranked, ...]:
    values = {"index_id": scope.index_id, "version": scope.version, "filter": scope.facts, "depth": scope.depth}
    rows = await session.execute(statement, values | wanted)
    return tuple(Ranked(entry_id=entry_id, score=score) for entry_id, score in rows)
