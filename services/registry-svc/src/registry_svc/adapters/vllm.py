"""vLLM servers: what they have loaded, and loading adapters into them while they run."""

from collections.abc import Sequence
from http import HTTPStatus
from pathlib import Path

import httpx
from pydantic import BaseModel, ValidationError

from loopwright.errors import RuleRefused, ServingUnavailable

_LIST_TIMEOUT_S = 5.0
_AWAY = frozenset({HTTPStatus.BAD_GATEWAY, HTTPStatus.SERVICE_UNAVAILABLE, HTTPStatus.GATEWAY_TIMEOUT})


class AdapterRefused(RuleRefused):
    """vLLM answered, and the answer was no."""


class ServedModel(BaseModel):
    """One line of a server's model list.

    Attributes:
        root: Folder that it was loaded from.
        parent: Base model under an adapter; none for a base model.
    """

    id: str
    root: str | None = None
    parent: str | None = None


class _ModelList(BaseModel):
    data: list[ServedModel]


class VllmServers:
    """The vLLM servers that serve our base models.

    Args:
        urls: Base addresses without /v1.
        timeout_s: Longest wait for an adapter to be loaded.
    """

    def __init__(self, urls: Sequence[str], *, timeout_s: float) -> None:
        self.urls = tuple(url.rstrip("/") for url in urls)
        self._client = httpx.AsyncClient(timeout=timeout_s)

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
        serving = [url for url in self.urls if base_model in {model.id for model in await self.models(url)}]
        if not serving:
            raise ServingUnavailable("serving.base-model-missing", f"no vLLM server serves {base_model}")
        return tuple(serving)

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
            await self._request("POST", f"{url}/v1/unload_lora_adapter", body={"lora_name": name})
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

    async def _request(
        self, method: str, url: str, *, body: dict[str, str] | None = None, timeout_s: float | None = None
    ) -> httpx.Response:
        timeout = httpx.USE_CLIENT_DEFAULT if timeout_s is None else timeout_s
        try:
            response = await self._client.request(method, url, json=body, timeout=timeout)
        except httpx.HTTPError as error:
            raise ServingUnavailable("serving.unavailable", f"{url} does not answer: {error!r}") from error
        if response.status_code in _AWAY:
            raise ServingUnavailable("serving.unavailable", f"{url} answers {response.status_code}")
        return response
