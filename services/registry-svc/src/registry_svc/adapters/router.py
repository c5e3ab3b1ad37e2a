"""The door that users have, used for evaluation: router-svc's OpenAI-compatible API, one variant pinned."""

import math
import time
from dataclasses import dataclass

import httpx
from pydantic import BaseModel, JsonValue, ValidationError

from loopwright.errors import ServingUnavailable
from registry_svc.adapters.completions import LATER, read_completion

_LIST_TIMEOUT_S = 5.0


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
    output_tokens: int | None = None
    prompt_tokens: int | None = None


@dataclass(frozen=True, kw_only=True)
class Likelihood:
    """How likely a text was to a variant.

    Attributes:
        nats: Negative log-likelihood.
    """

    nats: float
    tokens: int


class _Token(BaseModel):
    logprob: float


class _Scored(BaseModel):
    """vLLM's answer to `prompt_logprobs`: for each token of the prompt, what the model thought of it."""

    prompt_logprobs: list[dict[str, _Token] | None] | None = None


class _Listed(BaseModel):
    id: str


class _ModelList(BaseModel):
    data: list[_Listed]


class RouterDoor:
    """Asks variants by name.

    Args:
        url: Address of router-svc, without /v1.
        timeout_s: Longest wait for one answer.
        key: API key or token, where the router wants one.
    """

    def __init__(self, url: str, *, timeout_s: float, key: str | None = None) -> None:
        self._url = url.rstrip("/")
        headers = {} if key is None else {"Authorization": f"Bearer {key}"}
        self._client = httpx.AsyncClient(timeout=timeout_s, headers=headers)

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
        messages: list[JsonValue] = [{"role": "user", "content": text}]
        started = time.perf_counter()
        response = await self._post(task_id, variant_id, {"messages": messages, "temperature": temperature})
        latency_ms = (time.perf_counter() - started) * 1000
        inference_id = response.headers.get("x-loopwright-inference-id")
        if response.is_client_error:
            error = f"{response.status_code} {response.text[:500]}"
            return GivenAnswer(text=None, error=error, latency_ms=latency_ms, inference_id=inference_id)
        said = read_completion(response, of="the router")
        return GivenAnswer(
            text=said.text,
            error=None,
            latency_ms=latency_ms,
            inference_id=inference_id,
            output_tokens=said.output_tokens,
            prompt_tokens=said.prompt_tokens,
        )

    async def likelihood(
        self, task_id: str, variant_id: str, text: str, *, answer: str, prompt_tokens: int
    ) -> Likelihood | None:
        """How likely an answer to a message was to a variant, under the chat template that users have.

        The answer is put behind the message and the server asked what it thought of each token. The tokens of the
        message are those that it counted when it was asked for an answer of its own.

        Args:
            prompt_tokens: Tokens of the message with everything that is put around it.

        Returns:
            None where the server does not say.

        Raises:
            ServingUnavailable: nobody answered, or another variant did.
        """
        messages: list[JsonValue] = [{"role": "user", "content": text}, {"role": "assistant", "content": answer}]
        body: dict[str, JsonValue] = {
            "messages": messages, "temperature": 0, "max_tokens": 1, "prompt_logprobs": 0,
            "add_generation_prompt": False, "continue_final_message": True,
        }  # fmt: skip
        response = await self._post(task_id, variant_id, body)
        return None if response.is_client_error else _likelihood_in(response.content, after=prompt_tokens)

    async def _post(self, task_id: str, variant_id: str, body: dict[str, JsonValue]) -> httpx.Response:
        asked = {"model": f"{task_id}@{variant_id}", **body}
        try:
            response = await self._client.post(f"{self._url}/v1/chat/completions", json=asked)
        except httpx.HTTPError as error:
            raise ServingUnavailable("router.unavailable", f"the router does not answer: {error!r}") from error
        _check_answered(response, variant_id)
        return response


def _check_answered(response: httpx.Response, variant_id: str) -> None:
    if response.is_server_error or response.status_code in LATER:
        raise ServingUnavailable("router.unavailable", f"the router answers {response.status_code} for {variant_id}")
    answered_by = response.headers.get("x-loopwright-variant", variant_id)
    if answered_by != variant_id:
        # a fallback's answer says nothing about the variant that was asked
        raise ServingUnavailable("router.fallback", f"{answered_by} answered in place of {variant_id}")


def _likelihood_in(content: bytes, *, after: int) -> Likelihood | None:
    try:
        scored = _Scored.model_validate_json(content).prompt_logprobs or []
    except ValidationError:
        return None
    logprobs: list[float] = []
    for token in scored[after:]:
        if token is None or len(token) != 1:  # more than one: nobody can tell which of them stood there
            return None
        logprobs += [entry.logprob for entry in token.values()]
    nats = -sum(logprobs)
    return Likelihood(nats=nats, tokens=len(logprobs)) if logprobs and math.isfinite(nats) else None
