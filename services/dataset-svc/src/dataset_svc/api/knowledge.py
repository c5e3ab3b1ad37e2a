"""HTTP door of knowledge bases: made, filled, searched, measured."""

import uuid
from collections.abc import Collection, Sequence
from datetime import UTC, datetime
from http import HTTPStatus

from fastapi import APIRouter, Response

from dataset_svc.api.paths import PathId
from dataset_svc.api.text_doors import TextDoor, TextDoorway
from dataset_svc.api.text_schemas import (
    DocumentsBody,
    EvaluationBody,
    IndexBody,
    RecordsBody,
    SearchBody,
    VersionMade,
)
from dataset_svc.domain.texts.documents import clean
from dataset_svc.domain.texts.retrieval import Method
from dataset_svc.handlers.knowledge import (
    Addition,
    Evaluation,
    NewIndex,
    add_version,
    create_index,
    delete_index,
    read_chunks,
    record_evaluation,
)
from dataset_svc.handlers.knowledge_entries import Record
from dataset_svc.queries.knowledge import (
    EvaluationView,
    IndexDetails,
    IndexVersionView,
    IndexView,
    SearchResult,
    evaluate,
    find_target,
    list_evaluations,
    list_index_versions,
    list_indexes,
    read_evaluation,
    read_index,
    search,
)
from loopwright.auth import Engineer, Viewer
from loopwright.errors import Invalid
from loopwright.pages import Page, Part, Window
from loopwright.problems import ADMIN_PROBLEMS

PREFIX = "/api/v1/knowledge/indexes"
routes = APIRouter(prefix=PREFIX, tags=["knowledge"], responses=ADMIN_PROBLEMS)


@routes.post("", status_code=HTTPStatus.CREATED)
async def post_index(principal: Engineer, door: TextDoor, body: IndexBody, response: Response) -> IndexDetails:
    wish = NewIndex(
        index_id=f"index-{uuid.uuid4().hex}",
        name=body.name,
        description=body.description,
        masked=body.masked,
        embedding=door.analysts.embedder.name,
        created_by=principal.subject,
        created_at=datetime.now(UTC),
    )
    async with door.work() as unit:
        await create_index(unit, wish)
        view = await read_index(unit, wish.index_id)
    response.headers["Location"] = f"{PREFIX}/{wish.index_id}"
    return view


@routes.get("")
async def get_indexes(_: Viewer, door: TextDoor, part: Part) -> Page[IndexView]:
    async with door.work() as unit:
        return await list_indexes(unit, part)


@routes.get("/{index_id}")
async def get_index(_: Viewer, door: TextDoor, index_id: PathId) -> IndexDetails:
    async with door.work() as unit:
        return await read_index(unit, index_id)


@routes.delete("/{index_id}", status_code=HTTPStatus.NO_CONTENT)
async def remove_index(_: Engineer, door: TextDoor, index_id: PathId) -> None:
    async with door.work() as unit:
        await delete_index(unit, index_id)


@routes.get("/{index_id}/versions")
async def get_index_versions(_: Viewer, door: TextDoor, index_id: PathId, part: Part) -> Page[IndexVersionView]:
    async with door.work() as unit:
        return await list_index_versions(unit, index_id, part)


@routes.post("/{index_id}/records", status_code=HTTPStatus.CREATED)
async def post_records(principal: Engineer, door: TextDoor, index_id: PathId, body: RecordsBody) -> VersionMade:
    """Makes the next version: records come, replace those of their ids, or go."""
    names = [record.record_id for record in body.records]
    if len(set(names)) < len(names) or not (names or body.remove):
        raise Invalid("knowledge.bad-records", "records must have different ids, and something must come or go")
    records = [
        Record(record_id=one.record_id, title=clean(one.title), text=clean(one.text), facts=one.metadata)
        for one in body.records
    ]
    return await _add(door, index_id, records, by=principal.subject, removed=body.remove)


@routes.post("/{index_id}/documents", status_code=HTTPStatus.CREATED)
async def post_documents(principal: Engineer, door: TextDoor, index_id: PathId, body: DocumentsBody) -> VersionMade:
    """Makes the next version: the chunks of these documents come, earlier chunks of theirs go."""
    document_ids = list(dict.fromkeys(body.document_ids))
    async with door.work() as unit:
        chunks = await read_chunks(unit, document_ids, body.chunks.rules)
    records = [
        Record(
            record_id=one.record_id,
            title=one.title,
            text=one.text,
            facts=one.facts | body.metadata,
            document_id=one.document_id,
            start=one.start,
            end=one.end,
        )
        for one in chunks
    ]
    return await _add(door, index_id, records, by=principal.subject, replaced_documents=document_ids)


@routes.post("/{index_id}/search")
async def post_search(_: Viewer, door: TextDoor, index_id: PathId, body: SearchBody) -> SearchResult:
    """Searches by words, by vectors, or both fused; a search that cannot be made is left out and named."""
    async with door.work() as unit:
        target = await find_target(unit, index_id, version=body.version, facts=dict(body.metadata), method=body.method)
    analysis = await door.analysts.analyse(
        [body.query],
        embedding=target.embedding if Method.VECTOR in target.methods else None,
        needs_vectors=body.method is Method.VECTOR,
    )
    window = Window(limit=body.limit, offset=body.offset)
    async with door.work() as unit:
        return await search(unit, target, analysis.queries[0], window, left_out=analysis.without_vectors)


@routes.post("/{index_id}/evaluate", status_code=HTTPStatus.CREATED)
async def post_evaluation(
    principal: Engineer, door: TextDoor, index_id: PathId, body: EvaluationBody
) -> EvaluationView:
    """Measures every method on labelled queries, and keeps the figures."""
    async with door.work() as unit:
        target = await find_target(unit, index_id, version=body.version, facts={}, method=Method.FUSED)
    analysis = await door.analysts.analyse(
        [one.query for one in body.queries],
        embedding=target.embedding if Method.VECTOR in target.methods else None,
        needs_vectors=Method.VECTOR in target.methods,
    )
    labelled = [(query, one.relevant) for query, one in zip(analysis.queries, body.queries, strict=True)]
    async with door.work() as unit:
        evaluation = Evaluation(
            evaluation_id=uuid.uuid4().hex,
            index_id=index_id,
            version=target.scope.version,
            queries=len(labelled),
            results=await evaluate(unit, target, labelled, cutoffs=sorted(set(body.cutoffs))),
            by=principal.subject,
            at=datetime.now(UTC),
        )
        await record_evaluation(unit, evaluation)
        await unit.session.flush()
        return await read_evaluation(unit, evaluation.evaluation_id)


@routes.get("/{index_id}/evaluations")
async def get_evaluations(_: Viewer, door: TextDoor, index_id: PathId, part: Part) -> Page[EvaluationView]:
    async with door.work() as unit:
        return await list_evaluations(unit, index_id, part)


async def _add(
    door: TextDoorway,
    index_id: str,
    records: Sequence[Record],
    *,
    by: str,
    removed: Collection[str] = (),
    replaced_documents: Collection[str] = (),
) -> VersionMade:
    async with door.work() as unit:
        index = await read_index(unit, index_id)
    entries = await door.analysts.prepare(records, masked=index.masked, embedding=index.embedding)
    addition = Addition(
        entries=entries, removed=removed, replaced_documents=replaced_documents, by=by, at=datetime.now(UTC)
    )
    async with door.work() as unit:
        version = await add_version(unit, index_id, addition)
    return VersionMade(index_id=index_id, version=version, added=len(entries))
