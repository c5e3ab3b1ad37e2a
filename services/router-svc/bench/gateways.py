# ruff: noqa: INP001 (beside a script)
"""The gateways that are measured: where each comes from, how it is configured and started, and what it is asked."""

import asyncio
import json
import shutil
from asyncio.subprocess import PIPE, STDOUT
from dataclasses import dataclass, field, replace
from importlib import metadata
from pathlib import Path
from typing import Self
from urllib.parse import urlsplit

from pydantic import JsonValue

ROOT = Path(__file__).parents[3]
VENV = ROOT / ".venv-bench-router"
_HERE = Path(__file__).parent


class Unavailable(Exception):
    """A gateway that cannot be had here, and why."""


@dataclass(frozen=True, kw_only=True)
class Gateway:
    """One gateway in front of the mock upstream.

    Attributes:
        command: What starts it; none for no gateway at all.
        warm_up_s: Load before the first measurement; some import a lot only then.
        url_file: Written by those that choose their port themselves.
    """

    name: str
    version: str = ""
    command: tuple[str, ...] = ()
    env: dict[str, str] = field(default_factory=dict[str, str])
    port: int = 0
    model: str = "mock"
    key: str = "bench"
    path: str = "/v1/chat/completions"
    warm_up_s: float = 1.0
    url_file: Path | None = None

    def found(self) -> Self | None:
        """Itself with the port that it listens on; None while that is not known."""
        if self.url_file is None:
            return self
        url = self.url_file.read_text() if self.url_file.exists() else ""
        port = urlsplit(url).port
        return replace(self, port=port) if port else None


@dataclass(frozen=True)
class Place:
    """Where gateways are set up.

    Attributes:
        cache: What outlives a run.
        folder: For their configurations.
        upstreams: Ports of the mock upstream.
        port: For the gateway.
    """

    cache: Path
    folder: Path
    upstreams: tuple[int, int]
    port: int

    @property
    def urls(self) -> tuple[str, str]:
        return (f"http://127.0.0.1:{self.upstreams[0]}", f"http://127.0.0.1:{self.upstreams[1]}")

    def write(self, name: str, text: str) -> Path:
        path = self.folder / name
        path.write_text(text)
        return path


async def direct(place: Place) -> Gateway:
    """No gateway: what everything else is compared with."""
    return Gateway(name="direct", port=place.upstreams[0])


