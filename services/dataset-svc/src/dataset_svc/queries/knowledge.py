"""Knowledge bases as readers see them, and searches in them."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa
from pydantic import BaseModel, ConfigDict, Field

from dataset_svc.domain.texts.retrieval import AnalysedQuery, Fact, Method, Quality, Ranked, fuse, quality_of
from dataset_svc.queries.pages import View, read_page
from dataset_svc.store import knowledge
from dataset_svc.store.knowledge import Scope
from dataset_svc.store.knowledge_tables import EntryRow, EvaluationRow, IndexRow, IndexVersionRow
from loopwright.errors import Conflict, Invalid, NotFound
from loopwright.pages import Page, Window
from loopwright.unit_of_work import Work

Rankings = Mapping[Method, Sequence[Ranked]]


class IndexView(View):
    """A knowledge base."""

    index_id: str
    name: str
    description: str
    masked: bool = Field(description="personal data is masked in whatever is added")
    embedding: str = Field(description="what makes its vectors")
    version: int = Field(description="newest version; 0 is empty")
    created_by: str
    created_at: datetime


class IndexDetails(IndexView):
    """A knowledge base with its size."""

    entries: int = Field(description="in the newest version")
    has_vectors: bool = Field(description="whether this database can search by vectors (pgvector)")


class IndexVersionView(View):
    """A version of a knowledge base."""

    index_id: str
    number: int
    entries: int = Field(description="that it holds")
    added: int
    retired: int = Field(description="that the version before held, and this one does not")
    created_by: str
    created_at: datetime


class HitView(BaseModel):
    """A found entry."""

    model_config = ConfigDict(frozen=True)

    record_id: str
    title: str
    text: str
    metadata: dict[str, Fact]
    document_id: str | None = Field(description="document that it is a chunk of")
    start: int | None = Field(description="offset of the chunk in the document's text, in characters")
    end: int | None = Field(description="offset behind it")
    valid_from: int = Field(description="version that it came with")
    score: float = Field(description="comparable within this answer only")
    ranks: dict[Method, int] = Field(description="place that each method gave it, from 1")


class SearchResult(BaseModel):
    """A part of what was found, best first."""

    model_config = ConfigDict(frozen=True)

    version: int
    methods: tuple[Method, ...] = Field(description="searches that were made")
    left_out: str | None = Field(description="why a search that was asked for was not made")
    items: tuple[HitView, ...]
    total: int = Field(description="entries found, counted up to a bound")
    limit: int
    offset: int


class QualityView(BaseModel):
    """Quality of one method, averaged over the queries."""

    recall_at: dict[int, float] = Field(description="share of relevant records among the first k")
    mrr: float = Field(description="mean reciprocal rank of the first relevant record")
    ndcg_at: dict[int, float] = Field(description="normalised discounted cumulative gain over the first k")


class EvaluationView(View):
    """How good retrieval was on labelled queries."""

    evaluation_id: str
    index_id: str
    version: int
    queries: int
    results: dict[Method, QualityView]
    created_by: str
    created_at: datetime


@dataclass(frozen=True, kw_only=True)
class Target:
    """What is searched: a version of an index, and the methods that are possible there."""

    scope: Scope
    embedding: str
    methods: tuple[Method, ...]
    left_out: str | None


async def list_indexes(unit: Work, window: Window) -> Page[IndexView]:
    statement = sa.select(IndexRow).order_by(IndexRow.created_at.desc(), IndexRow.index_id)
    return await read_page(unit.session, statement, window, IndexView)


async def read_index(unit: Work, index_id: str) -> IndexDetails:
    """One knowledge base.

    Raises:
        NotFound: there is none with that id.
    """
    row = await knowledge.get_index(unit.session, index_id)
    entries = await knowledge.count_live(unit.session, index_id)
    has_vectors = await knowledge.has_vectors(unit.session)
    return IndexDetails(**IndexView.model_validate(row).model_dump(), entries=entries, has_vectors=has_vectors)


async def list_index_versions(unit: Work, index_id: str, window: Window) -> Page[IndexVersionView]:
    """Versions, newest first.

    Raises:
        NotFound: there is no such index.
    """
    await knowledge.get_index(unit.session, index_id)
    statement = (
        sa.select(IndexVersionRow).where(IndexVersionRow.index_id == index_id).order_by(IndexVersionRow.number.desc())
    )
    return await read_page(unit.session, statement, window, IndexVersionView)


async def list_evaluations(unit: Work, index_id: str, window: Window) -> Page[EvaluationView]:
    """Evaluations, newest first.

    Raises:
        NotFound: there is no such index.
    """
    await knowledge.get_index(unit.session, index_id)
    statement = (
        sa.select(EvaluationRow)
        .where(EvaluationRow.index_id == index_id)
        .order_by(EvaluationRow.created_at.desc(), EvaluationRow.evaluation_id)
    )
    return await read_page(unit.session, statement, window, EvaluationView)


async def read_evaluation(unit: Work, evaluation_id: str) -> EvaluationView:
    return EvaluationView.model_validate(await unit.session.get_one(EvaluationRow, evaluation_id))


async def find_target(
    unit: Work, index_id: str, *, version: int | None, facts: dict[str, Fact], method: Method
) -> Target:
    """What a search is made on.

    Raises:
        NotFound: there is no such index, or no such version of it.
        Conflict: vectors alone are asked for, and this database has none.
    """
    row = await knowledge.get_index(unit.session, index_id)
    chosen = row.version if version is None else version
    if not 0 <= chosen <= row.version:
        raise NotFound("knowledge.version-not-found", "the index has no such version", version=chosen)
    methods = (Method.TEXT, Method.VECTOR) if method is Method.FUSED else (method,)
    left_out = None
    if Method.VECTOR in methods and not await knowledge.has_vectors(unit.session):
        left_out = "this database has no pgvector"
        methods = tuple(one for one in methods if one is not Method.VECTOR)
        if not methods:
            raise Conflict("knowledge.no-vectors", left_out)
    scope = Scope(index_id=index_id, version=chosen, facts=facts)
    return Target(scope=scope, embedding=row.embedding, methods=methods, left_out=left_out)


async def rank(unit: Work, target: Target, query: AnalysedQuery) -> Rankings:
    """What each method finds, and all of them fused."""
    found: dict[Method, Sequence[Ranked]] = {}
    if Method.TEXT in target.methods:
        found[Method.TEXT] = await knowledge.search_text(unit.session, target.scope, query.terms)
    if Method.VECTOR in target.methods and query.vector:
        found[Method.VECTOR] = await knowledge.search_vector(unit.session, target.scope, query.vector)
    return {**found, Method.FUSED: fuse(tuple(found.values()))}


async def search(
    unit: Work, target: Target, query: AnalysedQuery, window: Window, *, left_out: str | None
) -> SearchResult:
    """Runs a search for one part of its hits."""
    rankings = await rank(unit, target, query)
    made = tuple(method for method in rankings if method is not Method.FUSED)
    best = rankings[made[0]] if len(made) == 1 else rankings[Method.FUSED]
    ranks: defaultdict[str, dict[Method, int]] = defaultdict(dict)
    for method in made:
        for place, one in enumerate(rankings[method], start=1):
            ranks[one.entry_id][method] = place
    part = best[window.offset : window.offset + window.limit]
    rows = await _entries(unit, [one.entry_id for one in part])
    hits = [(rows[one.entry_id], one.score) for one in part if one.entry_id in rows]
    contents = await knowledge.list_contents(unit.session, [row for row, _ in hits])
    items = tuple(
        _hit(row, content, score, ranks[row.entry_id]) for (row, score), content in zip(hits, contents, strict=True)
    )
    return SearchResult(
        version=target.scope.version,
        methods=made,
        left_out=left_out or target.left_out,
        items=items,
        total=len(best),
        limit=window.limit,
        offset=window.offset,
    )


async def evaluate(
    unit: Work, target: Target, queries: Sequence[tuple[AnalysedQuery, AbstractSet[str]]], *, cutoffs: Sequence[int]
) -> dict[Method, Quality]:
    """Quality of every method on queries with the records that are relevant to them.

    Raises:
        Invalid: a relevant record is not in this version.
    """
    records = await _record_ids(unit, target.scope)
    known = set(records.values())
    for unknown in (one for _, wanted in queries for one in wanted if one not in known):
        raise Invalid("knowledge.unknown-record", "a relevant record is not in this version", record_id=unknown)
    found: defaultdict[Method, list[tuple[list[str], AbstractSet[str]]]] = defaultdict(list)
    for query, wanted in queries:
        rankings = await rank(unit, target, query)
        for method in (*target.methods, Method.FUSED):
            names = [records[one.entry_id] for one in rankings.get(method, ())]
            found[method].append((names, wanted))
    return {method: quality_of(rankings, cutoffs=cutoffs) for method, rankings in found.items()}


async def _record_ids(unit: Work, scope: Scope) -> dict[str, str]:
    """Names of the records of a version by entry."""
    holds = (EntryRow.valid_from <= scope.version) & (EntryRow.valid_to.is_(None) | (EntryRow.valid_to > scope.version))
    statement = sa.select(EntryRow.entry_id, EntryRow.record_id).where(EntryRow.index_id == scope.index_id, holds)
    return {row.entry_id: row.record_id for row in await unit.session.execute(statement)}


async def _entries(unit: Work, entry_ids: Sequence[str]) -> dict[str, EntryRow]:
    rows = (await unit.session.execute(sa.select(EntryRow).where(EntryRow.entry_id.in_(entry_ids)))).scalars()
    return {row.entry_id: row for row in rows}


def _hit(row: EntryRow, content: tuple[str, str], score: float, ranks: dict[Method, int]) -> HitView:
    title, text = content
    return HitView(
        record_id=row.record_id,
        title=title,
        text=text,
        metadata=row.facts,
        document_id=row.document_id,
        start=row.start,
        end=row.end,
        valid_from=row.valid_from,
        score=score,
        ranks=ranks,
    )
