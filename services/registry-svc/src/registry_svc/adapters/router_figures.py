"""What the router says of itself: which variants it routes to, and how often and how fast they answered.

The figures are Prometheus counters of a router with all its workers; they begin anew with it, and several routers are
several addresses.
"""

import asyncio
from collections import Counter
from collections.abc import Iterator, Sequence

import httpx
from prometheus_client.parser import text_string_to_metric_families
from pydantic import BaseModel, ValidationError

from loopwright.errors import ServingUnavailable
from registry_svc.domain.guardrails import Figures

_TIMEOUT_S = 5.0
_INFERENCES = "loopwright_router_inferences_total"
_SECONDS = "loopwright_router_answer_seconds_bucket"
_ANSWERED = frozenset({"answered", "fallback"})
_FAILED = frozenset({"failed", "broken"})
Sample = tuple[str, dict[str, str], float]


class _Listed(BaseModel):
    id: str


class _ModelList(BaseModel):
    data: list[_Listed]


class RouterFigures:
    """Reads every router.

    Args:
        urls: Addresses of the routers, without /v1.
        key: API key for their inference routes.
    """

    def __init__(self, urls: Sequence[str], *, key: str | None = None) -> None:
        self._urls = tuple(url.rstrip("/") for url in urls)
        self._client = httpx.AsyncClient(
            timeout=_TIMEOUT_S, headers=None if key is None else {"Authorization": f"Bearer {key}"}
        )

    async def close(self) -> None:
        await self._client.aclose()

    async def routed_variants(self) -> frozenset[str]:
        """Variants that any router still sends requests to.

        Raises:
            ServingUnavailable: a router does not answer: nobody knows what it does.
        """
        lists = await asyncio.gather(*(self._listed(url) for url in self._urls))
        return frozenset(name.partition("@")[2] for names in lists for name in names)

    async def answers_by_variant(self) -> dict[str, int] | None:
        """Answers by variant since the routers started; None if one of them does not say."""
        try:
            samples = await self._samples()
        except ServingUnavailable:
            return None
        counts: Counter[str] = Counter()
        for name, labels, value in samples:
            if name == _INFERENCES and labels.get("outcome") in _ANSWERED:
                counts[labels.get("variant", "")] += int(value)
        return dict(counts)

    async def of(self, task_id: str, variant_id: str) -> Figures:
        """How a variant of a task did since the routers started.

        Raises:
            ServingUnavailable: a router does not say.
        """
        answered = failed = 0
        by_bound: Counter[float] = Counter()
        for name, labels, value in await self._samples():
            if (labels.get("task"), labels.get("variant")) != (task_id, variant_id):
                continue
            if name == _INFERENCES:
                answered += int(value) * (labels.get("outcome") in _ANSWERED)
                failed += int(value) * (labels.get("outcome") in _FAILED)
            elif name == _SECONDS:
                by_bound[float(labels.get("le", "inf"))] += int(value)
        return Figures(answered=answered, failed=failed, within_s=dict(sorted(by_bound.items())))

    async def _samples(self) -> list[Sample]:
        texts = await asyncio.gather(*(self._get(f"{url}/metrics") for url in self._urls))
        try:
            return [sample for text in texts for sample in _parsed(text.decode())]
        except ValueError as error:
            raise ServingUnavailable("router.unreadable", "the router's metrics cannot be read") from error

    async def _listed(self, url: str) -> list[str]:
        content = await self._get(f"{url}/v1/models")
        try:
            return [model.id for model in _ModelList.model_validate_json(content).data]
        except ValidationError as error:
            raise ServingUnavailable("router.unreadable", f"{url} does not list models") from error

    async def _get(self, url: str) -> bytes:
        try:
            response = await self._client.get(url)
            response.raise_for_status()
        except httpx.HTTPError as error:
            raise ServingUnavailable("router.unavailable", f"{url} does not answer: {error!r}") from error
        return response.content


def _parsed(text: str) -> Iterator[Sample]:
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            yield sample.name, sample.labels, sample.value
