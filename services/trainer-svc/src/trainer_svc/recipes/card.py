"""The model card: `README.md` as the Hugging Face hub writes it, and `card.json` with the same facts; no other words.

What is not known is left out or said to be unknown. Cards after Mitchell et al. 2019, "Model Cards for Model Reporting".
"""

import json
from collections.abc import Iterator
from datetime import datetime
from importlib.metadata import version
from pathlib import Path

import yaml
from huggingface_hub import ModelCardData
from pydantic import BaseModel, ConfigDict, Field, JsonValue, ValidationError

from loopwright.contracts.jobs import JobKind
from loopwright.contracts.tasks import Hyperparameters, Method, Objective
from trainer_svc.recipes.job_file import JobFile
from trainer_svc.recipes.watermark import WatermarkRecord

CARD_FILE, README = "card.json", "README.md"
_LIBRARIES = ("torch", "transformers", "peft", "trl")
_LARGEST_README = 1 << 20
_KINDS = {
    JobKind.TRAIN: "fine-tuned",
    JobKind.MERGE: "merged with its adapter",
    JobKind.GGUF: "exported to GGUF",
    JobKind.GPTQ: "quantised by GPTQ",
    JobKind.AWQ: "quantised by AWQ",
    JobKind.PRUNE: "pruned",
}


class CardFacts(BaseModel):
    """What a card says; None is unknown."""

    model_config = ConfigDict(frozen=True, protected_namespaces=())

    job_id: str = Field(description="job that made it")
    kind: JobKind = Field(description="what the job made")
    base_model: str = Field(description="name of the base model's folder")
    base_license: str | None = Field(default=None, description="licence as that folder states it")
    source_job: str | None = Field(default=None, description="job whose adapter this was made of")
    method: Method | None = Field(default=None, description="what was trained")
    objective: Objective | None = Field(default=None, description="what for")
    dataset_version: str | None = Field(default=None, description="data that it learned from")
    train_samples: int | None = Field(default=None, description="samples learned from")
    validation_samples: int | None = Field(default=None, description="samples watched, not learned from")
    hyperparameters: Hyperparameters | None = Field(default=None, description="settings of the run")
    steps: int | None = Field(default=None, description="optimizer steps")
    final_loss: float | None = Field(default=None, description="last training loss")
    eval_loss: float | None = Field(default=None, description="best validation loss")
    measured: dict[str, float] = Field(default={}, description="other figures that the job measured, by name")
    tokens: int | None = Field(default=None, description="tokens read by the last attempt")
    train_seconds: float | None = Field(default=None, description="seconds of the last attempt in training steps")
    device: str | None = Field(default=None, description="what it ran on")
    processes: int = Field(default=1, description="that trained together")
    precision: str | None = Field(default=None, description="of computation")
    code_version: str = Field(description="of the trainer")
    libraries: dict[str, str] = Field(description="versions by name")
    finished_at: datetime | None = Field(default=None, description="when")
    watermark: WatermarkRecord | None = Field(default=None, description="the mark that the weights carry")


def facts_of(job: JobFile) -> CardFacts:
    """What the job file knows; figures of the run are added by whoever ran it (`model_copy(update=…)`)."""
    trains = job.kind is JobKind.TRAIN
    parent = None if job.source_adapter is None else read_card(job.source_adapter)
    learned = job if trains else None
    return CardFacts(
        job_id=job.job_id,
        kind=job.kind,
        base_model=job.base_model.name,
        base_license=license_of(job.base_model),
        source_job=None if parent is None else parent.job_id,
        method=learned.method if learned else parent.method if parent else None,
        objective=learned.objective if learned else parent.objective if parent else None,
        dataset_version=job.dataset_version if trains else parent.dataset_version if parent else None,
        hyperparameters=learned.hyperparameters if learned else None,
        processes=job.world_size,
        code_version=version("trainer-svc"),
        libraries={name: version(name) for name in _LIBRARIES},
        watermark=None if parent is None else parent.watermark,
    )


