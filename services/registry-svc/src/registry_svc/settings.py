"""Settings of registry-svc, read from `REGISTRY_*` once in `main.py` and passed down in parts."""

from pathlib import Path

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict


class Settings(BaseSettings):
    """What only registry-svc needs to know."""

    model_config = SettingsConfigDict(env_prefix="REGISTRY_", frozen=True, extra="ignore")

    port: int = Field(default=8103, description="port of the HTTP door")
    vllm_urls: tuple[str, ...] = Field(
        default=("http://127.0.0.1:8000",), min_length=1, description="JSON list of vLLM servers, without /v1"
    )
    router_url: str = Field(default="http://127.0.0.1:8100", description="router-svc, the door that evaluation uses")
    tasks_dir: Path = Field(default=Path("deploy/tasks"), description="folder of task packs, one YAML file each")
    adapter_dir: Path = Field(
        default=Path("/var/lib/loopwright/adapters"), description="unpacked adapters; vLLM reads the same paths"
    )
    base_models: dict[str, Path] = Field(
        default_factory=dict[str, Path],
        description="JSON object: name under which vLLM serves a base model, its folder",
    )
    pack_scan_s: float = Field(default=2.0, gt=0, description="seconds between looks at the task packs")
    reconcile_s: float = Field(default=2.0, gt=0, description="seconds between looks at vLLM for missing adapters")
    alias_reconcile_s: float = Field(default=5.0, gt=0, description="seconds between comparisons with MLflow")
    serving_timeout_s: float = Field(default=60.0, gt=0, description="longest wait for one call to vLLM")
    evaluation_timeout_s: float = Field(default=120.0, gt=0, description="longest wait for one answer of an evaluation")
    evaluation_concurrency: int = Field(default=8, ge=1, le=256, description="held-out cases asked at the same time")
