"""The five services and the two steps before them: database migrations and Kafka topics."""

import json
import sys
from dataclasses import dataclass
from pathlib import Path

from loopwright_local.keys import AUDIENCE, ISSUER, Keys
from loopwright_local.native import native_env
from loopwright_local.part import Part, PortClaim
from loopwright_local.parts.kafka import bootstrap
from loopwright_local.parts.mlflow import mlflow_uri
from loopwright_local.parts.vllm import vllm_urls
from loopwright_local.probes import http_probe
from loopwright_local.settings import ROOT, LocalSettings

WITH_TABLES = ("dataset", "trainer", "registry", "feedback")
USES = {"trainer": ("mlflow",), "registry": ("mlflow", "vllm"), "router": ("vllm",)}


@dataclass(frozen=True)
class Surroundings:
    """What the services are told about the rest of the stack.

    Attributes:
        database_url: postgresql+asyncpg:// URL.
        keys: Files with signing keys.
        started: Names of the parts that this stack starts itself.
    """

    database_url: str
    keys: Keys
    started: frozenset[str]


def service_parts(settings: LocalSettings, around: Surroundings) -> tuple[Part, ...]:
    """Return the two steps and the five services, in the order they read best in a log."""
    env = common_env(settings, around)
    local = around.started
    migrations = Part(
        name="migrations",
        command=(sys.executable, "-m", "loopwright.migrations", *(f"services/{name}-svc" for name in WITH_TABLES)),
        env=env,
        needs=tuple({"postgres"} & local),
        once=True,
    )
    topics = Part(
        name="topics",
        command=(sys.executable, "-m", "loopwright.topics"),
        env=env,
        needs=tuple({"kafka"} & local),
        once=True,
    )
    own = _own_env(settings, around)
    return (migrations, topics, *(_service(settings, env | own[name], name) for name in own))


def _service(settings: LocalSettings, env: dict[str, str], name: str) -> Part:
    port = int(env[f"{name.upper()}_PORT"])
    return Part(
        name=name,
        command=(sys.executable, "-m", f"{name}_svc.main"),
        env=env | native_env(f"{name}-svc") | settings.service_env,
        needs=tuple({"migrations", "topics"} - settings.without),
        uses=USES.get(name, ()),
        ready=http_probe(port, "/ready"),
        ports=(PortClaim(f"LOCAL_{name.upper()}_PORT", port),),
        url=f"http://127.0.0.1:{port}",
    )


def common_env(settings: LocalSettings, around: Surroundings) -> dict[str, str]:
    """Return what every service and every command of the project reads from its environment."""
    return {
        "LOOPWRIGHT_DATABASE_URL": around.database_url,
        "LOOPWRIGHT_KAFKA_BOOTSTRAP": bootstrap(settings),
        "LOOPWRIGHT_STORAGE_URI": _folder(settings, "storage").as_uri(),
        "LOOPWRIGHT_MLFLOW_URI": mlflow_uri(settings),
        "LOOPWRIGHT_STORAGE_KEYS_FILE": str(around.keys.storage),
        "LOOPWRIGHT_AUTH_JWKS_FILE": str(around.keys.public),
        "LOOPWRIGHT_AUTH_ISSUER": ISSUER,
        "LOOPWRIGHT_AUTH_AUDIENCE": AUDIENCE,
        "LOOPWRIGHT_TRACE_DIR": str(_folder(settings, "traces")),
        "LOOPWRIGHT_HOST": "127.0.0.1",
        # training shares the cores with vLLM: threads that wait by spinning would starve it
        "OMP_WAIT_POLICY": "PASSIVE",
    }


def _own_env(settings: LocalSettings, around: Surroundings) -> dict[str, dict[str, str]]:
    # our own vLLM has the plug-in of deploy/vllm, others may die of such questions
    prompt_likelihoods = str("vllm" in around.started).lower()
    base_models = json.dumps({settings.base_model: str(settings.model_path.resolve())})
    return {
        "dataset": {
            "DATASET_PORT": str(settings.dataset_port),
            "DATASET_TOKENIZER_DIR": str(settings.model_path.resolve()),
            "DATASET_PSEUDONYM_KEY_FILE": str(around.keys.pseudonyms),
            "DATASET_PAIRS_URL": f"{vllm_urls(settings)[0]}/v1",
            "DATASET_PAIRS_MODEL": settings.base_model,
        },
        "trainer": {
            "TRAINER_PORT": str(settings.trainer_port),
            "TRAINER_BASE_MODELS": base_models,
            "TRAINER_WORK_DIR": str(_folder(settings, "training")),
            "TRAINER_WATERMARK_KEY_FILE": str(around.keys.watermark),
            "TRAINER_SIGNING_KEY_FILE": str(around.keys.artefacts_private),
        },
        "registry": {
            "REGISTRY_PORT": str(settings.registry_port),
            "REGISTRY_VLLM_URLS": json.dumps(vllm_urls(settings)),
            "REGISTRY_ROUTER_URL": f"http://127.0.0.1:{settings.router_port}",
            "REGISTRY_TASKS_DIR": str(settings.tasks_dir.resolve()),
            "REGISTRY_ADAPTER_DIR": str(_folder(settings, "adapters")),
            "REGISTRY_BASE_MODELS": base_models,
            "REGISTRY_BENCHMARKS_DIR": str(ROOT / "deploy/benchmarks"),
            "REGISTRY_BENCHMARK_DATA_DIR": str(_folder(settings, "benchmark-data")),
            "REGISTRY_BENCHMARK_WORK_DIR": str(_folder(settings, "benchmarks")),
            "REGISTRY_LM_EVAL_PYTHON": str(ROOT / ".venv-lm-eval/bin/python"),
            "REGISTRY_PROMPT_LIKELIHOODS": prompt_likelihoods,
            "REGISTRY_ARTEFACT_KEYS_FILE": str(around.keys.artefacts_public),
            "REGISTRY_WATERMARK_KEY_FILE": str(around.keys.watermark),
        },
        "router": {
            "ROUTER_PORT": str(settings.router_port),
            "ROUTER_SPOOL_DIR": str(_folder(settings, "spool")),
            "ROUTER_SIGNING_KEY_FILE": str(around.keys.inference),
            "ROUTER_AUTH": "optional",  # on this machine alone: the demo and the first steps go without keys
            "ROUTER_API_KEYS_FILE": str(around.keys.callers),
            "ROUTER_KNOWLEDGE_URL": f"http://127.0.0.1:{settings.dataset_port}",
            "ROUTER_KNOWLEDGE_TOKEN_FILE": str(around.keys.router_token),
            "ROUTER_PROMPT_LIKELIHOODS": prompt_likelihoods,
        },
        "feedback": {
            "FEEDBACK_PORT": str(settings.feedback_port),
            "FEEDBACK_REGISTRY_URL": f"http://127.0.0.1:{settings.registry_port}",
        },
    }


def _folder(settings: LocalSettings, name: str) -> Path:
    folder = (settings.dir / name).resolve()
    folder.mkdir(parents=True, exist_ok=True)
    return folder
