"""Settings of trainer-svc, read from `TRAINER_*`."""

import socket
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict

Slot = Annotated[str, Field(pattern=r"^(cpu|cuda):\d{1,4}$")]


class Settings(BaseSettings):
    """What only this service needs to know."""

    model_config = SettingsConfigDict(env_prefix="TRAINER_", frozen=True, extra="ignore")

    port: int = Field(default=8102, ge=1, le=65535, description="port that it listens on")
    base_models: dict[str, Path] = Field(default={}, description="folders of base models by name")
    work_dir: Path = Field(default=Path("training"), description="data, checkpoints and logs of jobs")
    worker_name: str = Field(default_factory=socket.gethostname, description="this worker; one process per name")
    device_slots: tuple[Slot, ...] = Field(
        default=("cpu:0",), min_length=1, description="devices, each for one job at a time"
    )
    max_concurrent_jobs: int = Field(default=2, ge=1, description="jobs that run here at the same time")
    lease_ttl_s: float = Field(default=20, gt=1, description="silence after which a worker counts as dead")
    max_attempts: int = Field(default=5, ge=1, description="starts of one job after which a dying process fails it")
    stop_grace_s: float = Field(default=8, gt=0, description="time to write a checkpoint when the service stops")
    cpu_threads: int | None = Field(default=None, ge=1, description="threads of one CPU job; None lets torch choose")
    keep_slots_after_s: float = Field(
        default=300, ge=0, description="time that a job is passed over before slots are kept free for it"
    )
    price_per_device_hour: dict[str, float] = Field(default={}, description="by kind of device: cpu, cuda")
    watermark_key_file: Path | None = Field(default=None, description="secret that marks what is learned")
    signing_key_file: Path | None = Field(default=None, description="PEM of the key that signs what is made")
    launcher: Literal["local", "ray"] = Field(default="local", description="what starts recipes")
    machines: int = Field(default=1, ge=1, description="machines that train one job together")
    meeting: str = Field(default="", description="host:port where machines meet without Ray; empty: any port")
    ray_address: str = Field(default="http://127.0.0.1:8265", description="dashboard of the head of the Ray cluster")
    ray_token: SecretStr | None = Field(default=None, description="bearer token of the Ray cluster")
    programs: dict[Literal["axolotl", "llama_factory"], Path] = Field(
        default={}, description="other projects' trainers; those not named are looked for on the PATH"
    )
    module: str | None = Field(default=None, description="recipe of every job, for tests; None: by kind and objective")
