"""What is installed where jobs run."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from trainer_svc.domain.memory import ModelShape


@dataclass(frozen=True, kw_only=True)
class Installed:
    """What a worker has to train with.

    Attributes:
        folders: Base models by name.
        shapes: How they are built, by name; those whose configuration cannot be read are left out, and their memory is
            not foreseen.
        programs: Other projects' trainers by name.
    """

    folders: Mapping[str, Path]
    shapes: Mapping[str, ModelShape] = field(default_factory=dict)
    programs: Mapping[str, Path] = field(default_factory=dict)
