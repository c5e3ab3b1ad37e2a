"""dataset-svc's knowledge bases over HTTP: similar cases, or none in time."""

import asyncio
import time
from pathlib import Path
from typing import Annotated

import aiohttp
import msgspec

from loopwright.contracts.tasks import Retrieval
from router_svc.adapters.metrics import RETRIEVAL_SECONDS, RETRIEVALS
from router_svc.domain.breaking import Breaker, BreakerRules, Standing
from router_svc.domain.retrieving import Passage

INDEXES = "/api/v1/knowledge/indexes"
_RULES = BreakerRules(rest_s=2, open_after=3, return_s=0)
_NAMES_LAST_S = 60.0
_MOST_BYTES = 4 << 20
_PAGE = 500
_UNREADABLE = (msgspec.MsgspecError, UnicodeError, RecursionError)
_Fact = str | int | float | bool


class _Hit(msgspec.Struct):
    text: str
    score: float
    title: str = ""
    metadata: dict[str, _Fact] = {}


class _Found(msgspec.Struct):
    items: Annotated[list[_Hit], msgspec.Meta(max_length=100)]


class _Index(msgspec.Struct):
    index_id: str
    name: str


class _Indexes(msgspec.Struct):
    items: list[_Index]
    total: int


class _Away(Exception):
    """Nothing could be looked up, and why; never seen outside."""


class Knowledge:
    """Looks up similar cases; whatever goes wrong there is no reason to answer nobody.

    Args:
        url: Address of dataset-svc.
        token_file: Bearer token of a viewer there.
    """

    def __init__(self, url: str, *, token_file: Path | None) -> None:
        self._url = url.rstrip("/")
        self._headers = {} if token_file is None else {"Authorization": f"Bearer {token_file.read_text().strip()}"}
        self._breaker = Breaker(_RULES)
        self._names: dict[str, str] = {}
        self._names_until = 0.0
        self._session: aiohttp.ClientSession | None = None

    async def run(self) -> None:
        """Holds the connections for the service's life."""
        try:
            await asyncio.Event().wait()
        finally:
            if self._session is not None:
                await self._session.close()

    async def similar(self, query: str, retrieval: Retrieval) -> list[Passage]:
        """Cases like a text, best first; none, and a count of why, if they are not there in the policy's time."""
        now = time.monotonic()
        if self._breaker.standing(now) is Standing.OPEN:
            RETRIEVALS.labels(retrieval.collection, "resting").inc()
            return []
        self._breaker.asked(now)
        try:
            async with asyncio.timeout(retrieval.timeout_s):
                found = await self._search(query, retrieval)
        except (aiohttp.ClientError, OSError, *_UNREADABLE, _Away) as error:  # timeouts are errors of the system
            self._breaker.failed(time.monotonic())
            RETRIEVALS.labels(retrieval.collection, _reason(error)).inc()
            return []
        self._breaker.succeeded(time.monotonic())
        RETRIEVALS.labels(retrieval.collection, "found" if found else "nothing").inc()
        RETRIEVAL_SECONDS.observe(time.monotonic() - now)
        return found

    async def _search(self, query: str, retrieval: Retrieval) -> list[Passage]:
        index_id = await self._index_id(retrieval.collection)
        path = f"{INDEXES}/{index_id}/search"
        return read_hits(await self._ask("POST", path, search_body(query, retrieval)))

    async def _index_id(self, collection: str) -> str:
        """Packs name knowledge bases as people do; ids are learned, and forgotten after a while."""
        if collection not in self._names or time.monotonic() > self._names_until:
            names: dict[str, str] = {}
            total = 1
            while len(names) < total:
                content = await self._ask("GET", f"{INDEXES}?limit={_PAGE}&offset={len(names)}", None)
                some, total = read_indexes(content)
                names |= some
                if not some:
                    break
            self._names, self._names_until = names, time.monotonic() + _NAMES_LAST_S
        if collection not in self._names:
            raise _Away("unknown-collection")
        return self._names[collection]

    async def _ask(self, method: str, path: str, body: bytes | None) -> bytes:
        headers = self._headers | {"Content-Type": "application/json"}
        asked = self._connections().request(
            method, self._url + path, data=body, headers=headers, allow_redirects=False
        )  # fmt: skip
        async with asked as answer:
            if answer.status != 200:
                raise _Away(f"status-{answer.status}")
            content = await answer.content.read(_MOST_BYTES)
            while len(content) < _MOST_BYTES and not answer.content.at_eof():
                content += await answer.content.read(_MOST_BYTES - len(content))
            return content

    def _connections(self) -> aiohttp.ClientSession:
        if self._session is None:
            self._session = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(limit=64, keepalive_timeout=30), cookie_jar=aiohttp.DummyCookieJar()
            )
        return self._session


def search_body(query: str, retrieval: Retrieval) -> bytes:
    return msgspec.json.encode({"query": query, "limit": retrieval.top_k})


def read_hits(content: bytes) -> list[Passage]:
    """What a search found.

    Raises:
        MsgspecError: it is no answer of a search.
    """
    return [_passage(hit) for hit in msgspec.json.decode(content, type=_Found).items]


def read_indexes(content: bytes) -> tuple[dict[str, str], int]:
    """Ids of a page of knowledge bases by name, and how many there are in all.

    Raises:
        MsgspecError: it is no such page.
    """
    page = msgspec.json.decode(content, type=_Indexes)
    return {index.name: index.index_id for index in page.items}, page.total


def _passage(hit: _Hit) -> Passage:
    facts = tuple((name, str(value)) for name, value in hit.metadata.items())
    return Passage(title=hit.title, text=hit.text, facts=facts, score=hit.score)


def _reason(error: Exception) -> str:
    match error:
        case _Away():
            return str(error)
        case TimeoutError():
            return "timeout"
        case msgspec.MsgspecError() | UnicodeError() | RecursionError():
            return "unreadable"
        case _:
            return "away"
