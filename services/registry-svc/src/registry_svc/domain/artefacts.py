"""Formats of model files, and what a folder must hold to be of one."""

from collections.abc import Iterable
from enum import StrEnum
from fnmatch import fnmatchcase

from loopwright.contracts.jobs import JobKind


class ModelFormat(StrEnum):
    """How a version's files are written."""

    HUGGINGFACE = "huggingface"
    GGUF = "gguf"
    AWQ = "awq"
    GPTQ = "gptq"
    LORA = "lora"


_WHOLE = ("config.json", "*.safetensors")
_NEEDED: dict[ModelFormat, tuple[str, ...]] = {
    ModelFormat.HUGGINGFACE: _WHOLE,
    ModelFormat.AWQ: _WHOLE,
    ModelFormat.GPTQ: _WHOLE,
    ModelFormat.GGUF: ("*.gguf",),
    ModelFormat.LORA: ("adapter_config.json", "adapter_model.safetensors"),
}
_MADE_BY: dict[JobKind, ModelFormat] = {
    JobKind.TRAIN: ModelFormat.HUGGINGFACE,  # with all weights; an adapter is a release
    JobKind.MERGE: ModelFormat.HUGGINGFACE,
    JobKind.PRUNE: ModelFormat.HUGGINGFACE,
    JobKind.GGUF: ModelFormat.GGUF,
    JobKind.AWQ: ModelFormat.AWQ,
    JobKind.GPTQ: ModelFormat.GPTQ,
}


def format_made_by(kind: JobKind) -> ModelFormat:
    """Format of whole models that a job makes."""
    return _MADE_BY[kind]


def missing_files(model_format: ModelFormat, names: Iterable[str]) -> tuple[str, ...]:
    """Patterns of the files that a format needs and that are not there."""
    present = tuple(names)
    return tuple(
        pattern for pattern in _NEEDED[model_format] if not any(fnmatchcase(name, pattern) for name in present)
    )
