"""Small servers and an MLflow in memory, in the places of what registry-svc leans on.

The two servers behave like the documented APIs that registry-svc uses: vLLM's model list and run-time adapters
(refusing a name that is loaded, a folder without an adapter, an unknown name to unload), and the router's model list
and chat completions.
"""

import asyncio
import uuid
from collections.abc import Callable
from pathlib import Path

from aiohttp import web
from aiohttp.test_utils import TestServer
from pydantic import JsonValue

from registry_svc.adapters.mlflow import Card, MlflowRegistry, Registration, TrackedVersion
from registry_svc.domain.agreement import STATUS_TAG, UNKNOWN_TAG, Tracked, TrackedModel

BASE = "tiny-base"


class FakeVllm:
    """vLLM's model list and run-time adapters."""

    def __init__(self, base_model: str = BASE) -> None:
        self.base_model = base_model
        self.adapters: dict[str, str] = {}
        self.loads = 0
        self.broken: str | None = None
        self.refusals = 0
        self.silent: set[str] = set()
        self.max_loras: int | None = None
        self.asked: list[str] = []
        self.answers: Callable[[str, str], str] = lambda _model, _text: "?"
        app = web.Application()
        app.router.add_get("/v1/models", self._models)
        app.router.add_get("/metrics", self._metrics)
        app.router.add_post("/v1/completions", self._probe)
        app.router.add_post("/v1/load_lora_adapter", self._load)
        app.router.add_post("/v1/unload_lora_adapter", self._unload)
        app.router.add_post("/v1/chat/completions", self._complete)
        self._server = TestServer(app)

    async def start(self) -> None:
        await self._server.start_server()

    async def stop(self) -> None:
        await self._server.close()

    @property
    def url(self) -> str:
        return str(self._server.make_url("")).rstrip("/")

    def restart(self) -> None:
        """A restarted vLLM has forgotten its adapters."""
        self.adapters.clear()

    async def _models(self, _: web.Request) -> web.Response:
        cards = [{"id": self.base_model, "root": "/models/base", "parent": None}]
        cards += [{"id": name, "root": root, "parent": self.base_model} for name, root in self.adapters.items()]
        return web.json_response({"object": "list", "data": cards})

    async def _load(self, request: web.Request) -> web.Response:
        body = await request.json()
        name, folder = body["lora_name"], Path(body["lora_path"])
        if self.broken is not None:
            self.refusals += 1
            return _refusal(500, "InternalServerError", self.broken)
        if name in self.adapters:
            return _refusal(400, "InvalidUserInput", f"The lora adapter '{name}' has already been loaded.")
        if not (folder / "adapter_config.json").exists():
            return _refusal(404, "NotFoundError", f"Loading lora {name} failed: No adapter found for {folder}")
        self.adapters[name] = str(folder)
        self.loads += 1
        return web.Response(text=f"Success: LoRA adapter '{name}' added successfully.")

    async def _unload(self, request: web.Request) -> web.Response:
        name = (await request.json())["lora_name"]
        if name not in self.adapters:
            return _refusal(404, "NotFoundError", f"The lora adapter '{name}' cannot be found.")
        del self.adapters[name]
        return web.Response(text=f"Success: LoRA adapter '{name}' removed successfully.")

    async def _probe(self, request: web.Request) -> web.Response:
        name = (await request.json())["model"]
        if name not in {self.base_model, *self.adapters}:
            return _refusal(404, "NotFoundError", f"The model `{name}` does not exist.")
        if name in self.silent:
            return _refusal(500, "InternalServerError", "EngineCore encountered an issue")
        self.asked.append(name)
        choice = {"index": 0, "text": " 1", "finish_reason": "length"}
        return web.json_response({"id": "cmpl-1", "object": "text_completion", "model": name, "choices": [choice]})

    async def _metrics(self, _: web.Request) -> web.Response:
        info = f'vllm:lora_requests_info{{max_lora="{self.max_loras}",running_lora_adapters=""}} 1.0\n'
        return web.Response(text="" if self.max_loras is None else f"# TYPE vllm:lora_requests_info gauge\n{info}")

    async def _complete(self, request: web.Request) -> web.Response:
        body = await request.json()
        if body["model"] not in {self.base_model, *self.adapters}:
            return _refusal(404, "NotFoundError", f"The model `{body['model']}` does not exist.")
        text = self.answers(body["model"], body["messages"][-1]["content"])
        choice = {"index": 0, "message": {"role": "assistant", "content": text}}
        return web.json_response({"id": "x", "choices": [choice], "usage": {"completion_tokens": len(text.split())}})


def _refusal(status: int, kind: str, message: str) -> web.Response:
    return web.json_response({"error": {"message": message, "type": kind, "code": status}}, status=status)


