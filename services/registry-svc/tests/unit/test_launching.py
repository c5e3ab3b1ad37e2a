"""How vLLM is started for a whole model: arguments by format, a manifest that says the same, patience after failures."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import yaml

from loopwright.contracts.base import Artifact
from loopwright.errors import Conflict
from registry_svc.domain.artefacts import ModelFormat
from registry_svc.domain.launching import (
    LaunchTemplates,
    check_memory,
    is_adapter,
    is_whole,
    manifest,
    restart_delay,
)
from registry_svc.domain.models import DeploymentSettings, ModelStatus, ModelVersion, VariantId

NOW = datetime(2026, 11, 22, tzinfo=UTC)
ARTIFACT = Artifact(uri="file:///x", sha256="a" * 64, size_bytes=10, media_type="application/x-tar")
TEMPLATES = LaunchTemplates(
    command=("vllm", "serve"), of_every=("--enforce-eager",), of_format={ModelFormat.GPTQ: ("--quantization", "gptq")}
)


def a_model(model_format: ModelFormat, *, artifact: Artifact | None = ARTIFACT, **settings: object) -> ModelVersion:
    return ModelVersion(
        variant=VariantId("Mood_big", 3), task_id="mood", base_model="base", format=model_format, artifact=artifact,
        status=ModelStatus.STAGING, job_id=None, dataset_version_id=None, mlflow_version=3, mlflow_run_id="r",
        description="", created_by="", created_at=NOW, updated_at=NOW, status_changed_at=NOW, subject="job:1",
        settings=DeploymentSettings.model_validate(settings),
    )  # fmt: skip


class TestArguments:
    @pytest.mark.parametrize("model_format", [ModelFormat.HUGGINGFACE, ModelFormat.AWQ])
    def test_name_files_name_and_port(self, model_format, tmp_path):
        said = TEMPLATES.arguments(a_model(model_format), weights=tmp_path, port=18100)
        assert said == (
            "--model", str(tmp_path), "--served-model-name", "Mood_big-v3", "--host", "127.0.0.1", "--port", "18100",
            "--enforce-eager",
        )  # fmt: skip

    def test_the_operator_adds_to_a_format(self, tmp_path):
        assert TEMPLATES.arguments(a_model(ModelFormat.GPTQ), weights=tmp_path, port=1)[-2:] == (
            "--quantization",
            "gptq",
        )

    def test_what_the_version_wants_is_passed_on(self, tmp_path):
        model = a_model(ModelFormat.HUGGINGFACE, max_model_len=512, dtype="float32", tensor_parallel=2)
        said = TEMPLATES.arguments(model, weights=tmp_path, port=1)
        assert said[8:14] == (
            "--max-model-len", "512", "--dtype", "float32", "--tensor-parallel-size", "2"
        )  # fmt: skip


def test_only_whole_models_get_a_server_of_their_own():
    for model, adapter, whole in (
        (a_model(ModelFormat.LORA), True, False),
        (a_model(ModelFormat.HUGGINGFACE), False, True),
        (a_model(ModelFormat.HUGGINGFACE, artifact=None), False, False),  # a base model
    ):
        assert (is_adapter(model), is_whole(model)) == (adapter, whole)


def test_the_manifest_serves_what_the_arguments_say_and_is_yaml_that_kubernetes_knows():
    model = a_model(ModelFormat.HUGGINGFACE, tensor_parallel=4)
    text = manifest(model, TEMPLATES, image="vllm:1", weights=Path("/files/abc"), replicas=2)
    every = yaml.safe_load(text)
    deployment, service = every["items"]

    assert (every["kind"], deployment["kind"], service["kind"]) == ("List", "Deployment", "Service")
    assert deployment["metadata"]["name"] == service["metadata"]["name"] == "mood-big-v3"  # a DNS label
    pod = deployment["spec"]["template"]
    assert pod["metadata"]["labels"].items() >= service["spec"]["selector"].items()
    (container,) = pod["spec"]["containers"]
    assert container["args"][:2] == ["--model", "/files/abc"]
    assert container["resources"]["limits"] == {"nvidia.com/gpu": 4}
    assert deployment["spec"]["replicas"] == 2


def test_weights_must_fit_beside_the_others():
    check_memory(60, others_bytes=40, budget_bytes=100)
    check_memory(60, others_bytes=4000, budget_bytes=None)
    with pytest.raises(Conflict) as refused:
        check_memory(61, others_bytes=40, budget_bytes=100)
    assert refused.value.code == "serving.memory-exhausted"


def test_starts_grow_rarer_but_never_stop():
    delays = [restart_delay(failures) for failures in (1, 2, 3, 50)]
    assert delays == [timedelta(seconds=seconds) for seconds in (2, 4, 8, 120)]
