"""Model versions and the proof that they are better."""

from pydantic import Field

from loopwright.contracts.base import Artifact, Event, Identifier, Moment, Sha256, Share, Value
from loopwright.contracts.deployments import Variant


class ModelRegistered(Event):
    """A model version exists in the registry and in MLflow."""

    model_name: Identifier = Field(description="model")
    model_version: int = Field(ge=1, description="its version")
    task_id: Identifier = Field(description="task")
    base_model: Identifier = Field(description="what it was trained from")
    format: str = Field(description="huggingface, lora, gguf, awq or gptq")
    artifact: Artifact | None = Field(
        default=None, description="its files; none for a base model that is served from its own folder"
    )
    job_id: Identifier | None = Field(default=None, description="job that made it; none for a base model")
    dataset_version_id: Identifier | None = Field(default=None, description="what it learned from")
    mlflow_uri: str = Field(description="models:/name/version")
    registered_at: Moment = Field(description="when")


class HeldOutScore(Value):
    """How one variant did on the held-out cases."""

    variant_id: Identifier = Field(description="variant")
    cases: int = Field(ge=0, description="cases answered")
    accuracy_0_1: Share = Field(description="share of right answers")
    schema_valid_0_1: Share = Field(description="share of answers that satisfy the task's schema")
    mean_latency_ms: float = Field(ge=0, description="mean latency")


class ModelEvaluated(Event):
    """Candidate and champion answered the same held-out cases, and the gate spoke."""

    evaluation_id: Identifier = Field(description="evaluation")
    task_id: Identifier = Field(description="task")
    candidate: Variant = Field(description="what wants to be in charge")
    champion: Variant = Field(description="what is in charge")
    held_out_sha256: Sha256 = Field(description="hash of the cases")
    candidate_score: HeldOutScore = Field(description="its figures")
    champion_score: HeldOutScore = Field(description="its figures")
    mcnemar_p: float | None = Field(default=None, description="exact McNemar test of the paired answers (McNemar 1947)")
    passed: bool = Field(description="the gate's verdict")
    reasons: tuple[str, ...] = Field(description="the verdict in words and figures")
    evaluated_at: Moment = Field(description="when")