async def nginx(place: Place) -> Gateway:
    """A bare proxy that reads nothing of what it passes on: no key, no split, no record."""
    program = await _nginx_program(place.cache)
    servers = "".join(f"server 127.0.0.1:{port}; " for port in place.upstreams)
    temporary = "".join(
        f"{kind}_temp_path {place.folder}/nginx-{kind}; "
        for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    config = place.write(
        "nginx.conf",
        f"daemon off; worker_processes 1; pid {place.folder}/nginx.pid; error_log stderr warn;\n"
        "events { worker_connections 4096; }\n"
        f"http {{ access_log off; client_body_buffer_size 1m; client_max_body_size 64m; keepalive_requests 100000000; {temporary}\n"
        f"upstream models {{ {servers} keepalive 256; keepalive_requests 100000000; }}\n"
        f"server {{ listen 127.0.0.1:{place.port} backlog=1024; location / {{ proxy_pass http://models; proxy_http_version 1.1; "
        'proxy_set_header Connection ""; proxy_buffering off; } } }\n',
    )
    version = (await _output(program, "-v")).rpartition("/")[2]
    return Gateway(
        name="nginx", version=version, command=(program, "-p", str(place.folder), "-c", str(config)), port=place.port
    )


async def vllm_router(place: Place) -> Gateway:
    """Consistent hashing by session, retries off."""
    program = _program("vllm-router")
    options = (
        "--policy",
        "consistent_hash",
        "--log-level",
        "error",
        "--disable-retries",
        "--prometheus-port",
        str(place.port + 1),
    )
    command = (program, "--worker-urls", *place.urls, "--host", "127.0.0.1", "--port", str(place.port), *options)
    return Gateway(name="vllm-router", version=_version("vllm-router"), command=command, port=place.port)


async def tensorzero(place: Place) -> Gateway:
    """The HTTP gateway inside its wheel, observability off, two weighted variants."""
    program = _program("python")
    models = "".join(
        f'[models.{name}]\nrouting = ["p"]\n[models.{name}.providers.p]\ntype = "vllm"\nmodel_name = "mock"\n'
        f'api_base = "{url}/v1/"\napi_key_location = "none"\n'
        f'[functions.chat.variants.{name}]\ntype = "chat_completion"\nmodel = "{name}"\n'
        for name, url in zip(("a", "b"), place.urls, strict=True)
    )
    config = place.write(
        "tensorzero.toml",
        "[gateway]\nobservability.enabled = false\ndisable_pseudonymous_usage_analytics = true\n"
        f'[functions.chat]\ntype = "chat"\n{models}'
        '[functions.chat.experimentation]\ntype = "static"\ncandidate_variants = {a = 0.7, b = 0.3}\n',
    )
    url_file = place.folder / "tensorzero.url"
    url_file.unlink(missing_ok=True)
    return Gateway(
        name="tensorzero", version=_version("tensorzero"), url_file=url_file, env={"TENSORZERO_LOG": "warn"},
        command=(program, str(_HERE / "tensorzero_gateway.py"), str(config), str(url_file)),
        model="tensorzero::function_name::chat", path="/openai/v1/chat/completions",
    )  # fmt: skip


async def litellm(place: Place) -> Gateway:
    """One worker, a master key, no database, weighted deployments, retries off."""
    program = _program("litellm")
    deployments = [_deployment(url, weight) for url, weight in zip(place.urls, (7, 3), strict=True)]
    config = place.write(
        "litellm.yaml",
        json.dumps(
            {
                "model_list": deployments,
                "router_settings": {"routing_strategy": "simple-shuffle", "num_retries": 0},
                "litellm_settings": {"drop_params": True, "telemetry": False},
            }
        ),
    )
    key = "sk-bench"
    return Gateway(
        name="litellm", version=_version("litellm"), port=place.port, key=key, warm_up_s=4,
        command=(program, "--config", str(config), "--host", "127.0.0.1", "--port", str(place.port), "--num_workers", "1", "--telemetry", "False"),
        env={
            "LITELLM_LOG": "ERROR", "LITELLM_MODE": "PRODUCTION", "LITELLM_LOCAL_MODEL_COST_MAP": "True", "NO_DOCS": "True",
            "LITELLM_MASTER_KEY": key, "LITELLM_DANGEROUSLY_PERMIT_WEAK_OR_UNSET_MASTER_KEY": "true",
        },
    )  # fmt: skip


def _deployment(url: str, weight: int) -> dict[str, JsonValue]:
    upstream: JsonValue = {"model": "openai/mock", "api_base": f"{url}/v1", "api_key": "none", "weight": weight}
    return {"model_name": "mock", "litellm_params": upstream}


PEERS = {"direct": direct, "nginx": nginx, "vllm-router": vllm_router, "tensorzero": tensorzero, "litellm": litellm}


async def _nginx_program(cache: Path) -> str:
    """The installed nginx, or the distribution's package, unpacked but not installed."""
    if found := shutil.which("nginx"):
        return found
    unpacked = cache / "nginx"
    program = unpacked / "usr/sbin/nginx"
    if not program.exists():
        if not (shutil.which("apt-get") and shutil.which("dpkg")):
            raise Unavailable("not installed, and no apt-get to get it with")
        unpacked.mkdir(exist_ok=True)
        await _output("apt-get", "download", "nginx", cwd=unpacked)
        for package in unpacked.glob("nginx_*.deb"):
            await _output("dpkg", "-x", str(package), str(unpacked))
    if not program.exists():
        raise Unavailable("not installed, and apt-get does not get it: apt-get install nginx-light")
    return str(program)


def _program(name: str) -> str:
    path = VENV / "bin" / name
    if not path.exists():
        raise Unavailable(f"not in {VENV.name}: make bench-router installs it")
    return str(path)


def _version(package: str) -> str:
    sites = [str(path) for path in VENV.glob("lib/python3.*/site-packages")]
    return next(iter(metadata.Distribution.discover(name=package, path=sites))).version


async def _output(*command: str, cwd: Path | None = None) -> str:
    process = await asyncio.create_subprocess_exec(*command, stdout=PIPE, stderr=STDOUT, cwd=cwd)
    text, _ = await process.communicate()
    if process.returncode != 0:
        raise Unavailable(f"{' '.join(command[:2])} failed: {text.decode(errors='replace')[-200:].strip()}")
    return text.decode().strip()
