"""A language model that judges answers, behind any OpenAI-compatible endpoint."""

from collections.abc import Sequence
from typing import Final

import httpx
from pydantic import JsonValue, SecretStr

from loopwright.contracts.base import ChatMessage, JsonObject
from loopwright.errors import ServingUnavailable
from registry_svc.adapters.completions import LATER, read_completion

_SEED: Final = 17
_MOST_TOKENS: Final = 400


class Judge:
    """The judge that the settings name.

    Args:
        url: Of the API, with its /v1.
        timeout_s: Longest wait for one verdict.
    """

    def __init__(self, url: str, *, model: str, api_key: SecretStr | None, timeout_s: float) -> None:
        headers = {} if api_key is None else {"authorization": f"Bearer {api_key.get_secret_value()}"}
        self._url = url.rstrip("/")
        self._model = model
        self._client = httpx.AsyncClient(timeout=timeout_s, headers=headers)

    async def close(self) -> None:
        await self._client.aclose()

    async def ask(self, messages: Sequence[ChatMessage], *, schema: JsonObject) -> str | None:
        """The judge's words, greedily, as JSON under a schema.

        Returns:
            None where the judge refuses the request for good.

        Raises:
            ServingUnavailable: it does not answer.
        """
        answer_format: JsonObject = {
            "type": "json_schema", "json_schema": {"name": "verdict", "strict": True, "schema": schema},
        }  # fmt: skip
        body: dict[str, JsonValue] = {
            "model": self._model, "messages": [message.model_dump(mode="json") for message in messages],
            "temperature": 0, "seed": _SEED, "max_tokens": _MOST_TOKENS, "response_format": answer_format,
        }  # fmt: skip
        try:
            response = await self._client.post(f"{self._url}/chat/completions", json=body)
        except httpx.HTTPError as error:
            raise ServingUnavailable("judge.unavailable", f"the judge does not answer: {error!r}") from error
        if response.is_server_error or response.status_code in LATER:
            raise ServingUnavailable("judge.unavailable", f"the judge answers {response.status_code}")
        return None if response.is_client_error else read_completion(response, of="the judge").text
