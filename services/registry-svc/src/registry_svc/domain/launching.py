"""How a vLLM for one whole model is started: its arguments, its manifest for Kubernetes, and when it is tried again."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from pathlib import Path

import yaml

from loopwright.errors import Conflict
from registry_svc.domain.artefacts import ModelFormat
from registry_svc.domain.models import DeploymentSettings, ModelVersion, VariantId

_FIRST_DELAY_S, _LONGEST_DELAY_S = 2.0, 120.0
_SERVED_PORT = 8000  # inside a pod
Arguments = tuple[str, ...]


class ServerState(StrEnum):
    """Where the server of a whole model stands."""

    WAITING = "waiting"  # to be started, for the first time or again
    STARTING = "starting"
    READY = "ready"


@dataclass(frozen=True, kw_only=True)
class ModelServer:
    """One vLLM that registry-svc starts for one version.

    Attributes:
        wanted: Whether it should run; one that should not is stopped and forgotten.
        pid: Of the process; None before the first start.
        process_start: What tells this process from a later one with the same number.
        failures: Starts in a row that did not lead to an answer.
        reason: Why it does not answer yet.
        due_at: Not started before.
    """

    served_name: str
    variant: VariantId
    port: int
    wanted: bool
    state: ServerState
    pid: int | None
    process_start: str | None
    failures: int
    reason: str | None
    due_at: datetime
    updated_at: datetime

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"


@dataclass(frozen=True, kw_only=True)
class LaunchTemplates:
    """Arguments of vLLM, from the settings.

    Attributes:
        command: What starts it, without any argument about a model; empty: nothing is started here.
        of_every: Arguments of every server.
        of_format: Further ones by format.
    """

    command: Arguments
    of_every: Arguments = ()
    of_format: Mapping[ModelFormat, Arguments] = field(default_factory=dict[ModelFormat, Arguments])

    def arguments(self, model: ModelVersion, *, weights: Path, port: int, host: str = "127.0.0.1") -> Arguments:
        """Arguments for one version.

        Args:
            weights: Its unpacked folder, or the file of a GGUF model. Of AWQ and GPTQ vLLM reads the kind from
                `config.json` and chooses the fastest kernels itself.
        """
        return (
            "--model", str(weights), "--served-model-name", model.served_name,
            "--host", host, "--port", str(port), *_chosen(model.settings),
            *self.of_every, *self.of_format.get(model.format, ()),
        )  # fmt: skip


def _chosen(settings: DeploymentSettings) -> Arguments:
    options = {
        "--max-model-len": settings.max_model_len,
        "--dtype": settings.dtype,
        "--tensor-parallel-size": settings.tensor_parallel,
        "--gpu-memory-utilization": settings.gpu_memory_0_1,
    }
    return tuple(part for name, value in options.items() if value is not None for part in (name, str(value)))


def is_whole(model: ModelVersion) -> bool:
    """Whether a version needs a vLLM of its own: it is neither a base model nor an adapter of one."""
    return model.artifact is not None and model.format is not ModelFormat.LORA


def is_adapter(model: ModelVersion) -> bool:
    """Whether a version is loaded into the servers of its base model."""
    return model.artifact is not None and model.format is ModelFormat.LORA


def check_memory(size_bytes: int, *, others_bytes: int, budget_bytes: int | None) -> None:
    """Checks that one more whole model fits beside those that run; weights only, the rest is the budget's margin.

    Raises:
        Conflict: it does not.
    """
    if budget_bytes is not None and size_bytes + others_bytes > budget_bytes:
        raise Conflict(
            "serving.memory-exhausted",
            f"{size_bytes} bytes of weights do not fit beside {others_bytes}: {budget_bytes} are allowed in all",
            size_bytes=size_bytes, others_bytes=others_bytes, budget_bytes=budget_bytes,
        )  # fmt: skip


def restart_delay(failures: int) -> timedelta:
    """How long to wait after so many fruitless starts: doubles from two seconds up to two minutes."""
    return timedelta(seconds=min(_FIRST_DELAY_S * 2 ** min(max(failures - 1, 0), 10), _LONGEST_DELAY_S))


def manifest(model: ModelVersion, templates: LaunchTemplates, *, image: str, weights: Path, replicas: int) -> str:
    """A List of a Deployment and a Service in YAML that serve a version on Kubernetes; people apply it, we never do.

    Args:
        weights: As of `arguments`; pods see it under the same path, on the claim `model-files`.
    """
    name = "".join(letter if letter.isalnum() else "-" for letter in model.served_name.lower()).strip("-")
    labels = {"app": name, "app.kubernetes.io/part-of": "loopwright"}
    files_dir = weights.parents[1] if model.format is ModelFormat.GGUF else weights.parent
    devices = model.settings.tensor_parallel or 1
    container = {
        "name": "vllm",
        "image": image,
        "args": list(templates.arguments(model, weights=weights, port=_SERVED_PORT, host="0.0.0.0")),  # noqa: S104 - inside a pod
        "ports": [{"name": "http", "containerPort": _SERVED_PORT}],
        "readinessProbe": {"httpGet": {"path": "/health", "port": "http"}, "periodSeconds": 5},
        "livenessProbe": {"httpGet": {"path": "/health", "port": "http"}, "periodSeconds": 15, "failureThreshold": 4},
        "startupProbe": {"httpGet": {"path": "/health", "port": "http"}, "periodSeconds": 10, "failureThreshold": 90},
        "resources": {"limits": {"nvidia.com/gpu": devices}},
        "securityContext": {"allowPrivilegeEscalation": False},
        "volumeMounts": [
            {"name": "files", "mountPath": str(files_dir), "readOnly": True},
            {"name": "memory", "mountPath": "/dev/shm"},  # noqa: S108 - where NCCL looks for it
        ],
    }
    pod = {
        "automountServiceAccountToken": False,
        "securityContext": {"runAsNonRoot": True, "runAsUser": 1000, "fsGroup": 1000},
        "containers": [container],
        "volumes": [
            {"name": "files", "persistentVolumeClaim": {"claimName": "model-files", "readOnly": True}},
            {"name": "memory", "emptyDir": {"medium": "Memory", "sizeLimit": "16Gi"}},
        ],
    }
    deployment = {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": name, "labels": labels},
        "spec": {
            "replicas": replicas,
            "selector": {"matchLabels": {"app": name}},
            "template": {"metadata": {"labels": labels}, "spec": pod},
        },
    }
    service = {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": name, "labels": labels},
        "spec": {"selector": {"app": name}, "ports": [{"name": "http", "port": 80, "targetPort": "http"}]},
    }
    # one document: not every reader of YAML takes several
    return yaml.safe_dump({"apiVersion": "v1", "kind": "List", "items": [deployment, service]}, sort_keys=False)
