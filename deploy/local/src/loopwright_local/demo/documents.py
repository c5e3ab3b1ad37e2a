"""What a document gives the loop: `python -m loopwright_local.demo.documents` on a running stack.

A runbook becomes searchable knowledge, whose recall is measured, and question-answer pairs that the served model writes.
"""

import asyncio
import time
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import httpx
from pydantic import BaseModel, ConfigDict
from rich.console import Console
from rich.table import Table

from loopwright_local.demo.watch import LoopFailed
from loopwright_local.keys import ensure_keys, mint_token
from loopwright_local.settings import LocalSettings

_RUNBOOK = Path(__file__).with_name("runbook.md").read_bytes()
_QUESTIONS = {
    "After how many corrected memory errors is a node drained?": "Correctable memory errors",
    "What happens to a job after a parity error?": "Parity errors in the cache",
    "retransmissions on the torus network": "Torus links",
    "랙 전체는 언제 정지하나요?": "전원 공급 경보",
    "온도가 높을 때 팬은 어떻게 하나요": "냉각 경보",
    "읽기 오류가 난 디스크는 언제 바꾸나요?": "디스크 교체",
}
_PAIRS = 4
_CHUNK = {"size": 200, "overlap": 0}  # a small model's context holds the prompt, a chunk and an answer
_WRITTEN_S = 240.0  # on a free machine it takes seconds


class _Answer(BaseModel):
    model_config = ConfigDict(extra="ignore")


class _Named(_Answer):
    document_id: str = ""
    index_id: str = ""
    generation_id: str = ""
    added: int = 0


class _Hit(_Answer):
    record_id: str
    title: str


class _Hits(_Answer):
    items: tuple[_Hit, ...]


class Quality(_Answer):
    """From dataset-svc: how well one method finds what answers a question."""

    recall_at: dict[int, float]
    mrr: float


class _Evaluation(_Answer):
    results: dict[str, Quality]


class Written(_Answer):
    """From dataset-svc: what came of asking a model for pairs."""

    state: str
    chunks_total: int
    pairs_kept: int
    refused: dict[str, int]
    failed_because: str | None = None


@dataclass(frozen=True)
class DocumentResult:
    """What a document came to.

    Attributes:
        quality: By search method.
        wanted: Pairs that the model was asked for.
        seconds: By step.
    """

    chunks: int
    quality: dict[str, Quality]
    written: Written
    wanted: int
    seconds: dict[str, float]


class DatasetClient:
    """dataset-svc as an engineer reaches it."""

    def __init__(self, settings: LocalSettings) -> None:
        token = mint_token(ensure_keys(settings.keys_dir), subject="demo", roles=("engineer",), ttl_s=600)
        url = f"http://127.0.0.1:{settings.dataset_port}/api/v1"
        self._client = httpx.AsyncClient(base_url=url, headers={"Authorization": f"Bearer {token}"}, timeout=60)

    async def upload(self, name: str, content: bytes) -> str:
        """Id of the document."""
        file = {"file": (name, content, "text/markdown")}
        answer = await self._client.post("/admin/training/documents", files=file)
        return _Named.model_validate_json(_content(answer)).document_id

    async def post(self, path: str, body: Mapping[str, object]) -> bytes:
        return _content(await self._client.post(path, json=dict(body)))

    async def get(self, path: str) -> bytes:
        return _content(await self._client.get(path))

    async def close(self) -> None:
        await self._client.aclose()


def _content(answer: httpx.Response) -> bytes:
    if answer.is_error:
        raise LoopFailed(f"dataset-svc answers {answer.status_code} to {answer.request.url.path}: {answer.text[:300]}")
    return answer.content


