"""Settings of the local stack, from `LOCAL_*` environment variables; the defaults need none."""

import os
import secrets
import socket
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Self

from pydantic import Field, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from loopwright_local.weights import BASE_MODEL

ROOT = Path(__file__).resolve().parents[4]
SERVICES = ("dataset", "trainer", "registry", "router", "feedback")
PART_NAMES = frozenset({"postgres", "kafka", "mlflow", "vllm", "migrations", "topics", *SERVICES})
_LOWEST_PORT = 20_000
PORT_FIELDS = (
    "postgres_port",
    "kafka_port",
    "kafka_controller_port",
    "mlflow_port",
    "vllm_port",
    "router_port",
    "dataset_port",
    "trainer_port",
    "registry_port",
    "feedback_port",
)


class LocalSettings(BaseSettings):
    """Where the stack keeps its data, which ports it takes, and which servers already exist elsewhere."""

    model_config = SettingsConfigDict(env_prefix="LOCAL_", frozen=True, extra="forbid")

    dir: Path = Field(default=ROOT / ".local", description="Everything that one stack writes.")
    assets_dir: Path = Field(
        default=ROOT / ".local", description="Kafka's jars and the model, laid out by `make setup`."
    )
    tasks_dir: Path = Field(default=ROOT / "deploy/tasks", description="Task declarations that registry-svc reads.")
    without: frozenset[str] = Field(default=frozenset(), description="Parts that are not started, by name.")
    service_env: dict[str, str] = Field(default={}, description="Further environment variables of all five services.")

    kafka_bootstrap: str | None = Field(
        default=None, description="host:port of an existing Kafka; none is started then."
    )
    database_url: str | None = Field(default=None, description="postgresql+asyncpg:// URL of an existing server.")
    mlflow_uri: str | None = Field(default=None, description="http:// URI of an existing MLflow server.")
    vllm_urls: tuple[str, ...] | None = Field(
        default=None, description="Base URLs of existing vLLM servers, without /v1."
    )

    postgres_port: int = 15432
    kafka_port: int = 19092
    kafka_controller_port: int = 19093
    mlflow_port: int = 15000
    vllm_port: int = 18000
    router_port: int = 8100
    dataset_port: int = 8101
    trainer_port: int = 8102
    registry_port: int = 8103
    feedback_port: int = 8104

    base_model: str = Field(default=BASE_MODEL, description="Name under which vLLM serves the base model.")
    base_model_dir: Path | None = Field(
        default=None, description="Folder of the base model, if it is not the packaged one."
    )
    java: str = "java"
    postgres_bin: Path | None = Field(default=None, description="bin folder of a PostgreSQL with pgvector.")
    postgres_fsync: bool = Field(
        default=True, description="False only where losing the data with the machine is no loss."
    )
    vllm_python: Path = ROOT / ".venv-vllm/bin/python"
    vllm_max_model_len: int = Field(default=1024, description="Longest prompt and answer together, in tokens.")
    vllm_dtype: str | None = Field(
        default=None, description="bfloat16 or float32; by default what this CPU does faster."
    )
    vllm_threads: int = Field(
        default=max(1, (os.cpu_count() or 2) // 2),
        description="OpenMP threads of vLLM; with as many as cores, each of a step's barriers waits for whatever else runs.",
    )
    kafka_heap_mb: int = 400
    restart_limit: int = Field(default=10, description="Deaths of one part in a row after which the stack gives up.")
    start_timeout_s: float = Field(default=300, description="Longest wait for one part to become ready, in seconds.")

    @field_validator("dir", "assets_dir", "tasks_dir", "vllm_python")
    @classmethod
    def _from_here(cls, path: Path) -> Path:
        """Make the path absolute, as children run elsewhere; links stay, as Python finds its environment by one."""
        return path.absolute()

    @property
    def model_path(self) -> Path:
        return self.base_model_dir or self.assets_dir / "models" / BASE_MODEL

    @property
    def run_dir(self) -> Path:
        return self.dir / "run"

    @property
    def log_dir(self) -> Path:
        return self.dir / "logs"

    @property
    def keys_dir(self) -> Path:
        return self.dir / "keys"

    def with_free_ports(self) -> Self:
        """Return a copy in which every port is one that was free a moment ago."""
        return self.model_copy(update=dict(zip(PORT_FIELDS, free_ports(len(PORT_FIELDS)), strict=True)))

    def with_only(self, *parts: str) -> Self:
        """Return a copy that starts only these parts."""
        return self.model_copy(update={"without": PART_NAMES - set(parts)})


def free_ports(count: int) -> list[int]:
    """Return distinct loopback ports that nobody listens on right now.

    They lie below those that the kernel gives to connections (32768 and up, ip(7)), one of which could else be given away
    before a server takes it.
    """
    with ExitStack() as taken:
        ports: list[int] = []
        while len(ports) < count:
            port = _LOWEST_PORT + secrets.randbelow(32768 - _LOWEST_PORT)
            with suppress(OSError):
                taken.enter_context(socket.create_server(("127.0.0.1", port)))
                ports.append(port)
    return ports
