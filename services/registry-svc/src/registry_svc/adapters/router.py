"""The door that users have, used for evaluation: router-svc's OpenAI-compatible API, one variant pinned."""

import time
from dataclasses import dataclass
from http import HTTPStatus

import httpx
from pydantic import BaseModel, Field, ValidationError

from loopwright.errors import ServingUnavailable

_LIST_TIMEOUT_S = 5.0
_LATER = frozenset(
    {HTTPStatus.NOT_FOUND, HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.TOO_EARLY, HTTPStatus.TOO_MANY_REQUESTS}
)


@dataclass(frozen=True, kw_only=True)
class GivenAnswer:
    """What came back.

    Attributes:
        text: The answer; None when the request was refused for good, which `error` explains.
        latency_ms: From the request to the whole answer, in milliseconds.
    """

    text: str | None
    error: str | None
    latency_ms: float
    inference_id: str | None


class _Message(BaseModel):
    content: str | None = None


class _Choice(BaseModel):
    message: _Message


class _Completion(BaseModel):
    choices: list[_Choice] = Field(min_length=1)


class _Listed(BaseModel):
    id: str


class _ModelList(BaseModel):
    data: list[_Listed]


class RouterDoor:
    """Asks variants by name.

    Args:
        url: Address of router-svc, without /v1.
        timeout_s: Longest wait for one answer.
    """

    def __init__(self, url: str, *, timeout_s: float) -> None:
        self._url = url.rstrip("/")
        self._client = httpx.AsyncClient(timeout=timeout_s)

    async def close(self) -> None:
        await self._client.aclose()

    async def require(self, *models: str) -> None:
        """Checks that the router knows models.

        Raises:
            ServingUnavailable: it does not yet, or does not answer.
        """
        try:
            response = await self._client.get(f"{self._url}/v1/models", timeout=_LIST_TIMEOUT_S)
            listed = {model.id for model in _ModelList.model_validate_json(response.content).data}
        except (httpx.HTTPError, ValidationError) as error:
            raise ServingUnavailable("router.unavailable", f"the router does not list its models: {error!r}") from error
        missing = [model for model in models if model not in listed]
        if missing:
            raise ServingUnavailable("router.variant-unknown", f"the router does not list {', '.join(missing)} yet")

    async def ask(self, task_id: str, variant_id: str, text: str, *, temperature: float) -> GivenAnswer:
        """Sends one user message to one variant.

        Raises:
            ServingUnavailable: nobody answered, or another variant did.
        """
        body = {
            "model": f"{task_id}@{variant_id}",
            "messages": [{"role": "user", "content": text}],
            "temperature": temperature,
        }
        started = time.perf_counter()
        try:
            response = await self._client.post(f"{self._url}/v1/chat/completions", json=body)
        except httpx.HTTPError as error:
            raise ServingUnavailable("router.unavailable", f"the router does not answer: {error!r}") from error
        latency_ms = (time.perf_counter() - started) * 1000
        _check_answered(response, variant_id)
        inference_id = response.headers.get("x-loopwright-inference-id")
        if response.is_client_error:
            error = f"{response.status_code} {response.text[:500]}"
            return GivenAnswer(text=None, error=error, latency_ms=latency_ms, inference_id=inference_id)
        content = _content_of(response)
        return GivenAnswer(text=content, error=None, latency_ms=latency_ms, inference_id=inference_id)


def _check_answered(response: httpx.Response, variant_id: str) -> None:
    if response.is_server_error or response.status_code in _LATER:
        raise ServingUnavailable("router.unavailable", f"the router answers {response.status_code} for {variant_id}")
    answered_by = response.headers.get("x-loopwright-variant", variant_id)
    if answered_by != variant_id:
        # a fallback's answer says nothing about the variant that was asked
        raise ServingUnavailable("router.fallback", f"{answered_by} answered in place of {variant_id}")


def _content_of(response: httpx.Response) -> str:
    try:
        return _Completion.model_validate_json(response.content).choices[0].message.content or ""
    except ValidationError as error:
        raise ServingUnavailable("router.unreadable", "the router's answer is not a chat completion") from error