async def use_document(settings: LocalSettings, *, task_id: str, say: Callable[[str], None]) -> DocumentResult:
    """Uploads the runbook, indexes, searches and measures it, and has pairs written from it.

    Raises:
        LoopFailed: a step failed, or nothing was found or written in time.
    """
    client, seconds, began = DatasetClient(settings), dict[str, float](), time.monotonic()
    try:
        document_id = await client.upload("runbook.md", _RUNBOOK)
        wish = {"name": f"runbook-{uuid.uuid4().hex[:8]}", "description": "what to do when a node raises an alert"}
        index = _Named.model_validate_json(await client.post("/knowledge/indexes", wish)).index_id
        body = {"document_ids": [document_id], "chunks": _CHUNK}
        added = _Named.model_validate_json(await client.post(f"/knowledge/indexes/{index}/documents", body)).added
        say(f"a runbook of {added} chunks is in the knowledge base")
        seconds["upload and index"], searching = time.monotonic() - began, time.monotonic()
        quality = await _search(client, index)
        say(f"asked {len(_QUESTIONS)} questions: recall@3 {quality['fused'].recall_at[3]:.0%}")
        seconds["search and measure"], writing = time.monotonic() - searching, time.monotonic()
        written = await _write(client, document_id, task_id)
        seconds["write pairs"] = time.monotonic() - writing
        say(f"the served model wrote pairs: {written.pairs_kept} kept, left out: {written.refused or 'none'}")
        return DocumentResult(chunks=added, quality=quality, written=written, wanted=_PAIRS, seconds=seconds)
    except httpx.TransportError as error:
        raise LoopFailed(f"dataset-svc does not answer: {error!r}") from error
    finally:
        await client.close()


async def _search(client: DatasetClient, index: str) -> dict[str, Quality]:
    """Asks every question, and lets dataset-svc measure how well it finds the sections that answer them."""
    by_title: dict[str, set[str]] = {}
    for question in _QUESTIONS:
        path, body = f"/knowledge/indexes/{index}/search", {"query": question, "limit": 50}
        for hit in _Hits.model_validate_json(await client.post(path, body)).items:
            by_title.setdefault(hit.title.rpartition(" > ")[2], set()).add(hit.record_id)
    lost = set(_QUESTIONS.values()) - set(by_title)
    if lost:
        raise LoopFailed(f"no question finds {', '.join(sorted(lost))}")
    labelled = [{"query": query, "relevant": sorted(by_title[title])} for query, title in _QUESTIONS.items()]
    body = {"queries": labelled, "cutoffs": [1, 3]}
    measured = await client.post(f"/knowledge/indexes/{index}/evaluate", body)
    return _Evaluation.model_validate_json(measured).results


async def _write(client: DatasetClient, document_id: str, task_id: str) -> Written:
    """Asks for pairs and waits until the last chunk is done; that all of them are left out is an outcome."""
    wish = {
        "task_id": task_id, "dataset_name": "runbook", "template": "qa", "pairs": _PAIRS, "chunks": _CHUNK,
    }  # fmt: skip
    queued = await client.post(f"/admin/training/documents/{document_id}/generate", wish)
    path = f"/admin/training/documents/generations/{_Named.model_validate_json(queued).generation_id}"
    deadline = time.monotonic() + _WRITTEN_S
    while time.monotonic() < deadline:
        written = Written.model_validate_json(await client.get(path))
        if written.state in {"succeeded", "failed"}:
            return written
        await asyncio.sleep(0.5)
    raise LoopFailed(f"no pairs were written within {_WRITTEN_S:.0f} s")


def draw_document(result: DocumentResult) -> Table:
    """The figures as a table."""
    table = Table("knowledge and pairs from a document", "", title_justify="left")
    for method, quality in result.quality.items():
        recall = ", ".join(f"recall@{cutoff} {share:.0%}" for cutoff, share in quality.recall_at.items())
        table.add_row(f"search by {method}", f"{recall}, MRR {quality.mrr:.2f}")
    written = result.written
    left_out = ", ".join(f"{count} {reason}" for reason, count in sorted(written.refused.items())) or "none"
    table.add_row("pairs", f"{written.pairs_kept} kept of {result.wanted} wanted; left out: {left_out}")
    table.add_row("seconds", ", ".join(f"{name} {spent:.1f}" for name, spent in result.seconds.items()))
    return table


def main() -> None:
    console = Console()
    try:
        result = asyncio.run(use_document(LocalSettings(), task_id="log-anomaly", say=console.print))
    except LoopFailed as error:
        raise SystemExit(str(error)) from error
    console.print(draw_document(result))


if __name__ == "__main__":
    main()