def license_of(folder: Path) -> str | None:
    """Licence in the front matter of a model folder's own card; None if it has none, or none that can be read."""
    path = folder / README
    if not path.is_file() or path.stat().st_size > _LARGEST_README:
        return None
    opening, _, rest = path.read_text(errors="replace").partition("---\n")
    front, end, _ = rest.partition("\n---")
    try:
        stated: object = yaml.safe_load(front) if not opening.strip() and end else None
    except yaml.YAMLError:
        return None
    found = stated.get("license") if isinstance(stated, dict) else None
    return found if isinstance(found, str) else None


def read_card(folder: Path) -> CardFacts | None:
    """The facts of an earlier card; None if there is none that can be read."""
    try:
        return CardFacts.model_validate_json((folder / CARD_FILE).read_bytes())
    except (OSError, ValidationError):
        return None


def write_card(folder: Path, facts: CardFacts) -> None:
    """Writes both forms of the card, in place of what libraries wrote there."""
    (folder / CARD_FILE).write_text(facts.model_dump_json(indent=1) + "\n")
    (folder / README).write_text("\n".join(_readme(facts)) + "\n")


def _readme(facts: CardFacts) -> Iterator[str]:
    is_adapter = facts.kind is JobKind.TRAIN and facts.method != "full"
    front = ModelCardData(
        base_model=facts.base_model,
        license=facts.base_license,
        library_name="peft" if is_adapter else None if facts.kind is JobKind.GGUF else "transformers",
        pipeline_tag="text-generation",
        tags=[
            facts.kind.value,
            *([facts.method] if facts.method else []),
            *([facts.objective] if facts.objective else []),
        ],
    )
    yield from ("---", front.to_yaml(), "---", "", f"# {_text(facts.job_id)}", "")
    yield f"`{_text(facts.base_model)}`, {_KINDS[facts.kind]}."
    known: dict[str, JsonValue] = facts.model_dump(mode="json", exclude_none=True)
    for title, fields in _SECTIONS.items():
        rows = [row for field in fields for row in _rows(field, known.get(field))]
        if rows:
            yield from ("", f"## {title}", "", "| | |", "|---|---|", *rows)
    yield from ("", "## Limits", "", *(f"- {limit}" for limit in _limits(facts, is_adapter=is_adapter)))


_SECTIONS = {
    "What it is made of": (
        "job_id", "kind", "base_model", "base_license", "source_job", "method", "objective", "dataset_version",
        "train_samples", "validation_samples",
    ),
    "Figures": ("steps", "final_loss", "eval_loss", "measured", "tokens", "train_seconds"),
    "Settings": ("hyperparameters",),
    "Made with": ("device", "processes", "precision", "code_version", "libraries", "finished_at"),
    "Watermark": ("watermark",),
}  # fmt: skip


def _rows(field: str, value: JsonValue) -> Iterator[str]:
    if isinstance(value, dict):
        for name, entry in value.items():
            yield from _rows(name, entry)
    elif value is not None:
        told = value if isinstance(value, str) else json.dumps(value)
        yield f"| {_text(field)} | {_text(told)} |"


def _text(told: str) -> str:
    """Text that stays within its line and cell, whatever it says."""
    return " ".join(told.split()).replace("|", "\\|").replace("`", "'").replace("<", "&lt;")


def _limits(facts: CardFacts, *, is_adapter: bool) -> Iterator[str]:
    if is_adapter:
        yield f"An adapter: it means nothing without `{_text(facts.base_model)}`, and nothing good with any other model."
    if facts.base_license is None:
        yield "The base model's folder states no licence; whoever passes this on must find it out."
    if facts.eval_loss is None:
        yield "No loss on unseen samples was measured."
    else:
        yield "The validation loss is that of samples of the same source; nothing was measured on others."
    if facts.watermark is not None and facts.kind is JobKind.TRAIN:
        yield "Losses of the run were measured before the watermark was embedded."
    if facts.kind in {JobKind.GPTQ, JobKind.AWQ, JobKind.PRUNE, JobKind.GGUF} and facts.watermark is not None:
        yield "The watermark's figures are those of the adapter that this was made of, not of these weights."
