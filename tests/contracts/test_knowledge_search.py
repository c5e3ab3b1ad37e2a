"""What the router asks of knowledge bases is what dataset-svc takes, and what it reads is what dataset-svc answers."""

from datetime import UTC, datetime

from dataset_svc.api.knowledge import PREFIX
from dataset_svc.api.text_schemas import SearchBody
from dataset_svc.domain.texts.retrieval import Method
from dataset_svc.queries.knowledge import HitView, IndexView, SearchResult
from loopwright.contracts.tasks import Retrieval
from loopwright.pages import Page
from router_svc.adapters.knowledge import INDEXES, read_hits, read_indexes, search_body
from router_svc.domain.retrieving import LONGEST_QUERY


def test_the_path_is_the_same() -> None:
    assert INDEXES == PREFIX


def test_every_search_that_the_router_can_ask_is_taken() -> None:
    retrieval = Retrieval(collection="cases", top_k=20)
    taken = SearchBody.model_validate_json(search_body("x" * LONGEST_QUERY, retrieval))
    assert (len(taken.query), taken.limit) == (LONGEST_QUERY, 20)


def test_what_is_found_is_read() -> None:
    hit = HitView(
        record_id="r", title="t", text="x", metadata={"label": "a", "page": 3}, document_id=None, start=None,
        end=None, valid_from=1, score=0.5, ranks={Method.TEXT: 1},
    )  # fmt: skip
    result = SearchResult(version=1, methods=(Method.TEXT,), left_out=None, items=(hit,), total=1, limit=2, offset=0)
    [passage] = read_hits(result.model_dump_json().encode())
    assert (passage.title, passage.text, passage.score) == ("t", "x", 0.5)
    assert passage.facts == (("label", "a"), ("page", "3"))


def test_names_of_knowledge_bases_are_read() -> None:
    index = IndexView(
        index_id="index-1", name="cases", description="", masked=False, embedding="hashed", version=1, created_by="ada",
        created_at=datetime.now(UTC),
    )  # fmt: skip
    page = Page[IndexView](items=(index,), total=1, limit=500, offset=0)
    assert read_indexes(page.model_dump_json().encode()) == ({"cases": "index-1"}, 1)