class FakeRouter:
    """The router's model list and chat completions. `answers` maps a variant and an input to an answer."""

    def __init__(self) -> None:
        self.models: set[str] = set()
        self.answers: Callable[[str, str], str] = lambda _variant, _text: '{"status": "normal"}'
        self.asked: list[tuple[str, str]] = []
        self.temperatures: set[float] = set()
        self.fails_after: int | None = None
        self.refuses: set[str] = set()
        self.logprobs: dict[str, float] = {}
        self.served_by: str | None = None
        self.delay_s = 0.0
        self.metrics = ""
        app = web.Application()
        app.router.add_get("/metrics", self._metrics)
        app.router.add_get("/v1/models", self._models)
        app.router.add_post("/v1/chat/completions", self._complete)
        self._server = TestServer(app)

    async def start(self) -> None:
        await self._server.start_server()

    async def stop(self) -> None:
        await self._server.close()

    @property
    def url(self) -> str:
        return str(self._server.make_url("")).rstrip("/")

    async def _models(self, _: web.Request) -> web.Response:
        return web.json_response({"object": "list", "data": [{"id": name} for name in sorted(self.models)]})

    async def _metrics(self, _: web.Request) -> web.Response:
        return web.Response(text=self.metrics)

    async def _complete(self, request: web.Request) -> web.Response:
        body = await request.json()
        _, _, variant = body["model"].partition("@")
        text = body["messages"][0]["content"]
        if body["model"] not in self.models:
            return _refusal(404, "invalid_request_error", "no such model")
        if self.fails_after is not None and len(self.asked) >= self.fails_after:
            return _refusal(503, "server_error", "no backend answers")
        if text in self.refuses:
            return _refusal(400, "invalid_request_error", "too long")
        await asyncio.sleep(self.delay_s)
        headers = {"x-loopwright-variant": self.served_by or variant}
        if "prompt_logprobs" in body:
            return web.json_response(self._likelihood(variant, body), headers=headers)
        self.asked.append((variant, text))
        self.temperatures.add(body["temperature"])
        answer = self.answers(variant, text)
        choice = {"index": 0, "message": {"role": "assistant", "content": answer}}
        headers["x-loopwright-inference-id"] = f"inf-{len(self.asked)}"
        usage = {"prompt_tokens": len(text.split()), "completion_tokens": len(answer.split())}
        return web.json_response({"id": "x", "choices": [choice], "usage": usage}, headers=headers)

    def _likelihood(self, variant: str, body: dict[str, JsonValue]) -> dict[str, JsonValue]:
        """As vLLM answers `prompt_logprobs: 0`: a token is a word, and the first one has no likelihood."""
        question, answer = (message["content"].split() for message in body["messages"])  # type: ignore[union-attr,index]
        logprob = self.logprobs.get(variant, -1.0)
        scored = [{str(place): {"logprob": logprob, "rank": 1}} for place in range(1, len(question) + len(answer))]
        choice = {"index": 0, "message": {"role": "assistant", "content": "."}}
        return {"id": "x", "choices": [choice], "prompt_logprobs": [None, *scored]}


class MemoryMlflow(MlflowRegistry):
    """What MlflowRegistry promises, without a server; it passes the tests of the real one (test_mlflow.py)."""

    def __init__(self) -> None:
        self._subjects: dict[tuple[str, str], TrackedVersion] = {}
        self._aliases: dict[str, dict[str, int]] = {}
        self._tags: dict[tuple[str, int, str], str] = {}
        self.cards: dict[tuple[str, int], Card] = {}

    async def register(self, registration: Registration) -> TrackedVersion:
        known = [key for key in self._subjects if key[0] == registration.name]
        self._aliases.setdefault(registration.name, {})
        new = TrackedVersion(version=len(known) + 1, run_id=registration.run_id or uuid.uuid4().hex)
        return self._subjects.setdefault((registration.name, registration.subject), new)

    async def everything(self) -> Tracked:
        versions = (
            TrackedModel(
                name=name, version=one.version, run_id=one.run_id, subject=subject,
                status=self._tags.get((name, one.version, STATUS_TAG)),
                marked_unknown=(name, one.version, UNKNOWN_TAG) in self._tags,
            )
            for (name, subject), one in self._subjects.items()
        )  # fmt: skip
        return Tracked(aliases={name: dict(at) for name, at in self._aliases.items()}, versions=tuple(versions))

    async def set_tag(self, name: str, key: str, value: str, *, version: int) -> None:
        self._tags[name, version, key] = value

    async def delete_tag(self, name: str, key: str, *, version: int) -> None:
        del self._tags[name, version, key]

    async def log_card(self, name: str, tracked: TrackedVersion, card: Card) -> None:
        self.cards[name, tracked.version] = card

    async def set_alias(self, name: str, alias: str, *, version: int) -> None:
        self._aliases[name][alias] = version

    async def delete_alias(self, name: str, alias: str) -> None:
        del self._aliases[name][alias]
