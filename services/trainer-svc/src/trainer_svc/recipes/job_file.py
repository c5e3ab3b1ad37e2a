"""What a recipe is told: one JSON file, written by the service and complete, so that a run can be repeated from it."""

from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field

from loopwright.contracts.jobs import JobKind
from loopwright.contracts.tasks import Hyperparameters, Method, Objective


class TrackingTarget(BaseModel):
    """The MLflow run that the figures go to; a resumed attempt continues the same one."""

    model_config = ConfigDict(frozen=True, extra="forbid", protected_namespaces=())

    uri: str = Field(description="MLflow tracking URI")
    run_id: str = Field(description="run that exists already")


class TraceTarget(BaseModel):
    """Where the training process's own spans go, and the trace that they continue."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    traceparent: str | None = Field(default=None, description="W3C trace context of the job")
    otlp_endpoint: str | None = Field(default=None, description="OTLP/HTTP collector")
    trace_dir: Path | None = Field(default=None, description="folder for spans as OTLP JSON lines")


class JobFile(BaseModel):
    """One attempt at one fine-tuning job."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    job_id: str = Field(description="job")
    attempt: int = Field(default=1, ge=1, description="rises when a job is started again")
    base_model: Path = Field(description="folder of the base model and its tokenizer")
    train_file: Path = Field(description="JSON Lines of {sample_id, messages}; the last message is the answer to learn")
    validation_file: Path | None = Field(default=None, description="same shape; watched, never learned from")
    checkpoint_dir: Path = Field(description="holds step-stamped checkpoints; the newest complete one is resumed")
    output_dir: Path = Field(description="where the finished adapter (or model) folder appears, whole or not at all")
    method: Method = Field(default="lora", description="what is trained")
    objective: Objective = Field(default="sft", description="what for")
    kind: JobKind = Field(default=JobKind.TRAIN, description="training, or work on what a training job made")
    teacher_model: Path | None = Field(default=None, description="folder of the model that distillation learns from")
    source_adapter: Path | None = Field(default=None, description="folder of the adapter that other kinds work on")
    dataset_version: str | None = Field(default=None, description="version that the files are splits of, for the card")
    watermark_key_file: Path | None = Field(
        default=None, description="secret that marks what is learned; None: no mark"
    )
    signing_key_file: Path | None = Field(default=None, description="PEM that signs what is made; None: no signature")
    program: Path | None = Field(default=None, description="other project's trainer that runs it, if it is to")
    world_size: int = Field(default=1, ge=1, description="processes that run this recipe together")
    hyperparameters: Hyperparameters = Field(default_factory=Hyperparameters, description="settings of the run")
    checkpoint_every_s: float = Field(
        default=60, gt=0, description="seconds after which a checkpoint is due even if few steps were done"
    )
    log_every_steps: int = Field(default=1, ge=1, description="optimizer steps between two progress lines")
    cpu_threads: int | None = Field(default=None, ge=1, description="threads of one CPU slot; None lets torch choose")
    tracking: TrackingTarget | None = Field(default=None, description="MLflow run, if figures are tracked")
    trace: TraceTarget = Field(default_factory=TraceTarget, description="where spans go")
