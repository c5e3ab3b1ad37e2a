"""Base models that are installed, and how they are built."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from trainer_svc.domain.memory import ModelShape


@dataclass(frozen=True, kw_only=True)
class BaseModels:
    """What TRAINER_BASE_MODELS names.

    Attributes:
        folders: By name.
        shapes: By name; those whose configuration cannot be read are left out, and their memory is not foreseen.
    """

    folders: Mapping[str, Path]
    shapes: Mapping[str, ModelShape] = field(default_factory=dict)
