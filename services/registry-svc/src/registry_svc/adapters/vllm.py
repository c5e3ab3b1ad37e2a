"""vLLM servers: what they have loaded, and loading, probing and unloading adapters while they run."""

import asyncio
import time
from collections.abc import Sequence
from http import HTTPStatus
from pathlib import Path

import httpx
from prometheus_client.parser import text_string_to_metric_families
from pydantic import BaseModel, Field, ValidationError

from loopwright.errors import RuleRefused, ServingUnavailable

_LIST_TIMEOUT_S = 5.0
_AWAY = frozenset({HTTPStatus.BAD_GATEWAY, HTTPStatus.SERVICE_UNAVAILABLE, HTTPStatus.GATEWAY_TIMEOUT})
_LORA_INFO = "vllm:lora_requests_info"


class AdapterRefused(RuleRefused):
    """vLLM answered, and the answer was no."""


class ServedModel(BaseModel):
    """One line of a server's model list.

    Attributes:
        root: Folder that it was loaded from.
        parent: Base model under an adapter; none for a base model.
        max_model_len: Longest prompt and answer together, in tokens; none for an adapter.
    """

    id: str
    root: str | None = None
    parent: str | None = None
    max_model_len: int | None = None


class _ModelList(BaseModel):
    data: list[ServedModel]


class _Completion(BaseModel):
    model: str
    choices: list[object] = Field(min_length=1)


class VllmServers:
    """The vLLM servers that serve our base models.

    Args:
        urls: Base addresses without /v1.
        timeout_s: Longest wait for an adapter to be loaded.
    """

    def __init__(self, urls: Sequence[str], *, timeout_s: float) -> None:
        self.urls = tuple(url.rstrip("/") for url in urls)
        self._client = httpx.AsyncClient(timeout=timeout_s)
        self._capacities: dict[str, int] = {}

    async def close(self) -> None:
        await self._client.aclose()

    async def models(self, url: str) -> list[ServedModel]:
        """What a server answers for.

        Raises:
            ServingUnavailable: it does not answer.
        """
        response = await self._request("GET", f"{url}/v1/models", timeout_s=_LIST_TIMEOUT_S)
        try:
            if response.status_code == HTTPStatus.OK:
                return _ModelList.model_validate_json(response.content).data
        except ValidationError as error:
            raise ServingUnavailable("serving.unreadable", f"{url} does not list models as vLLM does") from error
        raise ServingUnavailable("serving.unavailable", f"{url} answers {response.status_code} to /v1/models")

    async def backends_of(self, base_model: str) -> tuple[str, ...]:
        """The servers of a base model.

        Raises:
            ServingUnavailable: a server does not answer, so that nobody knows what it serves, or none serves it.
        """
        return tuple(await self.listed_by(base_model))

    async def listed_by(self, base_model: str) -> dict[str, list[ServedModel]]:
        """The servers of a base model, in the order of the settings, with everything that each of them lists.

        Raises:
            ServingUnavailable: as of `backends_of`.
        """
        lists = await asyncio.gather(*(self.models(url) for url in self.urls))
        serving = {
            url: models
            for url, models in zip(self.urls, lists, strict=True)
            if base_model in {model.id for model in models}
        }
        if not serving:
            raise ServingUnavailable("serving.base-model-missing", f"no vLLM server serves {base_model}")
        return serving

    async def load_adapter(self, url: str, name: str, *, folder: Path) -> bool:
        """Loads an adapter; one that is loaded under that name from another folder is replaced.

        Returns:
            False if it was loaded already.

        Raises:
            ServingUnavailable: the server does not answer.
            AdapterRefused: it does not take the adapter.
        """
        loaded = {model.id: model.root for model in await self.models(url)}
        if name in loaded:
            if loaded[name] == str(folder):
                return False
            await self.unload_adapter(url, name)
        response = await self._request(
            "POST", f"{url}/v1/load_lora_adapter", body={"lora_name": name, "lora_path": str(folder)}
        )
        if response.status_code == HTTPStatus.OK:
            return True
        if response.status_code == HTTPStatus.BAD_REQUEST and "already" in response.text:
            return False  # somebody else was faster
        raise AdapterRefused(
            "serving.adapter-refused", f"{url} refuses {name}: {response.status_code} {response.text[:500]}"
        )

    async def unload_adapter(self, url: str, name: str) -> None:
        """Takes an adapter out of a server; one that is not there stays away.

        Raises:
            ServingUnavailable: the server does not answer.
        """
        await self._request("POST", f"{url}/v1/unload_lora_adapter", body={"lora_name": name})

    async def probe(self, url: str, name: str) -> float:
        """Has a model write one token: what is listed is not yet known to answer.

        Returns:
            Milliseconds to the answer.

        Raises:
            ServingUnavailable: the server does not answer.
            AdapterRefused: it answers, but not for this model.
        """
        started = time.perf_counter()
        body: dict[str, str | int] = {"model": name, "prompt": "1", "max_tokens": 1, "temperature": 0}
        response = await self._request("POST", f"{url}/v1/completions", body=body)
        try:
            answered = response.status_code == HTTPStatus.OK and _Completion.model_validate_json(response.content)
        except ValidationError:
            answered = None
        if not answered or answered.model != name:
            raise AdapterRefused(
                "serving.probe-failed",
                f"{url} lists {name}, but does not answer for it: {response.status_code} {response.text[:500]}",
            )
        return (time.perf_counter() - started) * 1000

    async def most_adapters(self, url: str) -> int | None:
        """How many adapters fit into a server at once (`--max-loras`), as its metrics say; None if they do not yet.

        vLLM says it from its first generated token on; it cannot change while the server's process lives, and is read
        anew only where the address was never asked with success.
        """
        if url in self._capacities:
            return self._capacities[url]
        try:
            response = await self._request("GET", f"{url}/metrics", timeout_s=_LIST_TIMEOUT_S)
            found = _max_loras(response.text) if response.status_code == HTTPStatus.OK else None
        except ServingUnavailable:
            return None
        if found is not None:
            self._capacities[url] = found
        return found

    def forget_capacity(self, url: str) -> None:
        """A server that was away may be back with other arguments."""
        self._capacities.pop(url, None)

    async def _request(
        self, method: str, url: str, *, body: dict[str, str | int] | dict[str, str] | None = None,
        timeout_s: float | None = None,
    ) -> httpx.Response:  # fmt: skip
        timeout = httpx.USE_CLIENT_DEFAULT if timeout_s is None else timeout_s
        try:
            response = await self._client.request(method, url, json=body, timeout=timeout)
        except httpx.HTTPError as error:
            raise ServingUnavailable("serving.unavailable", f"{url} does not answer: {error!r}") from error
        if response.status_code in _AWAY:
            raise ServingUnavailable("serving.unavailable", f"{url} answers {response.status_code}")
        return response


def _max_loras(metrics: str) -> int | None:
    try:
        for family in text_string_to_metric_families(metrics):
            for sample in family.samples:
                if sample.name == _LORA_INFO and sample.labels.get("max_lora", "").isdecimal():
                    return int(sample.labels["max_lora"])
    except ValueError:  # no metrics at all
        return None
    return None
