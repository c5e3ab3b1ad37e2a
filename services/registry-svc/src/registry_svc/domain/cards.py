"""The card of a model version, made of facts only (Mitchell et al. 2019, "Model Cards for Model Reporting")."""

import json
from collections.abc import Iterator
from datetime import datetime

from pydantic import BaseModel, ConfigDict, Field

from registry_svc.domain.artefacts import ModelFormat
from registry_svc.domain.models import DeploymentSettings, ModelStatus
from registry_svc.domain.proof import MarkFinding, Proof, SignatureFinding
from registry_svc.domain.training_card import TrainingCard


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, from_attributes=True)


class DataFacts(_Part):
    """What it learned from, and what it was judged by."""

    dataset_id: str | None = Field(description="none if only the version is known")
    version_id: str
    train_samples: int | None
    validation_samples: int | None
    held_out_cases: int | None
    deprecated: str | None = Field(description="why nothing should learn from it any more")


class MetricFacts(_Part):
    """One figure with its interval."""

    name: str
    value: float | None
    lower: float | None
    upper: float | None
    cases: int
    why_not: str | None = Field(description="why it could not be computed")


class EvaluationFacts(_Part):
    """One finished evaluation of it as candidate."""

    evaluation_id: str
    kind: str
    champion: str = Field(description="what it was compared with")
    held_out_sha256: str
    confidence_0_1: float = Field(description="of the intervals")
    metrics: tuple[MetricFacts, ...]
    passed: bool | None
    reasons: tuple[str, ...]
    finished_at: datetime | None


class ExperimentFacts(_Part):
    """One experiment on live traffic."""

    experiment_id: str
    outcome: str
    applied: bool
    note: str
    concluded_at: datetime


class ModelCard(_Part):
    """Everything that is known of a version; what is not known is none."""

    variant_id: str
    status: ModelStatus
    task_id: str | None
    description: str
    base_model: str
    base_license: str | None = Field(description="licence as the base model's folder states it")
    format: ModelFormat
    size_bytes: int | None
    sha256: str | None
    parent: str | None
    job_id: str | None
    tags: tuple[str, ...]
    settings: DeploymentSettings
    data: DataFacts | None
    training: TrainingCard | None = Field(description="the card that trainer-svc put into the archive")
    evaluations: tuple[EvaluationFacts, ...]
    experiments: tuple[ExperimentFacts, ...]
    proof: Proof | None
    limits: tuple[str, ...]
    mlflow_uri: str
    created_by: str
    created_at: datetime


def limits_of(card: ModelCard) -> tuple[str, ...]:
    """What the facts do not say, or warn of."""
    return tuple(_limits(card))


def _limits(card: ModelCard) -> Iterator[str]:
    if card.format is ModelFormat.LORA:
        yield f"An adapter: it means nothing without {card.base_model}, and nothing good with any other model."
    if card.base_license is None:
        yield "No licence of the base model is known; whoever passes this on must find it out."
    if not card.evaluations:
        yield "It was never evaluated on held-out cases."
    else:
        yield "Its figures are those of held-out cases of its task, and say nothing of other uses."
    if card.data is not None and card.data.deprecated is not None:
        yield f"Nothing should learn from its training data any more: {card.data.deprecated}"
    if card.proof is not None and card.proof.signature is not SignatureFinding.VALID:
        yield f"Its files carry no signature that holds ({card.proof.signature})."
    if card.proof is not None and card.proof.mark is MarkFinding.NOT_EXPECTED:
        yield "No watermark can be found in weights of this kind or number."


def as_markdown(card: ModelCard) -> str:
    """The same facts for people."""
    return "\n".join(_lines(card)) + "\n"


def _lines(card: ModelCard) -> Iterator[str]:
    yield from (f"# {_text(card.variant_id)}", "", _text(card.description))
    yield from _table("What it is", card, _IDENTITY)
    if card.data is not None:
        yield from _table("Data", card.data, tuple(DataFacts.model_fields))
    if card.training is not None:
        yield from _table("Training", card.training, _TRAINING)
        if card.training.hyperparameters is not None:
            settings = card.training.hyperparameters
            yield from _table("Parameters", settings, tuple(type(settings).model_fields))
    for evaluation in card.evaluations:
        yield from _evaluation(evaluation)
    if card.experiments:
        yield from ("", "## Live traffic", "")
        yield from (
            f"- {_text(one.experiment_id)}: {_text(one.outcome)}; {_text(one.note)}" for one in card.experiments
        )
    if card.proof is not None:
        yield from _table("Proof of origin", card.proof, tuple(Proof.model_fields))
    yield from ("", "## Licence", "", _text(card.base_license or "unknown"))
    yield from ("", "## Limits", "", *(f"- {_text(limit)}" for limit in card.limits))


_IDENTITY = (
    "task_id", "status", "base_model", "format", "size_bytes", "sha256", "parent", "job_id", "tags", "mlflow_uri",
    "created_by", "created_at",
)  # fmt: skip
_TRAINING = (
    "kind", "method", "objective", "dataset_version", "train_samples", "validation_samples", "steps", "final_loss",
    "eval_loss", "measured", "train_seconds", "device", "precision", "code_version", "libraries", "finished_at",
)  # fmt: skip


def _table(title: str, facts: BaseModel, fields: tuple[str, ...]) -> Iterator[str]:
    known = facts.model_dump(mode="json", exclude_none=True)
    rows = [f"| {field} | {_told(known[field])} |" for field in fields if known.get(field) not in (None, [], {})]
    if rows:
        yield from ("", f"## {title}", "", "| | |", "|---|---|", *rows)


def _evaluation(one: EvaluationFacts) -> Iterator[str]:
    verdict = {True: "passed", False: "failed", None: "no gate"}[one.passed]
    yield from ("", f"## Evaluation {_text(one.evaluation_id)}: {verdict}", "")
    yield f"Against {_text(one.champion)} on cases {one.held_out_sha256[:16]}…, intervals of {one.confidence_0_1:.0%}."
    yield from ("", "| metric | value | interval | cases |", "|---|---|---|---|")
    for metric in one.metrics:
        yield f"| {_text(metric.name)} | {_figure(metric)} | {_interval(metric)} | {metric.cases} |"
    if one.reasons:
        yield from ("", *(f"- {_text(reason)}" for reason in one.reasons))


def _figure(metric: MetricFacts) -> str:
    return _text(metric.why_not or "unknown") if metric.value is None else f"{metric.value:.4g}"


def _interval(metric: MetricFacts) -> str:
    known = metric.lower is not None and metric.upper is not None
    return f"{metric.lower:.4g} to {metric.upper:.4g}" if known else "none"


def _told(value: object) -> str:
    return _text(value if isinstance(value, str) else json.dumps(value, ensure_ascii=False))


def _text(told: str) -> str:
    """Text that stays within its line and cell, whatever it says."""
    return " ".join(told.split()).replace("|", "\\|").replace("`", "'").replace("<", "&lt;")
