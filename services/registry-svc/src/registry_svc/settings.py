"""Settings of registry-svc, read from `REGISTRY_*` once in `main.py` and passed down in parts."""

from pathlib import Path

from pydantic import Field, SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict

from registry_svc.domain.artefacts import ModelFormat
from registry_svc.domain.proof import Policy


class Settings(BaseSettings):
    """What only registry-svc needs to know."""

    model_config = SettingsConfigDict(env_prefix="REGISTRY_", frozen=True, extra="ignore")

    port: int = Field(default=8103, description="port of the HTTP door")
    vllm_urls: tuple[str, ...] = Field(
        default=("http://127.0.0.1:8000",), min_length=1, description="JSON list of vLLM servers, without /v1"
    )
    router_url: str = Field(default="http://127.0.0.1:8100", description="router-svc, the door that evaluation uses")
    router_key_file: Path | None = Field(default=None, description="API key, or token, for that door")
    router_urls: tuple[str, ...] = Field(
        default=(), description="JSON list of all routers, for their figures; empty: the one of ROUTER_URL"
    )
    tasks_dir: Path = Field(default=Path("deploy/tasks"), description="folder of task packs, one YAML file each")
    adapter_dir: Path = Field(
        default=Path("/var/lib/loopwright/adapters"), description="unpacked adapters; vLLM reads the same paths"
    )
    base_models: dict[str, Path] = Field(
        default_factory=dict[str, Path],
        description="JSON object: name under which vLLM serves a base model, its folder",
    )
    artefact_keys_file: Path | None = Field(
        default=None, description="public keys that model files may be signed with, PEM after PEM"
    )
    watermark_key_file: Path | None = Field(default=None, description="secret that finds marks in weights")
    artefact_policy: Policy = Field(
        default=Policy.CHECK, description="require proofs, check those that are there, or off"
    )
    max_upload_bytes: int = Field(default=32 << 30, gt=0, description="longest upload of model files")
    pack_scan_s: float = Field(default=2.0, gt=0, description="seconds between looks at the task packs")
    prompt_likelihoods: bool = Field(
        default=False,
        description="servers survive being asked for likelihoods of prompts, as benchmarks do; vLLM 0.32 on CPUs does not",
    )
    reconcile_s: float = Field(default=2.0, gt=0, description="seconds between looks at vLLM for missing adapters")
    max_loras: int | None = Field(
        default=None, ge=1, description="most adapters in one vLLM server; none: what the server's metrics say"
    )
    unload_grace_s: float = Field(
        default=120.0, ge=0, description="seconds that an adapter stays after the router asked for it last"
    )
    probe_s: float = Field(default=60.0, gt=0, description="seconds between probes of a loaded model on one server")
    launch_command: tuple[str, ...] = Field(
        default=(),
        description="JSON list that starts vLLM for a whole model, less its arguments; empty: none is started",
    )
    launch_arguments: tuple[str, ...] = Field(default=(), description="JSON list of arguments of all such servers")
    launch_format_arguments: dict[ModelFormat, tuple[str, ...]] = Field(
        default_factory=dict[ModelFormat, tuple[str, ...]], description="JSON object: format, further arguments"
    )
    launch_env: dict[str, str] = Field(default_factory=dict[str, str], description="JSON object: their environment")
    launch_first_port: int = Field(default=18100, ge=1024, le=65000, description="the first of their ports")
    launch_most: int = Field(default=16, ge=1, le=500, description="most such servers, and ports")
    launch_budget_bytes: int | None = Field(
        default=None, ge=1, description="most bytes of weights in all of them; none: as many as there are ports"
    )
    launch_log_dir: Path = Field(default=Path("/var/log/loopwright"), description="folder of their logs")
    launch_image: str = Field(default="vllm/vllm-openai:latest", description="image of a rendered manifest")
    alias_reconcile_s: float = Field(default=5.0, gt=0, description="seconds between comparisons with MLflow")
    serving_timeout_s: float = Field(default=60.0, gt=0, description="longest wait for one call to vLLM")
    evaluation_timeout_s: float = Field(default=120.0, gt=0, description="longest wait for one answer of an evaluation")
    evaluation_concurrency: int = Field(default=8, ge=1, le=256, description="held-out cases asked at the same time")
    metrics_dir: Path | None = Field(
        default=None, description="folder of custom metrics, one Python file each; they run inside the service"
    )
    judge_url: str | None = Field(
        default=None, description="OpenAI-compatible API of a judge, with its /v1; none: nothing is judged"
    )
    judge_model: str = Field(default="judge", description="model that judges")
    judge_api_key: SecretStr | None = Field(default=None, description="its bearer token, if it wants one")
    suite_most_cases: int = Field(default=2000, ge=200, le=100_000, description="most cases of one suite version")
    suite_most_bytes: int = Field(default=8 << 20, ge=1 << 16, description="largest body that brings cases, in bytes")
    lm_eval_python: Path = Field(
        default=Path(".venv-lm-eval/bin/python"), description="interpreter that has lm-evaluation-harness"
    )
    benchmarks_dir: Path = Field(default=Path("deploy/benchmarks"), description="folder of benchmarks' task files")
    benchmark_data_dir: Path = Field(
        default=Path("/var/lib/loopwright/benchmark-data"), description="folder of the files that they name"
    )
    benchmark_work_dir: Path = Field(
        default=Path("/var/lib/loopwright/benchmarks"), description="answers so far of runs that are not finished"
    )
    benchmark_timeout_s: float = Field(default=86400.0, gt=0, description="longest run of benchmarks")
    benchmark_concurrency: int = Field(default=4, ge=1, le=256, description="questions asked at the same time")
