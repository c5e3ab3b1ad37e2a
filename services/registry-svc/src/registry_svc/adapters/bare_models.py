"""Models as vLLM serves them, asked without any task around the question: what evaluation of general knowledge needs."""

import time
from collections.abc import Sequence
from typing import Final

import httpx
from pydantic import JsonValue

from loopwright.errors import ServingUnavailable
from registry_svc.adapters.completions import LATER, read_completion
from registry_svc.adapters.router import GivenAnswer

_SEED: Final = 17


class BareModels:
    """Asks models by the name under which vLLM knows them.

    Args:
        timeout_s: Longest wait for one answer.
    """

    def __init__(self, *, timeout_s: float) -> None:
        self._client = httpx.AsyncClient(timeout=timeout_s)

    async def close(self) -> None:
        await self._client.aclose()

    async def ask(self, urls: Sequence[str], served_name: str, text: str, *, max_tokens: int) -> GivenAnswer:
        """Sends one user message to the first server of a model, greedily.

        Raises:
            ServingUnavailable: nobody answered.
        """
        body: dict[str, JsonValue] = {
            "model": served_name, "messages": [{"role": "user", "content": text}], "temperature": 0,
            "max_tokens": max_tokens, "seed": _SEED,
        }  # fmt: skip
        if not urls:
            raise ServingUnavailable("serving.base-model-missing", f"no vLLM server serves {served_name}")
        started = time.perf_counter()
        try:
            response = await self._client.post(f"{urls[0]}/v1/chat/completions", json=body)
        except httpx.HTTPError as error:
            raise ServingUnavailable("serving.unavailable", f"{urls[0]} does not answer: {error!r}") from error
        latency_ms = (time.perf_counter() - started) * 1000
        if response.is_server_error or response.status_code in LATER:
            raise ServingUnavailable(
                "serving.unavailable", f"{urls[0]} answers {response.status_code} for {served_name}"
            )
        if response.is_client_error:
            error = f"{response.status_code} {response.text[:500]}"
            return GivenAnswer(text=None, error=error, latency_ms=latency_ms, inference_id=None)
        said = read_completion(response, of=urls[0])
        return GivenAnswer(
            text=said.text, error=None, latency_ms=latency_ms, inference_id=None, output_tokens=said.output_tokens
        )
