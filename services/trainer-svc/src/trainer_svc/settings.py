"""Settings of trainer-svc, read from `TRAINER_*`."""

import socket
from pathlib import Path

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict


class Settings(BaseSettings):
    """What only this service needs to know."""

    model_config = SettingsConfigDict(env_prefix="TRAINER_", frozen=True, extra="ignore")

    port: int = Field(default=8102, ge=1, le=65535, description="port that it listens on")
    base_models: dict[str, Path] = Field(default={}, description="folders of base models by name")
    work_dir: Path = Field(default=Path("training"), description="data, checkpoints and logs of jobs")
    worker_name: str = Field(default_factory=socket.gethostname, description="this worker; one process per name")
    device_slots: tuple[str, ...] = Field(default=("cpu:0",), description="devices, each for one job at a time")
    max_concurrent_jobs: int = Field(default=2, ge=1, description="jobs that run here at the same time")
    lease_ttl_s: float = Field(default=20, gt=1, description="silence after which a worker counts as dead")
    max_attempts: int = Field(default=5, ge=1, description="starts of one job after which a dying process fails it")
    stop_grace_s: float = Field(default=8, gt=0, description="time to write a checkpoint when the service stops")
    cpu_threads: int | None = Field(default=None, ge=1, description="threads of one CPU job; None lets torch choose")
    module: str = Field(default="trainer_svc.recipes.sft", description="recipe that runs a job")
